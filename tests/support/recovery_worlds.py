"""A cluster in one process that can be killed in parts: the actors' own code over the streams' twins in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.trace import NoOpTracer
from pool_world import a_world

from actors.aggregator import Aggregator, AggregatorPorts
from actors.shard import Shard, ShardPorts
from actors.snapshots import Snapshots
from launch.settings import load_policy
from stillwatch.backtest import Backtest
from stillwatch.backtest.ours import Stillwatch
from stillwatch.errors import Unavailable
from stillwatch.ports import Folded, Mark, Part, SnapshotStore, VerdictLog
from stillwatch.settings import DetectionSettings, IngestSettings, NatsSettings, Settings, SnapshotSettings
from stillwatch.verdict import Campaign, Verdict
from streams import topology
from streams.connection import close, connect
from streams.hub import Hub, jetstream_hub, memory_hub
from streams.memory import MemoryNats
from streams.snapshots import memory_snapshots, snapshot_store

POLICY = load_policy("configs/policies/demo.yaml")
TICK_S = 2 * 3_600
PARTITIONS = 4
KEY = b"a key that signs only snapshots of tests"
SETTINGS = Settings(
    partitions=PARTITIONS, shards=2,
    ingest=IngestSettings(
        fetch_timeout_s=0.05, summary_period_s=0.05, silence_s=1.2, batch_messages=90, lease_ttl_s=1.0, tick_patience_s=120
    ),
    detection=DetectionSettings(null_sets=20, evaluation_tick_s=TICK_S),
    snapshots=SnapshotSettings(period_s=0.1),
)  # fmt: skip
EVENTS = a_world(seed=2)


class RunningClock:
    """The real one, in a time when the events are over."""

    def unix_nano(self) -> int:
        return EVENTS[-1].time_unix_nano + 10**15 + time.monotonic_ns()

    def monotonic_s(self) -> float:
        return time.monotonic()


def in_the_backtest() -> tuple[list[Campaign], set[str], int]:
    """What an uninterrupted run finds: campaigns, the ids of verdicts, the last tick."""
    detector, ticks = Stillwatch(SETTINGS, POLICY), list[int]()
    run = Backtest(detector, enforce=False, tick_s=TICK_S, on_tick=ticks.append)
    for event in EVENTS:
        run.feed(event)
    run.finish()
    return detector.campaigns(), {verdict.id for verdict in detector.verdicts}, ticks[-1]


@dataclass
class Feed:
    """Publishes all events evenly. A pause as long as ``silence_s`` would close ticks before their time: this has none."""

    hub: Hub
    over_s: float
    published: int = 0

    async def run(self) -> None:
        begun_s = time.monotonic()
        while self.published < len(EVENTS):
            due = min(len(EVENTS), int(len(EVENTS) * (time.monotonic() - begun_s) / self.over_s) + 1)
            await self.hub.publisher.publish(EVENTS[self.published : due])
            self.published = due
            await asyncio.sleep(0.02)

    async def has_reached(self, share: float) -> None:
        while self.published < share * len(EVENTS):  # noqa: ASYNC110 - what another task does
            await asyncio.sleep(0.01)


@dataclass
class Broker:
    """What outlives every process: NATS and the snapshot store."""

    clock: RunningClock = field(default_factory=RunningClock)
    store: SnapshotStore = field(default_factory=memory_snapshots)
    hub: Hub = None  # type: ignore[assignment]  # in memory, when none is given

    @asynccontextmanager
    async def feeding(self, over_s: float) -> AsyncIterator[Feed]:
        """All are published when it ends."""
        feed = Feed(self.hub, over_s)
        running = asyncio.create_task(feed.run())
        try:
            yield feed
            await running
        finally:
            running.cancel()

    def __post_init__(self) -> None:
        self.hub = self.hub or memory_hub(MemoryNats(SETTINGS, self.clock))


async def over_nats(url: str, directory: str, stack: AsyncExitStack) -> Broker:
    """Over a real server; snapshots in a directory."""
    settings = SETTINGS.model_copy(
        update={
            "nats": NatsSettings(urls=(url,)),
            "snapshots": SnapshotSettings(store="directory", directory=directory, period_s=0.1),
        }
    )
    client = await connect(settings.nats, "recovery")
    stack.push_async_callback(close, client)
    await topology.ensure(client, settings)
    store = snapshot_store(client, settings)
    assert store is not None
    clock = RunningClock()
    return Broker(clock, store, jetstream_hub(client, settings, clock))


class Interrupted:
    """ports.VerdictLog in which the first ``times`` verdicts are met by ``instead``; all else is the log's own."""

    def __init__(self, log: VerdictLog, instead: Callable[[], Awaitable[None]], times: int = 1) -> None:
        self._log, self._instead, self._left = log, instead, times
        self.reached = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def publish_verdict(self, verdict: Verdict, traceparent: str | None = None) -> None:
        if self._left > 0:
            self._left -= 1
            self.reached.set()
            await self._instead()
        await self._log.publish_verdict(verdict, traceparent)


