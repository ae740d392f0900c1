"""Kill anything at any moment: the campaigns, the verdicts and the revocations come out the same."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from random import Random
from typing import cast

import pytest
from recovery_worlds import EVENTS, PARTITIONS, SETTINGS, Broker, Cluster, Interrupted, in_the_backtest

from stillwatch.ports import VerdictLog
from stillwatch.verdict import Verdict
from streams.control import BucketLeases
from streams.memory import MemoryBucket

CAMPAIGNS, VERDICTS, LAST_TICK = in_the_backtest()


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with AsyncExitStack() as stack:
        made = Cluster(Broker())
        stack.push_async_callback(made.stop)
        await made.start()
        yield made


async def announced(cluster: Cluster) -> list[Verdict]:
    return await cluster.broker.hub.verdicts.verdicts(limit=10_000)


def test_there_is_something_to_find() -> None:
    assert len(CAMPAIGNS) == 1
    assert VERDICTS


async def happens(condition: Callable[[], Awaitable[bool]]) -> None:
    """Waits for what other tasks do."""
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110 - nobody signals it
            await asyncio.sleep(0.02)


async def snapshots_of_all(cluster: Cluster) -> None:
    """Until each partition and the aggregator have one."""
    names = ["aggregator", *(f"partition-{number:03d}" for number in range(PARTITIONS))]

    async def are_there() -> bool:
        return all([await cluster.broker.store.names(name) for name in names])

    await happens(are_there)


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_is_killed_whenever_the_outcome_is_that_of_an_uninterrupted_run(seed: int) -> None:
    random, faults = Random(seed), 0
    async with AsyncExitStack() as stack:
        cluster = Cluster(Broker())
        stack.push_async_callback(cluster.stop)
        await cluster.start()
        async with cluster.broker.feeding(2.5) as feed:
            for _ in range(12):
                await feed.has_reached(random.uniform(faults, faults + 1.0) / 12)
                what = random.choice(["shard", "aggregator", "everything"])
                faults += 1
                if what == "shard":
                    name = random.choice(sorted(cluster.shards))
                    await cluster.kill_shard(name)
                    await cluster.start_shard(name)
                elif what == "aggregator":
                    await cluster.kill_aggregator()
                    await cluster.start_aggregator()
                else:
                    await cluster.kill()
                    await cluster.start()
        await cluster.has_evaluated(LAST_TICK)
        assert await cluster.found() == (CAMPAIGNS, VERDICTS)
        assert any([(await life.status()).snapshots.restored for life in cluster.lives])
        assert any([(await shard.status()).snapshots.restored for shard in cluster.shards.values()])
        revocations = await cluster.broker.hub.revocations.list()
        enforced = {one.id for one in await announced(cluster) if one.mode == "enforce" and one.action != "observe"}
        assert {one.verdict for one in revocations} == enforced


def interrupted(broker: Broker, instead: Callable[[], Awaitable[None]], times: int = 1) -> Interrupted:
    """From now on the first verdicts do not simply go out."""
    log = Interrupted(broker.hub.verdicts, instead, times)
    broker.hub = replace(broker.hub, verdicts=cast(VerdictLog, log))
    return log


async def for_ever() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_an_aggregator_that_ends_in_the_midst_of_an_evaluation_leaves_no_half_of_it(how: str) -> None:
    async with AsyncExitStack() as stack:
        cluster = Cluster(Broker())
        log = interrupted(cluster.broker, for_ever)
        stack.push_async_callback(cluster.stop)
        await cluster.start()
        async with cluster.broker.feeding(1.5):
            await log.reached.wait()
            assert cluster.aggregator is not None
            begun, done = cluster.aggregator._gate.evaluated_unix_nano, await cluster.evaluated()
            assert begun > done
            if how == "stopped":
                await cluster.aggregator.stop()
            else:
                await cluster.kill_aggregator()
            places = [one.place for one in await cluster.broker.store.names("aggregator")]
            assert places == sorted(places)
            assert all(place <= done for place in places)
            await cluster.start_aggregator()
        await cluster.has_evaluated(LAST_TICK)
        assert await cluster.found() == (CAMPAIGNS, VERDICTS)


async def too_large() -> None:
    raise ValueError("one message is too large")


async def test_an_evaluation_that_raises_something_is_made_again_from_the_newest_snapshot() -> None:
    async with AsyncExitStack() as stack:
        cluster = Cluster(Broker())
        log = interrupted(cluster.broker, too_large)
        stack.push_async_callback(cluster.stop)
        await cluster.start()
        async with cluster.broker.feeding(1.5):
            await log.reached.wait()
        await cluster.has_evaluated(LAST_TICK)
        assert await cluster.found() == (CAMPAIGNS, VERDICTS)
        assert cluster.aggregator is not None
        status = await cluster.aggregator.status()
        assert (status.failed_evaluations, status.left_out) == (1, 0)


async def test_a_snapshot_that_is_torn_is_passed_over_and_counted_and_the_one_before_it_serves(
    cluster: Cluster,
) -> None:
    store = cluster.broker.store
    async with cluster.broker.feeding(2.5) as feed:
        await feed.has_reached(0.6)
        await snapshots_of_all(cluster)
        await cluster.kill()
        newest = (await store.names("partition-002"))[-1]
        await store.put(newest, (await store.get(newest))[:-1_000])
        await cluster.start()

    async def all_are_owned() -> bool:
        return len(await cluster.owned()) == PARTITIONS

    await happens(all_are_owned)
    counts = [(await shard.status()).snapshots for shard in cluster.shards.values()]
    assert sum(one.unusable for one in counts) == 1
    await cluster.has_evaluated(LAST_TICK)
    assert await cluster.found() == (CAMPAIGNS, VERDICTS)


async def test_leases_that_are_lost_with_their_bucket_are_taken_anew_and_nothing_is_refused(cluster: Cluster) -> None:
    """Epochs are its revisions, and begin at 1 again."""
    assert isinstance(cluster.broker.hub.leases, BucketLeases)
    bucket = cluster.broker.hub.leases._bucket
    assert isinstance(bucket, MemoryBucket)
    bucket._revision = 10_000
    await cluster.kill()
    await cluster.start()
    async with cluster.broker.feeding(2.5) as feed:
        await feed.has_reached(0.5)
        await snapshots_of_all(cluster)
        bucket._entries.clear()
        bucket._forgotten_nano.clear()
        bucket._revision = 0
    await cluster.has_evaluated(LAST_TICK)
    assert await cluster.found() == (CAMPAIGNS, VERDICTS)
    assert len(await cluster.owned()) == PARTITIONS
    assert cluster.aggregator is not None
    assert cluster.aggregator._leads.epoch > 10_000
    assert (await cluster.aggregator.status()).not_leading == ""
    places = [one.epoch for one in await cluster.broker.store.names("aggregator")]
    assert places == [cluster.aggregator._leads.epoch] * len(places)


async def test_a_shard_that_joins_takes_its_share_and_one_that_crashes_leaves_its_share_to_the_others(
    cluster: Cluster,
) -> None:
    async def share_is(*sizes: int) -> None:
        async def it_is() -> bool:
            return sorted(Counter((await cluster.owned()).values()).values()) == sorted(sizes)

        await happens(it_is)

    async with cluster.broker.feeding(4.5) as feed:
        await share_is(2, 2)
        for number in (2, 3):
            await cluster.start_shard(f"shard-{number:03d}")
        await share_is(1, 1, 1, 1)
        await feed.has_reached(0.5)
        await cluster.kill_shard("shard-002")  # it comes back no more
        await cluster.shards.pop("shard-000").stop()
        await share_is(2, 2)
    await cluster.has_evaluated(LAST_TICK)
    assert await cluster.found() == (CAMPAIGNS, VERDICTS)


async def test_of_two_clusters_on_one_nats_one_acts_and_the_other_takes_over_when_it_is_gone() -> None:
    async with AsyncExitStack() as stack:
        broker = Broker()
        # Both live in this one process: a machine that stops it for a lease makes both late, and that is not what is tested.
        ingest = SETTINGS.ingest.model_copy(update={"lease_ttl_s": 2.0})
        settings = SETTINGS.model_copy(update={"ingest": ingest})
        blue, green = Cluster(broker, "blue", settings=settings), Cluster(broker, "green", settings=settings)
        for cluster in (blue, green):
            stack.push_async_callback(cluster.stop)
        await blue.start()

        async def blue_has_all() -> bool:
            return len(await blue.owned()) == PARTITIONS

        await happens(blue_has_all)
        await green.start()
        async with broker.feeding(6.0) as feed:
            # For longer than a lease: whoever could take something has tried.
            while feed.published < 0.6 * len(EVENTS):
                assert await green.owned() == {}
                assert await green.evaluated() == 0
                await asyncio.sleep(ingest.lease_ttl_s / 6)
            assert await blue.evaluated() > 0
            await blue.stop()
        await green.has_evaluated(LAST_TICK)
        assert await blue.owned() == {}
        assert await green.found() == (CAMPAIGNS, VERDICTS)
