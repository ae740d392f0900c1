"""Bytes to events and back: msgpack on NATS, JSON over HTTP and in files.

A message holds one event (a map) or an envelope (a list of events). Decoding is total: what can not be read becomes
:class:`Undecoded` values, one per offending event, so that the others in the envelope are kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgpack

from stillwatch.event import ACCOUNT_TOKEN, Rejected, RequestEvent, parse_event
from stillwatch.ports import Label
from stillwatch.verdict import ACCOUNT_KINDS

# nats-server's default max_payload is 1 MiB. 1,024 events of a kilobyte fill it; more is a mistake or an attack.
MAX_MESSAGE_BYTES: Final = 1_048_576
# The server counts headers too: an id of 128 characters of four bytes, a traceparent, and the names of both.
MAX_EVENT_BYTES: Final = MAX_MESSAGE_BYTES - 1_024
MAX_ENVELOPE_EVENTS: Final = 1_024
# Made once: an encoder with options of its own costs as much to make as a small event to encode.
_JSON: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True, slots=True)
class Undecoded:
    """An event that was rejected: its place in the message, why, and its bytes as they can be kept."""

    index: int
    rejected: Rejected
    payload: bytes


Decoded = RequestEvent | Undecoded


def decode_message(payload: bytes) -> list[Decoded]:
    """All events of one NATS message, in order. Never raises; an unreadable message is one :class:`Undecoded`.

    >>> decode_message(b"\\xc1")[0].rejected.reason
    'undecodable'
    """
    if len(payload) > MAX_MESSAGE_BYTES:
        return [Undecoded(0, Rejected("oversize", "", f"{len(payload)} bytes; at most {MAX_MESSAGE_BYTES}"), payload)]
    try:
        raw = msgpack.unpackb(
            payload, raw=False, strict_map_key=True, use_list=True, max_map_len=4_096, max_array_len=4_096
        )
    # msgpack raises ValueError's family, but also RecursionError-like StackError, TypeError for unhashable map keys and
    # UnicodeDecodeError: whatever it is, these bytes are not an event.
    except Exception as error:
        return [Undecoded(0, Rejected("undecodable", "", f"not msgpack: {type(error).__name__}"), payload)]
    if not isinstance(raw, list):
        parsed = parse_event(raw)
        return [parsed if isinstance(parsed, RequestEvent) else Undecoded(0, parsed, payload)]
    if len(raw) > MAX_ENVELOPE_EVENTS:
        problem = Rejected("oversize", "", f"{len(raw)} events in one envelope; at most {MAX_ENVELOPE_EVENTS}")
        return [Undecoded(0, problem, payload)]
    if not raw:
        return [Undecoded(0, Rejected("not_a_map", "", "an envelope without events"), payload)]
    out: list[Decoded] = []
    pieces: list[bytes] | None = None
    for index, item in enumerate(raw):
        parsed = parse_event(item)
        if isinstance(parsed, RequestEvent):
            out.append(parsed)
        else:
            pieces = pieces or items_of(payload)
            out.append(Undecoded(index, parsed, pieces[index]))
    return out


def items_of(payload: bytes) -> list[bytes]:
    """The bytes of each event of a message that ``decode_message`` could read, as they came. Never the whole envelope for
    one of its events: a thousand bad ones would be a thousand times a mebibyte.

    >>> items_of(bytes([0x92, 0xC0, 0x01])), items_of(bytes([0x80]))
    ([b'\\xc0', b'\\x01'], [b'\\x80'])
    """
    reader = msgpack.Unpacker(max_buffer_size=len(payload), strict_map_key=False)
    reader.feed(payload)
    try:
        count = reader.read_array_header()
    except ValueError:  # a single event: a map
        return [payload]
    out, start = [], reader.tell()
    for _ in range(count):
        reader.skip()
        out.append(payload[start : reader.tell()])
        start = reader.tell()
    return out


def encode_event(event: RequestEvent) -> bytes:
    return bytes(msgpack.packb(event.to_map(), use_bin_type=True))


def encode_envelope(events: Iterable[RequestEvent]) -> bytes:
    return bytes(msgpack.packb([event.to_map() for event in events], use_bin_type=True))


def encode_label(label: Label) -> bytes:
    body = {"v": 1, "account": label.account, "kind": label.kind, "by": label.by, "note": label.note}
    return bytes(msgpack.packb({**body, "at_unix_nano": label.at_unix_nano}, use_bin_type=True))


def decode_label(payload: bytes) -> Label | Rejected:
    """An operator's judgement, as it stands in the stream. Never raises."""
    try:
        raw = msgpack.unpackb(payload, raw=False)
        label = Label(raw["account"], raw["kind"], raw["by"], raw["at_unix_nano"], raw.get("note", ""))
    except Exception as error:
        return Rejected("undecodable", "", f"not a label: {type(error).__name__}")
    if not isinstance(label.account, str) or not ACCOUNT_TOKEN.match(label.account):
        return Rejected("wrong_type", "account", "account is a token of [A-Za-z0-9_-]{1,64}")
    if label.kind not in ACCOUNT_KINDS:
        return Rejected("wrong_type", "kind", f"kind is one of {', '.join(ACCOUNT_KINDS)}")
    if not isinstance(label.at_unix_nano, int) or not all(isinstance(text, str) for text in (label.by, label.note)):
        return Rejected("wrong_type", "by", "by and note are text, at_unix_nano is an integer")
    return label


def to_json_line(event: RequestEvent) -> str:
    """One line of an event file: the same map, ids in hexadecimal."""
    out = event.to_map()
    for key in ("trace_id", "span_id"):
        value = out.get(key)
        if isinstance(value, bytes):
            out[key] = value.hex()
    return _JSON.encode(out)


def from_json_line(line: str) -> RequestEvent | Rejected:
    """One line of an event file. Never raises."""
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Rejected("undecodable", "", f"not JSON: {error}")
    return parse_event(raw)


def events_of(decoded: Sequence[Decoded]) -> list[RequestEvent]:
    return [item for item in decoded if isinstance(item, RequestEvent)]
