"""When a shard calls a partition silent: ticks are closed by it, so an outage must not look like one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from factories import account_in, an_event
from manual_clock import ManualClock
from opentelemetry.trace import NoOpTracer

from actors.shard import Shard, ShardPorts
from stillwatch.errors import Unavailable
from stillwatch.ports import EventStream, Folded, Mark, Part, PartitionFeed, RawMessage
from stillwatch.settings import IngestSettings, Settings
from streams.hub import memory_hub
from streams.memory import MemoryNats

SILENCE_S = 5.0
SETTINGS = Settings(
    partitions=1, shards=1,
    ingest=IngestSettings(fetch_timeout_s=0.05, summary_period_s=0.05, silence_s=SILENCE_S, lease_ttl_s=60),
)  # fmt: skip


class Breakable:
    """ports.EventStream and ports.PartitionFeed that can be away; counts its answers."""

    def __init__(self, events: EventStream) -> None:
        self._events = events
        self._feed: PartitionFeed | None = None
        self.away, self.refused, self.empty = False, 0, 0

    async def open(self, partition: int, after_sequence: int) -> PartitionFeed:
        self._feed = await self._events.open(partition, after_sequence)
        return self

    async def fetch(self, max_messages: int, timeout_s: float) -> list[RawMessage]:
        assert self._feed is not None
        if self.away:
            self.refused += 1
            raise Unavailable("the broker", "a test wants it away")
        got = await self._feed.fetch(max_messages, timeout_s)
        self.empty += not got
        return got

    async def ack(self, sequence: int) -> None:
        assert self._feed is not None
        await self._feed.ack(sequence)

    async def waiting(self) -> int:
        return 0

    async def close(self) -> None: ...


class Listener:
    """ports.AggregatorClient: keeps what was said last."""

    def __init__(self) -> None:
        self.marks: Sequence[Mark] = ()
        self.heard = 0

    async def fold(self, shard: str, life: str, part: Part | None, marks: Sequence[Mark]) -> Folded:
        if part is None:
            self.marks, self.heard = marks, self.heard + 1
        return Folded("life", True, 0, {})

    async def hears(self, times: int) -> None:
        until = self.heard + times
        async with asyncio.timeout(10):
            while self.heard < until:  # noqa: ASYNC110 - the shard runs in between
                await asyncio.sleep(0.01)


async def one_more(count: str, of: Breakable) -> None:
    before = getattr(of, count)
    async with asyncio.timeout(10):
        while getattr(of, count) < before + 2:  # noqa: ASYNC110 - the shard runs in between
            await asyncio.sleep(0.01)


async def test_an_outage_is_no_silence() -> None:
    clock, listener = ManualClock(), Listener()
    hub = memory_hub(MemoryNats(SETTINGS, clock))
    broker = Breakable(hub.events)
    shard = Shard(
        "shard-0", [0], SETTINGS, ShardPorts(broker, hub.dead_letters, hub.leases, listener, clock, NoOpTracer())
    )
    await hub.publisher.publish([an_event(account_in(0, 1), 0)])
    await shard.start()
    try:
        await one_more("empty", broker)
        clock.advance(0.8 * SILENCE_S)
        broker.away = True
        async with asyncio.timeout(10):
            while not broker.refused:  # noqa: ASYNC110 - the shard runs in between
                await asyncio.sleep(0.01)
        clock.advance(0.8 * SILENCE_S)
        broker.away = False
        await one_more("empty", broker)
        await listener.hears(2)
        assert not any(mark.silent for mark in listener.marks)
        clock.advance(SILENCE_S)
        await one_more("empty", broker)
        await listener.hears(2)
        assert listener.marks
        assert all(mark.silent for mark in listener.marks)
    finally:
        await shard.stop()
