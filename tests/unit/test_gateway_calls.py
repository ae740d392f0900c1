"""What is read from the bodies of model calls. Shapes as OpenAI and Anthropic document them; hostile ones say nothing."""

from __future__ import annotations

import json

import pytest
from factories import T0

from stillwatch.event import RequestEvent, parse_event
from stillwatch.gateway.calls import is_model_call, request_attributes, response_attributes, stream_attributes

CHAT = {
    "model": "gpt-x",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi!"},
        {"role": "user", "content": [{"type": "text", "text": "What is"}, {"type": "text", "text": "this?"}, {"type": "image_url"}]},
    ],
    "temperature": 0.2, "top_p": 1, "max_completion_tokens": 300, "stream": True, "response_format": {"type": "json_schema"},
}  # fmt: skip
ANTHROPIC = {
    "model": "claude-x",
    "max_tokens": 1024,
    "system": [{"type": "text", "text": "You are Bob."}],
    "messages": [
        {"role": "user", "content": "Weather in Rome?"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "w", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "sunny"}]},
    ],
}


def read(path: str, body: object) -> dict[str, object]:
    return dict(request_attributes(path, json.dumps(body).encode()))


def test_a_chat_completion_is_read() -> None:
    assert read("/v1/chat/completions", CHAT) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-x",
        "gen_ai.request.temperature": 0.2,
        "gen_ai.request.top_p": 1,
        "gen_ai.request.max_tokens": 300,
        "gen_ai.request.stream": True,
        "gen_ai.output.type": "json",
        "stillwatch.prompt.text": "What is\nthis?",
        "stillwatch.prompt.turn": 2,
        "stillwatch.system.text": "Be brief.",
    }


def test_an_anthropic_message_is_read_and_a_tools_result_is_no_turn() -> None:
    assert read("/v1/messages", ANTHROPIC) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "claude-x",
        "gen_ai.request.max_tokens": 1024,
        "stillwatch.prompt.text": "Weather in Rome?",
        "stillwatch.prompt.turn": 1,
        "stillwatch.system.text": "You are Bob.",
    }


@pytest.mark.parametrize(
    ("path", "body", "operation", "prompt"),
    [
        ("/v1/completions", {"model": "m", "prompt": "Once upon"}, "text_completion", "Once upon"),
        ("/v1/completions", {"model": "m", "prompt": ["a", "b"]}, "text_completion", "a\nb"),
        ("/v1/responses", {"model": "m", "input": "Hello", "instructions": "Be kind."}, "chat", "Hello"),
        (
            "/v1/responses",
            {"input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]},
            "chat",
            "Hi",
        ),
        ("/v1/embeddings", {"model": "m", "input": ["a", "b"]}, "embeddings", "a\nb"),
    ],
)
def test_the_other_endpoints_are_read(path: str, body: object, operation: str, prompt: str) -> None:
    found = read(path, body)
    assert (found["gen_ai.operation.name"], found["stillwatch.prompt.text"]) == (operation, prompt)


def test_answers_tell_model_tokens_and_reason() -> None:
    openai = {
        "model": "gpt-x-0613",
        "choices": [{"finish_reason": "stop"}, {"finish_reason": "length"}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7},
    }
    assert response_attributes(json.dumps(openai).encode()) == {
        "gen_ai.response.model": "gpt-x-0613",
        "gen_ai.usage.input_tokens": 11,
        "gen_ai.usage.output_tokens": 7,
        "gen_ai.response.finish_reasons": ["stop", "length"],
    }


def test_tokens_from_a_cache_count_as_input() -> None:
    usage = {
        "input_tokens": 10,
        "cache_read_input_tokens": 2_000,
        "cache_creation_input_tokens": 300,
        "output_tokens": 5,
    }
    found = response_attributes(json.dumps({"model": "c", "stop_reason": "end_turn", "usage": usage}).encode())
    assert found["gen_ai.usage.input_tokens"] == 2_310
    assert found["gen_ai.response.finish_reasons"] == ["end_turn"]


def test_the_end_of_a_stream_tells_its_usage() -> None:
    openai = (
        b'data: {"model":"gpt-x","choices":[{"delta":{"content":"Hi"},"finish_reason":null}]}\n\n'
        b'data: {"model":"gpt-x","choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
        b'data: {"model":"gpt-x","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}}\n\n'
        b"data: [DONE]\n\n"
    )
    assert stream_attributes(openai) == {
        "gen_ai.response.model": "gpt-x",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 9,
        "gen_ai.usage.output_tokens": 2,
    }


def test_anthropics_stream_tells_input_first_and_output_last() -> None:
    anthropic = (
        b'event: message_start\ndata: {"type":"message_start","message":{"model":"c","usage":{"input_tokens":25,"output_tokens":1}}}\n\n'
        b"...a line that was cut\n"
        b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}}\n\n'
    )
    assert stream_attributes(anthropic) == {
        "gen_ai.response.model": "c",
        "gen_ai.usage.input_tokens": 25,
        "gen_ai.usage.output_tokens": 15,
        "gen_ai.response.finish_reasons": ["end_turn"],
    }


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\xfe", b"null", b"[1]", b'"text"', b"{", b"[" * 100_000, b'{"messages": 3}', b'{"other": "thing"}'],
)
def test_what_is_no_model_call_says_nothing(body: bytes) -> None:
    assert request_attributes("/v1/chat/completions", body) == {}
    assert not is_model_call(response_attributes(body))


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [None, 3, {"role": 7, "content": {"a": 1}}, {"role": "user"}, {"content": "x"}], "temperature": True},
        {"messages": [], "temperature": "hot", "max_tokens": -1, "top_p": [1], "stream": "yes", "model": 5},
        {"messages": [{"role": "user", "content": "half a pair \ud83d"}], "model": "x" * 10_000},
        {"messages": [{"role": "user", "content": "y" * 200_000}], "max_tokens": 10**30, "response_format": {"type": []}},
        {"prompt": [[1, 2], {"text": None}], "usage": {"prompt_tokens": {}}},
    ],
)  # fmt: skip
def test_hostile_calls_become_events_that_are_valid(body: object) -> None:
    attributes = read("/v1/chat/completions", body)
    assert isinstance(parse_event(RequestEvent("r", "a", T0, attributes).to_map()), RequestEvent)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "body",
    [
        b'{"usage": {"prompt_tokens": NaN, "completion_tokens": Infinity}, "choices": [3, null], "model": ""}',
        b'{"usage": [], "choices": {}, "stop_reason": 4}',
        b'{"usage": {"input_tokens": "many", "output_tokens": true}}',
    ],
)
def test_hostile_answers_say_nothing(body: bytes) -> None:
    assert response_attributes(body) == {}
    assert stream_attributes(b"data: " + body + b"\n") == {}
