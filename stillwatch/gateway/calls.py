"""What a model call was, read from the bodies that the common APIs exchange: OpenAI's and Anthropic's shapes.

Pure functions over untrusted bytes: whatever can not be read is left out, never an error. Names are the contract's
GenAI attributes. A platform whose API differs gives what it knows through :class:`~stillwatch.gateway.Identity`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeGuard

from stillwatch.event import MAX_ATTRIBUTE_CHARS, MAX_ID_CHARS, MAX_LIST_ITEMS, AttributeValue

_NUMBERS: Final = (
    ("gen_ai.request.temperature", ("temperature",)),
    ("gen_ai.request.top_p", ("top_p",)),
    ("gen_ai.request.max_tokens", ("max_tokens", "max_completion_tokens", "max_output_tokens")),
)
# Anthropic counts cached tokens beside `input_tokens`; the conventions count them in.
_INPUT_TOKENS: Final = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


def request_attributes(path: str, body: bytes) -> dict[str, AttributeValue]:
    """Of a request body, with the last user turn and the system prompt as text. Empty when it is no model call."""
    raw = _json(body)
    if not isinstance(raw, dict):
        return {}
    out: dict[str, AttributeValue] = {}
    messages = raw.get("messages", raw.get("input") if "embeddings" not in path else None)
    if isinstance(messages, list):
        out["gen_ai.operation.name"] = "chat"
        _read_messages(out, raw, messages)
    elif "embeddings" in path and "input" in raw:
        out["gen_ai.operation.name"] = "embeddings"
        _put_text(out, "stillwatch.prompt.text", _text(raw["input"]))
    elif isinstance(raw.get("prompt", raw.get("input")), str | list):
        out["gen_ai.operation.name"] = "text_completion" if "prompt" in raw else "chat"
        _put_text(out, "stillwatch.prompt.text", _text(raw.get("prompt", raw.get("input"))))
        _put_text(out, "stillwatch.system.text", _text(raw.get("instructions")))
    else:
        return {}
    _put_name(out, "gen_ai.request.model", raw.get("model"))
    for name, keys in _NUMBERS:
        _put_number(out, name, next((raw[key] for key in keys if raw.get(key) is not None), None))
    if isinstance(raw.get("stream"), bool):
        out["gen_ai.request.stream"] = raw["stream"]
    kind = raw["response_format"].get("type") if isinstance(raw.get("response_format"), dict) else None
    if kind is not None:
        out["gen_ai.output.type"] = "json" if kind in ("json_object", "json_schema") else "text"
    return out


def response_attributes(body: bytes) -> dict[str, AttributeValue]:
    """Of a whole JSON response."""
    raw = _json(body)
    out: dict[str, AttributeValue] = {}
    if isinstance(raw, dict):
        _read_answer(out, raw)
    return out


def stream_attributes(events: bytes) -> dict[str, AttributeValue]:
    """Of server-sent events; lines that were cut are passed over. Later events win, because usage grows: OpenAI sends it
    last, Anthropic the input's first and the output's last."""
    out: dict[str, AttributeValue] = {}
    for line in events.split(b"\n"):
        if line.startswith(b"data:") and (b"usage" in line or b"finish_reason" in line or b"stop_reason" in line):
            raw = _json(line[5:])
            if isinstance(raw, dict):
                for nested in (raw, raw.get("message"), raw.get("response"), raw.get("delta")):
                    if isinstance(nested, dict):
                        _read_answer(out, nested)
    return out


def is_model_call(answer: Mapping[str, AttributeValue]) -> bool:
    """Whether an answer alone shows that a model made it, for requests whose body could not be read."""
    return "gen_ai.usage.output_tokens" in answer or "gen_ai.response.finish_reasons" in answer


def _read_messages(out: dict[str, AttributeValue], raw: Mapping[str, Any], messages: list[Any]) -> None:
    turns = 0
    prompt, system = "", [_text(raw.get("system")) or _text(raw.get("instructions"))]
    for message in messages:
        if not isinstance(message, dict):
            continue
        role, text = message.get("role"), _text(message.get("content"))
        if not text:
            continue  # an image, or the result of a tool: no turn of the user's
        if role == "user":
            turns, prompt = turns + 1, text
        elif role in ("system", "developer"):
            system.append(text)
    _put_text(out, "stillwatch.prompt.text", prompt)
    _put_text(out, "stillwatch.system.text", "\n".join(part for part in system if part))
    if turns:
        out["stillwatch.prompt.turn"] = turns


def _read_answer(out: dict[str, AttributeValue], raw: Mapping[str, Any]) -> None:
    _put_name(out, "gen_ai.response.model", raw.get("model"))
    usage = raw.get("usage")
    if isinstance(usage, dict):
        counted = [usage[key] for key in _INPUT_TOKENS if _is_number(usage.get(key))]
        given = sum(counted) if counted else usage.get("prompt_tokens")
        made = usage.get("output_tokens", usage.get("completion_tokens"))
        _put_number(out, "gen_ai.usage.input_tokens", given)
        _put_number(out, "gen_ai.usage.output_tokens", made)
    choices = raw.get("choices")
    reasons = [c.get("finish_reason") for c in choices if isinstance(c, dict)] if isinstance(choices, list) else []
    named = [r[:MAX_ID_CHARS] for r in [*reasons, raw.get("stop_reason")] if isinstance(r, str)]
    if named:
        out["gen_ai.response.finish_reasons"] = named[:MAX_LIST_ITEMS]


def _text(content: object) -> str:
    """A string, or the text parts of a list; "" for anything else."""
    return content if isinstance(content, str) else "\n".join(_parts(content))


def _parts(content: object) -> Iterator[str]:
    if isinstance(content, list):
        for part in content:
            if isinstance(part, str):
                yield part
            elif isinstance(part, dict) and isinstance(part.get("text"), str):
                yield part["text"]


def _put_text(out: dict[str, AttributeValue], name: str, text: str) -> None:
    if text:
        # JSON can carry half a surrogate pair, which no encoder takes.
        text = text[:MAX_ATTRIBUTE_CHARS]
        out[name] = text if text.isascii() else text.encode("utf-8", "replace").decode()


def _put_name(out: dict[str, AttributeValue], name: str, value: object) -> None:
    if isinstance(value, str) and value:
        _put_text(out, name, value[:MAX_ID_CHARS])


def _put_number(out: dict[str, AttributeValue], name: str, value: object) -> None:
    if _is_number(value):
        out[name] = value


def _is_number(value: object) -> TypeGuard[int | float]:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and 0 <= value < 2**63
    )


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
