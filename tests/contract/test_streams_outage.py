"""When NATS is unreachable, every method of every port says so, soon, with one error."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from factories import an_event
from stream_values import a_campaign, a_letter, a_revocation, a_verdict
from stream_worlds import World

from stillwatch.errors import Unavailable
from stillwatch.never_act import Protection
from stillwatch.ports import AuditEntry, Label, Lease, PartitionFeed

Call = Callable[[World, PartitionFeed], Awaitable[object]]
PROTECTION = Protection("account", "acct-1", "anna", "a reviewer", 1, 2, "op")
LEASE = Lease("lease.partition.0", "shard-0", 1, 2e9)

CALLS: dict[str, Call] = {
    "open": lambda world, feed: world.hub.events.open(0, 0),
    "fetch": lambda world, feed: feed.fetch(10, 1.0),
    "waiting": lambda world, feed: feed.waiting(),
    "publish": lambda world, feed: world.hub.publisher.publish([an_event()]),
    "publish_label": lambda world, feed: world.hub.publisher.publish_label(Label("a", "team", "op", 1)),
    "dead letter": lambda world, feed: world.hub.dead_letters.put([a_letter(1)]),
    "count": lambda world, feed: world.hub.dead_letters.count(),
    "newest": lambda world, feed: world.hub.dead_letters.newest(1),
    "verdict": lambda world, feed: world.hub.verdicts.publish_verdict(a_verdict(1)),
    "campaign": lambda world, feed: world.hub.verdicts.publish_campaign(a_campaign("c-1")),
    "campaigns": lambda world, feed: world.hub.verdicts.campaigns(),
    "verdicts": lambda world, feed: world.hub.verdicts.verdicts(),
    "append": lambda world, feed: world.hub.audit.append(AuditEntry("a", "b", "c", 1, {})),
    "newest entry": lambda world, feed: world.hub.audit.newest(1),
    "put": lambda world, feed: world.hub.revocations.put(a_revocation()),
    "get": lambda world, feed: world.hub.revocations.get("r-1"),
    "list": lambda world, feed: world.hub.revocations.list(),
    "undo": lambda world, feed: world.hub.revocations.undo("r-1", "op"),
    "approve": lambda world, feed: world.hub.revocations.approve("r-1", "anna"),
    "leave": lambda world, feed: world.hub.revocations.leave_to_people("r-1", "too many"),
    "release": lambda world, feed: world.hub.revocations.release("r-1", ["a"]),
    "protect": lambda world, feed: world.hub.never_act.put(PROTECTION),
    "remove": lambda world, feed: world.hub.never_act.remove(PROTECTION.id),
    "protected": lambda world, feed: world.hub.never_act.list(),
    "broker's clock": lambda world, feed: world.hub.control.broker_unix_nano(),
    "reconcile": lambda world, feed: world.hub.revocations.reconcile(),
    "remember": lambda world, feed: world.hub.revocations.remember("k", "s", "r"),
    "enforcement": lambda world, feed: world.hub.control.enforcement(),
    "set_enforcement": lambda world, feed: world.hub.control.set_enforcement(False),
    "acquire": lambda world, feed: world.hub.leases.acquire("lease.partition.0", "shard-0", 6.0),
    "renew": lambda world, feed: world.hub.leases.renew(LEASE, 6.0),
    "release a lease": lambda world, feed: world.hub.leases.release(LEASE),
    "holder": lambda world, feed: world.hub.leases.holder("lease.partition.0"),
}


async def test_every_call_fails_soon_and_alike_while_nats_is_down(world: World) -> None:
    feed = await world.hub.events.open(0, 0)
    await world.go_down()
    for name, call in CALLS.items():
        async with asyncio.timeout(8):
            with pytest.raises(Unavailable) as caught:
                await call(world, feed)
        assert caught.value.retry_after_s > 0, name
    await feed.close()
