"""The wire that misbehaves, before a real server: it does what it is asked for, and a feed over it still loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from factories import account_in, an_event

from chaos.proxy import Misdeed, Proxy
from launch.embedded import EmbeddedNats
from stillwatch.errors import Unavailable
from stillwatch.settings import NatsSettings, Settings
from stillwatch.wire import decode_message, events_of
from streams import topology
from streams.connection import close, connect
from streams.feed import JetStreamEvents, JetStreamFeed
from streams.pipeline import Pipeline
from streams.publisher import JetStreamPublisher

SETTINGS = Settings(partitions=2, shards=1)
ACCOUNT = account_in(0, 2)
COUNT = 400


@pytest.fixture
async def wire(nats_server: EmbeddedNats) -> AsyncIterator[Proxy]:
    async with Proxy(int(nats_server.url.rpartition(":")[2])) as proxy:
        yield proxy


@pytest.fixture
async def feed(nats_server: EmbeddedNats, wire: Proxy) -> AsyncIterator[JetStreamFeed]:
    """Behind the wire; the events are published past it."""
    straight = await connect(NatsSettings(urls=(nats_server.url,)), "publisher")
    await topology.ensure(straight, SETTINGS)
    publisher = JetStreamPublisher(Pipeline(straight), SETTINGS.partitions)
    await publisher.publish([an_event(ACCOUNT, number) for number in range(COUNT)])
    await close(straight)
    client = await connect(NatsSettings(urls=(wire.url,)), "behind-the-wire")
    yield await JetStreamEvents(client, SETTINGS).open(0, 0)
    await close(client)


async def everything(feed: JetStreamFeed) -> list[str]:
    got: list[str] = []
    async with asyncio.timeout(30):
        while len(got) < COUNT:
            try:
                messages = await feed.fetch(50, 0.3)
                got += [event.id for m in messages for event in events_of(decode_message(m.payload))]
                if messages:
                    await feed.ack(messages[-1].sequence)
            except Unavailable:
                await asyncio.sleep(0.05)
    return got


WANTED = [an_event(ACCOUNT, number).id for number in range(COUNT)]


@pytest.mark.parametrize("misdeed", ["twice", "swapped", "lost"])
async def test_deliveries_that_are_misdone_are_all_read_once_and_in_order(
    feed: JetStreamFeed, wire: Proxy, misdeed: Misdeed
) -> None:
    wire.arm(misdeed, 2)
    assert await everything(feed) == WANTED
    assert wire.done[misdeed] >= 1
    assert feed.restarts >= 1


async def test_cut_connections_lose_nothing(feed: JetStreamFeed, wire: Proxy) -> None:
    reading = asyncio.create_task(everything(feed))
    wire.cut()
    assert await reading == WANTED


async def test_a_broker_that_goes_silent_loses_nothing(feed: JetStreamFeed, wire: Proxy) -> None:
    silence = asyncio.create_task(wire.silence(4.0))
    assert await everything(feed) == WANTED
    await silence
