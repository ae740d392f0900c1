"""The middleware in a real HTTP server, before a small application, with a real nats-server behind it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import msgpack
import pytest
import uvicorn
from gateway_worlds import a_deployment, an_enforcement, eventually
from nats.aio.client import Client
from nats.js.kv import KeyValue
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from stillwatch import names, subjects
from stillwatch.event import RequestEvent, parse_event
from stillwatch.fingerprint import event_fingerprint
from stillwatch.gateway import Enforcer, Publisher, StillwatchMiddleware, hmac_account

SECRET = b"0123456789abcdef"
KEY = {"authorization": "Bearer sk-live-7"}
ACCOUNT = hmac_account(SECRET, "sk-live-7")
CHAT = {
    "model": "m-1",
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Write a haiku about rain."}],
    "temperature": 0.7,
}
ANSWER = {
    "model": "m-1-0901",
    "choices": [{"finish_reason": "stop", "message": {"content": "drip"}}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 3},
}
TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers a chat, streams one, echoes a digest, or breaks."""
    body, path = b"", scope["path"]
    if path != "/never-reads":
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
    if path == "/breaks":
        raise RuntimeError("a mistake of the platform")
    if path == "/v1/stream":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        for number in range(400):
            chunk = {"model": "m-1-0901", "choices": [{"delta": {"content": f"word {number} " * 8}}]}
            await send(
                {"type": "http.response.body", "body": f"data: {json.dumps(chunk)}\n\n".encode(), "more_body": True}
            )
        last = {"model": "m-1-0901", "choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 400}}
        await send({"type": "http.response.body", "body": f"data: {json.dumps(last)}\n\ndata: [DONE]\n\n".encode()})
        return
    status, answer = 200, ANSWER if path.startswith("/v1/") else {"sha256": hashlib.sha256(body).hexdigest()}
    if path == "/v1/limited":
        status, answer = 429, {"error": "slow down"}
    raw = json.dumps(answer).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(raw)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": raw})


@dataclass
class Gateway:
    http: httpx.AsyncClient
    middleware: StillwatchMiddleware
    publisher: Publisher
    enforcer: Enforcer
    revocations: KeyValue
    nats: Client
    exporter: InMemorySpanExporter

    async def events(self, number: int) -> list[RequestEvent]:
        """The events that the stream holds, once there are so many."""
        context = self.nats.jetstream()
        await eventually(lambda: self.publisher.stats.published >= number)
        found = []
        for sequence in range(1, (await context.stream_info(subjects.REQUESTS)).state.last_seq + 1):
            parsed = parse_event(msgpack.unpackb((await context.get_msg(subjects.REQUESTS, sequence)).data))
            assert isinstance(parsed, RequestEvent)
            found.append(parsed)
        return found

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name == name]


@pytest.fixture
async def gateway(nats_client: Client) -> AsyncIterator[Gateway]:
    revocations, _ = await a_deployment(nats_client)
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("tests")
    publisher = Publisher(nats_client, tracer=tracer)
    async with Enforcer(nats_client, tracer=tracer) as enforcer:
        assert await enforcer.wait_loaded(5)
        middleware = StillwatchMiddleware(application, publisher, enforcer, secret=SECRET)

        async def traced(scope: Any, receive: Any, send: Any) -> None:
            with tracer.start_as_current_span("request"):
                await middleware(scope, receive, send)

        config = uvicorn.Config(traced, port=0, lifespan="off", ws="none", log_config=None)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        await eventually(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=KEY) as http:
            yield Gateway(http, middleware, publisher, enforcer, revocations, nats_client, exporter)
        server.should_exit = True
        await serving
    await publisher.drain(5)


async def test_a_call_is_reported_without_its_text(gateway: Gateway) -> None:
    answer = await gateway.http.post("/v1/chat/completions", json=CHAT, headers={"user-agent": "sdk/1"})
    assert answer.json() == ANSWER
    [event] = await gateway.events(1)
    assert event.account == ACCOUNT
    made = event_fingerprint(event)
    assert made is not None
    assert (made.capabilities, made.chars, made.language) == (("creative",), 25, "en")
    assert made.system is not None
    assert event.attributes == {
        "client.address": "127.0.0.1",
        "user_agent.original": "sdk/1",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m-1",
        "gen_ai.request.temperature": 0.7,
        "gen_ai.response.model": "m-1-0901",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 3,
        "http.response.status_code": 200,
        "stillwatch.prompt.turn": 1,
        **made.attributes(),
    }


async def test_a_put_refuses_and_a_delete_lets_pass_again(gateway: Gateway) -> None:
    async def status() -> int:
        return (await gateway.http.post("/v1/chat/completions", json=CHAT)).status_code

    assert await status() == 200
    await gateway.revocations.put(f"account.{ACCOUNT}", an_enforcement("r-9", "revoke"))
    await eventually(lambda: gateway.enforcer.check(ACCOUNT), within_s=1)
    answer = await gateway.http.post("/v1/chat/completions", json=CHAT)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["reference"] == "r-9"
    assert (await gateway.http.get("/v1/models")).status_code == 403
    other = await gateway.http.post("/v1/chat/completions", json=CHAT, headers={"authorization": "Bearer sk-live-8"})
    assert other.status_code == 200
    await gateway.revocations.delete(f"account.{ACCOUNT}")
    await eventually(lambda: gateway.enforcer.check(ACCOUNT) is None, within_s=1)
    assert await status() == 200
    # Refused model calls are reported as such: a relay tries them again on the next of its accounts.
    events = await gateway.events(4)
    assert [(event.account == ACCOUNT, event.refused) for event in events] == [
        (True, False), (True, True), (False, False), (True, False)
    ]  # fmt: skip
    assert events[1].attributes["http.response.status_code"] == 403
    assert events[1].text("stillwatch.fp.data") == events[0].text("stillwatch.fp.data")
    assert gateway.middleware.stats.refused == gateway.enforcer.stats.refusals == 2