@dataclass
class Cluster:
    """``name``: another one for each start."""

    broker: Broker
    name: str = "c1"
    shards: dict[str, Shard] = field(default_factory=dict)
    settings: Settings = SETTINGS
    aggregator: Aggregator | None = None
    lives: list[Aggregator] = field(default_factory=list)

    def snapshots(self) -> Snapshots:
        return Snapshots(self.broker.store, KEY, 3, self.broker.clock, "memory")

    async def fold(self, shard: str, life: str, part: Part | None, marks: Sequence[Mark]) -> Folded:
        """ports.AggregatorClient: whichever life of it is there."""
        if self.aggregator is None:
            raise Unavailable("the aggregator", "it is down")
        return await self.aggregator.fold(shard, life, part, marks)

    async def start_aggregator(self) -> None:
        hub, clock = self.broker.hub, self.broker.clock
        ports = AggregatorPorts(
            hub.verdicts, hub.revocations, hub.audit, hub.indicators, clock, NoOpTracer(), hub.never_act, hub.control,
            hub.leases, hub.fence, self.snapshots(),
        )  # fmt: skip
        self.aggregator = Aggregator(self.settings, POLICY, ports, cluster=self.name)
        self.lives.append(self.aggregator)
        await self.aggregator.start()

    async def start_shard(self, name: str) -> None:
        hub, clock = self.broker.hub, self.broker.clock
        ports = ShardPorts(hub.events, hub.dead_letters, hub.leases, self, clock, NoOpTracer(), self.snapshots())
        self.shards[name] = Shard(name, None, self.settings, ports, self.name)
        await self.shards[name].start()

    async def start(self) -> None:
        await self.start_aggregator()
        for number in range(SETTINGS.shards):
            await self.start_shard(f"shard-{number:03d}")

    async def kill_aggregator(self) -> None:
        """As SIGKILL does it: nothing is saved, told or given back."""
        killed, self.aggregator = self.aggregator, None
        if killed is not None and killed._task is not None:
            tasks = [killed._task, *([killed._saving] if killed._saving is not None else [])]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await killed._leads.resign(release=False)

    async def kill_shard(self, name: str) -> None:
        shard = self.shards.pop(name)
        tasks = [*shard._tasks, *shard._owners.values(), *shard._snapshots._saving.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def kill(self) -> None:
        for name in list(self.shards):
            await self.kill_shard(name)
        await self.kill_aggregator()

    async def stop(self) -> None:
        for shard in self.shards.values():
            await shard.stop()
        if self.aggregator is not None:
            await self.aggregator.stop()

    async def evaluated(self) -> int:
        return 0 if self.aggregator is None else (await self.aggregator.status()).evaluated_unix_nano

    async def has_evaluated(self, tick_unix_nano: int, within_s: float = 60) -> None:
        async with asyncio.timeout(within_s):
            while await self.evaluated() < tick_unix_nano:  # noqa: ASYNC110 - what others do
                await asyncio.sleep(0.01)

    async def owned(self) -> dict[int, str]:
        """By partition: the shard that works on it."""
        found = {}
        for name, shard in self.shards.items():
            found.update({one.partition: name for one in (await shard.status()).partitions if one.owned})
        return found

    async def found(self) -> tuple[list[Campaign], set[str]]:
        assert self.aggregator is not None
        assert (await self.aggregator.status()).incomplete_evaluations == 0
        assert (
            sum([one.late_events for shard in self.shards.values() for one in (await shard.status()).partitions]) == 0
        )
        return await self.aggregator.campaigns(), {
            one.id for one in await self.broker.hub.verdicts.verdicts(limit=10_000)
        }
