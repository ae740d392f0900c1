"""What the fence promises (``ports.WriteFence``): of several writers, the store takes what the newest one writes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from stream_values import a_campaign, a_revocation, a_verdict
from stream_worlds import World

from stillwatch.errors import Fenced
from stillwatch.revocation import Hold
from streams.control import BucketLeases
from streams.fence import StreamFence
from streams.hub import Hub, _hub
from streams.revocations import BucketRevocations
from streams.verdicts import JournalVerdictLog


def another(world: World) -> Hub:
    """A second process on the same NATS."""
    hub = world.hub
    assert isinstance(hub.verdicts, JournalVerdictLog)
    assert isinstance(hub.revocations, BucketRevocations)
    assert isinstance(hub.leases, BucketLeases)
    verdicts, revocations, control = hub.verdicts._journal, hub.revocations._bucket, hub.leases._bucket
    return _hub(
        hub.events, hub.publisher, verdicts, verdicts, verdicts, revocations, control, world.settings, world.clock, writer="tests.second",
    )  # fmt: skip


async def test_the_newest_epoch_writes_and_older_ones_are_refused(world: World) -> None:
    old, new = world.hub, another(world)
    await old.fence.take(4)
    await old.verdicts.publish_verdict(a_verdict(1))
    await new.fence.take(7)
    for write in (
        old.verdicts.publish_verdict(a_verdict(2)),
        old.verdicts.publish_campaign(a_campaign("c-1")),
        old.revocations.put(a_revocation("r-1")),
        old.fence.take(4),
    ):
        with pytest.raises(Fenced, match="epoch 4 is over"):
            await write
    await new.verdicts.publish_verdict(a_verdict(3))
    await new.verdicts.publish_campaign(a_campaign("c-2"))
    await new.revocations.put(a_revocation("r-2"))
    assert {one.id for one in await new.verdicts.verdicts()} == {"v-1", "v-3"}
    assert [one.id for one in await new.verdicts.campaigns()] == ["c-2"]
    assert [one.id for one in await new.revocations.list()] == ["r-2"]


async def test_a_replaced_owner_lets_nothing_act_that_waits_and_the_new_one_does(world: World) -> None:
    old, new = world.hub, another(world)
    await old.fence.take(4)
    now_s = int(world.clock.unix_s)
    hold = Hold("stale", 1, now_s + 900, releases_itself=True)
    waiting = [await old.revocations.put(replace(a_revocation(id), hold=hold)) for id in ("r-1", "r-2", "r-3")]
    assert {one.state(now_s) for one in waiting} == {"waiting"}
    assert (await old.revocations.release("r-1", waiting[0].accounts)).state(now_s) == "active"
    await new.fence.take(7)
    with pytest.raises(Fenced, match="epoch 4 is over"):
        await old.revocations.release("r-2", waiting[1].accounts)
    assert (await new.revocations.get("r-2")).state(now_s) == "waiting"
    assert (await new.revocations.release("r-2", waiting[1].accounts)).state(now_s) == "active"
    # A person is no owner, and his word counts, whoever leads.
    agreed = await another(world).revocations.approve("r-3", "ops")
    assert agreed.state(now_s) == "active"


async def test_any_process_can_see_the_newest_epoch(world: World) -> None:
    other = another(world)
    assert await other.fence.newest() == 0
    await world.hub.fence.take(4)
    assert (await world.hub.fence.newest(), await other.fence.newest()) == (4, 4)


async def test_behind_the_fence_a_repeat_still_changes_nothing(world: World) -> None:
    await world.hub.fence.take(4)
    for reason in ("first", "again"):
        await world.hub.verdicts.publish_verdict(a_verdict(1, reason=reason))
        await world.hub.revocations.put(a_revocation("r-1"))
    assert [one.reason for one in await world.hub.verdicts.verdicts()] == ["first"]
    assert len(await world.hub.revocations.list()) == 1


async def test_what_a_person_does_needs_no_fence(world: World) -> None:
    person = another(world)
    await world.hub.fence.take(4)
    await person.revocations.put(a_revocation("r-1"))
    assert [one.id for one in await world.hub.revocations.list()] == ["r-1"]


async def test_the_same_owner_may_take_it_again_with_a_newer_epoch(world: World) -> None:
    for epoch in (4, 5, 9):
        await world.hub.fence.take(epoch)
        await world.hub.verdicts.publish_verdict(a_verdict(epoch))
    assert len(await world.hub.verdicts.verdicts()) == 3
    assert isinstance(world.hub.fence, StreamFence)
