"""Groups by what accounts ask alone: who is gathered, what they are read against, and who is near a known campaign."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from factories import HOUR, T0
from moment_worlds import DAY_S, World, a_world, conducted, honest, over, settled
from summary_worlds import CELLS, people, pool_accounts, pool_of

from stillwatch.aggregator import AggregatorCore
from stillwatch.correlation.attribution import members_of
from stillwatch.correlation.mixture_test import Ordinary, examine_mixture, in_common
from stillwatch.correlation.mixtures import MIXTURE, Mixtures, mixtures
from stillwatch.correlation.neighbours import Neighbours, nearest
from stillwatch.correlation.table import PROPOSE
from stillwatch.settings import DetectionSettings
from stillwatch.summary import AccountSummary

WANTED = 12


def strangers(summaries: Sequence[AccountSummary]) -> list[AccountSummary]:
    return [replace(summary, links=()) for summary in summaries]


def crowd(rng: np.random.Generator, count: int = 600) -> list[AccountSummary]:
    """Honest people as broad as users of a chat assistant. They share sign-ups: from groups of honest people it is known
    how groups behave."""
    made = settled(over(conducted(rng, people(rng, count, conversations=80, breadth=60)), days=10))
    return [replace(summary, links=tuple(key for key in summary.links if key[0] == "signup")) for summary in made]


def relay(rng: np.random.Generator, count: int, shift: float = 4.0) -> list[AccountSummary]:
    """One pool behind accounts that signed up last week and share nothing."""
    cells, weights = rng.permutation(CELLS)[:200], rng.dirichlet(np.full(200, 8.0))
    made = strangers(over(conducted(rng, pool_of(rng, count, cells, weights, 80), shift), days=10))
    return [replace(summary, created_unix=T0 // 10**9 - 7 * DAY_S) for summary in made]


def proposed(world: World, wanted: int = WANTED) -> list[tuple[str, list[str]]]:
    groups = mixtures(world.table, world.slots(""), wanted, 8, seed=7)
    return [("=".join(key), [world.table.summary(int(slot)).account for slot in slots]) for key, slots in groups]


def attackers(names: Sequence[str]) -> int:
    return sum(name.startswith("x") for name in names)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_strangers_who_draw_from_one_pool_are_gathered(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = proposed(a_world(crowd(rng), relay(rng, 60)))
    best = max(groups, key=lambda group: attackers(group[1]))
    assert attackers(best[1]) >= 0.8 * len(best[1])
    assert best[0].startswith(f"{MIXTURE}=")


def test_no_account_is_in_two_groups_and_there_are_no_more_than_wanted() -> None:
    rng = np.random.default_rng(1)
    groups = proposed(a_world(crowd(rng), relay(rng, 60)), wanted=5)
    names = [name for _, found in groups for name in found]
    assert 1 <= len(groups) <= 5
    assert len(names) == len(set(names))
    assert proposed(a_world(crowd(rng)), wanted=0) == []


def test_the_order_of_arrival_changes_nothing() -> None:
    rng = np.random.default_rng(2)
    everybody = [*crowd(rng, 300), *relay(rng, 40)]
    backwards = a_world(everybody[::-1])
    assert proposed(a_world(everybody)) == proposed(backwards)


def test_keys_of_organisations_are_not_gathered() -> None:
    rng = np.random.default_rng(3)
    keys = [replace(summary, organisation="acme") for summary in relay(rng, 60)]
    assert not any(attackers(names) for _, names in proposed(a_world(crowd(rng), keys)))


def test_who_proposes_does_not_test() -> None:
    rng = np.random.default_rng(4)
    everybody = [*crowd(rng, 300), *relay(rng, 40)]
    other = [replace(summary, cells=(((1, 20),), summary.cells[1])) for summary in everybody]
    worlds = a_world(everybody), a_world(other)
    population = worlds[0].moment().population
    found, again = (in_common(world.table, world.slots("x"), population) for world in worlds)
    assert found is not None
    assert found == again


def test_a_pool_has_more_in_common_than_people_who_were_gathered_alike() -> None:
    rng = np.random.default_rng(5)
    world = a_world(crowd(rng), relay(rng, 60))
    moment, groups = world.moment(), mixtures(world.table, world.slots(""), WANTED, 8, seed=7)
    ordinary = Ordinary.of(world.table, groups, moment)
    pool = examine_mixture(world.table, world.slots("x"), ordinary, moment, ())
    some = examine_mixture(world.table, world.slots("p")[:60], ordinary, moment, ())
    assert pool is not None
    assert some is not None
    assert pool.p_value < 0.01 < some.p_value
    assert pool.e_value > 100
    assert some.e_value < 20


def test_a_narrow_group_is_not_tested() -> None:
    rng = np.random.default_rng(6)
    narrow = strangers(over(conducted(rng, pool_accounts(rng, 60, topics=10), 4.0), days=10))
    world = a_world(crowd(rng), narrow)
    moment, groups = world.moment(), mixtures(world.table, world.slots(""), WANTED, 8, seed=7)
    assert examine_mixture(world.table, world.slots("x"), Ordinary.of(world.table, groups, moment), moment, ()) is None


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_relay_whose_accounts_share_nothing_is_a_campaign_and_personas_are_not(seed: int) -> None:
    found = {}
    for shift in (4.0, 0.0):
        rng = np.random.default_rng(seed)
        core = AggregatorCore(DetectionSettings(mixture_groups=16, near_accounts_per_member=2.0))
        core.fold([*crowd(rng), *relay(rng, 80, shift)])
        core.evaluate()
        found[shift] = {m.account for campaign in core.campaigns() for m in campaign.members if m.confidence >= 0.9}
    assert attackers(sorted(found[4.0])) >= 60
    assert attackers(sorted(found[4.0])) == len(found[4.0])
    assert not found[0.0]


def test_groups_are_sought_again_after_a_day_or_with_more_data() -> None:
    rng = np.random.default_rng(7)
    world = a_world(crowd(rng, 300))
    kept, known = Mixtures(WANTED, 8, seed=7), world.slots("")
    first = kept.groups(world.table, known, known, T0)
    for summary in relay(rng, 30):
        world.table.put(summary)
    more = world.slots("")
    same = kept.groups(world.table, more, more, T0 + HOUR)
    assert [(key, slots.tolist()) for key, slots in same] == [(key, slots.tolist()) for key, slots in first]
    a_day_later = kept.groups(world.table, more, more, T0 + 24 * HOUR)
    assert {int(slot) for _, slots in a_day_later for slot in slots} & set(map(int, world.slots("x")))


def test_accounts_that_ask_the_same_are_near_and_the_core_and_organisations_are_not() -> None:
    rng = np.random.default_rng(8)
    pool = relay(rng, 60)
    keys = [replace(s, account=f"k{s.account}", organisation="acme") for s in pool[:20]]
    world = a_world(crowd(rng), pool, keys)
    core, everybody = world.slots("x")[:30], world.slots("")
    near = nearest(world.table, core, 60.0, world.moment().population, everybody, 30)
    names = [world.table.summary(int(slot)).account for slot in near]
    assert len(names) == 30
    assert attackers(names) >= 20
    assert not set(map(int, near)) & set(map(int, core))
    assert not [name for name in names if name.startswith("k")]
    assert world.table.counts(near, PROPOSE).sum() > 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_siblings_own_conduct_makes_it_a_member_though_it_shares_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pool = relay(rng, 60)
    world = a_world(honest(rng, 600), pool)
    moment, core = world.moment(), [summary.account for summary in pool[:30]]
    without = members_of(core, (), 10.0, world.table, world.links, moment)
    near = Neighbours(2.0).of("c", core, 30, 10.0, world.table, moment.population, world.slots(""), T0)
    found = members_of(core, (), 10.0, world.table, world.links, moment, near=near)
    assert not {member.account for member in without} - set(core)
    sure = {member.account for member in found if member.confidence >= 0.9}
    assert len(sure & {summary.account for summary in pool[30:]}) >= 25
    assert attackers(sorted(sure)) == len(sure)
    # Who was a candidate before is as sure as before.
    before = {member.account: member.confidence for member in without}
    assert before == {member.account: member.confidence for member in found if member.account in before}


def test_neighbours_are_sought_once_an_hour() -> None:
    rng = np.random.default_rng(9)
    pool = relay(rng, 60)
    world = a_world(crowd(rng, 300), pool[:40])
    kept, core = Neighbours(1.0), [summary.account for summary in pool[:20]]
    population = world.moment().population

    def near(hour: int) -> list[str]:
        slots = kept.of("c", core, 20, 60.0, world.table, population, world.slots(""), T0 + hour * HOUR)
        return [world.table.summary(int(slot)).account for slot in slots]

    first = near(0)
    for summary in pool[40:]:
        world.table.put(summary)
    assert near(0) == first
    assert len(first) == len(near(1)) == 20
    assert set(near(1)) & {summary.account for summary in pool[40:]}
