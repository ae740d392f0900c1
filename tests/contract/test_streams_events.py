"""What every event stream and publisher promises (``ports.EventStream``, ``PartitionFeed``, ``EventPublisher``)."""

from __future__ import annotations

import asyncio

import pytest
from factories import account_in, an_event
from stream_worlds import World

from stillwatch import subjects
from stillwatch.errors import StreamRewound
from stillwatch.event import RequestEvent
from stillwatch.partition import partition_of
from stillwatch.ports import Label, PartitionFeed, RawMessage
from stillwatch.wire import MAX_EVENT_BYTES, decode_label, decode_message, encode_envelope, encode_event

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SOON_S = 5.0


def events_for(world: World, partition: int, count: int, start: int = 0) -> list[RequestEvent]:
    account = account_in(partition, world.settings.partitions)
    return [an_event(account, number) for number in range(start, start + count)]


async def read(feed: PartitionFeed, count: int, batch: int = 100) -> list[RawMessage]:
    """Exactly ``count`` messages, or the test fails."""
    got: list[RawMessage] = []
    async with asyncio.timeout(SOON_S):
        while len(got) < count:
            got += await feed.fetch(min(batch, count - len(got)), 1.0)
    return got


def ids(messages: list[RawMessage]) -> list[str]:
    return [item.id for message in messages for item in decode_message(message.payload)]  # type: ignore[union-attr]


async def test_a_published_event_comes_out_of_its_accounts_partition(world: World) -> None:
    event = an_event("acct-7", prompt="hello")
    assert await world.hub.publisher.publish([event], TRACE) == 1
    partition = partition_of("acct-7", world.settings.partitions)
    [message] = await read(await world.hub.events.open(partition, 0), 1)
    assert decode_message(message.payload) == [event]
    assert message.subject == f"stillwatch.partition.{partition}.acct-7"
    assert message.traceparent == TRACE
    assert message.received_unix_nano > 1_600_000_000 * 10**9


async def test_each_event_is_in_exactly_one_partition(world: World) -> None:
    events = [an_event(f"acct-{number}") for number in range(40)]
    await world.hub.publisher.publish(events)
    seen: list[str] = []
    for partition in range(world.settings.partitions):
        expected = sum(partition_of(e.account, world.settings.partitions) == partition for e in events)
        seen += ids(await read(await world.hub.events.open(partition, 0), expected))
    assert sorted(seen) == sorted(event.id for event in events)


async def test_a_repeated_publish_is_a_duplicate_and_stored_once(world: World) -> None:
    events = events_for(world, 0, 5)
    assert await world.hub.publisher.publish(events) == 5
    assert await world.hub.publisher.publish([*events, *events_for(world, 0, 1, start=5)]) == 1
    feed = await world.hub.events.open(0, 0)
    assert ids(await read(feed, 6)) == [event.id for event in events_for(world, 0, 6)]
    assert await feed.fetch(10, 0.05) == []


async def test_an_empty_batch_publishes_nothing(world: World) -> None:
    assert await world.hub.publisher.publish([]) == 0


async def test_messages_come_in_stream_order_over_many_batches(world: World) -> None:
    events = events_for(world, 1, 250)
    await world.hub.publisher.publish(events)
    got = await read(await world.hub.events.open(1, 0), 250, batch=40)
    assert ids(got) == [event.id for event in events]
    assert [m.sequence for m in got] == sorted({m.sequence for m in got})


async def test_a_fetch_never_returns_more_than_was_asked_for(world: World) -> None:
    await world.hub.publisher.publish(events_for(world, 0, 10))
    feed = await world.hub.events.open(0, 0)
    assert len(await feed.fetch(3, SOON_S)) == 3
    assert len(await feed.fetch(1, SOON_S)) == 1


async def test_a_feed_opened_behind_a_sequence_starts_right_after_it(world: World) -> None:
    await world.hub.publisher.publish(events_for(world, 0, 6))
    everything = await read(await world.hub.events.open(0, 0), 6)
    later = await world.hub.events.open(0, everything[3].sequence)
    assert await read(later, 2) == everything[4:]


async def test_a_feed_opened_again_replays_what_was_acknowledged(world: World) -> None:
    await world.hub.publisher.publish(events_for(world, 0, 3))
    first = await world.hub.events.open(0, 0)
    once = await read(first, 3)
    await first.ack(once[-1].sequence)
    await first.close()
    assert await read(await world.hub.events.open(0, 0), 3) == once


async def test_a_feed_opened_at_the_end_waits_for_what_comes(world: World) -> None:
    await world.hub.publisher.publish(events_for(world, 0, 3))
    old = await read(await world.hub.events.open(0, 0), 3)
    feed = await world.hub.events.open(0, old[-1].sequence)
    assert await feed.fetch(10, 0.05) == []
    waiting = asyncio.create_task(feed.fetch(10, SOON_S))
    await world.hub.publisher.publish(events_for(world, 0, 1, start=3))
    assert ids(await waiting) == [events_for(world, 0, 1, start=3)[0].id]


