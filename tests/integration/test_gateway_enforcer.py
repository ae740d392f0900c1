"""The enforcer against a real nats-server: what is stored is enforced, within a second and in spite of outages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import nats
import pytest
from gateway_worlds import NEVER, a_deployment, an_enforcement, eventually
from nats.aio.client import Client
from nats.js.kv import KeyValue

from launch.embedded import EmbeddedNats
from stillwatch import subjects
from stillwatch.gateway import Enforcer
from stillwatch.revocation import Enforcement


@pytest.fixture
async def buckets(nats_client: Client) -> tuple[KeyValue, KeyValue]:
    return await a_deployment(nats_client)


@pytest.fixture
async def gateway(nats_server: EmbeddedNats) -> AsyncIterator[Client]:
    """A connection of the gateway's own."""
    client = await nats.connect(nats_server.url, max_reconnect_attempts=-1, reconnect_time_wait=0.1)
    yield client
    await client.close()


@pytest.fixture
async def enforcer(buckets: tuple[KeyValue, KeyValue], gateway: Client) -> AsyncIterator[Enforcer]:
    async with Enforcer(gateway) as enforcer:
        assert await enforcer.wait_loaded(5)
        yield enforcer


async def after_comparisons(enforcer: Enforcer, number: int) -> None:
    wanted = enforcer.stats.comparisons + number
    await eventually(lambda: enforcer.stats.comparisons >= wanted)


def test_before_the_first_list_everybody_passes() -> None:
    enforcer = Enforcer(Client())
    assert not enforcer.loaded
    assert enforcer.check("acct-1") is None


async def test_what_was_stored_before_is_enforced_from_the_start(
    buckets: tuple[KeyValue, KeyValue], gateway: Client
) -> None:
    revocations, _ = buckets
    for number in range(300):
        await revocations.put(f"account.a{number}", an_enforcement())
    await revocations.delete("account.a7")
    async with Enforcer(gateway) as enforcer:
        assert await enforcer.wait_loaded(5)
        assert [n for n in range(300) if enforcer.check(f"a{n}") is None] == [7]
        assert enforcer.stats.keys == enforcer.active == 299


async def test_a_put_and_a_delete_arrive_within_a_second(
    buckets: tuple[KeyValue, KeyValue], enforcer: Enforcer
) -> None:
    revocations, _ = buckets
    started = time.monotonic()
    await revocations.put("account.acct-1", an_enforcement(action="suspend"))
    await eventually(lambda: enforcer.check("acct-1"), within_s=1)
    found = enforcer.check("acct-1")
    assert found is not None
    assert found.action == "suspend"
    await revocations.delete("account.acct-1")
    await eventually(lambda: enforcer.check("acct-1") is None, within_s=1)
    await revocations.put("account.acct-1", an_enforcement("r-2"))
    await eventually(lambda: enforcer.check("acct-1"), within_s=1)
    await revocations.purge("account.acct-1")
    await eventually(lambda: enforcer.check("acct-1") is None, within_s=1)
    assert time.monotonic() - started < 3


async def test_of_account_and_organisation_the_stronger_one_holds(
    buckets: tuple[KeyValue, KeyValue], enforcer: Enforcer
) -> None:
    revocations, _ = buckets
    await revocations.put(subjects.organisation_key("Ümlaut & Söhne"), an_enforcement("r-org", "suspend"))
    await revocations.put("account.acct-1", an_enforcement("r-acct", "throttle"))
    await eventually(lambda: enforcer.stats.keys == 2)
    both = enforcer.check("acct-1", "Ümlaut & Söhne")
    alone = enforcer.check("acct-1")
    assert both is not None
    assert alone is not None
    assert (both.revocation, alone.revocation) == ("r-org", "r-acct")
    assert enforcer.check(None, "Ümlaut & Söhne") == both
    assert enforcer.check("acct-2", "another") is None


async def test_an_account_that_its_organisations_revocation_spares_passes(
    buckets: tuple[KeyValue, KeyValue], enforcer: Enforcer
) -> None:
    revocations, _ = buckets
    spares = Enforcement("r-org", "suspend", "because", NEVER, spared=frozenset({"acct-1", "acct-2"}))
    await revocations.put("org.acme", spares.encode())
    await revocations.put("account.acct-2", an_enforcement("r-acct", "throttle"))
    await eventually(lambda: enforcer.stats.keys == 2)
    found = {account: enforcer.check(account, "acme") for account in ("acct-1", "acct-2", "acct-3", None)}
    assert {account: one and one.revocation for account, one in found.items()} == {
        "acct-1": None, "acct-2": "r-acct", "acct-3": "r-org", None: "r-org",
    }  # fmt: skip


