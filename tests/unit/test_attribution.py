"""Whom a campaign's core makes a member: its siblings, and neither bystanders nor keys of organisations by their likeness."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from factories import T0
from moment_worlds import DAY_S, World, a_world, conducted, honest, over, settled
from summary_worlds import people, pool_accounts

from stillwatch.correlation.attribution import false_share, members_of
from stillwatch.correlation.linkage import Key
from stillwatch.signature import Signature
from stillwatch.summary import AccountSummary

CARD: Key = ("payment", "card")
REVOKED = 0.998


def new(summaries: Iterable[AccountSummary], *links: Key) -> list[AccountSummary]:
    """Signed up last week; sharing these values and nothing else."""
    return [replace(s, links=links, created_unix=T0 // 10**9 - 7 * DAY_S) for s in summaries]


def machines(rng: np.random.Generator, summaries: list[AccountSummary]) -> list[AccountSummary]:
    return over(conducted(rng, summaries, shift=4.0), days=10)


def campaign(rng: np.random.Generator, count: int) -> list[AccountSummary]:
    return machines(rng, pool_accounts(rng, count, prefix="x"))


def members(world: World, core: Iterable[AccountSummary], *keys: Key) -> dict[str, float]:
    names = [summary.account for summary in core]
    found = members_of(names, keys or (CARD,), 10.0, world.table, world.links, world.moment())
    return {member.account: member.confidence for member in found}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_siblings_of_the_core_are_members_and_bystanders_of_their_value_are_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pool = new(campaign(rng, 60), CARD)
    bystanders = settled(new(over(conducted(rng, people(rng, 40, prefix="b")), 10), CARD))
    found = members(a_world(honest(rng, 600), pool, bystanders), pool[:20])
    assert sum(found.get(s.account, 0.0) >= 0.9 for s in pool[20:]) >= 36
    assert not [name for name in found if name.startswith("b") and found[name] >= 0.5]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_broad_bystanders_of_a_popular_value_are_no_members_though_their_topics_look_like_the_pools(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pool = campaign(rng, 60)
    broad = settled(new(over(conducted(rng, pool[40:]), 10), CARD))  # the same topics, a person's hours
    broad = [replace(s, account=f"b{s.account}") for s in broad]
    found = members(a_world(honest(rng, 600), new(pool[:40], CARD), broad), pool[:20])
    assert max((found[name] for name in found if name.startswith("b")), default=0.0) < REVOKED


def test_unsettled_siblings_outside_do_not_hide_the_members() -> None:
    rng = np.random.default_rng(4)
    pool = campaign(rng, 60)
    crowd = honest(rng, 600)
    alone = members(a_world(crowd, new(pool[:30], CARD)), pool[:20])
    beside = members(a_world(crowd, new(pool[:30], CARD), new(pool[30:])), pool[:20])
    told = {summary.account for summary in pool[:30]}
    assert min(alone.get(name, 0.0) for name in told) >= 0.9
    assert min(beside.get(name, 0.0) for name in told) >= 0.9
    assert not set(beside) - told


def test_settled_accounts_outside_that_are_just_as_alike_do() -> None:
    """It is a matter of numbers, not of faith: what many honest ones reach makes nobody a member."""
    rng = np.random.default_rng(5)
    pool = campaign(rng, 120)
    crowd, beside = honest(rng, 600), settled(new(pool[30:]))
    found = members(a_world(crowd, new(pool[:30], CARD), settled(beside)), pool[:20])
    assert max(found.values(), default=0.0) < 0.99


def test_keys_of_an_organisation_need_more_than_accounts_of_nobody() -> None:
    rng = np.random.default_rng(6)
    pool = new(campaign(rng, 60), CARD)
    keys = [replace(s, organisation="acme") if n >= 40 else s for n, s in enumerate(pool)]
    other = [replace(s, organisation=f"o{n % 40}") for n, s in enumerate(honest(rng, 900)) if n % 5 == 0]
    crowd = [s for n, s in enumerate(honest(rng, 900)) if n % 5]
    found = members(a_world(crowd, other, keys), pool[:20])
    of_nobody = [found.get(s.account, 0.0) for s in keys[:40]]
    of_acme = [found.get(s.account, 0.0) for s in keys[40:]]
    assert np.median(of_nobody) > np.median(of_acme)
    assert max(of_acme) < REVOKED


def test_who_has_asked_too_little_is_nobodys_member_yet() -> None:
    rng = np.random.default_rng(7)
    pool = new(campaign(rng, 30), CARD)
    mixture_of = pool_accounts(np.random.default_rng(7), 30, conversations=7, prefix="x")
    light = [replace(s, account=f"l{n}", cells=mixture_of[n].cells) for n, s in enumerate(pool[:5])]
    found = members(a_world(honest(rng, 400), pool, light), pool)
    assert not [name for name in found if name.startswith("l")]


def test_a_core_that_is_gone_has_no_members() -> None:
    rng = np.random.default_rng(8)
    world = a_world(honest(rng))
    assert members_of(["gone"], (CARD,), 10.0, world.table, world.links, world.moment()) == ()
    assert members_of([], (), 10.0, world.table, world.links, world.moment()) == ()


def test_where_everybody_outside_is_kin_the_models_own_law_stands_in() -> None:
    rng = np.random.default_rng(9)
    pool = new(campaign(rng, 20), CARD)
    crowd = [replace(s, organisation="one") for s in honest(rng, 100)]  # nobody outside is of nobody
    found = members(a_world(crowd, pool), pool)
    assert all(0 <= confidence <= 1 for confidence in found.values())


def test_the_order_of_arrival_changes_no_digit() -> None:
    rng = np.random.default_rng(10)
    pool = new(campaign(rng, 40), CARD)
    summaries = [*honest(rng, 300), *pool]
    one = members(a_world(summaries), pool[:20])
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(summaries))
        assert members(a_world([summaries[n] for n in order]), pool[:20]) == one


def test_a_false_share_falls_with_likelihood_and_needs_no_outsider() -> None:
    share = false_share(np.array([5.0, 1.0, 5.0, -2.0]), np.array([0.0, -1.0, 2.0]))
    assert share[0] == share[2] < share[1] <= share[3] <= 1
    assert false_share(np.array([1.0, 2.0]), np.array([])).tolist() == [0.5, 0.5]


def of_two_pools_of_values(rng: np.random.Generator) -> tuple[World, list[AccountSummary], list[AccountSummary]]:
    """A campaign's 30 known accounts; 20 young ones of its pool, half of them with a second of its values, which few of them
    tell apart from people by themselves; and 120 honest accounts under each value."""
    promotion: Key = ("signup", "promotion")
    pool = campaign(rng, 50)
    known, young = new(pool[:30], CARD, promotion), over(people_like(rng, pool[30:]), days=1)
    young = [*new(young[:10], CARD), *new(young[10:], CARD, promotion)]
    crowd = settled(new(over(conducted(rng, people(rng, 120, prefix="b")), 10), CARD))
    return a_world(honest(rng, 600), known, young, crowd), known, young


def people_like(rng: np.random.Generator, summaries: list[AccountSummary]) -> list[AccountSummary]:
    """The same topics, halfway to a machine's conduct."""
    return conducted(rng, summaries, shift=1.5)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_who_shares_two_identities_with_a_campaign_is_believed_sooner_than_who_shares_one(seed: int) -> None:
    world, known, young = of_two_pools_of_values(np.random.default_rng(seed))
    found = members(world, known, CARD, ("signup", "promotion"))
    one, two = ([found.get(s.account, 0.0) for s in part] for part in (young[:10], young[10:]))
    assert np.mean(two) > np.mean(one)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_who_signs_up_under_its_value_after_it_was_found_is_believed_sooner(seed: int) -> None:
    world, known, young = of_two_pools_of_values(np.random.default_rng(seed))
    names, moment = [s.account for s in known], world.moment()

    def mean(found_unix_nano: int | None) -> float:
        found = members_of(names, (CARD,), 10.0, world.table, world.links, moment, None, found_unix_nano)
        of = {member.account: member.confidence for member in found}
        return float(np.mean([of.get(s.account, 0.0) for s in young]))

    last_week = T0 - 8 * DAY_S * 10**9
    assert mean(last_week) > mean(None)
    assert mean(T0) == mean(None)  # nobody signed up since


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_honest_newcomers_under_two_of_a_campaigns_values_are_not_acted_on(seed: int) -> None:
    rng = np.random.default_rng(seed)
    promotion: Key = ("signup", "promotion")
    pool = new(campaign(rng, 60), CARD, promotion)
    newcomers = new(over(conducted(rng, people(rng, 30, prefix="n")), 3), CARD, promotion)
    world = a_world(honest(rng, 600), pool, newcomers)
    found = members_of(
        [s.account for s in pool[:30]], (CARD, promotion), 10.0, world.table, world.links, world.moment(), None, 0
    )
    confidence = {member.account: member.confidence for member in found}
    assert max((confidence.get(s.account, 0.0) for s in newcomers), default=0.0) < 0.9
    assert sum(confidence.get(s.account, 0.0) >= 0.9 for s in pool[30:]) >= 25


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_two_values_that_everybody_has_tie_nobody_twice_and_two_of_the_campaigns_own_do(seed: int) -> None:
    """A bank and a mailbox: some people who write like machines have both, and were revoked."""
    rng = np.random.default_rng(seed)
    bank, mailbox, own = ("payment", "bank"), ("signup", "mailbox"), ("address", "own")
    pool = campaign(rng, 90)
    known = new(pool[:60], CARD, own, bank, mailbox)
    tied, by_common_values = new(pool[60:75], CARD, own), new(pool[75:], CARD, bank, mailbox)
    crowd = settled(new(over(conducted(rng, people(rng, 600, prefix="c")), 10), bank, mailbox))
    found = members(a_world(honest(rng, 600), known, tied, by_common_values, crowd), known)
    sure, other = ([found.get(s.account, 0.0) for s in part] for part in (tied, by_common_values))
    assert sum(confidence >= REVOKED for confidence in sure) >= 8
    assert 0.9 < max(other) < REVOKED


