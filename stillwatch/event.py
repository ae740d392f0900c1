"""The request event, version 1: one finished model call, as a gateway reports it.

``parse_event`` is the only door into the core. It never raises: a map that can not be used becomes a
:class:`Rejected` that names the field and the reason, and travels to the dead letters with the original bytes.
Unknown keys and attributes are left out, never an error; a missing optional value is ``None``, never zero.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

AttributeValue = str | int | float | bool | list[str]

RejectReason = Literal[
    "undecodable",        # not msgpack / JSON, or nested or sized beyond the limits
    "not_a_map",          # decoded, but not an event
    "unknown_version",    # `v` is missing or not 1
    "missing_field",      # a required key is absent
    "wrong_type",         # a known key has a type or value outside the contract
    "time_in_future",     # ended after it arrived, beyond any clock skew
    "account_mismatch",   # the body names another account than the subject it came on
    "partition_mismatch", # an envelope holds an account of another partition
    "oversize",           # more events, attributes or bytes than the limits
    "processing_failed",  # valid, and taking it into state failed: a bug of ours. Replay it with the version that mends it
]  # fmt: skip

ACCOUNT_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
# Limits are on untrusted input. 128 attributes is four times what the contract names; 64 KiB holds a prompt of about
# 16,000 tokens (the edge should send a fingerprint instead); ids are Nats-Msg-Ids, kept in the server's RAM.
MAX_ATTRIBUTES: Final = 128
MAX_ATTRIBUTE_CHARS: Final = 65_536
MAX_LIST_ITEMS: Final = 64
MAX_ID_CHARS: Final = 128
# 2001-09-09 in ns: anything earlier is seconds or milliseconds by mistake.
MIN_TIME_UNIX_NANO: Final = 1_000_000_000_000_000_000
MAX_INT64: Final = 2**63 - 1
# Clocks of gateways differ by seconds, a broken time zone by hours. Beyond a day it is not a clock but a mistake.
MAX_FUTURE_NANO: Final = 24 * 3600 * 1_000_000_000

# `error.type` of a call that the gateway refused because of a decision of ours. Such a call says nothing of how its account
# is used, for nobody was served; but a relay tries it again on the next of its accounts.
REFUSED: Final = "stillwatch.refused"


@dataclass(frozen=True, slots=True)
class RequestEvent:
    """One finished model call. Immutable; ``attributes`` holds only values of the contract's types."""

    id: str
    account: str
    time_unix_nano: int
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    trace_id: bytes | None = None
    span_id: bytes | None = None

    def text(self, name: str) -> str | None:
        value = self.attributes.get(name)
        return value if isinstance(value, str) else None

    def number(self, name: str) -> float | None:
        value = self.attributes.get(name)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    @property
    def refused(self) -> bool:
        """By a decision of ours."""
        return self.attributes.get("error.type") == REFUSED

    def texts(self, name: str) -> list[str]:
        value = self.attributes.get(name)
        return value if isinstance(value, list) else []

    def to_map(self) -> dict[str, object]:
        """The wire map of the contract; ``parse_event`` gives the same event back."""
        out: dict[str, object] = {
            "v": 1,
            "id": self.id,
            "time_unix_nano": self.time_unix_nano,
            "account": self.account,
            "attributes": dict(self.attributes),
        }
        if self.trace_id is not None and self.span_id is not None:
            out["trace_id"], out["span_id"] = self.trace_id, self.span_id
        return out


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why an input is not an event. ``field`` is the path of the offending key, "" when there is none."""

    reason: RejectReason
    field: str
    detail: str


# Known attributes and the type that the contract gives them. A known one of the wrong type rejects the event (the
# publisher has a bug and should hear of it); an unknown one of any type is left out.
_TEXT: Final = frozenset(
    {
        "stillwatch.org.id", "stillwatch.org.verification", "stillwatch.account.tier", "stillwatch.account.payment",
        "stillwatch.account.signup", "stillwatch.account.invited_by", "gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model",
        "gen_ai.response.model", "gen_ai.output.type", "gen_ai.conversation.id", "error.type", "client.address",
        "user_agent.original", "stillwatch.client.ja4", "stillwatch.prompt.text", "stillwatch.system.text",
        "stillwatch.fp.version", "stillwatch.fp.data",
    }
)  # fmt: skip
_NUMBER: Final = frozenset(
    {
        "stillwatch.account.created_unix", "gen_ai.request.temperature", "gen_ai.request.top_p",
        "gen_ai.request.max_tokens", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens",
        "http.response.status_code", "stillwatch.prompt.turn",
    }
)  # fmt: skip
_BOOL: Final = frozenset({"gen_ai.request.stream"})
_LIST: Final = frozenset({"gen_ai.response.finish_reasons"})
_TEXT_OR_NUMBER: Final = frozenset({"stillwatch.client.asn"})
_EXPECTED: Final = {
    **dict.fromkeys(_TEXT, "text"),
    **dict.fromkeys(_NUMBER, "number"),
    **dict.fromkeys(_BOOL, "bool"),
    **dict.fromkeys(_LIST, "list"),
    **dict.fromkeys(_TEXT_OR_NUMBER, "text or number"),
}
_AS_NUMBER: Final = frozenset({"number", "text or number"})


def parse_event(raw: object) -> RequestEvent | Rejected:
    """One decoded map, from msgpack or JSON, to an event. Total: never raises.

    >>> parse_event({"v": 1, "id": "r-1", "time_unix_nano": 1_790_000_000_000_000_000, "account": "acct-7"}).account
    'acct-7'
    >>> parse_event({"v": 1, "id": "r-1", "time_unix_nano": 0, "account": "acct-7"}).field
    'time_unix_nano'
    """
    if not isinstance(raw, dict):
        return Rejected("not_a_map", "", f"an event is a map, this is {type(raw).__name__}")
    version = raw.get("v")
    if version != 1 or isinstance(version, bool):
        return Rejected("unknown_version", "v", "this server reads version 1; send v: 1")
    event_id, ended, account = raw.get("id"), raw.get("time_unix_nano"), raw.get("account")
    if event_id is None or ended is None or account is None:
        key = next(name for name in ("id", "time_unix_nano", "account") if raw.get(name) is None)
        return Rejected("missing_field", key, f"{key} is required")
    if not isinstance(event_id, str) or not 1 <= len(event_id) <= MAX_ID_CHARS or not event_id.isprintable():
        return Rejected("wrong_type", "id", f"id is a printable string of 1..{MAX_ID_CHARS} characters")
    if not isinstance(account, str) or not ACCOUNT_TOKEN.match(account):
        return Rejected("wrong_type", "account", "account is a token of [A-Za-z0-9_-]{1,64}, best an HMAC")
    if not isinstance(ended, int) or isinstance(ended, bool) or not MIN_TIME_UNIX_NANO <= ended <= MAX_INT64:
        return Rejected("wrong_type", "time_unix_nano", "time_unix_nano is nanoseconds since 1970, an integer")
    attributes = _attributes(raw.get("attributes"))
    if isinstance(attributes, Rejected):
        return attributes
    trace_id, span_id = raw.get("trace_id"), raw.get("span_id")
    if trace_id is None and span_id is None:
        return RequestEvent(event_id, account, ended, attributes)
    trace_id, span_id = _id_bytes(trace_id, 16), _id_bytes(span_id, 8)
    if trace_id is False or span_id is False:
        name = "trace_id" if trace_id is False else "span_id"
        return Rejected("wrong_type", name, "trace_id is 16 and span_id 8 bytes (hexadecimal in JSON)")
    return RequestEvent(event_id, account, ended, attributes, trace_id or None, span_id or None)


def check_arrival(event: RequestEvent, received_unix_nano: int) -> Rejected | None:
    """A call can not have ended a day after the stream received its report."""
    if event.time_unix_nano > received_unix_nano + MAX_FUTURE_NANO:
        ahead_h = (event.time_unix_nano - received_unix_nano) / 3.6e12
        return Rejected("time_in_future", "time_unix_nano", f"ended {ahead_h:.0f} h after it arrived; check the clock")
    return None


def _attributes(raw: object) -> dict[str, AttributeValue] | Rejected:
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        return Rejected("wrong_type", "attributes", "attributes is a map of names to values")
    if len(raw) > MAX_ATTRIBUTES:
        return Rejected("oversize", "attributes", f"{len(raw)} attributes; at most {MAX_ATTRIBUTES}")
    names = tuple(raw)
    shape = _SHAPES.get(names) or _shape(names)
    kept = _plain(raw) if shape is None else _of_shape(raw, *shape)
    return _checked(raw) if kept is None else kept


# A publisher gives the same names in the same order with nearly every request. Of known names only, so that what is kept
# is bounded; a mixture of more publishers than this is read as fast as none was known.
_MAX_SHAPES: Final = 256
_Shape = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]]
_SHAPES: Final[dict[tuple[Any, ...], _Shape]] = {}


def _shape(names: tuple[Any, ...]) -> _Shape | None:
    """(texts, numbers, truths, lists) by name, or ``None``: one of the names is not known."""
    if not all(name in _EXPECTED for name in names):
        return None
    kinds = (("text",), _AS_NUMBER, ("bool",), ("list",))
    texts, numbers, truths, lists = (tuple(name for name in names if _EXPECTED[name] in kind) for kind in kinds)
    if len(_SHAPES) >= _MAX_SHAPES:
        _SHAPES.clear()
    return _SHAPES.setdefault(names, (texts, numbers, truths, lists))


def _of_shape(
    raw: dict[Any, Any],
    texts: tuple[str, ...],
    numbers: tuple[str, ...],
    truths: tuple[str, ...],
    lists: tuple[str, ...],
) -> dict[str, AttributeValue] | None:
    """What :func:`_plain` gives, where it is known what each value must be."""
    for name in numbers:
        value = raw[name]
        if (type(value) is not int and type(value) is not float) or not 0 <= value <= MAX_INT64:
            return None
    for name in truths:
        if type(raw[name]) is not bool:
            return None
    found = [raw[name] for name in texts]
    for name in lists:
        value = raw[name]
        if type(value) is not list or len(value) != 1 or type(value[0]) is not str or len(value[0]) > MAX_ID_CHARS:
            return None
        found.append(value[0])
    return dict(raw) if _short_texts(found) else None


def _plain(raw: dict[Any, Any]) -> dict[str, AttributeValue] | None:
    """What nearly every event has: short texts and plain numbers, none of them null. ``None`` where there is any doubt.

    Texts are looked at all together: their sum is within the limit of one, so each of them is.
    """
    kept: dict[str, AttributeValue] = {}
    texts: list[str] = []
    for name, value in raw.items():
        expected = _EXPECTED.get(name)
        if expected == "text":
            texts.append(value)
        elif expected is None:
            continue
        elif type(value) is int or type(value) is float:
            if expected not in _AS_NUMBER or not 0 <= value <= MAX_INT64:
                return None
        elif expected == "list":
            if type(value) is not list or len(value) != 1 or type(value[0]) is not str or len(value[0]) > MAX_ID_CHARS:
                return None
            texts.append(value[0])
        elif expected != "bool" or type(value) is not bool:
            return None
        kept[name] = value
    return kept if _short_texts(texts) else None


def _short_texts(texts: list[str]) -> bool:
    try:
        joined = "".join(texts)  # refuses what is no text
    except TypeError:
        return False
    return len(joined) <= MAX_ATTRIBUTE_CHARS and not _has_surrogate(joined)


def _checked(raw: dict[Any, Any]) -> dict[str, AttributeValue] | Rejected:
    """One by one: finds the attribute that is wrong, if one is."""
    kept: dict[str, AttributeValue] = {}
    for name, value in raw.items():
        expected = _EXPECTED.get(name)
        if expected is None or value is None:
            continue
        if problem := _problem(value, expected):
            return Rejected("wrong_type", f"attributes.{name}", f"{name} {problem}")
        kept[name] = value
    return kept


def _problem(value: object, expected: str) -> str | None:
    """What is wrong with a known attribute, or ``None``."""
    if expected == "text" or (expected == "text or number" and isinstance(value, str)):
        if not isinstance(value, str):
            return f"is text, this is {type(value).__name__}"
        if len(value) > MAX_ATTRIBUTE_CHARS:
            return f"has {len(value)} characters; at most {MAX_ATTRIBUTE_CHARS}"
        # JSON can smuggle lone surrogates, which no encoder downstream accepts.
        return "is not valid Unicode" if _has_surrogate(value) else None
    if expected == "bool":
        return None if isinstance(value, bool) else f"is true or false, this is {type(value).__name__}"
    if expected == "list":
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            return "is a list of text"
        if len(value) > MAX_LIST_ITEMS or any(len(item) > MAX_ID_CHARS for item in value):
            return f"is at most {MAX_LIST_ITEMS} texts of {MAX_ID_CHARS} characters"
        return "is not valid Unicode" if any(_has_surrogate(item) for item in value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"is a number, this is {type(value).__name__}"
    # One NaN poisons an online model for ever; counts and times are never negative in the contract.
    if not math.isfinite(value) or not 0 <= value <= MAX_INT64:
        return "is a finite number from 0 to 2^63-1"
    return None


def _has_surrogate(value: str) -> bool:
    if value.isascii():
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return False


def _id_bytes(raw: object, size: int) -> bytes | Literal[False]:
    """The id, b"" when absent, ``False`` when unusable."""
    if raw is None:
        return b""
    if isinstance(raw, str):
        try:
            raw = bytes.fromhex(raw)
        except ValueError:
            return False
    return raw if isinstance(raw, bytes) and len(raw) == size and any(raw) else False