async def test_an_expired_enforcement_holds_nothing(buckets: tuple[KeyValue, KeyValue], enforcer: Enforcer) -> None:
    revocations, _ = buckets
    await revocations.put("account.acct-1", an_enforcement(expires_unix_s=2_000_000_000))
    await eventually(lambda: enforcer.check("acct-1", now_unix_s=1_999_999_999.0))
    assert enforcer.check("acct-1", now_unix_s=2_000_000_000.0) is None


async def test_the_kill_switch_lets_everybody_pass_and_back(
    buckets: tuple[KeyValue, KeyValue], enforcer: Enforcer
) -> None:
    revocations, control = buckets
    await revocations.put("account.acct-1", an_enforcement())
    await eventually(lambda: enforcer.check("acct-1"))
    await control.put(subjects.ENFORCEMENT_KEY, b"off")
    await eventually(lambda: enforcer.check("acct-1") is None, within_s=1)
    assert not enforcer.enforcing
    await control.put(subjects.ENFORCEMENT_KEY, b"on")
    await eventually(lambda: enforcer.check("acct-1"), within_s=1)


async def test_foreign_values_and_other_keys_do_no_harm(buckets: tuple[KeyValue, KeyValue], enforcer: Enforcer) -> None:
    revocations, _ = buckets
    await revocations.put("record.r-1", b"x" * 100_000)
    await revocations.put("account.acct-1", b"\xc1 not msgpack")
    await revocations.put("account.acct-2", an_enforcement())
    await eventually(lambda: enforcer.check("acct-2"))
    stats = enforcer.stats
    assert (stats.keys, stats.undecodable, stats.applied) == (1, 1, 1)


async def test_a_foreign_value_over_a_revocation_lifts_it(
    buckets: tuple[KeyValue, KeyValue], enforcer: Enforcer
) -> None:
    revocations, _ = buckets
    await revocations.put("account.acct-1", an_enforcement())
    await eventually(lambda: enforcer.check("acct-1"))
    await revocations.put("account.acct-1", b"")
    await eventually(lambda: enforcer.check("acct-1") is None)


async def test_a_removal_that_no_message_told_of_is_found_by_comparing(
    nats_client: Client, buckets: tuple[KeyValue, KeyValue], gateway: Client
) -> None:
    revocations, _ = buckets
    await revocations.put("account.acct-1", an_enforcement())
    async with Enforcer(gateway, reconcile_s=0.2) as enforcer:
        assert await enforcer.wait_loaded(5)
        assert enforcer.check("acct-1")
        # An administrator's purge of the stream leaves no marker: nobody is told.
        await nats_client.jetstream().purge_stream(
            f"KV_{subjects.REVOCATIONS_BUCKET}", subject=f"$KV.{subjects.REVOCATIONS_BUCKET}.account.acct-1"
        )
        await eventually(lambda: enforcer.check("acct-1") is None, within_s=3)
        assert enforcer.stats.reconciled_missed == 1


async def test_a_key_that_the_feed_lost_is_found_by_comparing(
    buckets: tuple[KeyValue, KeyValue], gateway: Client
) -> None:
    revocations, _ = buckets
    await revocations.put("account.acct-1", an_enforcement("r-1"))
    await revocations.put("account.acct-2", an_enforcement("r-2"))
    async with Enforcer(gateway, reconcile_s=0.2) as enforcer:
        assert await enforcer.wait_loaded(5)
        # A lost message can not be ordered from a server that works: this is what one would leave behind.
        del enforcer._held["account.acct-1"]
        await eventually(lambda: enforcer.check("acct-1"), within_s=3)
        await after_comparisons(enforcer, 3)
        assert enforcer.stats.reconciled_missed == 1


async def test_comparing_does_not_bring_back_what_was_just_removed(
    buckets: tuple[KeyValue, KeyValue], gateway: Client
) -> None:
    revocations, _ = buckets
    async with Enforcer(gateway, reconcile_s=0.02) as enforcer:
        assert await enforcer.wait_loaded(5)
        for round_number in range(30):
            await revocations.put("account.acct-1", an_enforcement(f"r-{round_number}"))
            await eventually(lambda: enforcer.check("acct-1"))
            await revocations.delete("account.acct-1")
            await eventually(lambda: enforcer.check("acct-1") is None)
        assert enforcer.stats.reconciled_missed == 0


