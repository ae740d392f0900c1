"""The publisher against a real nats-server: what it accepted is in the stream, exactly once, whatever happens."""

from __future__ import annotations

import asyncio
import time

import msgpack
import nats.js.errors
import pytest
from factories import an_event
from gateway_worlds import SETTINGS, a_deployment, eventually
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from launch.embedded import EmbeddedNats
from stillwatch import subjects
from stillwatch.gateway import Publisher
from stillwatch.wire import decode_message, events_of


async def stored(client: Client) -> list[Msg]:
    """Every message of the requests stream, in order."""
    context = client.jetstream()
    subscription = await context.pull_subscribe(
        ">", stream=subjects.REQUESTS, config=ConsumerConfig(ack_policy=AckPolicy.NONE)
    )
    found: list[Msg] = []
    while len(found) < (await context.stream_info(subjects.REQUESTS)).state.messages:
        found += await subscription.fetch(1_000, timeout=2)
    return found


async def stored_ids(client: Client) -> list[str]:
    return [event.id for message in await stored(client) for event in events_of(decode_message(message.data))]


async def test_events_arrive_in_their_partition_with_their_id(nats_server: EmbeddedNats, nats_client: Client) -> None:
    await a_deployment(nats_client)
    async with Publisher(nats_server.url) as publisher:
        for number in range(500):
            assert publisher.publish(an_event(f"acct-{number % 7}", number))
        assert await publisher.drain(10)
    messages = await stored(nats_client)
    assert len(messages) == 500
    for message in messages:
        [event] = events_of(decode_message(message.data))
        assert message.subject.endswith(f".{event.account}")
        assert (message.headers or {})[subjects.H_MESSAGE_ID] == event.id
    stats = publisher.stats
    assert (stats.accepted, stats.published, stats.duplicates, stats.queued_bytes) == (500, 500, 0, 0)


async def test_the_same_event_twice_is_stored_once(nats_client: Client) -> None:
    await a_deployment(nats_client)
    publisher = Publisher(nats_client)
    publisher.publish(an_event())
    publisher.publish(an_event())
    assert await publisher.drain(10)
    assert (publisher.stats.published, publisher.stats.duplicates) == (2, 1)
    assert await stored_ids(nats_client) == ["acct-1-0"]
    assert nats_client.is_connected  # a connection that was lent is not closed


async def test_envelopes_carry_many_events_in_few_messages(nats_server: EmbeddedNats, nats_client: Client) -> None:
    await a_deployment(nats_client)
    async with Publisher(nats_server.url, partitions=SETTINGS.partitions) as publisher:
        for number in range(1_000):
            assert publisher.publish(an_event(f"acct-{number}", number))
        assert await publisher.drain(10)
    messages = await stored(nats_client)
    assert len(messages) <= 40
    assert sorted(await stored_ids(nats_client)) == sorted(f"acct-{n}-{n}" for n in range(1_000))
    assert {message.subject.rpartition(".")[0] for message in messages} == {"stillwatch.envelopes"}


@pytest.mark.parametrize("partitions", [None, SETTINGS.partitions])
async def test_a_restart_of_the_server_loses_nothing_that_was_accepted(
    nats_server: EmbeddedNats, nats_client: Client, partitions: int | None
) -> None:
    await a_deployment(nats_client)
    publisher = Publisher(nats_server.url, partitions=partitions, connect_options={"reconnect_time_wait": 0.1})
    sent = 0

    async def publish_until(wanted: int) -> None:
        nonlocal sent
        while sent < wanted:
            assert publisher.publish(an_event(f"acct-{sent % 50}", sent))
            sent += 1
            if sent % 20 == 0:
                await asyncio.sleep(0)

    await publish_until(800)
    await eventually(lambda: publisher.stats.published >= 100)
    await publish_until(1_500)
    await asyncio.to_thread(nats_server.kill)
    await publish_until(2_500)  # while it is away
    nats_server.start()
    await publish_until(3_000)
    assert await publisher.drain(30)
    await eventually(lambda: nats_client.is_connected, within_s=15)
    ids = await stored_ids(nats_client)
    # kill -9 of the server's process loses no acknowledged message: the page cache is the machine's.
    assert set(ids) == {f"acct-{n % 50}-{n}" for n in range(3_000)}
    assert len(ids) == 3_000
    assert sum(publisher.stats.dropped.values()) == 0
    assert publisher.stats.published == 3_000


