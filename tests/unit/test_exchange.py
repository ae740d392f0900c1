"""Two platforms, other people, other tokens, one attacker: what one has found helps the other, and hurts nobody."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from exchange_worlds import (
    KEYS,
    NOW_S,
    POOL_CELLS,
    SETTINGS,
    attackers,
    crowd,
    exported,
    looked_at,
    matched_groups,
    taste,
)
from factories import T0, a_summary, topic_counts
from indicator_values import an_indicator
from summary_worlds import CELLS

from stillwatch.aggregator import AggregatorCore
from stillwatch.campaigns import OpenCampaign
from stillwatch.correlation.attribution import ListedMember
from stillwatch.correlation.docket import Docket
from stillwatch.correlation.handoff_graph import HandoffGraph
from stillwatch.correlation.handoffs import Handoffs
from stillwatch.correlation.verify import GroupTest
from stillwatch.errors import NotFound
from stillwatch.indicators import (
    KEPT_S,
    MIN_PER_CELL,
    Imported,
    Indicator,
    Refused,
    quantised,
    read,
    value_hash,
    verified,
)
from stillwatch.summary import AccountSummary

SHARED = (("system", "5e5e5e5e"), ("template", "7a7a7a7a"))


@pytest.mark.parametrize("seed", range(2, 8))
@pytest.mark.parametrize("conversations", [20, 40])
def test_what_one_platform_found_lends_weight_to_the_right_groups_of_the_other_and_to_no_honest_one(
    seed: int, conversations: int
) -> None:
    rng = np.random.default_rng(seed)
    core = looked_at(crowd(rng, 300, "b", taste(2)), attackers(rng, 24, "y", conversations), indicators=(exported(),))
    like, groups = matched_groups(core)
    assert like == {("signup", "ybatch-0"), ("signup", "ybatch-1")}
    assert len(groups) >= 20
    assert core._docket.lent == 20.0


def test_with_the_indicator_no_campaign_is_lost_and_some_are_found_on_less() -> None:
    one, sooner = exported(), 0
    for seed in range(2, 10):
        rng = np.random.default_rng(seed)
        world = crowd(rng, 300, "b", taste(2)), attackers(rng, 24, "y", 40)
        alone, helped = looked_at(*world).campaigns(), looked_at(*world, indicators=(one,)).campaigns()
        assert len(helped) >= len(alone)
        assert all(member.account[0] == "y" for campaign in helped for member in campaign.members)
        sooner += len(helped) - len(alone)
    assert sooner >= 1


def test_a_found_campaign_names_the_indicator_and_says_that_it_is_no_evidence() -> None:
    rng = np.random.default_rng(2)
    world, one = (crowd(rng, 300, "b", taste(2)), attackers(rng, 40, "y", 60)), exported()
    alone, helped = looked_at(*world), looked_at(*world, indicators=(one,))
    [campaign] = helped.campaigns()
    signal = campaign.signals[-1]
    assert (signal.name, signal.surprise, signal.normal) == ("indicator", None, None)
    assert one.id in signal.sentence
    assert "first.example" in signal.sentence
    assert "no evidence" in signal.sentence
    assert 0.8 < signal.value < 1.2
    assert campaign.e_value == alone.campaigns()[0].e_value
    helped.exchange.shelf.remove(one.id)
    helped.evaluate()
    assert all(signal.name != "indicator" for signal in helped.campaigns()[0].signals)


def test_without_indicators_nothing_changes_and_an_expired_one_is_none() -> None:
    rng = np.random.default_rng(3)
    world = (crowd(rng, 300, "b", taste(2)), attackers(rng, 40, "y", 40))
    plain = looked_at(*world)
    core = AggregatorCore(SETTINGS, KEYS)
    core.exchange.shelf.put(Imported(exported(), NOW_S - KEPT_S, "long ago"))
    core.fold(summary for group in world for summary in group)
    core.evaluate()
    assert core.campaigns() == plain.campaigns()
    assert core._docket.lent == 0


def test_the_order_of_folding_and_of_importing_is_irrelevant() -> None:
    rng = np.random.default_rng(4)
    everybody = [*crowd(rng, 300, "b", taste(2)), *attackers(rng, 40, "y", 30)]
    several = (exported(1), replace(exported(2), campaign="x-second"), an_indicator("x-other"))
    once = looked_at(everybody, indicators=several)
    again = looked_at([everybody[n] for n in rng.permutation(len(everybody))], indicators=several[::-1])
    assert once.campaigns() != []
    assert once.campaigns() == again.campaigns()


# -- what leaves the platform -------------------------------------------------------------------------------------------


def test_no_account_organisation_prompt_or_local_value_leaves_the_platform() -> None:
    rng = np.random.default_rng(5)
    canaries = ("payment", "CANARYcard"), ("address", "CANARYaddress"), ("signup", "CANARYsignup")
    shared = (*canaries, *SHARED)
    mine = [
        replace(summary, account=f"CANARY{summary.account}", organisation=f"CANARYorg{number}", verification="email")
        for number, summary in enumerate(attackers(rng, 60, "x", 40, *shared))
    ]
    core = looked_at(crowd(rng, 300, "a", taste(1)), mine)
    [campaign] = core.campaigns()
    found = core.indicator(campaign.id, "first.example", "alliance")
    assert isinstance(found, Indicator)
    text = json.dumps(found.document())
    assert "CANARY" in str(campaign)
    assert "CANARY" not in text
    assert campaign.id not in text
    for view, value in (*shared, ("client", "sdk-1")):
        assert value not in text
        assert (value_hash(KEYS["alliance"], view, value) in text) == ((view, value) in SHARED)


def test_without_a_key_there_is_no_hashed_value_and_with_one_the_whole_is_signed() -> None:
    bare, sealed = exported(1, *SHARED), exported(1, *SHARED, key_name="alliance")
    assert (bare.values, bare.signature) == ({}, None)
    assert set(sealed.values) == {"system", "template"}
    assert verified(sealed, KEYS) is None
    assert read(json.loads(json.dumps(sealed.document()))) == sealed


def test_the_alias_can_not_be_made_from_the_value_under_which_the_campaign_was_found() -> None:
    rng = np.random.default_rng(6)
    world = crowd(rng, 300, "a", taste(1)), attackers(rng, 60, "x", 40)
    core = looked_at(*world)
    campaign = core._known._by_id[core.campaigns()[0].id]
    first = core.indicator(campaign.id, "first.example")
    campaign.detected_at_unix_nano += 1
    second = core.indicator(campaign.id, "first.example")
    assert isinstance(first, Indicator)
    assert isinstance(second, Indicator)
    assert first.campaign != second.campaign


def given_out(members: list[AccountSummary]) -> Indicator | Refused:
    """Of a campaign that is sure of exactly these."""
    core = AggregatorCore(SETTINGS)
    core.fold(members)
    listed = tuple(ListedMember(summary.account, 1.0) for summary in members)
    nothing = GroupTest(np.array([], dtype=np.int64), 0, 0.0, None, 1.0, 1.0, 1.0, 1.0, 0.0)
    return core.exchange.indicator(OpenCampaign("c-1", T0, nothing, members=listed), "first.example", None)


@pytest.mark.parametrize(("organisations", "enough"), [(19, False), (20, True)])
def test_fewer_than_twenty_organisations_are_not_given_out_however_many_keys_they_have(
    organisations: int, enough: bool
) -> None:
    mine = [
        replace(summary, organisation=f"o{number % organisations}")
        for number, summary in enumerate(attackers(np.random.default_rng(7), 60, "x", 60))
    ]
    found = given_out(mine)
    assert isinstance(found, Indicator) == enough
    if isinstance(found, Refused):
        assert "fewer than 20" in found.detail


def test_accounts_of_which_nothing_is_known_any_longer_are_not_given_out() -> None:
    nothing = np.zeros((2, CELLS), dtype=np.int64)
    assert isinstance(given_out([a_summary(f"x{number}", nothing) for number in range(40)]), Refused)
    scattered = [nothing.copy() for _ in range(40)]
    for number, counts in enumerate(scattered):
        counts[0, number] = 3
    refused = given_out([a_summary(f"x{number}", counts) for number, counts in enumerate(scattered)])
    assert isinstance(refused, Refused)
    assert "no topic" in refused.detail


def test_a_campaign_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound):
        AggregatorCore(SETTINGS).indicator("c-none", "first.example")


def test_topics_that_fewer_than_five_organisations_asked_about_are_part_of_the_rest() -> None:
    rare, less_rare = sorted(set(range(CELLS)) - set(map(int, POOL_CELLS)))[:2]
    mine = attackers(np.random.default_rng(8), 60, "x", 40)
    for cell, accounts in ((rare, MIN_PER_CELL - 1), (less_rare, MIN_PER_CELL)):
        for number in range(accounts):
            first, second = mine[number].cells
            mine[number] = replace(mine[number], cells=((*first, (cell, 12)), second))
    found = given_out(mine)
    assert isinstance(found, Indicator)
    assert found.shares()[rare] == 0
    assert found.shares()[less_rare] > 0
    assert found.rest_per_mille > 0
    assert found.shares().sum() == pytest.approx(1 - found.rest_per_mille / 1_000)


# -- what comes from outside may be wrong, or meant to harm -----------------------------------------------------------------


def everybodys(core: AggregatorCore, off: float = 0.0) -> Indicator:
    """The mixture of a platform's people, as a rival could guess it; ``off`` in a direction of its own."""
    moment = core._normality.now(set(), HandoffGraph(Handoffs(), core.table), T0)
    assert moment is not None
    shares = moment.population.mean * (1 + off * np.random.default_rng(9).normal(size=CELLS))
    return an_indicator("x-poison", mixture=quantised(np.maximum(shares, 0)), rest_per_mille=0)