async def test_throttling_answers_429_with_a_time_and_observing_does_nothing(gateway: Gateway) -> None:
    await gateway.revocations.put(f"account.{ACCOUNT}", an_enforcement("r-1", "throttle"))
    await eventually(lambda: gateway.enforcer.check(ACCOUNT))
    answer = await gateway.http.post("/v1/chat/completions", json=CHAT)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) == 10
    await gateway.revocations.put(f"account.{ACCOUNT}", an_enforcement("r-2", "observe"))
    await eventually(lambda: gateway.enforcer.stats.applied == 2)
    assert (await gateway.http.post("/v1/chat/completions", json=CHAT)).status_code == 200


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
async def test_the_application_gets_the_body_unchanged(gateway: Gateway, size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 10_000):
            yield body[start : start + 10_000]

    answer = await gateway.http.post("/digest", content=pieces())
    assert answer.json() == {"sha256": hashlib.sha256(body).hexdigest()}
    assert gateway.middleware.stats.observed == 0
    assert gateway.middleware.stats.errors == 0


async def test_a_stream_goes_through_as_it_is_and_tells_its_usage(gateway: Gateway) -> None:
    async with gateway.http.stream("POST", "/v1/stream", json={**CHAT, "stream": True}) as answer:
        lines = [line async for line in answer.aiter_lines() if line]
    assert len(lines) == 402
    [event] = await gateway.events(1)
    assert event.number("gen_ai.usage.output_tokens") == 400
    assert event.attributes["gen_ai.request.stream"] is True


async def test_a_prompt_beyond_the_bound_is_reported_without_a_fingerprint(gateway: Gateway) -> None:
    huge = {**CHAT, "messages": [{"role": "user", "content": "x" * 1_100_000}]}
    assert (await gateway.http.post("/v1/chat/completions", json=huge)).status_code == 200
    [event] = await gateway.events(1)
    assert event.number("gen_ai.usage.output_tokens") == 3
    assert event.text("stillwatch.fp.version") is None
    assert gateway.middleware.stats.too_large == 1


async def test_failures_of_the_platform_stay_its_own_and_are_reported(gateway: Gateway) -> None:
    assert (await gateway.http.post("/breaks", json=CHAT)).status_code == 500
    assert (await gateway.http.post("/v1/limited", json=CHAT)).status_code == 429
    assert (await gateway.http.post("/never-reads", json=CHAT)).status_code == 200
    first, second = await gateway.events(2)
    assert (first.text("error.type"), first.number("http.response.status_code")) == ("RuntimeError", 500)
    assert (second.text("error.type"), second.number("http.response.status_code")) == ("429", 429)
    assert gateway.middleware.stats.errors == 0


async def test_a_caller_without_a_key_passes_unseen(gateway: Gateway) -> None:
    async with httpx.AsyncClient(base_url=gateway.http.base_url) as anonymous:
        assert (await anonymous.post("/v1/chat/completions", json=CHAT)).status_code == 200
    assert gateway.middleware.stats.unidentified == 1
    assert gateway.publisher.stats.accepted == 0


async def test_the_trace_of_a_revocation_ends_at_the_gateway(gateway: Gateway) -> None:
    await gateway.revocations.put(f"account.{ACCOUNT}", an_enforcement("r-5", "suspend", traceparent=TRACEPARENT))
    await eventually(lambda: gateway.enforcer.check(ACCOUNT))
    for _ in range(2):
        assert (await gateway.http.post("/v1/chat/completions", json=CHAT)).status_code == 403
    [applied] = gateway.spans(names.SPAN_APPLY)
    first, second = gateway.spans(names.SPAN_REFUSE)
    requests = {f"{span.context.span_id:016x}": span for span in gateway.spans("request")}
    for span in (applied, first):
        assert f"{span.context.trace_id:032x}" == TRACE_ID
        assert span.parent is not None
        assert f"{span.parent.span_id:016x}" == SPAN_ID
    [link] = first.links
    assert f"{link.context.span_id:016x}" in requests
    assert second.parent is not None
    assert f"{second.parent.span_id:016x}" in requests
    assert [f"{link.context.span_id:016x}" for link in second.links] == [SPAN_ID]
    for span in (applied, first, second):
        assert dict(span.attributes or {}) == {"stillwatch.revocation.id": "r-5", "stillwatch.action": "suspend"}
    # The same revocation written again is nothing new, and another one is.
    await gateway.revocations.put(f"account.{ACCOUNT}", an_enforcement("r-5", "suspend", traceparent=TRACEPARENT))
    await gateway.revocations.put(f"account.{ACCOUNT}", an_enforcement("r-6", "revoke", traceparent=TRACEPARENT))
    await eventually(lambda: gateway.enforcer.stats.applied == 2)
    assert len(gateway.spans(names.SPAN_APPLY)) == 2


async def test_no_span_and_no_message_holds_a_prompt_or_an_account(gateway: Gateway) -> None:
    await gateway.http.post("/v1/chat/completions", json=CHAT)
    await gateway.events(1)
    told = "".join(span.to_json() for span in gateway.exporter.get_finished_spans())
    assert "haiku" not in told
    assert ACCOUNT not in told
    raw = (await gateway.nats.jetstream().get_msg(subjects.REQUESTS, 1)).data or b""
    assert b"haiku" not in raw
    assert b"sk-live" not in raw
