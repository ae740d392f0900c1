"""Partitions go from shard to shard: what is said of them, what is left behind for the next owner, and who keeps what he has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from recovery_worlds import EVENTS, PARTITIONS, Broker, Cluster

from actors.shard import _Owned
from stillwatch.errors import Unavailable
from stillwatch.ports import PartitionFeed, SnapshotName
from stillwatch.subjects import consumer_name


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with AsyncExitStack() as stack:
        made = Cluster(Broker())
        stack.push_async_callback(made.stop)
        await made.start_aggregator()
        await made.start_shard("shard-000")
        yield made


async def happens(condition: Callable[[], Awaitable[bool]]) -> None:
    """Waits for what other tasks do."""
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110 - nobody signals it
            await asyncio.sleep(0.02)


async def owned(cluster: Cluster, count: int) -> None:
    async def are() -> bool:
        return len(await cluster.owned()) == count

    await happens(are)


async def test_why_a_partition_was_not_worked_on_is_forgotten_when_another_shard_has_it(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cluster.shards["shard-000"]

    async def has_problems(count: int) -> bool:
        return len((await first.status()).problems) == count

    async def away(partition: int, after_sequence: int) -> PartitionFeed:
        raise Unavailable(f"partition {partition}", "the stream is away")

    with monkeypatch.context() as broken:
        broken.setattr(cluster.broker.hub.events, "open", away)
        await happens(lambda: has_problems(PARTITIONS))
        await cluster.start_shard("shard-001")

        async def they_share() -> bool:
            return len(first._members.wanted) == PARTITIONS // 2

        await happens(they_share)
    await owned(cluster, PARTITIONS)
    await happens(lambda: has_problems(0))


async def test_leases_are_renewed_while_the_question_who_else_lives_is_not_answered(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    await owned(cluster, PARTITIONS)
    shard, ttl_s = cluster.shards["shard-000"], cluster.settings.ingest.lease_ttl_s

    async def never(pattern: str) -> dict[str, str]:
        return await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(cluster.broker.hub.leases, "holders", never)
    begun_s = cluster.broker.clock.monotonic_s()

    async def renewed_for_two_lives_of_them() -> bool:
        return all(one.deadline_s > begun_s + 3 * ttl_s for one in shard._owned.values())

    await happens(renewed_for_two_lives_of_them)
    assert len(await cluster.owned()) == PARTITIONS


async def test_a_shard_that_is_stopped_while_it_hands_partitions_over_still_leaves_snapshots_and_gives_leases_back(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    await owned(cluster, PARTITIONS)
    broker, shard = cluster.broker, cluster.shards["shard-000"]
    hand_over, leaving, over = shard._hand_over, list[_Owned](), asyncio.Event()

    async def hangs(name: SnapshotName, sealed: bytes) -> None:
        await over.wait()
        raise Unavailable("the snapshot store", "it did not answer")

    async def hands_over(one: _Owned) -> None:
        leaving.append(one)
        await hand_over(one)

    async def has_read_all() -> bool:
        return sum(one.events for one in (await shard.status()).partitions) == 400

    async def has_begun_to() -> bool:
        return len(leaving) == PARTITIONS // 2

    monkeypatch.setattr(shard, "_hand_over", hands_over)
    with monkeypatch.context() as slow:
        slow.setattr(broker.store, "put", hangs)
        await broker.hub.publisher.publish(EVENTS[:400])
        await happens(has_read_all)
        await cluster.start_shard("shard-001")
        await happens(has_begun_to)
    moved = list(leaving)
    over.set()
    await cluster.shards.pop("shard-000").stop()
    for one in moved:
        [*_, newest] = await broker.store.names(consumer_name(one.core.partition))
        assert (newest.epoch, newest.place) == (one.lease.epoch, one.core.last_sequence)
        assert await broker.hub.leases.holder(one.lease.key) != one.lease.holder
