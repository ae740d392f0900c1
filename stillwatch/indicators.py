"""Indicators: a campaign's signature as another platform can match it, without prompts and without identities.

One JSON document, version 1 (docs/indicators.md has every field). It says what the pool is like: how often its topics come
up, by the cells of a fingerprint version, which mean the same on every platform. It has no account, prompt, organisation,
card, sign-up or address. Numbers are whole, so that its canonical form, which is signed, is the same in every language.

Whoever sends one may be wrong or hostile: :func:`read` takes any JSON value and gives an indicator, or a sentence that says
what to do. Pure.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stillwatch.fingerprint import CELLS, VERSION

FORMAT: Final = "stillwatch-indicator"
FORMAT_VERSION: Final = 1
# As Clio has it: what fewer people than this did is not shown to others, and no group smaller than this.
MIN_PER_CELL: Final = 5
MIN_MEMBERS: Final = 20
# Values that mean the same elsewhere. Cards, sign-ups, addresses and organisations are a platform's own, or identities.
EXCHANGED: Final = ("client", "parameters", "system", "template")
# ``correlation.conduct.STATISTICS`` of today: the format does not change with them. (And a gateway, which gets this module with the
# ports, installs no SciPy.)
CONDUCT: Final = ("quiet_hours", "inter_arrival", "daily_dispersion", "volume")
MAX_VALUES: Final = 16  # a view
MAX_DOCUMENT_BYTES: Final = 16_384  # a full one has some 4,000
MIN_KEY_BYTES, MAX_KEY_BYTES = 32, 64  # BLAKE2b takes no longer ones
# A pool is dealt out for weeks and replaced in months. What is older says little of who comes now.
MAX_AGE_S: Final = 365 * 86_400
KEPT_S: Final = 90 * 86_400
_DAY_S: Final = 86_400
_MOST: Final = 255  # the commonest cell's byte
_MAX_COUNT: Final = 10**12
_MAX_CONDUCT: Final = 2_000  # hundredths of a standard deviation
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_HASH: Final = re.compile(r"[0-9a-f]{32}\Z")
_SIGNATURE: Final = re.compile(r"[0-9a-f]{64}\Z")

ExchangeKeys = Mapping[str, bytes]  # by the name on which the platforms that hold it agree
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Refused:
    """Why something is no indicator, or can not become one. ``field`` as in the document, "" for the whole."""

    field: str
    detail: str


@dataclass(frozen=True, slots=True)
class Indicator:
    """``mixture``: base64 of a byte a cell, in 255ths of the commonest one; ``rest_per_mille``: the part of the pool in cells
    that stand there as 0, few members having asked about them. ``conduct``: the members' mean in hundredths of standard
    deviations from the issuer's honest accounts. ``values``: keyed hashes by view. ``key``, ``signature``: ``None`` where it
    is not signed."""

    issuer: str
    campaign: str  # a name for talking about it; not the issuer's own id
    first_seen_unix_s: int
    last_seen_unix_s: int
    accounts: int
    conversations: int
    mixture: str
    rest_per_mille: int
    conduct: Mapping[str, int]
    values: Mapping[str, tuple[str, ...]]
    key: str | None = None
    signature: str | None = None

    @property
    def id(self) -> str:
        """One for each campaign of an issuer: a later one takes the place of an earlier one."""
        name = f"{self.issuer}\x1f{self.campaign}".encode()
        return "i-" + hashlib.blake2b(name, digest_size=8).hexdigest()

    def shares(self) -> Vector:
        """Of the pool by cell, shape (CELLS,); the sum is 1 less the rest."""
        cells = np.frombuffer(base64.b64decode(self.mixture), dtype=np.uint8).astype(np.float64)
        return np.asarray(cells / cells.sum() * (1 - self.rest_per_mille / 1_000))

    def document(self) -> dict[str, Any]:
        """Ready for JSON."""
        body = {name: value for name, value in asdict(self).items() if value is not None}
        head = {"format": FORMAT, "version": FORMAT_VERSION, "fingerprint": VERSION}
        return {**head, **body, "values": {view: list(hashes) for view, hashes in self.values.items()}}


@dataclass(frozen=True, slots=True)
class Imported:
    """An indicator here: when it came, and who took it in."""

    indicator: Indicator
    received_unix_s: int
    by: str

    @property
    def expires_unix_s(self) -> int:
        return self.received_unix_s + KEPT_S


def quantised(shares: Vector) -> str:
    """
    >>> quantised(np.eye(CELLS)[3])[:8], len(quantised(np.ones(CELLS)))
    ('AAAA/wAA', 344)
    """
    return base64.b64encode(np.rint(_MOST * shares / shares.max()).astype(np.uint8).tobytes()).decode()


def rounded(count: int) -> int:
    """To two digits, down: enough to tell a small campaign from a large one.

    >>> rounded(7), rounded(123), rounded(98_765)
    (7, 120, 98000)
    """
    step = int(10 ** max(len(str(count)) - 2, 0))
    return count // step * step


def value_hash(key: bytes, view: str, value: str) -> str:
    """Who does not hold the key can not try values out; who does can, and so is somebody one exchanges with."""
    text = f"{view}\x1f{value}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, key=key, digest_size=16, person=b"sw-ind-value-1").hexdigest()


def signed(indicator: Indicator, name: str, key: bytes) -> Indicator:
    """HMAC-SHA-256 over the canonical document: keys sorted, no blanks, ASCII."""
    named = replace(indicator, key=name, signature=None)
    return replace(named, signature=_mac(named, key))


def verified(indicator: Indicator, keys: ExchangeKeys) -> Refused | None:
    """Who holds exchange keys takes nothing unsigned: leaving the signature out must not be a way around it."""
    if indicator.signature is None or indicator.key is None:
        text = "it is not signed, and this deployment has exchange keys; ask the issuer to export it with a common one"
        return Refused("signature", text) if keys else None
    key = keys.get(indicator.key)
    if key is None:
        return Refused("key", "no such exchange key here; add it to exchange.keys_file, or agree on another one")
    if not hmac.compare_digest(_mac(indicator, key), indicator.signature):
        return Refused(
            "signature", "it does not fit the document: this is forged or was changed; ask the issuer for it again"
        )
    return None


def current(indicator: Indicator, now_unix_s: float) -> Refused | None:
    if indicator.last_seen_unix_s > now_unix_s + _DAY_S:
        return Refused("last_seen_unix_s", "it lies in the future; check the clocks of both sides")
    if indicator.last_seen_unix_s < now_unix_s - MAX_AGE_S:
        return Refused("last_seen_unix_s", "the campaign was last seen more than a year ago; ask for a newer indicator")
    return None


def _mac(indicator: Indicator, key: bytes) -> str:
    body = {name: value for name, value in indicator.document().items() if name != "signature"}
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hmac.new(key, canonical.encode(), hashlib.sha256).hexdigest()


# -- reading what others wrote ---------------------------------------------------------------------------------------

_HEAD: Final[Mapping[str, object]] = {"format": FORMAT, "version": FORMAT_VERSION, "fingerprint": VERSION}
_Check = Callable[[Any], bool]


def _whole(least: int, most: int) -> _Check:
    return lambda value: type(value) is int and least <= value <= most


def _matches(pattern: re.Pattern[str]) -> _Check:
    return lambda value: isinstance(value, str) and pattern.match(value) is not None


def _is_mixture(value: Any) -> bool:
    if not isinstance(value, str) or len(value) != len(quantised(np.ones(CELLS))):
        return False
    try:
        cells = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    return len(cells) == CELLS and max(cells) == _MOST and base64.b64encode(cells).decode() == value


def _is_conduct(value: Any) -> bool:
    within = _whole(-_MAX_CONDUCT, _MAX_CONDUCT)
    return isinstance(value, dict) and all(name in CONDUCT and within(mean) for name, mean in value.items())


def _is_values(value: Any) -> bool:
    return isinstance(value, dict) and all(view in EXCHANGED and _are_hashes(found) for view, found in value.items())


def _are_hashes(found: Any) -> bool:
    if not isinstance(found, list) or len(found) > MAX_VALUES or not all(map(_matches(_HASH), found)):
        return False
    return len(set(found)) == len(found)


_NAME_RULE: Final = "a name of 1 to 64 letters, digits, dots, dashes and underscores"
_FIELDS: Final[Mapping[str, tuple[_Check, str]]] = {
    "issuer": (_matches(_NAME), _NAME_RULE),
    "campaign": (_matches(_NAME), _NAME_RULE),
    "first_seen_unix_s": (_whole(0, _MAX_COUNT), "whole seconds since 1970"),
    "last_seen_unix_s": (_whole(0, _MAX_COUNT), "whole seconds since 1970"),
    "accounts": (_whole(MIN_MEMBERS, _MAX_COUNT), f"a whole number from {MIN_MEMBERS} on: no smaller group is exchanged"),
    "conversations": (_whole(MIN_MEMBERS, _MAX_COUNT), f"a whole number from {MIN_MEMBERS} on"),
    "mixture": (_is_mixture, f"base64 of {CELLS} bytes of which the largest is {_MOST}"),
    "rest_per_mille": (_whole(0, 999), "a whole number from 0 to 999"),
    "conduct": (_is_conduct, f"whole hundredths of standard deviations, by {', '.join(CONDUCT)}"),
    "values": (_is_values, f"up to {MAX_VALUES} different keyed hashes (32 hexadecimal digits) each, by {', '.join(EXCHANGED)}"),
}  # fmt: skip
_SEAL: Final[Mapping[str, tuple[_Check, str]]] = {
    "key": (_matches(_NAME), _NAME_RULE),
    "signature": (_matches(_SIGNATURE), "64 hexadecimal digits"),
}


def read(raw: object) -> Indicator | Refused:
    """The form alone; see :func:`verified` and :func:`current`. Closed: what it does not know it refuses.

    >>> read([]), read({"format": "stix"}).detail
    (Refused(field='', detail='an indicator is a JSON object'), 'this version reads "stillwatch-indicator"; ask the issuer for that')
    """
    if not isinstance(raw, dict):
        return Refused("", "an indicator is a JSON object")
    for name, wanted in _HEAD.items():
        found = raw.get(name)
        if type(found) is not type(wanted) or found != wanted:
            return Refused(name, f"this version reads {json.dumps(wanted)}; ask the issuer for that")
    if not all(isinstance(name, str) for name in raw) or raw.keys() - _HEAD.keys() - _FIELDS.keys() - _SEAL.keys():
        return Refused("", "it has fields that version 1 does not have; leave them out, and have it signed again")
    if ("key" in raw) != ("signature" in raw):
        return Refused("signature", "key and signature go together; export it again")
    fields = {**_FIELDS, **(_SEAL if "key" in raw else {})}
    for name, (fits, rule) in fields.items():
        if name not in raw or not fits(raw[name]):
            return Refused(name, f"send {rule}")
    if raw["first_seen_unix_s"] > raw["last_seen_unix_s"]:
        return Refused("first_seen_unix_s", "it lies after last_seen_unix_s; exchange the two")
    if raw["values"] and "key" not in raw:
        return Refused("values", "hashes are made with an exchange key; name it, and sign with it")
    values = {view: tuple(raw["values"][view]) for view in sorted(raw["values"])}
    taken = {name: raw[name] for name in fields}
    return Indicator(**{**taken, "conduct": dict(sorted(raw["conduct"].items())), "values": values})
