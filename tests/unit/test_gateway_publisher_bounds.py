"""What a publisher promises when there is no NATS: it takes what fits, counts the rest, and is never in the way."""

from __future__ import annotations

import time

import msgpack
import pytest
from factories import T0, an_event
from nats.aio.client import Client
from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN_CONTEXT

from stillwatch.event import RequestEvent, parse_event
from stillwatch.fingerprint import fingerprint
from stillwatch.gateway import Publisher
from stillwatch.gateway.outbox import Queued, admit, envelopes, without_text
from stillwatch.gateway.publisher import DROP_REASONS
from stillwatch.partition import partition_of
from stillwatch.wire import decode_message, events_of

NOWHERE = "nats://127.0.0.1:1"
TEXT = "stillwatch.prompt.text"


def admitted(event: RequestEvent, keep_text: bool = False, max_bytes: int = 100_000) -> Queued:
    item = admit(event, INVALID_SPAN_CONTEXT, keep_text=keep_text, for_envelope=False, max_bytes=max_bytes, now_s=0.0)
    assert isinstance(item, Queued), item
    return item


async def test_a_full_queue_drops_and_counts() -> None:
    publisher = Publisher(NOWHERE, max_queue_events=3)
    assert [publisher.publish(an_event(number=n)) for n in range(5)] == [True, True, True, False, False]
    assert publisher.stats.dropped["queue_full"] == 2
    assert publisher.stats.queued_events == 3
    await publisher.drain(0)


async def test_the_queue_is_bounded_in_bytes_too() -> None:
    publisher = Publisher(NOWHERE, max_queue_bytes=10_000, send_text=True)
    taken = [publisher.publish(an_event(number=n, prompt="x" * 3_000)) for n in range(10)]
    assert taken == [True] * 4 + [False] * 6
    assert publisher.stats.queued_bytes < 10_000 + 4_000
    await publisher.drain(0)


@pytest.mark.parametrize(
    "event",
    [
        RequestEvent("r-1", "not a token", T0),
        RequestEvent("", "acct-1", T0),
        RequestEvent("r-1", "acct-1", 1_790_000_000),
        RequestEvent("r-1", "acct-1", T0, {"gen_ai.usage.input_tokens": float("nan")}),
        RequestEvent("r-1", "acct-1", T0, {"gen_ai.request.model": 7}),
        RequestEvent("r-1", "acct-1", T0, None),  # type: ignore[arg-type]
        None,
    ],
)
async def test_what_is_no_event_is_counted_and_never_raised(event: RequestEvent) -> None:
    async with Publisher(NOWHERE) as publisher:
        assert publisher.publish(event) is False
        assert publisher.stats.dropped["invalid"] == 1


async def test_what_the_server_would_not_take_is_dropped_at_once() -> None:
    async with Publisher(NOWHERE, send_text=True) as publisher:
        many = {f"gen_ai.request.{n}": 1 for n in ("top_p", "max_tokens")}
        huge = {name: "x" * 65_536 for name in _TEXTS}
        assert publisher.publish(RequestEvent("r-1", "acct-1", T0, {**many, **huge})) is False
        assert publisher.stats.dropped["too_large"] == 1


async def test_draining_without_nats_ends_in_time_and_says_what_was_lost() -> None:
    publisher = Publisher(NOWHERE)
    for number in range(7):
        assert publisher.publish(an_event(number=number))
    started = time.monotonic()
    assert await publisher.drain(timeout_s=0.2) is False
    assert time.monotonic() - started < 2
    stats = publisher.stats
    assert (stats.accepted, stats.published, stats.queued_events) == (7, 0, 0)
    assert stats.dropped["nats_unavailable"] == 7
    assert publisher.publish(an_event(number=8)) is False
    assert publisher.stats.dropped["closed"] == 1
    assert set(stats.dropped) == set(DROP_REASONS)


async def test_draining_twice_and_draining_nothing_is_fine() -> None:
    publisher = Publisher(NOWHERE)
    assert await publisher.drain(0.1)
    assert await publisher.drain(0.1)


def test_events_may_be_queued_before_there_is_an_event_loop() -> None:
    publisher = Publisher(NOWHERE)
    assert publisher.publish(an_event())
    assert publisher.stats.queued_events == 1


async def test_a_closed_connection_of_somebody_else_loses_by_age_only() -> None:
    client, now = Client(), [0.0]
    publisher = Publisher(client, give_up_s=60, monotonic_s=lambda: now[0])
    assert publisher.publish(an_event())
    now[0] = 61.0
    assert await publisher.drain(timeout_s=5)
    assert publisher.stats.dropped["nats_unavailable"] == 1


def test_text_is_gone_before_the_event_is_queued() -> None:
    event = an_event(prompt="Translate 'my secret' into French.", stillwatch__system__text="You are Bob.")
    raw = admitted(event).payload
    assert b"secret" not in raw
    assert b"Bob" not in raw
    made = fingerprint("Translate 'my secret' into French.", "You are Bob.")
    assert msgpack.unpackb(raw)["attributes"] == made.attributes()
    assert TEXT in msgpack.unpackb(admitted(event, keep_text=True).payload)["attributes"]


def test_a_fingerprint_that_the_platform_made_is_kept() -> None:
    made = without_text(an_event(prompt="Explain recursion step by step.")).attributes
    event = RequestEvent("r-1", "acct-1", T0, {**made, TEXT: "another text"})
    assert without_text(event).attributes == made


def test_an_event_without_text_stays_as_it_is() -> None:
    event = an_event(gen_ai__request__model="m-1")
    assert without_text(event) is event


def test_envelopes_hold_the_events_of_one_partition_within_the_limits() -> None:
    items = [admitted(an_event(f"acct-{n % 40}", n)) for n in range(2_500)]
    messages = envelopes(trace.NoOpTracer(), items, 2, max_bytes=60_000)
    seen = []
    for message in messages:
        assert len(message.payload) <= 60_000
        partition = int(message.subject.rsplit(".", 1)[1])
        events = events_of(decode_message(message.payload))
        assert events
        assert {partition_of(event.account, 2) for event in events} == {partition}
        assert len(events) == len(message.items)
        seen += [event.id for event in events]
    assert sorted(seen) == sorted(item.id for item in items)
    assert len({message.headers["Nats-Msg-Id"] for message in messages}) == len(messages)


def test_a_small_envelope_is_never_more_than_1024_events() -> None:
    items = [admitted(an_event("acct-1", n)) for n in range(1_500)]
    sizes = [len(message.items) for message in envelopes(trace.NoOpTracer(), items, 4, max_bytes=1_000_000)]
    assert sizes == [1_024, 476]


def test_admitting_keeps_what_the_contract_knows() -> None:
    known = {"gen_ai.request.model": "m", "stillwatch.account.invited_by": "acct-0"}
    event = RequestEvent("r-1", "acct-1", T0, {**known, "x.mine": "y"}, b"\x01" * 16, b"\x02" * 8)
    found = parse_event(msgpack.unpackb(admitted(event).payload))
    assert found == RequestEvent("r-1", "acct-1", T0, known, b"\x01" * 16, b"\x02" * 8)


_TEXTS = (
    "stillwatch.account.tier", "stillwatch.account.payment", "stillwatch.account.signup", "gen_ai.operation.name",
    "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model", "gen_ai.output.type",
    "gen_ai.conversation.id", "error.type", "client.address", "user_agent.original", "stillwatch.client.ja4",
    "stillwatch.prompt.text", "stillwatch.system.text", "stillwatch.org.id",
)  # fmt: skip
