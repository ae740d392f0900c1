"""The feed and the publisher through everything that goes wrong with a real server."""

from __future__ import annotations

import asyncio
import json

import pytest
from factories import account_in, an_event
from nats.aio.client import Client
from stream_worlds import settled, until

from launch.embedded import EmbeddedNats
from stillwatch import subjects
from stillwatch.errors import Unavailable
from stillwatch.event import RequestEvent
from stillwatch.ports import PartitionFeed, RawMessage
from stillwatch.settings import IngestSettings, NatsSettings, Settings
from stillwatch.wire import decode_message, events_of
from streams import pull, topology
from streams.connection import close, connect
from streams.feed import JetStreamEvents, JetStreamFeed
from streams.pipeline import Pipeline
from streams.publisher import JetStreamPublisher

SETTINGS = Settings(partitions=2, shards=1)
ACCOUNT = account_in(0, 2)


@pytest.fixture
async def publisher(nats_client: Client) -> JetStreamPublisher:
    await topology.ensure(nats_client, SETTINGS)
    return JetStreamPublisher(Pipeline(nats_client), SETTINGS.partitions)


def events(start: int, stop: int) -> list[RequestEvent]:
    return [an_event(ACCOUNT, number) for number in range(start, stop)]


def numbers(messages: list[RawMessage]) -> list[int]:
    return [int(event.id.rsplit("-", 1)[1]) for m in messages for event in events_of(decode_message(m.payload))]


async def open_feed(client: Client, settings: Settings = SETTINGS) -> JetStreamFeed:
    return await JetStreamEvents(client, settings).open(0, 0)


async def read(feed: PartitionFeed, count: int, *, ack: bool = True, within_s: float = 30.0) -> list[int]:
    """``count`` messages, over outages if need be."""
    got: list[RawMessage] = []
    async with asyncio.timeout(within_s):
        while len(got) < count:
            try:
                batch = await feed.fetch(count - len(got), 0.5)
                got += batch
                if batch and ack:
                    await feed.ack(batch[-1].sequence)
            except Unavailable:
                await asyncio.sleep(0.05)
    return numbers(got)


async def test_a_feed_goes_on_after_the_server_was_killed_and_started_again(
    nats_server: EmbeddedNats, nats_client: Client, publisher: JetStreamPublisher
) -> None:
    await publisher.publish(events(0, 300))
    feed = await open_feed(nats_client)
    assert await read(feed, 100) == list(range(100))
    nats_server.kill()
    await until(lambda: not nats_client.is_connected)
    with pytest.raises(Unavailable):
        await feed.fetch(100, 0.5)
    nats_server.start()
    assert await read(feed, 200) == list(range(100, 300))
    await publisher.publish(events(300, 310))
    assert await read(feed, 10) == list(range(300, 310))
    assert feed.restarts >= 1


async def test_a_fetch_that_waits_through_a_restart_is_followed_by_one_that_works(
    nats_server: EmbeddedNats, nats_client: Client, publisher: JetStreamPublisher
) -> None:
    """The request that lingers at the server dies with it: nobody answers any more, and nothing is lost."""
    feed = await open_feed(nats_client)
    waiting = asyncio.create_task(read(feed, 5))
    await until(lambda: feed._pull is not None and not feed._pull.idle)
    nats_server.kill()
    await until(lambda: not nats_client.is_connected)
    nats_server.start()
    await until(lambda: nats_client.is_connected)
    await publisher.publish(events(0, 5))
    assert await waiting == [0, 1, 2, 3, 4]


async def test_everything_acknowledged_to_a_publisher_is_read_once_and_in_order_over_three_crashes(
    nats_server: EmbeddedNats, nats_client: Client, publisher: JetStreamPublisher
) -> None:
    published = 0

    async def publish() -> None:
        nonlocal published
        while published < 3_000:
            try:
                await publisher.publish(events(published, published + 50))
                published += 50
            except Unavailable:
                await asyncio.sleep(0.02)  # and the same batch again: duplicates are the server's to find

    async def crash() -> None:
        for after in (500, 1_200, 2_000):
            await until(lambda limit=after: published >= limit)  # type: ignore[misc]
            await asyncio.to_thread(nats_server.kill)
            await asyncio.to_thread(nats_server.start)

    feed = await open_feed(nats_client)
    got, _, _ = await asyncio.gather(read(feed, 3_000, within_s=60), publish(), crash())
    assert got == list(range(3_000))


async def test_a_message_that_another_puller_took_is_fetched_again_and_in_order(
    nats_client: Client, publisher: JetStreamPublisher
) -> None:
    """A shard that lost its lease and does not know it yet."""
    await publisher.publish(events(0, 10))
    feed = await open_feed(nats_client)
    assert await read(feed, 3) == [0, 1, 2]
    next_message = f"$JS.API.CONSUMER.MSG.NEXT.{subjects.REQUESTS}.{subjects.consumer_name(0)}"
    request = json.dumps({"batch": 2, "no_wait": True}).encode()
    inbox = nats_client.new_inbox()
    thief = await nats_client.subscribe(inbox)
    await nats_client.publish(next_message, request, reply=inbox)
    assert (await thief.next_msg(timeout=5)).subject == f"stillwatch.partition.0.{ACCOUNT}"
    assert await read(feed, 7) == [3, 4, 5, 6, 7, 8, 9]
    assert feed.restarts == 1


async def test_two_owners_at_once_both_see_everything_in_order(
    nats_client: Client, publisher: JetStreamPublisher
) -> None:
    await publisher.publish(events(0, 60))
    first, second = await open_feed(nats_client), await open_feed(nats_client)

    async def in_small_batches(feed: JetStreamFeed) -> list[int]:
        got: list[int] = []
        while len(got) < 60:
            got += await read(feed, 20)
        return got

    assert await asyncio.gather(in_small_batches(first), in_small_batches(second)) == [list(range(60))] * 2


