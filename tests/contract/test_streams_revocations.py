"""What every revocation store promises (``ports.RevocationStore``), and what a gateway sees under its keys."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from stream_values import NOW, a_revocation
from stream_worlds import World

from stillwatch.errors import Conflict, NotFound
from stillwatch.never_act import organisations_of
from stillwatch.revocation import Enforcement, Hold
from streams.bucket import Write
from streams.revocations import BucketRevocations


def store(world: World) -> BucketRevocations:
    assert isinstance(world.hub.revocations, BucketRevocations)
    return world.hub.revocations


def another(world: World) -> BucketRevocations:
    """Of another process."""
    mine = store(world)
    return BucketRevocations(mine._bucket, mine._control, world.hub.never_act, world.clock, mine._fence)


async def held(world: World, key: str) -> Enforcement | None:
    """What a gateway finds under the key."""
    entry = await store(world)._bucket.get(key)
    return None if entry.value is None else Enforcement.decode(entry.value)


async def holder(world: World, account: str) -> str | None:
    found = await held(world, f"account.{account}")
    return None if found is None else found.revocation


async def test_a_stored_revocation_is_read_back_and_enforced(world: World) -> None:
    revocation = a_revocation(verdict="v-1", campaign="c-1", policy_version="1")
    assert await store(world).put(revocation) == revocation
    assert await store(world).get("r-1") == revocation
    assert await held(world, "account.acct-1") == revocation.enforcement()


async def test_an_unknown_revocation_is_not_found(world: World) -> None:
    for id in ("r-9", "a.b", "*", ">", ""):
        with pytest.raises(NotFound):
            await store(world).get(id)
        with pytest.raises(NotFound):
            await store(world).undo(id, "op")


async def test_the_same_id_again_returns_the_first_unchanged(world: World) -> None:
    await store(world).put(a_revocation())
    assert await store(world).put(a_revocation(reason="another", action="revoke")) == a_revocation()
    assert await held(world, "account.acct-1") == a_revocation().enforcement()


async def test_a_repeated_put_mends_what_its_first_writer_left_undone(world: World) -> None:
    revocation = a_revocation("r-1", "a", "b")
    await store(world).put(revocation)
    entry = await store(world)._bucket.get("account.b")
    await store(world)._bucket.write([Write("account.b", None, entry.revision)])
    await store(world).put(revocation)
    assert await holder(world, "b") == "r-1"


@pytest.mark.parametrize("changes", [{"dry_run": True}, {"mode": "shadow"}, {"expires_unix_s": NOW}])
async def test_what_is_not_active_is_stored_and_not_enforced(world: World, changes: dict[str, object]) -> None:
    await store(world).put(a_revocation(**changes))  # type: ignore[arg-type]
    assert await store(world).get("r-1") == a_revocation(**changes)  # type: ignore[arg-type]
    assert await held(world, "account.acct-1") is None


async def test_an_organisation_is_enforced_under_its_own_key(world: World) -> None:
    for id, organisation, key in (("r-1", "acme", "org.acme"), ("r-2", "A & B", "org.x=41202620" + "42")):
        revocation = a_revocation(id, target_kind="organisation", target=organisation, accounts=())
        await store(world).put(revocation)
        assert await held(world, key) == revocation.enforcement()


async def test_a_weaker_action_never_replaces_a_stronger_active_one(world: World) -> None:
    await store(world).put(a_revocation("r-strong", action="revoke"))
    await store(world).put(a_revocation("r-weak", action="throttle", expires_unix_s=NOW + 9_999))
    assert await holder(world, "acct-1") == "r-strong"


async def test_a_stronger_action_replaces_a_weaker_one(world: World) -> None:
    await store(world).put(a_revocation("r-weak", action="throttle"))
    await store(world).put(a_revocation("r-strong", action="revoke"))
    assert await holder(world, "acct-1") == "r-strong"


async def test_of_two_equal_actions_the_longer_one_holds(world: World) -> None:
    await store(world).put(a_revocation("r-long", expires_unix_s=NOW + 9_000))
    await store(world).put(a_revocation("r-short"))
    assert await holder(world, "acct-1") == "r-long"
    await store(world).put(a_revocation("r-longer", expires_unix_s=NOW + 10_000))
    assert await holder(world, "acct-1") == "r-longer"


async def test_a_weaker_action_takes_the_place_of_an_expired_one(world: World) -> None:
    await store(world).put(a_revocation("r-strong", action="revoke"))
    world.clock.advance(3_601)
    await store(world).put(a_revocation("r-weak", action="throttle", expires_unix_s=NOW + 9_999))
    assert await holder(world, "acct-1") == "r-weak"


async def test_what_is_no_enforcement_makes_way(world: World) -> None:
    await store(world)._bucket.write([Write("account.acct-1", b"\xc1 rubbish", 0)])
    await store(world).put(a_revocation())
    assert await holder(world, "acct-1") == "r-1"


async def test_an_undone_revocation_holds_no_key_and_says_who_undid_it(world: World) -> None:
    await store(world).put(a_revocation("r-1", "a", "b"))
    world.clock.advance(60)
    undone = await store(world).undo("r-1", "op")
    assert (undone.undone_by, undone.undone_unix_s) == ("op", NOW + 60)
    assert await store(world).get("r-1") == undone
    assert [await held(world, f"account.{account}") for account in "ab"] == [None, None]


async def test_undoing_twice_is_the_same_as_once(world: World) -> None:
    await store(world).put(a_revocation())
    first = await store(world).undo("r-1", "op")
    world.clock.advance(60)
    assert await store(world).undo("r-1", "somebody else") == first


async def test_an_undone_revocation_is_not_enforced_by_a_late_put(world: World) -> None:
    await store(world).put(a_revocation())
    undone = await store(world).undo("r-1", "op")
    assert await store(world).put(a_revocation()) == undone
    assert await held(world, "account.acct-1") is None


async def test_undo_removes_only_its_own_keys(world: World) -> None:
    await store(world).put(a_revocation("r-weak", "a", "b", action="throttle"))
    await store(world).put(a_revocation("r-strong", "b", action="revoke"))
    await store(world).undo("r-weak", "op")
    assert await holder(world, "a") is None
    assert await holder(world, "b") == "r-strong"


async def test_undo_puts_back_the_strongest_that_still_covers_the_account(world: World) -> None:
    await store(world).put(a_revocation("r-1", "a", "b", action="throttle"))
    await store(world).put(a_revocation("r-2", "a", action="challenge"))
    await store(world).put(a_revocation("r-shadow", "a", action="revoke", mode="shadow"))
    await store(world).put(a_revocation("r-3", "a", "b", action="revoke"))
    await store(world).undo("r-3", "op")
    assert await held(world, "account.a") == a_revocation("r-2", "a", action="challenge").enforcement()
    assert await holder(world, "b") == "r-1"


async def test_an_account_can_be_revoked_again_after_an_undo(world: World) -> None:
    await store(world).put(a_revocation("r-1"))
    await store(world).undo("r-1", "op")
    await store(world).put(a_revocation("r-2"))
    assert await holder(world, "acct-1") == "r-2"


async def test_a_campaign_of_2500_accounts_is_enforced_and_lifted_as_one(world: World) -> None:
    accounts = tuple(f"acct-{number}" for number in range(2_500))
    await store(world).put(a_revocation("r-old", "acct-7", action="throttle"))
    await store(world).put(a_revocation("r-1", *accounts, target_kind="campaign", target="c-1", action="revoke"))
    enforced = await store(world)._bucket.scan("account.*")
    assert len(enforced) == 2_500
    assert {Enforcement.decode(entry.value or b"").revocation for entry in enforced} == {"r-1"}  # type: ignore[union-attr]
    await store(world).undo("r-1", "op")
    assert [entry.key for entry in await store(world)._bucket.scan("account.*")] == ["account.acct-7"]


async def test_a_campaign_of_10000_accounts_fits_into_one_record(world: World) -> None:
    revocation = a_revocation("r-1", *(f"{number:064}" for number in range(10_000)), dry_run=True)
    await store(world).put(revocation)
    assert await store(world).get("r-1") == revocation
    assert await store(world).list() == [revocation]


async def test_10000_accounts_of_10000_organisations_that_wait_fit_into_one_record(world: World) -> None:
    accounts = [f"{number:064}" for number in range(10_000)]
    hold = Hold("too many", 2, NOW + 60)
    revocation = a_revocation("r-1", *accounts, hold=hold, organisations=organisations_of(accounts))
    await store(world).put(revocation)
    assert await store(world).get("r-1") == revocation


async def test_a_revocation_too_large_for_one_record_says_so(world: World) -> None:
    accounts = tuple(f"{number:064}" for number in range(20_000))
    with pytest.raises(Conflict, match="split it"):
        await store(world).put(a_revocation("r-1", *accounts))


async def test_revocations_are_listed_newest_first(world: World) -> None:
    assert await store(world).list() == []
    for number in range(5):
        await store(world).put(a_revocation(f"r-{number}", f"a{number}", created_unix_s=NOW + number))
    assert [r.id for r in await store(world).list()] == ["r-4", "r-3", "r-2", "r-1", "r-0"]
    assert [r.id for r in await store(world).list(limit=2)] == ["r-4", "r-3"]


async def test_many_writers_at_once_leave_the_strongest_in_force(world: World) -> None:
    actions = ("observe", "throttle", "challenge", "suspend", "revoke") * 3
    await asyncio.gather(
        *(store(world).put(a_revocation(f"r-{n}", "a", "b", action=action)) for n, action in enumerate(actions))
    )
    for account in ("a", "b"):
        found = await held(world, f"account.{account}")
        assert found is not None
        assert found.action == "revoke"


async def test_put_and_undo_at_the_same_time_leave_nothing_enforced(world: World) -> None:
    accounts = [f"a{number}" for number in range(200)]
    for round_ in range(5):
        id = f"r-{round_}"
        put = asyncio.create_task(store(world).put(a_revocation(id, *accounts)))
        while True:
            try:
                await store(world).undo(id, "op")
                break
            except NotFound:
                await asyncio.sleep(0)
        await put
        assert await store(world)._bucket.scan("account.*") == []


async def test_reconcile_brings_back_the_mild_action_that_outlives_the_strong_one(world: World) -> None:
    await store(world).put(a_revocation("r-strong", action="revoke"))
    await store(world).put(a_revocation("r-mild", action="throttle", expires_unix_s=NOW + 9_999))
    assert await store(world).reconcile() == 0
    world.clock.advance(3_601)
    assert await store(world).reconcile() == 1
    assert await holder(world, "acct-1") == "r-mild"


async def test_reconcile_removes_what_has_expired_and_mends_what_was_half_written(world: World) -> None:
    await store(world).put(a_revocation("r-1", "a"))
    await store(world).put(a_revocation("r-2", "b", "c", expires_unix_s=NOW + 9_999))
    entry = await store(world)._bucket.get("account.b")
    await store(world)._bucket.write([Write("account.b", None, entry.revision)])
    world.clock.advance(3_601)
    assert await store(world).reconcile() == 2
    assert [await holder(world, account) for account in "abc"] == [None, "r-2", "r-2"]
    assert await store(world).reconcile() == 0


async def test_reconcile_lifts_what_a_crashed_undo_left_in_force(world: World) -> None:
    await store(world).put(a_revocation("r-strong", "a", "b", action="revoke"))
    await store(world).put(a_revocation("r-mild", "a", action="throttle"))
    await store(world).undo("r-strong", "op")
    left_over = a_revocation("r-strong", action="revoke").enforcement().encode()
    for key in ("account.a", "account.b"):
        entry = await store(world)._bucket.get(key)
        await store(world)._bucket.write([Write(key, left_over, entry.revision)])
    assert await store(world).reconcile() == 2
    assert [await holder(world, account) for account in "ab"] == ["r-mild", None]


async def test_what_is_undone_while_reconcile_works_is_not_put_back(world: World) -> None:
    await store(world).put(a_revocation("r-1", "a", "b"))
    entry = await store(world)._bucket.get("account.a")
    await store(world)._bucket.write([Write("account.a", None, entry.revision)])  # half of it was lost in a crash
    scan = store(world)._bucket.scan

    async def and_then_somebody_undoes_it(*patterns: str) -> object:
        found = await scan(*patterns)
        await another(world).undo("r-1", "anna")
        return found

    store(world)._bucket.scan = and_then_somebody_undoes_it  # type: ignore[method-assign, assignment]
    await store(world).reconcile()
    assert [await holder(world, account) for account in "ab"] == [None, None]


async def test_what_is_undone_while_it_takes_the_place_of_another_does_not_come_back(world: World) -> None:
    for id, action in (("r-mildest", "throttle"), ("r-mild", "challenge"), ("r-strong", "revoke")):
        await store(world).put(a_revocation(id, "a", "b", action=action))
    get_many, other = store(world)._bucket.get_many, another(world)

    async def after_somebody_has_undone_the_milder_one(keys: Iterable[str]) -> object:
        wanted = list(keys)
        if "account.a" in wanted and (await other.get("r-mild")).undone_unix_s is None:
            other._bucket.get_many = get_many  # type: ignore[method-assign]
            await other.undo("r-mild", "anna")
        return await get_many(wanted)

    store(world)._bucket.get_many = after_somebody_has_undone_the_milder_one  # type: ignore[method-assign, assignment]
    await store(world).undo("r-strong", "ben")
    assert [await holder(world, account) for account in "ab"] == ["r-mildest", "r-mildest"]


async def test_reconcile_leaves_an_operators_own_key_alone(world: World) -> None:
    by_hand = Enforcement("by-hand", "suspend", "incident 4711", NOW + 600).encode()
    await store(world)._bucket.write([Write("account.x", by_hand, 0), Write("account.y", b"note", 0)])
    assert await store(world).reconcile() == 0
    assert await holder(world, "x") == "by-hand"


async def test_an_idempotency_key_remembers_its_first_request(world: World) -> None:
    assert await store(world).remember("key 1 / ü", "sha-a", "r-1") is None
    assert await store(world).remember("key 1 / ü", "sha-a", "r-2") == "r-1"
    with pytest.raises(Conflict, match="another request"):
        await store(world).remember("key 1 / ü", "sha-b", "r-3")
    assert await store(world).remember("key 2", "sha-b", "r-3") is None


async def test_of_two_simultaneous_requests_with_one_key_one_is_first(world: World) -> None:
    answers = await asyncio.gather(*(store(world).remember("key", "sha", f"r-{n}") for n in range(8)))
    first = answers.index(None)
    assert [answer for answer in answers if answer is not None] == [f"r-{first}"] * 7