async def test_it_starts_before_the_server_and_before_the_stream(
    nats_server: EmbeddedNats, nats_client: Client
) -> None:
    publisher = Publisher(nats_server.url)
    assert publisher.publish(an_event())
    await eventually(lambda: publisher.stats.retried > 0)
    await a_deployment(nats_client)
    assert await publisher.drain(15)
    assert await stored_ids(nats_client) == ["acct-1-0"]


async def test_publishing_does_not_wait_for_a_server_that_hangs(nats_server: EmbeddedNats, nats_client: Client) -> None:
    await a_deployment(nats_client)
    await asyncio.to_thread(nats_server.stop)
    publisher = Publisher(nats_client)
    slowest = 0.0
    for number in range(500):
        started = time.perf_counter()
        publisher.publish(an_event(number=number))
        slowest = max(slowest, time.perf_counter() - started)
    assert slowest < 0.25  # a pause of this machine, never a wait of ours
    nats_server.start()
    assert await publisher.drain(20)


async def test_each_message_has_a_span_in_the_requests_trace(nats_client: Client) -> None:
    await a_deployment(nats_client)
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("tests")
    publisher = Publisher(nats_client, tracer=tracer)
    with tracer.start_as_current_span("POST /v1/chat") as request:
        publisher.publish(an_event("acct-1", 7, prompt="a secret prompt"))
    assert await publisher.drain(10)
    [span] = [span for span in exporter.get_finished_spans() if span.kind is SpanKind.PRODUCER]
    assert span.name == "publish stillwatch.requests.{account}"
    assert span.parent is not None
    assert (span.parent.span_id, span.context.trace_id) == (
        request.get_span_context().span_id,
        request.get_span_context().trace_id,
    )
    assert dict(span.attributes or {}) == {
        "messaging.system": "nats",
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
        "messaging.destination.template": "stillwatch.requests.{account}",
        "messaging.message.id": "acct-1-7",
    }
    [message] = await stored(nats_client)
    version, trace_id, span_id, flags = (message.headers or {})[subjects.H_TRACEPARENT].split("-")
    assert (int(trace_id, 16), int(span_id, 16)) == (span.context.trace_id, span.context.span_id)
    assert version == "00"
    assert int(flags, 16) & 1  # sampled


async def test_an_envelopes_span_links_to_every_request(nats_client: Client) -> None:
    await a_deployment(nats_client)
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("tests")
    publisher = Publisher(nats_client, partitions=1, tracer=tracer)
    requests = []
    for number in range(3):
        with tracer.start_as_current_span("request") as request:
            publisher.publish(an_event("acct-1", number))
            requests.append(request.get_span_context())
    assert await publisher.drain(10)
    [span] = [span for span in exporter.get_finished_spans() if span.kind is SpanKind.PRODUCER]
    assert [link.context.span_id for link in span.links] == [request.span_id for request in requests]
    assert (span.attributes or {})["messaging.batch.message_count"] == 3
    [message] = await stored(nats_client)
    assert [event["span_id"] for event in msgpack.unpackb(message.data)] == [
        request.span_id.to_bytes(8) for request in requests
    ]


async def test_what_is_given_up_ends_its_span_with_an_error(nats_client: Client) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    publisher = Publisher(nats_client, give_up_s=0.1, tracer=provider.get_tracer("tests"))
    with pytest.raises(nats.js.errors.NotFoundError):  # there is no stream to take it
        await nats_client.jetstream().stream_info(subjects.REQUESTS)
    publisher.publish(an_event())
    assert await publisher.drain(10)
    assert publisher.stats.dropped["nats_unavailable"] == 1
    [span] = exporter.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
