"""Who belongs to an open campaign: what replacements teach, which values are followed, what is remembered of the core."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from factories import T0
from moment_worlds import DAY_S, World, a_world, conducted, honest, over, settled
from summary_worlds import people, pool_accounts

from stillwatch.campaigns import OpenCampaign
from stillwatch.correlation.attribution import members_of
from stillwatch.correlation.handoff_graph import HandoffGraph
from stillwatch.correlation.linkage import Key
from stillwatch.correlation.verify import GroupTest
from stillwatch.recognition import recognise
from stillwatch.summary import AccountSummary

CARD: Key = ("payment", "card")
FOUND_S = T0 // 10**9 - 5 * DAY_S


def a_campaign(core: list[AccountSummary], *keys: Key) -> OpenCampaign:
    best = GroupTest(
        kept=np.arange(3), tested_accounts=20, f=0.0, normal_f=(0.01, 0.05), p_value=0.1, e_value=1e6, breadth=0.8,
        concentration=10.0, floor=0.003, supported=1e6,
    )  # fmt: skip
    return OpenCampaign("c-1", FOUND_S * 10**9, best, frozenset(s.account for s in core), keys)


def shared(summaries: list[AccountSummary], created_s: int, *links: Key) -> list[AccountSummary]:
    return [replace(summary, links=links, created_unix=created_s) for summary in summaries]


def after_a_takedown(seed: int) -> tuple[World, OpenCampaign, list[AccountSummary], list[AccountSummary]]:
    """A core that is far from people, replacements less so, and honest newcomers under the same card family."""
    rng = np.random.default_rng(seed)
    pool = pool_accounts(rng, 90)
    core = shared(over(conducted(rng, pool[:30], shift=5.0), 10), FOUND_S - 9 * DAY_S, CARD)
    fresh = shared(over(conducted(rng, pool[30:], shift=3.0), 3), FOUND_S + DAY_S, CARD)
    newcomers = shared(over(conducted(rng, people(rng, 20, prefix="n")), 3), FOUND_S + DAY_S, CARD)
    return a_world(honest(rng, 600), core, fresh, newcomers), a_campaign(core, CARD), fresh, newcomers


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_replacements_teach_what_other_replacements_look_like_and_honest_newcomers_stay_out(seed: int) -> None:
    world, campaign, fresh, newcomers = after_a_takedown(seed)
    moment = world.moment()
    by_core = {
        one.account: one.confidence
        for one in members_of(
            campaign.core, campaign.keys, 10.0, world.table, world.links, moment, None, campaign.detected_at_unix_nano
        )
    }
    recognise(campaign, world.table, world.links, moment)
    acted_on = [
        sum(of(s.account) >= 0.99 for s in fresh) for of in (lambda a: by_core.get(a, 0.0), campaign.confidence_of)
    ]
    assert acted_on[1] > acted_on[0]
    assert max(campaign.confidence_of(s.account) for s in newcomers) < 0.9


def test_what_replacements_taught_is_forgotten_until_it_is_learned_again() -> None:
    """Nothing of it is kept: the core alone decides anew whom to learn from."""
    world, campaign, _, _ = after_a_takedown(1)
    core, moment = campaign.core, world.moment()
    recognise(campaign, world.table, world.links, moment)
    first = campaign.members
    for _ in range(3):
        recognise(campaign, world.table, world.links, moment)
    assert (campaign.core, campaign.members) == (core, first)


def a_world_of_values(rng: np.random.Generator, key: Key, mine: int, others: int) -> tuple[World, OpenCampaign]:
    core = shared(over(conducted(rng, pool_accounts(rng, 40), shift=4.0), 10), FOUND_S - DAY_S, CARD)
    core = [replace(s, links=(CARD, key)) if number < mine else s for number, s in enumerate(core)]
    bystanders = settled(shared(over(conducted(rng, people(rng, others, prefix="b")), 10), 0, key))
    return a_world(honest(rng, 600), core, bystanders), a_campaign(core, CARD)


@pytest.mark.parametrize(
    ("view", "others", "followed"),
    [("signup", 20, True), ("signup", 60, False), ("system", 20, False), ("system", 2, True)],
)
def test_an_identity_is_followed_where_most_have_it_what_is_copied_where_nearly_all(
    view: str, others: int, followed: bool
) -> None:
    world, campaign = a_world_of_values(np.random.default_rng(3), (view, "value"), mine=30, others=others)
    recognise(campaign, world.table, world.links, world.moment())
    assert ((view, "value") in campaign.keys) is followed


def test_the_signature_is_the_cores_and_stays_when_its_accounts_fall_silent() -> None:
    world, campaign, _, _ = after_a_takedown(2)
    recognise(campaign, world.table, world.links, world.moment())
    known = campaign.signature
    assert known is not None
    assert known.accounts == 30
    assert known.conversations == int(world.table.conversations(world.table.slots(campaign.core)).sum())
    assert any(value is not None and value > 2 for value in known.conduct)
    later = T0 + 9 * DAY_S * 10**9
    silent = world.normality.now((), HandoffGraph(world.handoffs, world.table), later)
    assert silent is not None
    recognise(campaign, world.table, world.links, silent)
    assert campaign.signature == known


def test_what_replacements_taught_changes_nothing_for_accounts_that_were_there_before() -> None:
    world, campaign, fresh, _ = after_a_takedown(1)
    for summary in fresh[:20]:
        world.table.put(replace(summary, created_unix=FOUND_S - DAY_S, events=summary.events + 1))
    moment = world.moment()
    by_core = members_of(
        campaign.core, campaign.keys, 10.0, world.table, world.links, moment, None, campaign.detected_at_unix_nano
    )
    recognise(campaign, world.table, world.links, moment)
    before = {s.account for s in fresh[:20]}
    assert [one for one in campaign.members if one.account in before] == [
        one for one in by_core if one.account in before
    ]