async def test_a_feed_opened_beyond_the_end_of_the_stream_still_sees_what_comes(world: World) -> None:
    """A server that lost its newest messages gives their sequence numbers out again."""
    feed = await world.hub.events.open(0, 1_000)
    with pytest.raises(StreamRewound) as told:
        await feed.fetch(2, 2.0)
    assert (told.value.partition, told.value.sequence) == (0, 0)
    await world.hub.publisher.publish(events_for(world, 0, 2))
    assert len(await read(feed, 2)) == 2


async def test_waiting_counts_what_was_not_fetched(world: World) -> None:
    feed = await world.hub.events.open(0, 0)
    assert await feed.waiting() == 0
    await world.hub.publisher.publish(events_for(world, 0, 7))
    await world.hub.publisher.publish(events_for(world, 1, 9))
    assert await feed.waiting() == 7
    got = await read(feed, 3)
    await feed.ack(got[-1].sequence)
    assert await feed.waiting() == 4


async def test_acknowledging_twice_or_too_early_changes_nothing(world: World) -> None:
    await world.hub.publisher.publish(events_for(world, 0, 4))
    feed = await world.hub.events.open(0, 0)
    got = await read(feed, 2)
    await feed.ack(got[1].sequence)
    await feed.ack(got[0].sequence)
    await feed.ack(got[1].sequence)
    assert len(await read(feed, 2)) == 2


async def test_envelopes_and_labels_share_the_order_of_their_partition(world: World) -> None:
    first, second = events_for(world, 2, 2)
    label = Label(first.account, "team", "op", 1_790_000_000_000_000_000, "a shared tool")
    await world.hub.publisher.publish([first])
    await world.raw(subjects.envelope_subject(2), encode_envelope([first, second]))
    await world.hub.publisher.publish_label(label)
    got = await read(await world.hub.events.open(2, 0), 3)
    assert [m.subject for m in got] == [
        f"stillwatch.partition.2.{first.account}", "stillwatch.envelopes.2", "stillwatch.labels.2"
    ]  # fmt: skip
    assert decode_message(got[1].payload) == [first, second]
    assert decode_label(got[2].payload) == label


async def test_bytes_of_anybody_reach_the_partition_untouched(world: World) -> None:
    """Another language, no library, no headers: publish to the account's subject and that is all."""
    account = account_in(3, world.settings.partitions)
    for payload in (b"", b"\xc1 not msgpack", b"x" * 100_000):
        await world.raw(subjects.request_subject(account), payload)
    got = await read(await world.hub.events.open(3, 0), 3)
    assert [m.payload for m in got] == [b"", b"\xc1 not msgpack", b"x" * 100_000]
    assert {m.traceparent for m in got} == {None}


async def test_two_partitions_are_read_at_the_same_time(world: World) -> None:
    await world.hub.publisher.publish(events_for(world, 0, 50) + events_for(world, 1, 50))
    feeds = [await world.hub.events.open(partition, 0) for partition in (0, 1)]
    first, second = await asyncio.gather(*(read(feed, 50, batch=7) for feed in feeds))
    assert {m.subject.split(".")[2] for m in first} == {"0"}
    assert {m.subject.split(".")[2] for m in second} == {"1"}


@pytest.mark.parametrize("token", ["a b", "x.y"])
async def test_an_id_that_needs_care_in_a_header_is_still_deduplicated(world: World, token: str) -> None:
    event = RequestEvent(f"id {token} ünïcode", "acct", 1_790_000_000_000_000_000)
    assert await world.hub.publisher.publish([event]) == 1
    assert await world.hub.publisher.publish([event]) == 0


async def test_an_event_of_the_largest_size_is_published_and_a_larger_one_refused_with_its_batch(world: World) -> None:
    def sized(number: int, more: int) -> RequestEvent:
        names = ["stillwatch.fp.version", "stillwatch.fp.data", "user_agent.original", "stillwatch.client.ja4"]
        text = {name: "x" * 60_000 for name in names}
        event = RequestEvent("i" * 128 + str(number), "acct", 1_790_000_000_000_000_000, {**text, "client.address": ""})
        fill = MAX_EVENT_BYTES + more - len(encode_event(event)) - 4  # a long string has a longer length
        return RequestEvent(event.id, event.account, event.time_unix_nano, {**text, "client.address": "x" * fill})

    assert len(encode_event(sized(1, 0))) == MAX_EVENT_BYTES
    assert await world.hub.publisher.publish([sized(1, 0)], TRACE) == 1
    with pytest.raises(ValueError, match="the server takes"):
        await world.hub.publisher.publish([an_event("acct", 2), sized(3, 2_048)], TRACE)
    partition = partition_of("acct", world.settings.partitions)
    assert len(await read(await world.hub.events.open(partition, 0), 1)) == 1
