"""Bodies, read with limits and decoded strictly. What can not be read is a 4xx problem that quotes none of it.

FastAPI would read and parse a body before it asks for the key. Here the key comes first, and the bytes are counted
while they arrive.
"""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn, TypeVar

import msgpack
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from serve.problems import FieldError, ProblemError, of_validation, safe_name

JSON: Final = "application/json"
MSGPACK: Final = ("application/msgpack", "application/x-msgpack", "application/vnd.msgpack")
# A length with more digits than this is not a length; int() of a thousand digits is work.
_MAX_LENGTH_DIGITS: Final = 18

Model = TypeVar("Model", bound=BaseModel)


async def read_model(request: Request, model: type[Model], max_bytes: int) -> Model:
    """A JSON body that fits ``model``."""
    if media_type(request) != JSON:
        raise ProblemError("unsupported-media-type", f"Send JSON with the header content-type: {JSON}")
    raw = decode_json(await read_bytes(request, max_bytes))
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise of_validation(error) from None


async def read_value(request: Request, max_bytes: int) -> object:
    """A JSON or msgpack body, whatever it holds."""
    kind = media_type(request)
    if kind not in (JSON, *MSGPACK):
        raise ProblemError(
            "unsupported-media-type", f"Send JSON ({JSON}) or msgpack ({MSGPACK[0]}) and say so in content-type"
        )
    raw = await read_bytes(request, max_bytes)
    return decode_json(raw) if kind == JSON else decode_msgpack(raw)


def media_type(request: Request) -> str:
    """Without a content-type it is taken for JSON; ``application/*+json`` is JSON too."""
    name, _, parameters = request.headers.get("content-type", JSON).partition(";")
    name = name.strip().lower()
    charset = parameters.strip().lower()
    if charset.startswith("charset=") and charset.removeprefix("charset=").strip('" ') not in {"utf-8", "utf8"}:
        raise ProblemError("unsupported-media-type", "JSON is UTF-8; leave charset out")
    if name.startswith("application/") and name.endswith("+json"):
        return JSON
    return name


async def read_bytes(request: Request, max_bytes: int) -> bytes:
    """At most ``max_bytes``: refused by the declared length, before a byte is read, and while they arrive."""
    if request.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        raise ProblemError("unsupported-media-type", "Send the body as it is, without content-encoding")
    declared = request.headers.get("content-length")
    if declared is not None:
        if not (declared.isascii() and declared.isdecimal()):
            raise ProblemError("malformed", "content-length is a number of bytes")
        if len(declared) > _MAX_LENGTH_DIGITS or int(declared) > max_bytes:
            _too_large(max_bytes)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            _too_large(max_bytes)
    if not body:
        raise ProblemError("malformed", "The body is empty; /openapi.json has examples")
    return bytes(body)


def _too_large(max_bytes: int) -> NoReturn:
    raise ProblemError(
        "too-large",
        f"A body has at most {max_bytes} bytes here; send fewer events at a time",
        headers={"connection": "close"},
    )


def decode_json(raw: bytes) -> object:
    """Strict: UTF-8, no NaN or Infinity, no key twice (which of the two would count?), bounded depth and digits."""
    try:
        return json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise ProblemError("malformed", "The body is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ProblemError("malformed", f"Not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise ProblemError("malformed", "Nested too deeply") from None
    except ValueError:  # json's only other one: an integer of more than 4,300 digits
        raise ProblemError("malformed", "A number with too many digits") from None


def decode_msgpack(raw: bytes) -> object:
    try:
        return msgpack.unpackb(raw, raw=False, strict_map_key=True, max_map_len=4_096, max_array_len=65_536)
    # msgpack raises a family of its own, and UnicodeDecodeError, TypeError, …: whatever it is, this is not msgpack.
    except Exception as error:
        raise ProblemError("malformed", f"Not msgpack: {type(error).__name__}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        name = safe_name(twice)
        error = FieldError(field=name, reason="duplicate_key", detail="The key stands there twice")
        raise ProblemError("malformed", f"The key {name} stands twice in one object; send it once", [error])
    return out


def _no_constant(name: str) -> NoReturn:
    raise ProblemError("malformed", f"{name} is not JSON; leave out what is not known")