def test_a_core_that_is_gone_is_told_by_its_signature() -> None:
    rng = np.random.default_rng(7)
    pool = new(campaign(rng, 60), CARD)
    world = a_world(honest(rng, 600), pool)
    moment = world.moment()
    slots = world.slots("x")
    means, spread = moment.conduct.profile(slots[:30])
    signature = Signature.of(world.table.counts(slots[:30]).sum(axis=0), 30, 10.0, means, spread)
    found = members_of(["gone"], (CARD,), 10.0, world.table, world.links, moment, signature)
    assert sum(member.confidence >= 0.9 for member in found) >= 54
    assert all(member.account.startswith("x") for member in found if member.confidence >= 0.5)
    assert not members_of(["gone"], (CARD,), 10.0, world.table, world.links, moment)


def hand_over(world: World, *pairs: tuple[AccountSummary, AccountSummary]) -> None:
    """A call that failed on the first began again on the second; a thousand others came to nothing."""
    for number in range(1_000):
        world.handoffs.note("z", 10**6, [], [(1_000 * number, 10_000 + number)])
    for number, (one, other) in enumerate(pairs):
        at_ms = 60_000 * number
        world.handoffs.note(one.account, world.table.unit(one.account), [(at_ms, number)], [(at_ms, number)])
        world.handoffs.note(other.account, world.table.unit(other.account), [(at_ms + 4_000, number)], [])
    world.handoffs.settle(10**9)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_hand_offs_lead_from_the_core_to_a_sibling_and_from_that_to_the_next(seed: int) -> None:
    """Siblings who ask from the pool, behave nearly as people do and share nothing with the core."""

    def acted_on(reach: int) -> list[bool]:
        rng = np.random.default_rng(seed)
        core = new(campaign(rng, 20), CARD)
        siblings = new(over(conducted(rng, pool_accounts(rng, 24, prefix="s"), shift=1.0), 10))
        world, chain = a_world(honest(rng, 600), core, siblings), [core[0], *siblings]
        hand_over(world, *pairwise(core), *list(pairwise(chain))[:reach])
        found = members(world, core)
        return [found.get(s.account, 0.0) >= 0.99 for s in siblings]

    one, chain = acted_on(reach=1), acted_on(reach=24)
    assert one == [True] + 23 * [False]
    assert chain[:2] == [True, True]
    assert not all(chain)  # it ends at a sibling of whom topics and conduct say too little


