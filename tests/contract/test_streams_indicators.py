"""What the store of imported indicators promises (``ports.IndicatorStore``), and that they outlive the aggregator."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from indicator_values import an_import, an_indicator
from opentelemetry.trace import NoOpTracer
from stream_worlds import World

from actors.aggregator import Aggregator, AggregatorPorts
from launch.settings import load_policy
from stillwatch.errors import NotFound
from stillwatch.indicators import KEPT_S, Imported, Refused, signed
from streams.bucket import Bucket, Write
from streams.indicators import BucketIndicators

KEYS = {"alliance": bytes(range(32))}
SIGNED = signed(an_indicator("x-signed", values={"system": ("ab" * 16,)}), "alliance", KEYS["alliance"])


def bucket(world: World) -> Bucket:
    assert isinstance(world.hub.indicators, BucketIndicators)
    return world.hub.indicators._bucket


def an_aggregator(world: World, keys: dict[str, bytes] | None = None) -> Aggregator:
    hub = world.hub
    ports = AggregatorPorts(
        hub.verdicts, hub.revocations, hub.audit, hub.indicators, world.clock, NoOpTracer(), hub.never_act, hub.control
    )
    return Aggregator(world.settings, load_policy("configs/policies/default.yaml"), ports, keys)


async def the_next_life(world: World) -> list[Imported]:
    """What a new aggregator, with nothing but the store, looks for."""
    aggregator = an_aggregator(world)
    await aggregator.start()
    try:
        async with asyncio.timeout(20):
            while not (found := await aggregator.indicators()):  # noqa: ASYNC110  it reads in the background
                await asyncio.sleep(0.01)
            return found
    finally:
        await aggregator.stop()


async def test_what_is_put_is_listed_until_it_is_removed(world: World) -> None:
    store = world.hub.indicators
    assert await store.list() == []
    one, other = an_import("x-1"), replace(an_import("x-2"), indicator=SIGNED)
    await store.put(one)
    await store.put(other)
    assert await store.list() == sorted([one, other], key=lambda item: item.indicator.id)
    await store.remove(one.indicator.id)
    await store.remove(one.indicator.id)
    assert await store.list() == [other]


async def test_a_later_one_of_the_same_campaign_takes_the_place_of_the_earlier(world: World) -> None:
    newer = replace(an_import(), indicator=an_indicator(accounts=90), received_unix_s=1_790_000_100)
    await world.hub.indicators.put(an_import())
    await world.hub.indicators.put(newer)
    assert await world.hub.indicators.list() == [newer]


async def test_it_stands_beside_the_kill_switch_and_the_leases_and_disturbs_neither(world: World) -> None:
    await world.hub.control.set_enforcement(False)
    lease = await world.hub.leases.acquire("lease.partition.1", "shard-0", 6.0)
    await world.hub.indicators.put(an_import())
    assert [one.indicator.id for one in await world.hub.indicators.list()] == [an_indicator().id]
    assert await world.hub.control.enforcement() is False
    assert lease is not None
    assert await world.hub.leases.holder("lease.partition.1") == "shard-0"


@pytest.mark.parametrize(
    "rubbish", [b"", b"\xc1", b"[]", b'{"document": {}, "received_unix_s": 1, "by": "x"}', b"null"]
)
async def test_what_is_no_indicator_hides_no_other(world: World, rubbish: bytes) -> None:
    await world.hub.indicators.put(an_import())
    await bucket(world).write([Write("indicator.i-foreign", rubbish, 0)])
    assert await world.hub.indicators.list() == [an_import()]


async def test_an_import_outlives_the_aggregator_and_is_on_record(world: World) -> None:
    aggregator = an_aggregator(world, KEYS)
    imported = await aggregator.import_indicator(SIGNED.document(), "api-key:ops")
    assert isinstance(imported, Imported)
    assert (imported.received_unix_s, imported.by) == (int(world.clock.unix_s), "api-key:ops")
    assert await the_next_life(world) == [imported]
    [entry] = await world.hub.audit.newest(10)
    assert (entry.actor, entry.action, entry.target) == ("api-key:ops", "indicator.import", f"indicator {SIGNED.id}")
    assert entry.details["signed_with"] == "alliance"


async def test_a_removal_is_on_record_and_lasts(world: World) -> None:
    aggregator = an_aggregator(world)
    await aggregator.import_indicator(an_indicator("x-1").document(), "api-key:ops")
    await aggregator.import_indicator(an_indicator("x-2").document(), "api-key:ops")
    await aggregator.remove_indicator(an_indicator("x-1").id, "api-key:oncall")
    with pytest.raises(NotFound):
        await aggregator.remove_indicator(an_indicator("x-1").id, "api-key:oncall")
    assert [one.indicator.campaign for one in await the_next_life(world)] == ["x-2"]
    newest = (await world.hub.audit.newest(1))[0]
    assert (newest.actor, newest.action) == ("api-key:oncall", "indicator.remove")


async def test_an_import_ends_by_itself(world: World) -> None:
    aggregator = an_aggregator(world)
    await aggregator.import_indicator(an_indicator().document(), "api-key:ops")
    world.clock.advance(KEPT_S - 1)
    assert len(await aggregator.indicators()) == 1
    world.clock.advance(1)
    assert await aggregator.indicators() == []


async def test_what_is_refused_is_neither_kept_nor_recorded(world: World) -> None:
    aggregator = an_aggregator(world, KEYS)
    for document in (None, [], an_indicator().document(), {**SIGNED.document(), "accounts": 61}):
        assert isinstance(await aggregator.import_indicator(document, "api-key:ops"), Refused)
    assert await world.hub.indicators.list() == []
    assert await world.hub.audit.newest(10) == []