@pytest.mark.parametrize("off", [0.0, 0.1, 0.2, 0.3, 0.5])
def test_a_mixture_that_is_about_everybodys_is_like_nobody(off: float) -> None:
    rng = np.random.default_rng(10)
    world = crowd(rng, 400, "b", taste(2)), attackers(rng, 24, "y", 40)
    core = looked_at(*world, indicators=(everybodys(looked_at(*world), off),))
    if core.exchange._matcher is not None:
        assert matched_groups(core)[0] == set()
    assert core._docket.lent == 0


@pytest.mark.parametrize("seed", range(5))
def test_one_favourite_topic_of_the_pool_is_not_the_pool(seed: int) -> None:
    rng = np.random.default_rng(seed)
    narrow = np.full(CELLS, 0.1 / CELLS)
    narrow[int(POOL_CELLS[seed])] += 0.9
    links = (("signup", "conference"),)
    fans = [a_summary(f"f{number:03d}", topic_counts(rng, narrow, 40), links) for number in range(20)]
    core = looked_at(crowd(rng, 300, "b", taste(2)), fans, indicators=(exported(),))
    assert matched_groups(core)[0] == set()


def test_an_indicator_made_of_an_honest_groups_topics_finds_no_campaign_there() -> None:
    """A rival names what a class works on. The class is looked at with more weight, and is still no campaign."""
    rng = np.random.default_rng(11)
    field = np.random.default_rng(12).dirichlet(np.full(CELLS, 0.3))
    students = [
        a_summary(
            f"s{number:03d}", topic_counts(rng, 0.6 * field + 0.4 * rng.dirichlet(np.full(CELLS, 8 / CELLS)), 60),
            (("signup", "campus"),),
        )
        for number in range(30)
    ]  # fmt: skip
    poison = an_indicator("x-poison", mixture=quantised(field), rest_per_mille=0)
    core = looked_at(crowd(rng, 300, "b", taste(2)), students, indicators=(poison,))
    assert ("signup", "campus") in matched_groups(core)[0]
    assert core.campaigns() == []


