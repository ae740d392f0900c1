"""What every revocation store promises of what waits, of the never-act list, and of pages."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from stream_values import NOW, a_revocation
from stream_worlds import World

from stillwatch.errors import Conflict, Unavailable
from stillwatch.never_act import Protection, organisations_of
from stillwatch.revocation import Enforcement, Hold, Revocation, stronger
from streams.bucket import Write
from streams.never_act import BucketNeverAct
from streams.revocations import BucketRevocations

DAY_S = 86_400


def a_waiting(id: str = "r-1", *accounts: str, people: int = 2, **changes: object) -> Revocation:
    hold = Hold(
        "blast radius: too many", people, NOW + DAY_S, releases_itself=bool(changes.pop("releases_itself", False))
    )
    return replace(a_revocation(id, *accounts, hold=hold), **changes)  # type: ignore[arg-type]


def an_entry(target: str = "acct-1", ttl_s: int = DAY_S, kind: str = "account") -> Protection:
    return Protection(kind, target, "anna", "a reviewer of ours", NOW, NOW + ttl_s, "api-key:ops")  # type: ignore[arg-type]


async def held(world: World, key: str) -> Enforcement | None:
    store = world.hub.revocations
    assert isinstance(store, BucketRevocations)
    entry = await store._bucket.get(key)
    return None if entry.value is None else Enforcement.decode(entry.value)


async def state(world: World, id: str = "r-1") -> str:
    return (await world.hub.revocations.get(id)).state(world.clock.unix_nano() / 1e9)


# -- approvals -------------------------------------------------------------------------------------------------------


async def test_what_waits_acts_on_nobody_until_two_people_have_agreed(world: World) -> None:
    await world.hub.revocations.put(a_waiting())
    assert await held(world, "account.acct-1") is None
    await world.hub.revocations.reconcile()
    assert await held(world, "account.acct-1") is None
    world.clock.advance(1_000)
    assert (await world.hub.revocations.approve("r-1", "anna")).hold == replace(
        a_waiting().hold, approvals=(("anna", NOW + 1_000),)  # type: ignore[type-var]
    )  # fmt: skip
    assert await state(world) == "waiting"
    world.clock.advance(1_000)
    acting = await world.hub.revocations.approve("r-1", "ben")
    assert await state(world) == "active"
    assert acting.expires_unix_s == NOW + 2_000 + 3_600, "its time begins when it acts"
    assert await held(world, "account.acct-1") == acting.enforcement()


async def test_the_same_person_twice_is_one_person(world: World) -> None:
    await world.hub.revocations.put(a_waiting())
    for _ in range(3):
        await world.hub.revocations.approve("r-1", "anna")
    assert await state(world) == "waiting"
    assert await held(world, "account.acct-1") is None


async def test_people_who_agree_at_the_same_moment_are_all_counted(world: World) -> None:
    await world.hub.revocations.put(a_waiting(people=5))
    await asyncio.gather(*(world.hub.revocations.approve("r-1", f"person-{number}") for number in range(5)))
    assert await state(world) == "active"
    assert await held(world, "account.acct-1") is not None


async def test_unanswered_it_lapses_and_can_no_longer_be_agreed_to(world: World) -> None:
    await world.hub.revocations.put(a_waiting())
    await world.hub.revocations.approve("r-1", "anna")
    world.clock.advance(DAY_S)
    assert await state(world) == "lapsed"
    with pytest.raises(Conflict, match="lapsed"):
        await world.hub.revocations.approve("r-1", "ben")
    assert await held(world, "account.acct-1") is None


async def test_what_was_rejected_never_acts(world: World) -> None:
    await world.hub.revocations.put(a_waiting())
    await world.hub.revocations.undo("r-1", "anna")
    assert await state(world) == "rejected"
    with pytest.raises(Conflict, match="rejected"):
        await world.hub.revocations.approve("r-1", "ben")
    assert await held(world, "account.acct-1") is None


async def test_what_acts_after_it_was_approved_is_undone_as_any_other(world: World) -> None:
    await world.hub.revocations.put(a_waiting())
    for person in ("anna", "ben"):
        await world.hub.revocations.approve("r-1", person)
    await world.hub.revocations.undo("r-1", "anna")
    assert await state(world) == "undone"
    assert await held(world, "account.acct-1") is None


async def test_what_waits_for_nobody_can_not_be_agreed_to(world: World) -> None:
    await world.hub.revocations.put(a_revocation())
    with pytest.raises(Conflict, match="active"):
        await world.hub.revocations.approve("r-1", "anna")


async def test_what_is_released_acts_on_the_accounts_that_are_left(world: World) -> None:
    await world.hub.revocations.put(a_waiting("r-1", "a", "b", "c", releases_itself=True))
    world.clock.advance(50)
    for _ in range(2):
        released = await world.hub.revocations.release("r-1", ["a", "c", "somebody else"])
        assert released.accounts == ("a", "c")
    assert await held(world, "account.a") == released.enforcement()
    assert await held(world, "account.b") is None
    assert released.expires_unix_s == NOW + 50 + 3_600


async def test_what_is_left_to_people_waits_on_and_says_why(world: World) -> None:
    await world.hub.revocations.put(a_waiting(releases_itself=True))
    for _ in range(2):
        left = await world.hub.revocations.leave_to_people("r-1", "too many at once")
        assert left.hold is not None
        assert (left.hold.because, left.hold.releases_itself) == ("blast radius: too many; too many at once", False)
    await world.hub.revocations.release("r-1", ["acct-1"], NOW + 900)
    assert (await world.hub.revocations.get("r-1")).acts_from_unix_s == NOW + 900
    assert await world.hub.revocations.leave_to_people("r-1", "late") == await world.hub.revocations.get("r-1")
    assert await state(world) == "active"


async def test_a_record_that_waits_is_read_back_as_it_was(world: World) -> None:
    await world.hub.revocations.put(a_waiting())
    assert await world.hub.revocations.get("r-1") == a_waiting()
    [listed] = await world.hub.revocations.list(state="waiting")
    assert listed == a_waiting()


# -- the never-act list ----------------------------------------------------------------------------------------------


async def test_an_entry_is_read_back_replaced_and_removed(world: World) -> None:
    await world.hub.never_act.put(an_entry())
    await world.hub.never_act.put(an_entry("acme & co", kind="organisation", ttl_s=60))
    longer = an_entry(ttl_s=2 * DAY_S)
    await world.hub.never_act.put(longer)
    assert await world.hub.never_act.list() == [an_entry("acme & co", kind="organisation", ttl_s=60), longer]
    for _ in range(2):
        await world.hub.never_act.remove(longer.id)
    assert [one.target for one in await world.hub.never_act.list()] == ["acme & co"]


async def test_only_what_was_read_is_removed_where_that_is_asked_for(world: World) -> None:
    await world.hub.never_act.put(an_entry())
    await world.hub.never_act.remove(an_entry().id, an_entry(ttl_s=5))
    assert await world.hub.never_act.list() == [an_entry()]
    await world.hub.never_act.remove(an_entry().id, an_entry())
    assert await world.hub.never_act.list() == []


async def test_while_an_entry_can_not_be_read_nobody_is_acted_on_and_adding_it_again_mends_it(world: World) -> None:
    store = world.hub.never_act
    assert isinstance(store, BucketNeverAct)
    await store.put(an_entry("b"))
    await store._bucket.write([Write(f"never_act.{an_entry().id}", b"{half of it", 0)])
    for attempt in (store.list, lambda: world.hub.revocations.put(a_revocation("r-1", "c"))):
        with pytest.raises(Unavailable, match=rf"{an_entry().id}.* never-act add"):
            await attempt()
    assert await held(world, "account.c") is None
    await store.put(an_entry())
    assert {one.target for one in await store.list()} == {"acct-1", "b"}
    await world.hub.revocations.put(a_revocation("r-1", "c"))
    assert await held(world, "account.c") is not None


async def test_the_list_is_bounded_and_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.never_act.MAX_ENTRIES", 4)
    for number in range(3):
        await world.hub.never_act.put(an_entry(f"a{number}"))
    await world.hub.never_act.put(an_entry("last"))
    with pytest.raises(Conflict, match="remove one first"):
        await world.hub.never_act.put(an_entry("one too many"))
    await world.hub.never_act.put(an_entry("last", ttl_s=5))


async def test_nobody_can_act_on_a_protected_account_and_the_error_names_its_owner(world: World) -> None:
    await world.hub.never_act.put(an_entry())
    with pytest.raises(Conflict, match="anna"):
        await world.hub.revocations.put(a_revocation())
    assert await world.hub.revocations.list() == []
    await world.hub.never_act.put(an_entry("acme", kind="organisation"))
    with pytest.raises(Conflict, match="acme"):
        await world.hub.revocations.put(
            a_revocation(target_kind="organisation", target="acme", accounts=())
        )  # fmt: skip


async def test_of_many_accounts_the_protected_ones_are_spared_and_named(world: World) -> None:
    await world.hub.never_act.put(an_entry("b"))
    stored = await world.hub.revocations.put(a_revocation("r-1", "a", "b", "c"))
    assert (stored.accounts, stored.spared) == (("a", "c"), ("b",))
    assert await held(world, "account.b") is None
    assert await held(world, "account.c") is not None


async def test_an_organisations_revocation_names_the_accounts_that_were_protected_when_it_began_to_act(
    world: World,
) -> None:
    await world.hub.never_act.put(an_entry("a"))
    whole = {"target_kind": "organisation", "target": "acme", "accounts": ()}
    await world.hub.revocations.put(a_revocation("r-1", **whole))
    found = await held(world, "org.acme")
    assert found is not None
    assert found.spared == frozenset("a")
    await world.hub.revocations.undo("r-1", "op")
    await world.hub.revocations.put(a_waiting("r-2", people=1, **whole))
    await world.hub.never_act.put(an_entry("b"))
    acting = await world.hub.revocations.approve("r-2", "anna")
    assert acting.spared == ("a", "b")
    assert await held(world, "org.acme") == acting.enforcement()
    of_organisation = acting.enforcement()
    assert [stronger(None, of_organisation, NOW, account) for account in ("a", "b", "c", None)] == [
        None, None, of_organisation, of_organisation,
    ]  # fmt: skip


async def test_after_its_end_an_entry_protects_nobody(world: World) -> None:
    await world.hub.never_act.put(an_entry(ttl_s=100))
    world.clock.advance(100)
    await world.hub.revocations.put(a_revocation())
    assert await held(world, "account.acct-1") is not None


async def test_who_was_protected_while_it_waited_is_spared_when_it_acts(world: World) -> None:
    await world.hub.revocations.put(a_waiting("r-1", "a", "b", people=1))
    await world.hub.revocations.put(a_waiting("r-2", "a", "b", releases_itself=True))
    await world.hub.never_act.put(an_entry("b"))
    assert (await world.hub.revocations.approve("r-1", "anna")).spared == ("b",)
    assert (await world.hub.revocations.release("r-2", ["a", "b"])).spared == ("b",)
    assert await held(world, "account.b") is None


async def test_whose_organisation_was_protected_while_it_waited_is_spared_when_it_acts(world: World) -> None:
    whose = organisations_of(["acme", None, "other", "acme"])
    for id, changes in (("r-1", {"people": 1}), ("r-2", {"releases_itself": True})):
        await world.hub.revocations.put(a_waiting(id, "a", "b", "c", "d", organisations=whose, **changes))  # type: ignore[arg-type]
    await world.hub.never_act.put(an_entry("acme", kind="organisation"))
    approved = await world.hub.revocations.approve("r-1", "anna")
    assert (approved.accounts, approved.spared, approved.organisations) == (("b", "c"), ("a", "d"), ())
    released = await world.hub.revocations.release("r-2", ["b", "d"])
    assert (released.accounts, released.spared, released.organisations) == (("b",), ("d",), ())
    assert [await held(world, f"account.{account}") is None for account in "abcd"] == [True, False, False, True]


async def test_an_observation_of_a_protected_account_is_allowed(world: World) -> None:
    await world.hub.never_act.put(an_entry())
    assert (await world.hub.revocations.put(a_revocation(action="observe"))).accounts == ("acct-1",)


# -- pages -----------------------------------------------------------------------------------------------------------


async def test_pages_give_each_revocation_once_newest_first_whatever_comes_meanwhile(world: World) -> None:
    for number in range(25):
        await world.hub.revocations.put(a_revocation(f"r-{number:02}", created_unix_s=NOW + number // 3))
    seen: list[str] = []
    before: tuple[int, str] | None = None
    while page := await world.hub.revocations.list(7, before=before):
        seen += [one.id for one in page]
        before = page[-1].created_unix_s, page[-1].id
        await world.hub.revocations.put(a_revocation(f"r-new-{len(seen)}", created_unix_s=NOW + 10_000))
        await world.hub.revocations.undo(seen[0], "op")
    assert seen == [f"r-{number:02}" for number in reversed(range(25))]


async def test_a_list_reads_only_what_was_written_since_the_last_one(world: World) -> None:
    store = world.hub.revocations
    assert isinstance(store, BucketRevocations)
    for number in range(20):
        await store.put(a_revocation(f"r-{number}"))
    assert len(await store.list()) == 20
    read: list[int] = []
    changes = store._bucket.changes

    async def counted(pattern: str, after_revision: int) -> object:
        found = await changes(pattern, after_revision)
        read.append(len(found))
        return found

    store._bucket.changes = counted  # type: ignore[method-assign, assignment]
    await store.put(a_revocation("r-20"))
    await store.undo("r-3", "op")
    found = {one.id: one for one in await store.list()}
    assert len(found) == 21
    assert found["r-3"].undone_by == "op"
    assert sum(read) <= 3  # the new one, and the undone one; the undo itself looks, too
    world.clock.advance(60)
    assert len(await store.list()) == 21
    assert read[-1] == 21


async def test_what_another_process_wrote_is_in_the_next_list(world: World) -> None:
    store = world.hub.revocations
    assert isinstance(store, BucketRevocations)
    other = BucketRevocations(store._bucket, store._control, world.hub.never_act, world.clock, store._fence)
    assert await store.list() == []
    await other.put(a_revocation(verdict="v-1", campaign="c-1"))
    assert [one.id for one in await store.list(verdict="v-1", campaign="c-1", account="acct-1", state="active")] == [
        "r-1"
    ]
    assert await store.list(verdict="v-2") == await store.list(campaign="c-2") == await store.list(account="x") == []


async def test_the_brokers_clock_is_told(world: World) -> None:
    first = await world.hub.control.broker_unix_nano()
    assert first > 1_600_000_000 * 10**9
    assert await world.hub.control.broker_unix_nano() >= first
