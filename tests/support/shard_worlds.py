"""A real shard on a real nats-server, without Ray: for what happens between the two of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from nats.aio.client import Client
from opentelemetry.trace import NoOpTracer

from actors.shard import Shard, ShardPorts
from actors.snapshots import Snapshots
from launch.telemetry import SystemClock
from stillwatch.errors import Unavailable
from stillwatch.event import RequestEvent
from stillwatch.ports import Folded, Mark, Part, PartitionStatus, ShardStatus, SnapshotStore
from stillwatch.settings import IngestSettings, NatsSettings, Settings
from streams.connection import close, connect
from streams.hub import Hub, jetstream_hub
from streams.topology import ensure

# Leases outlive the outages of these tests: what is tested is the feed, not the hand-over.
INGEST = IngestSettings(fetch_timeout_s=0.2, lease_ttl_s=30, batch_messages=200)


class Listener:
    """ports.AggregatorClient: takes everything."""

    async def fold(self, shard: str, life: str, part: Part | None, marks: Sequence[Mark]) -> Folded:
        return Folded("one", True, 0, {})


@dataclass
class ShardWorld:
    shard: Shard
    hub: Hub
    client: Client
    settings: Settings
    published: set[str] = field(default_factory=set)

    @classmethod
    async def start(cls, url: str, settings: Settings | None = None, store: SnapshotStore | None = None) -> ShardWorld:
        settings = settings or Settings(partitions=2, shards=1, ingest=INGEST)
        settings = settings.model_copy(update={"nats": settings.nats.model_copy(update={"urls": (url,)})})
        client = await connect(NatsSettings(urls=(url,)), "shard-world")
        await ensure(client, settings)
        clock = SystemClock()
        hub = jetstream_hub(client, settings, clock)
        snapshots = None
        if store is not None:
            snapshots = Snapshots(
                store, b"a key that signs only snapshots of tests", 3, clock, await hub.events.identity()
            )
        ports = ShardPorts(hub.events, hub.dead_letters, hub.leases, Listener(), clock, NoOpTracer(), snapshots)
        shard = Shard("shard-000", range(settings.partitions), settings, ports)
        await shard.start()
        world = cls(shard, hub, client, settings)
        await world.until(lambda status: len(status.partitions) == settings.partitions)
        return world

    async def stop(self) -> None:
        await self.shard.stop()
        await close(self.client)

    async def publish(self, events: Sequence[RequestEvent]) -> None:
        """As a publisher does it: again and again until the stream has them."""
        async with asyncio.timeout(60):
            while True:
                try:
                    await self.hub.publisher.publish(events)
                    break
                except Unavailable:
                    await asyncio.sleep(0.05)
        self.published |= {event.id for event in events}

    async def until(self, condition: Callable[[ShardStatus], object], within_s: float = 40.0) -> ShardStatus:
        deadline = time.monotonic() + within_s
        while not condition(status := await self.shard.status()):
            assert time.monotonic() < deadline, status
            await asyncio.sleep(0.05)
        return status

    async def all_in_state(self, within_s: float = 40.0) -> list[PartitionStatus]:
        """Waits until every published event is in state: once."""
        wanted = len(self.published)
        status = await self.until(lambda now: sum(p.events for p in now.partitions) >= wanted, within_s)
        assert sum(p.events for p in status.partitions) == wanted
        return list(status.partitions)


def fresh(count: int, start: int = 0, accounts: int = 20) -> list[RequestEvent]:
    now = time.time_ns()
    return [
        RequestEvent(f"e-{n}", f"acct-{n % accounts}", now + n, {"gen_ai.usage.input_tokens": n})
        for n in range(start, start + count)
    ]


async def eventually(ask: Callable[[], Awaitable[bool]], within_s: float = 20.0) -> None:
    async with asyncio.timeout(within_s):
        while not await ask():  # noqa: ASYNC110 - the condition is in another process
            await asyncio.sleep(0.05)
