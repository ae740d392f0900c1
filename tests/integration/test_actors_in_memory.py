"""The actors as they run in the cluster, over the streams' twins in memory: they find what the backtest finds.

Shards read at their own pace, are killed and start anew, and ticks of event time come as fast as they can be worked off.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest
from opentelemetry.trace import NoOpTracer
from pool_world import a_world

from actors.aggregator import Aggregator, AggregatorPorts
from actors.shard import Shard, ShardPorts
from launch.settings import load_policy
from stillwatch.backtest import Backtest
from stillwatch.backtest.ours import Stillwatch
from stillwatch.errors import Unavailable
from stillwatch.ports import Folded, Mark, Part
from stillwatch.settings import DetectionSettings, IngestSettings, Settings
from stillwatch.verdict import Campaign
from streams.hub import Hub, memory_hub
from streams.memory import MemoryNats

POLICY = load_policy("configs/policies/demo.yaml")
TICK_S = 2 * 3_600
PARTITIONS = 4
SETTINGS = Settings(
    partitions=PARTITIONS, shards=1,
    ingest=IngestSettings(fetch_timeout_s=0.05, summary_period_s=0.05, silence_s=0.2, batch_messages=90),
    detection=DetectionSettings(null_sets=20, evaluation_tick_s=TICK_S),
)  # fmt: skip
EVENTS = a_world(seed=2)
TICKS = 19  # 36 hours that begin within a tick


class RunningClock:
    """The real one, in a time when the events are over."""

    def unix_nano(self) -> int:
        return EVENTS[-1].time_unix_nano + 10**15 + time.monotonic_ns()

    def monotonic_s(self) -> float:
        return time.monotonic()


def aggregator_ports(hub: Hub, clock: RunningClock) -> AggregatorPorts:
    return AggregatorPorts(
        hub.verdicts, hub.revocations, hub.audit, hub.indicators, clock, NoOpTracer(), hub.never_act, hub.control
    )


@dataclass
class Cluster:
    hub: Hub
    clock: RunningClock = field(default_factory=RunningClock)
    shards: dict[str, Shard] = field(default_factory=dict)
    aggregator: Aggregator | None = None

    async def fold(self, shard: str, life: str, part: Part | None, marks: Sequence[Mark]) -> Folded:
        """ports.AggregatorClient: whichever life of it is there."""
        if self.aggregator is None:
            raise Unavailable("the aggregator", "it is down")
        return await self.aggregator.fold(shard, life, part, marks)

    async def start_aggregator(self) -> None:
        ports = aggregator_ports(self.hub, self.clock)
        self.aggregator = Aggregator(SETTINGS, POLICY, ports)
        await self.aggregator.start()

    async def start_shard(self, name: str, partitions: list[int]) -> None:
        ports = ShardPorts(self.hub.events, self.hub.dead_letters, self.hub.leases, self, self.clock, NoOpTracer())
        self.shards[name] = Shard(name, partitions, SETTINGS, ports)
        await self.shards[name].start()

    async def stop(self) -> None:
        for shard in self.shards.values():
            await shard.stop()
        if self.aggregator is not None:
            await self.aggregator.stop()

    async def evaluated(self) -> int:
        return 0 if self.aggregator is None else (await self.aggregator.status()).evaluated_unix_nano

    async def has_evaluated(self, tick_unix_nano: int) -> None:
        async with asyncio.timeout(60):
            while await self.evaluated() < tick_unix_nano:  # noqa: ASYNC110 - what others do
                await asyncio.sleep(0.02)

    async def found(self) -> tuple[list[Campaign], set[str]]:
        assert self.aggregator is not None
        assert (await self.aggregator.status()).incomplete_evaluations == 0
        campaigns = await self.aggregator.campaigns()
        return campaigns, {verdict.id for verdict in await self.hub.verdicts.verdicts()}


def in_the_backtest() -> tuple[list[Campaign], set[str], int]:
    detector, ticks = Stillwatch(SETTINGS, POLICY), list[int]()
    run = Backtest(detector, enforce=False, tick_s=SETTINGS.detection.evaluation_tick_s, on_tick=ticks.append)
    for event in EVENTS:
        run.feed(event)
    run.finish()
    assert len(ticks) == TICKS
    return detector.campaigns(), {verdict.id for verdict in detector.verdicts}, ticks[-1]


CAMPAIGNS, VERDICTS, LAST_TICK = in_the_backtest()


async def a_cluster(shards: int, stack: AsyncExitStack) -> Cluster:
    clock = RunningClock()
    cluster = Cluster(memory_hub(MemoryNats(SETTINGS, clock)))
    stack.push_async_callback(cluster.stop)
    await cluster.start_aggregator()
    for number in range(shards):
        await cluster.start_shard(f"shard-{number}", list(range(number, PARTITIONS, shards)))
    return cluster


def test_there_is_something_to_find() -> None:
    assert len(CAMPAIGNS) == 1
    assert VERDICTS


@pytest.mark.parametrize("shards", [1, 2, 3])
async def test_any_number_of_shards_finds_what_the_backtest_finds(shards: int) -> None:
    async with AsyncExitStack() as stack:
        cluster = await a_cluster(shards, stack)
        for start in range(0, len(EVENTS), 256):
            await cluster.hub.publisher.publish(EVENTS[start : start + 256])
            await asyncio.sleep(0.01)
        await cluster.has_evaluated(LAST_TICK)
        assert await cluster.found() == (CAMPAIGNS, VERDICTS)


async def test_a_shard_that_dies_and_reads_everything_again_changes_nothing() -> None:
    async with AsyncExitStack() as stack:
        cluster = await a_cluster(2, stack)
        await cluster.hub.publisher.publish(EVENTS)
        await cluster.has_evaluated(EVENTS[len(EVENTS) // 4].time_unix_nano)
        await cluster.shards.pop("shard-1").stop()
        assert await cluster.evaluated() < LAST_TICK
        await cluster.start_shard("shard-1b", [1, 3])
        await cluster.has_evaluated(LAST_TICK)
        assert await cluster.found() == (CAMPAIGNS, VERDICTS)


async def test_a_new_life_of_the_aggregator_sees_every_account_at_its_first_tick_and_keeps_the_campaign() -> None:
    async with AsyncExitStack() as stack:
        cluster = await a_cluster(2, stack)
        most = len(EVENTS) - 600
        await cluster.hub.publisher.publish(EVENTS[:most])
        await cluster.has_evaluated(EVENTS[most].time_unix_nano - TICK_S * 10**9)
        before = cluster.aggregator
        assert before is not None
        known = await before.campaigns()
        assert len(known) == 1
        await before.stop()
        await cluster.start_aggregator()
        await cluster.hub.publisher.publish(EVENTS[most:])
        await cluster.has_evaluated(LAST_TICK)
        assert cluster.aggregator is not None
        assert (await cluster.aggregator.status()).accounts == len({event.account for event in EVENTS})
        campaigns, _ = await cluster.found()
        assert [campaign.id for campaign in campaigns] == [campaign.id for campaign in CAMPAIGNS]
        assert campaigns[0].growth[: len(known[0].growth) - 1] == known[0].growth[:-1]


async def test_a_partition_that_nobody_owns_is_left_behind_after_a_while_and_counted() -> None:
    settings = SETTINGS.model_copy(update={"ingest": SETTINGS.ingest.model_copy(update={"tick_patience_s": 0.5})})
    clock = RunningClock()
    async with AsyncExitStack() as stack:
        cluster = Cluster(memory_hub(MemoryNats(settings, clock)))
        stack.push_async_callback(cluster.stop)
        ports = aggregator_ports(cluster.hub, clock)
        cluster.aggregator = Aggregator(settings, POLICY, ports)
        await cluster.aggregator.start()
        await cluster.start_shard("shard-0", [0, 1, 2])
        await cluster.hub.publisher.publish(EVENTS)
        await cluster.has_evaluated(LAST_TICK)
        status = await cluster.aggregator.status()
        assert status.partitions_behind == 1
        assert any("behind" in reason for reason in status.stale)
        assert status.incomplete_evaluations == status.evaluations == TICKS
        await cluster.start_shard("shard-1", [3])
        everybody = len({event.account for event in EVENTS})
        async with asyncio.timeout(30):
            while status.partitions_behind or status.accounts < everybody:
                await asyncio.sleep(0.02)
                status = await cluster.aggregator.status()
