"""A snapshot as bytes: a header that says what it is, signed, and a body that nobody looks into before that is checked.

Layout: ``SWSNAP01``, the header's length (4 bytes, big endian), the header (msgpack), its HMAC-SHA256 (RFC 2104), the body
(Zstandard, RFC 8878). The header holds length and SHA-256 of the body, so the signature covers both. The order of the checks
is the point: the body holds River's pickles, and unpickling runs what the bytes say. First the signature, then whether all of
the body is there, then whether this version and these settings can read it; only then is it unpacked.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

import msgpack
import zstandard
from river.__version__ import __version__ as river_version

from stillwatch import __version__
from stillwatch.errors import SnapshotDamaged, SnapshotIncompatible, SnapshotUntrusted

_MAGIC: Final = b"SWSNAP01"
_LENGTH_BYTES: Final = 4
_SIGNATURE_BYTES: Final = 32
# A header has some 300 bytes. What claims more is no header, and must not make us read a gigabyte as one.
_MAX_HEADER_BYTES: Final = 65_536
# Packed accounts become half as large at 400 MB a second; higher levels take several times as long for a tenth less.
_LEVEL: Final = 1
MIN_KEY_BYTES: Final = 32  # as long as the hash's output: RFC 2104, section 3


@dataclass(frozen=True, slots=True)
class Header:
    """``schema``: the layout of the body. ``epoch``: of the lease under which it was written; of two owners' snapshots the
    one with the higher epoch counts, however far the other has read."""

    subject: str  # partition-003, aggregator
    schema: int
    last_sequence: int  # of the stream: replay goes on behind it
    config_sha256: str  # of the settings that the state follows from
    epoch: int
    tick_unix_nano: int  # event time: every tick up to here is closed (partition) or evaluated (aggregator)
    model: str = __version__  # of Stillwatch, whose signals and models made the state
    river: str = river_version  # pickles are bound to it
    stream: str = ""  # which stream the sequences are of: one that was made anew counts from 1 again
    body_bytes: int = 0
    body_sha256: str = ""


def seal(header: Header, body: bytes, key: bytes) -> bytes:
    """The whole snapshot. Raises ``ValueError`` for a key of fewer than 32 bytes.

    >>> made = seal(Header("aggregator", 1, 7, "c0", 3, 900), b"state", b"k" * 32)
    >>> opened(made, b"k" * 32).last_sequence, body_of(made, b"k" * 32)
    (7, b'state')
    """
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"a snapshot key has at least {MIN_KEY_BYTES} bytes, this one has {len(key)}")
    packed = zstandard.ZstdCompressor(level=_LEVEL).compress(body)
    values = asdict(header) | {"body_bytes": len(packed), "body_sha256": hashlib.sha256(packed).hexdigest()}
    head = bytes(msgpack.packb(values))
    front = _MAGIC + len(head).to_bytes(_LENGTH_BYTES) + head
    return front + _signature(front, key) + packed


def opened(sealed: bytes, key: bytes) -> Header:
    """The header of an intact snapshot of ours. Raises :class:`SnapshotDamaged` or :class:`SnapshotUntrusted`."""
    return _split(sealed, key)[0]


def body_of(sealed: bytes, key: bytes) -> bytes:
    """Raises what :func:`opened` raises. What it returns may be unpickled: whoever has the key has written it."""
    return _body(_split(sealed, key)[1])


@dataclass(frozen=True, slots=True)
class Wanted:
    subject: str
    stream: str
    config_sha256: str
    schemas: tuple[int, ...]  # all that can be read


def read(sealed: bytes, key: bytes, wanted: Wanted) -> tuple[Header, bytes]:
    """Header and body of a snapshot that this version can use: by the same River, of the same stream, under the same settings.
    Raises :class:`SnapshotIncompatible` too."""
    header, packed = _split(sealed, key)
    found = (header.subject, header.stream, header.config_sha256, header.river)
    ours = (wanted.subject, wanted.stream, wanted.config_sha256, river_version)
    if found != ours or header.schema not in wanted.schemas:
        raise SnapshotIncompatible(wanted.subject, _said(*found, (header.schema,)), _said(*ours, wanted.schemas))
    return header, _body(packed)


def _said(subject: str, stream: str, config_sha256: str, river: str, schemas: tuple[int, ...]) -> str:
    schema = " or ".join(map(str, schemas))
    return f"{subject} of stream {stream}, settings {config_sha256[:12]}, River {river}, schema {schema}"


def _split(sealed: bytes, key: bytes) -> tuple[Header, memoryview]:
    begin = len(_MAGIC) + _LENGTH_BYTES
    if len(sealed) < begin or not sealed.startswith(_MAGIC):
        raise SnapshotDamaged("a snapshot", "it does not begin as one")
    length = int.from_bytes(sealed[len(_MAGIC) : begin])
    end = begin + length + _SIGNATURE_BYTES
    if length > _MAX_HEADER_BYTES or len(sealed) < end:
        raise SnapshotDamaged("a snapshot", f"it ends within its header, after {len(sealed)} bytes")
    front, signature = sealed[: begin + length], sealed[begin + length : end]
    if not hmac.compare_digest(signature, _signature(front, key)):
        raise SnapshotUntrusted("a snapshot")
    header = _header(msgpack.unpackb(front[begin:], raw=False))
    body = memoryview(sealed)[end:]
    if len(body) != header.body_bytes:
        raise SnapshotDamaged(header.subject, f"its body has {len(body)} of {header.body_bytes} bytes")
    if hashlib.sha256(body).hexdigest() != header.body_sha256:
        raise SnapshotDamaged(header.subject, "its body is not the one that was written")
    return header, body


def _header(raw: dict[str, Any]) -> Header:
    """Unknown keys are a newer version's: its schema says whether they matter."""
    known = {field.name for field in fields(Header)}
    missing = known - raw.keys()
    if missing:
        raise SnapshotIncompatible(str(raw.get("subject")), f"without {', '.join(sorted(missing))}", "with all of them")
    return Header(**{name: raw[name] for name in known})


def _body(packed: memoryview) -> bytes:
    return bytes(zstandard.ZstdDecompressor().decompress(packed))


def _signature(front: bytes, key: bytes) -> bytes:
    return hmac.digest(key, front, "sha256")
