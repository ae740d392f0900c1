"""What the kill switch and the leases promise (``ports.Control``, ``ports.Leases``)."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest
from manual_clock import ManualClock
from stream_worlds import World

from stillwatch.ports import Leases
from stillwatch.subjects import AGGREGATOR_LEASE
from streams.bucket import Bucket, Write
from streams.control import BucketControl, BucketLeases

KEY = "lease.partition.3"


def bucket(world: World) -> Bucket:
    assert isinstance(world.hub.control, BucketControl)
    return world.hub.control._bucket


def leases(world: World) -> Leases:
    return world.hub.leases


async def test_enforcement_is_on_until_it_is_switched_off(world: World) -> None:
    assert await world.hub.control.enforcement() is True
    await world.hub.control.set_enforcement(False)
    assert await world.hub.control.enforcement() is False
    await world.hub.control.set_enforcement(True)
    assert await world.hub.control.enforcement() is True


async def test_the_kill_switch_reads_what_an_operator_types(world: World) -> None:
    for value, expected in ((b"OFF\n", False), (b"on", True), (b" Off ", False), (b"", True)):
        entry = await bucket(world).get("enforcement")
        await bucket(world).write([Write("enforcement", value, entry.revision)])
        assert await world.hub.control.enforcement() is expected


async def test_a_free_lease_is_acquired_and_names_its_holder(world: World) -> None:
    assert await leases(world).holder(KEY) is None
    lease = await leases(world).acquire(KEY, "shard-0", 6.0)
    assert lease is not None
    assert (lease.key, lease.holder, lease.expires_unix_s) == (KEY, "shard-0", world.clock.unix_s + 6.0)
    assert lease.epoch > 0
    assert await leases(world).holder(KEY) == "shard-0"


async def test_a_held_lease_is_refused_to_others_until_it_was_unchanged_for_as_long_as_it_lives(world: World) -> None:
    first = await leases(world).acquire(KEY, "shard-0", 6.0)
    assert await leases(world).acquire(KEY, "shard-1", 6.0) is None
    world.clock.advance(5.9)
    assert await leases(world).acquire(KEY, "shard-1", 6.0) is None
    world.clock.advance(0.2)
    assert await leases(world).holder(KEY) is None
    second = await leases(world).acquire(KEY, "shard-1", 6.0)
    assert first is not None
    assert second is not None
    assert second.epoch > first.epoch
    assert await leases(world).holder(KEY) == "shard-1"


@pytest.mark.parametrize("skew_s", [-3_600.0, 3_600.0])
async def test_a_clock_that_is_an_hour_off_neither_steals_a_living_lease_nor_leaves_a_dead_one(
    world: World, skew_s: float
) -> None:
    off = ManualClock(world.clock.unix_s + skew_s)
    watcher = BucketLeases(bucket(world), off)
    lease = await leases(world).acquire(KEY, "shard-0", 6.0)
    assert lease is not None
    for _ in range(4):  # it is renewed, and watched by one whose clock says that it is long over, or far from it
        assert await watcher.acquire(KEY, "shard-1", 6.0) is None
        for clock in (world.clock, off):
            clock.advance(5.0)
        lease = await leases(world).renew(lease, 6.0)
        assert lease is not None
    assert await watcher.acquire(KEY, "shard-1", 6.0) is None
    off.advance(6.1)
    taken = await watcher.acquire(KEY, "shard-1", 6.0)
    assert taken is not None
    assert taken.epoch > lease.epoch
    assert await leases(world).renew(lease, 6.0) is None


async def test_holders_are_listed_by_key_without_those_that_are_gone(world: World) -> None:
    stays = await leases(world).acquire("lease.shard.a", "a@1", 6.0)
    await leases(world).acquire("lease.shard.b", "b@1", 6.0)
    await leases(world).acquire("lease.partition.1", "a@1", 6.0)
    assert await leases(world).holders("lease.shard.*") == {"lease.shard.a": "a@1", "lease.shard.b": "b@1"}
    world.clock.advance(4.0)
    assert stays is not None
    assert await leases(world).renew(stays, 6.0) is not None
    world.clock.advance(4.0)
    assert await leases(world).holders("lease.shard.*") == {"lease.shard.a": "a@1"}


async def test_a_renewed_lease_keeps_its_epoch_and_lives_on(world: World) -> None:
    lease = await leases(world).acquire(KEY, "shard-0", 6.0)
    assert lease is not None
    for _ in range(3):
        world.clock.advance(5.0)
        renewed = await leases(world).renew(lease, 6.0)
        assert renewed == replace(lease, expires_unix_s=world.clock.unix_s + 6.0)
        lease = renewed
    assert await leases(world).acquire(KEY, "shard-1", 6.0) is None


async def test_whoever_knows_of_an_epoch_gets_a_greater_one_and_so_do_those_who_come_after_him(world: World) -> None:
    """As where the bucket was lost: its revisions are far below what was written under before."""
    lease = await leases(world).acquire(KEY, "shard-0", 6.0, above=1_000_000)
    assert lease is not None
    assert lease.epoch > 1_000_000
    renewed = await leases(world).renew(lease, 6.0)
    assert renewed is not None
    assert renewed.epoch == lease.epoch
    mine_again = await leases(world).acquire(KEY, "shard-0", 6.0)
    assert mine_again is not None
    assert mine_again.epoch > lease.epoch
    assert await leases(world).renew(lease, 6.0) is None
    assert await leases(world).acquire(KEY, "shard-1", 6.0, above=2_000_000) is None  # it knows more, and has to wait
    world.clock.advance(6.1)
    others = await leases(world).acquire(KEY, "shard-1", 6.0)
    assert others is not None
    assert others.epoch > mine_again.epoch


async def test_a_lost_lease_can_not_be_renewed_or_released(world: World) -> None:
    old = await leases(world).acquire(KEY, "shard-0", 6.0)
    assert old is not None
    assert await leases(world).acquire(KEY, "shard-1", 6.0) is None
    world.clock.advance(7.0)
    new = await leases(world).acquire(KEY, "shard-1", 6.0)
    assert new is not None
    assert await leases(world).renew(old, 6.0) is None
    await leases(world).release(old)
    assert await leases(world).holder(KEY) == "shard-1"
    assert await leases(world).renew(new, 6.0) is not None


async def test_an_expired_lease_that_nobody_took_is_still_its_holders(world: World) -> None:
    lease = await leases(world).acquire(KEY, "shard-0", 6.0)
    assert lease is not None
    world.clock.advance(60.0)
    renewed = await leases(world).renew(lease, 6.0)
    assert renewed is not None
    assert renewed.epoch == lease.epoch


async def test_the_holders_new_life_takes_its_lease_over_at_once_with_a_new_epoch(world: World) -> None:
    old = await leases(world).acquire(KEY, "shard-0", 6.0)
    new = await leases(world).acquire(KEY, "shard-0", 6.0)
    assert old is not None
    assert new is not None
    assert new.epoch > old.epoch
    assert await leases(world).renew(old, 6.0) is None
    assert await leases(world).renew(new, 6.0) is not None


async def test_a_released_lease_is_free_at_once_and_epochs_still_grow(world: World) -> None:
    first = await leases(world).acquire(KEY, "shard-0", 6.0)
    assert first is not None
    await leases(world).release(first)
    assert await leases(world).holder(KEY) is None
    second = await leases(world).acquire(KEY, "shard-1", 6.0)
    assert second is not None
    assert second.epoch > first.epoch
    assert await leases(world).renew(first, 6.0) is None


async def test_that_a_shard_lived_is_forgotten_by_the_server_and_who_owned_what_is_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.control._FORGOTTEN_S", 1)
    for key in ("lease.shard.stops-1", "lease.shard.dies-1", KEY, AGGREGATOR_LEASE):
        lease = await leases(world).acquire(key, "one", 6.0)
        assert lease is not None
        if "dies" not in key:
            await leases(world).release(lease)

    async def revision(key: str) -> int:
        world.clock.advance(0.3)
        return (await bucket(world).get(key)).revision

    async with asyncio.timeout(20):  # a real server takes its own second
        while await revision("lease.shard.stops-1") or await revision("lease.shard.dies-1"):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert await revision(KEY) > 0
    assert await revision(AGGREGATOR_LEASE) > 0


async def test_a_shard_that_writes_its_key_is_not_forgotten(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.control._FORGOTTEN_S", 1)
    lease = await leases(world).acquire("lease.shard.a", "a@1", 60.0)
    begun_s = time.monotonic()
    while time.monotonic() < begun_s + 1.5:
        assert lease is not None
        lease = await leases(world).renew(lease, 60.0)
        world.clock.advance(0.5)
        await asyncio.sleep(0.25)
    assert await leases(world).holders("lease.shard.*") == {"lease.shard.a": "a@1"}


async def test_releasing_twice_is_the_same_as_once(world: World) -> None:
    lease = await leases(world).acquire(KEY, "shard-0", 6.0)
    assert lease is not None
    await leases(world).release(lease)
    await leases(world).release(lease)
    assert await leases(world).holder(KEY) is None


async def test_of_many_who_want_a_free_lease_one_gets_it(world: World) -> None:
    taken = await asyncio.gather(*(leases(world).acquire(KEY, f"shard-{n}", 6.0) for n in range(8)))
    winners = [lease for lease in taken if lease is not None]
    assert len(winners) == 1
    assert await leases(world).holder(KEY) == winners[0].holder


async def test_leases_do_not_disturb_each_other(world: World) -> None:
    first = await leases(world).acquire("lease.partition.1", "shard-0", 6.0)
    second = await leases(world).acquire("lease.partition.2", "shard-1", 6.0)
    assert first is not None
    assert second is not None
    assert await leases(world).renew(first, 6.0) is not None
    assert await leases(world).holder("lease.partition.2") == "shard-1"


async def test_what_is_no_lease_is_free(world: World) -> None:
    await bucket(world).write([Write(KEY, b"\xc1 rubbish", 0)])
    assert await leases(world).holder(KEY) is None
    assert await leases(world).acquire(KEY, "shard-0", 6.0) is not None