async def test_a_consumer_that_was_deleted_is_made_again(nats_client: Client, publisher: JetStreamPublisher) -> None:
    await publisher.publish(events(0, 6))
    feed = await open_feed(nats_client)
    assert await read(feed, 3) == [0, 1, 2]
    await nats_client.jetstream().delete_consumer(subjects.REQUESTS, subjects.consumer_name(0))
    assert await read(feed, 3) == [3, 4, 5]


async def test_a_consumer_deleted_under_a_waiting_fetch_is_made_again(
    nats_client: Client, publisher: JetStreamPublisher
) -> None:
    feed = await open_feed(nats_client)
    waiting = asyncio.create_task(read(feed, 1))
    await until(lambda: feed._pull is not None and not feed._pull.idle)
    await nats_client.jetstream().delete_consumer(subjects.REQUESTS, subjects.consumer_name(0))
    await publisher.publish(events(0, 1))
    assert await waiting == [0]


async def test_a_subscription_that_has_gone_silent_is_replaced(
    nats_client: Client, publisher: JetStreamPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull, "_SILENCE_S", 0.2)
    await publisher.publish(events(0, 6))
    feed = await open_feed(nats_client)
    assert await read(feed, 3) == [0, 1, 2]
    assert feed._pull is not None
    assert feed._pull._subscription is not None
    await feed._pull._subscription.unsubscribe()  # as if the server had forgotten it
    assert await read(feed, 3) == [3, 4, 5]
    assert feed.restarts == 1


async def test_a_missing_stream_is_unavailable_and_says_so(nats_client: Client, publisher: JetStreamPublisher) -> None:
    feed = await open_feed(nats_client)
    await nats_client.jetstream().delete_stream(subjects.REQUESTS)
    with pytest.raises(Unavailable, match="stream not found"):
        await feed.fetch(10, 5.0)


async def test_a_caller_that_never_acknowledges_still_sees_each_message_once(
    nats_client: Client, publisher: JetStreamPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its limit of unacknowledged messages is reached; the feed starts again behind what the caller has seen."""
    monkeypatch.setattr(pull, "_SILENCE_S", 0.2)
    small = SETTINGS.model_copy(update={"ingest": IngestSettings(batch_messages=5)})
    await topology.ensure(nats_client, small)
    await publisher.publish(events(0, 30))
    feed = await open_feed(nats_client, small)
    assert await read(feed, 18, ack=False) == list(range(18))


async def test_a_slow_caller_sees_no_message_twice(
    nats_client: Client, publisher: JetStreamPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server delivers again what is not acknowledged in time."""
    monkeypatch.setattr(topology, "_ACK_WAIT_S", 0.3)
    await topology.ensure(nats_client, SETTINGS)
    await publisher.publish(events(0, 3))
    feed = await open_feed(nats_client)
    first = await feed.fetch(3, 5.0)
    assert numbers(first) == [0, 1, 2]
    context = nats_client.jetstream()
    async with asyncio.timeout(10):
        while not (await context.consumer_info(subjects.REQUESTS, subjects.consumer_name(0))).num_redelivered:
            assert await feed.fetch(3, 0.2) == []
    await publisher.publish(events(3, 4))
    assert await read(feed, 1, ack=False) == [3]
    await feed.ack(first[-1].sequence + 1)
    info = await context.consumer_info(subjects.REQUESTS, subjects.consumer_name(0))
    assert (info.num_ack_pending, info.ack_floor.stream_seq) == (0, first[-1].sequence + 1)  # type: ignore[union-attr]


async def test_the_servers_acknowledged_position_never_passes_ours(
    nats_client: Client, publisher: JetStreamPublisher
) -> None:
    await publisher.publish(events(0, 10))
    feed = await open_feed(nats_client)
    messages = await feed.fetch(10, 5.0)
    assert numbers(messages) == list(range(10))
    await feed.ack(messages[3].sequence)
    assert feed._pull is not None
    feed._pull.broken = "as a test wants it"
    await publisher.publish(events(10, 11))
    assert await read(feed, 1, ack=False) == [10]  # nothing twice for the caller
    info = await nats_client.jetstream().consumer_info(subjects.REQUESTS, subjects.consumer_name(0))
    assert info.ack_floor.stream_seq == messages[3].sequence  # type: ignore[union-attr]
    await feed.ack(messages[9].sequence)
    info = await nats_client.jetstream().consumer_info(subjects.REQUESTS, subjects.consumer_name(0))
    assert info.ack_floor.stream_seq == messages[9].sequence  # type: ignore[union-attr]


async def test_an_unreachable_server_is_named_without_its_password() -> None:
    with pytest.raises(Unavailable) as caught:
        await connect(NatsSettings(urls=("nats://user:secret@127.0.0.1:1",)), "tests", within_s=0.5)
    assert "127.0.0.1:1" in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_a_connection_is_back_soon_after_the_server(nats_server: EmbeddedNats, nats_client: Client) -> None:
    nats_server.kill()
    await until(lambda: not nats_client.is_connected)
    nats_server.start()
    await until(lambda: nats_client.is_connected, within_s=10)
    await settled(nats_client)


async def test_closing_while_the_server_is_away_does_not_fail(nats_server: EmbeddedNats) -> None:
    client = await connect(NatsSettings(urls=(nats_server.url,)), "tests")
    nats_server.kill()
    await until(lambda: not client.is_connected)
    await client.publish("somewhere", b"never sent")
    await close(client)
    assert client.is_closed