@pytest.mark.parametrize("keys", [(), (CARD,)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_people_who_hand_over_among_themselves_make_each_other_no_members(seed: int, keys: tuple[Key, ...]) -> None:
    """Broad people who behave like machines, some of them as sure as members are, with four accounts of their own each."""
    rng = np.random.default_rng(seed)
    core = new(campaign(rng, 20), CARD)
    own = new(over(conducted(rng, people(rng, 80, prefix="b", breadth=80), shift=2.5), 10), *keys)
    world = a_world(honest(rng, 600), core, own)
    before = members(world, core)
    fours = [pair for pair in pairwise(own) if int(pair[1].account[1:]) % 4]
    hand_over(world, *fours, *pairwise(core))
    after = members(world, core)
    mine = {s.account for s in own}
    assert {a: c for a, c in after.items() if a in mine} == {a: c for a, c in before.items() if a in mine}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_person_s_own_four_accounts_are_no_second_tie(seed: int) -> None:
    """Even in a campaign's core, where they do not belong."""
    rng = np.random.default_rng(seed)
    pool = new(campaign(rng, 24))
    world = a_world(honest(rng, 600), pool)
    hand_over(world, *pairwise(pool[:4]), *pairwise(pool[4:]))
    found = members(world, pool)
    assert max(found.get(s.account, 0.0) for s in pool[:4]) < REVOKED
    assert max(found.get(s.account, 0.0) for s in pool[4:]) >= REVOKED


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_one_hand_off_by_chance_makes_few_people_members(seed: int) -> None:
    rng = np.random.default_rng(seed)
    core = new(campaign(rng, 20), CARD)
    crowd = honest(rng, 600)
    world = a_world(crowd, core)
    hand_over(world, *pairwise(core), *zip(core, crowd, strict=False))
    found = members(world, core)
    assert sum(found.get(s.account, 0.0) >= 0.99 for s in crowd[:20]) <= 6  # half of all that the core handed over
    assert all(found.get(s.account, 0.0) < REVOKED for s in crowd)