def test_a_popular_value_leads_to_nobody_whoever_names_it() -> None:
    rng = np.random.default_rng(13)
    key = KEYS["alliance"]
    poison = an_indicator(
        "x-poison", values={"client": tuple(value_hash(key, "client", f"sdk-{n}") for n in range(4))}, key="alliance"
    )
    core = looked_at(crowd(rng, 300, "b", taste(2)), indicators=(poison,))
    assert matched_groups(core)[0] == set()


def test_a_shared_value_leads_to_its_group_for_who_holds_the_key() -> None:
    rng = np.random.default_rng(14)
    world = crowd(rng, 300, "b", taste(2)), attackers(rng, 24, "y", 40, *SHARED)
    even = quantised(np.ones(CELLS))  # of the topics it knows nothing
    one = replace(exported(1, *SHARED, key_name="alliance"), mixture=even)
    like, _ = matched_groups(looked_at(*world, indicators=(one,)))
    assert like >= {("system", "5e5e5e5e"), ("template", "7a7a7a7a"), ("signup", "ybatch-0"), ("signup", "ybatch-1")}
    assert {value[0] for _, value in like} <= {"5", "7", "y"}
    stranger = AggregatorCore(SETTINGS)
    stranger.exchange.shelf.put(Imported(one, NOW_S, "a test"))
    stranger.fold(summary for group in world for summary in group)
    stranger.evaluate()
    assert matched_groups(stranger)[0] == set()


def test_however_many_groups_indicators_point_at_everybody_elses_bar_rises_by_a_bounded_part() -> None:
    docket = Docket(level=0.05)
    for number in range(10_000):
        docket.weigh(("address", str(number)), 1.0)
        if docket.may_lend():
            docket.lend(1.0)
    assert docket.weight <= 1.5 * 10_000
    # One among many with enough evidence against the lent weights too.
    bar = docket.weight / 0.05
    assert not docket.is_discovery(("address", "a"), 0.99 * bar)
    assert docket.is_discovery(("address", "a"), 1.01 * bar)