async def test_a_consumer_that_the_server_lost_is_replaced(
    nats_client: Client, buckets: tuple[KeyValue, KeyValue], enforcer: Enforcer
) -> None:
    revocations, _ = buckets
    context, stream = nats_client.jetstream(), f"KV_{subjects.REVOCATIONS_BUCKET}"
    for info in await context.consumers_info(stream):
        await context.delete_consumer(stream, info.name)
    await revocations.put("account.acct-1", an_enforcement())
    await eventually(lambda: enforcer.check("acct-1"), within_s=10)
    assert enforcer.stats.interruptions == 1


async def test_it_survives_a_restart_of_the_server_and_learns_what_happened_meanwhile(
    nats_server: EmbeddedNats, buckets: tuple[KeyValue, KeyValue], nats_client: Client, enforcer: Enforcer
) -> None:
    revocations, _ = buckets
    await revocations.put("account.acct-1", an_enforcement())
    await eventually(lambda: enforcer.check("acct-1"))
    await asyncio.to_thread(nats_server.kill)
    assert enforcer.check("acct-1")  # what is known stays in force
    await eventually(lambda: not nats_client.is_connected)  # until it has seen that, it writes to a server that is gone
    nats_server.start()
    await eventually(lambda: nats_client.is_connected, within_s=15)
    await revocations.put("account.acct-2", an_enforcement("r-2", expires_unix_s=NEVER))
    await revocations.delete("account.acct-1")
    await eventually(lambda: enforcer.check("acct-2") and enforcer.check("acct-1") is None, within_s=15)


async def test_a_bucket_made_anew_replaces_what_was_held(
    nats_client: Client, buckets: tuple[KeyValue, KeyValue], enforcer: Enforcer
) -> None:
    revocations, _ = buckets
    for number in range(5):
        await revocations.put(f"account.old-{number}", an_enforcement())
    await eventually(lambda: enforcer.check("old-4"))
    await nats_client.jetstream().delete_key_value(subjects.REVOCATIONS_BUCKET)
    again, _ = await a_deployment(nats_client)
    await again.put("account.new", an_enforcement("r-new"))
    await eventually(lambda: enforcer.check("new") and enforcer.check("old-4") is None, within_s=15)


async def test_it_holds_no_more_keys_than_it_may(buckets: tuple[KeyValue, KeyValue], gateway: Client) -> None:
    revocations, _ = buckets
    for number in range(10):
        await revocations.put(f"account.a{number}", an_enforcement())
    async with Enforcer(gateway, max_keys=4, reconcile_s=0.1) as enforcer:
        assert await enforcer.wait_loaded(5)
        await after_comparisons(enforcer, 3)
        assert enforcer.stats.keys == 4
        assert enforcer.stats.over_capacity == 6
        assert enforcer.stats.reconciled_missed == 0


async def test_without_any_bucket_it_waits_and_everybody_passes(nats_client: Client, gateway: Client) -> None:
    async with Enforcer(gateway) as enforcer:
        assert not await enforcer.wait_loaded(0.3)
        assert enforcer.check("acct-1") is None
        revocations, _ = await a_deployment(nats_client)
        await revocations.put("account.acct-1", an_enforcement())
        await eventually(lambda: enforcer.check("acct-1"), within_s=10)


async def test_a_stopped_enforcer_leaves_no_consumer_behind(
    nats_client: Client, buckets: tuple[KeyValue, KeyValue], gateway: Client
) -> None:
    async with Enforcer(gateway, reconcile_s=0.05) as enforcer:
        assert await enforcer.wait_loaded(5)
        await after_comparisons(enforcer, 3)
        stream = f"KV_{subjects.REVOCATIONS_BUCKET}"
        assert len(await nats_client.jetstream().consumers_info(stream)) <= 2
    assert await nats_client.jetstream().consumers_info(stream) == []


async def test_it_can_be_stopped_in_the_middle_of_anything(buckets: tuple[KeyValue, KeyValue], gateway: Client) -> None:
    revocations, _ = buckets
    await asyncio.gather(*(revocations.put(f"account.a{number}", an_enforcement()) for number in range(500)))
    for turns in range(25):
        async with asyncio.timeout(10), Enforcer(gateway, reconcile_s=0.001):
            for _ in range(turns):
                await asyncio.sleep(0.001)
