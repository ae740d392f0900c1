"""One campaign that holds two pools is split; one pool never is, and nobody is freed or acted on by it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from factories import HOUR, T0
from summary_worlds import CELLS, evaluated, people, pool_accounts, pool_of

from launch.settings import load_policy
from stillwatch.aggregator import AggregatorCore
from stillwatch.aggregator_state import restore, snapshot
from stillwatch.correlation.two_pools import cut_of
from stillwatch.decisions import Decider
from stillwatch.gate import TickGate
from stillwatch.merging import absorb
from stillwatch.policy import revocations_of
from stillwatch.settings import DetectionSettings
from stillwatch.summary import AccountSummary
from stillwatch.verdict import Campaign, Member

DAY = 24 * HOUR
S = 10**9
SETTINGS = DetectionSettings(null_sets=20)
POLICY = load_policy("configs/policies/demo.yaml")
Summaries = list[AccountSummary]


def lots(summaries: Summaries, name: str, count: int = 2) -> Summaries:
    """Sign-up lots of their own, and nothing else in common."""
    return [replace(one, links=(("signup", f"{name}-{n % count}"),)) for n, one in enumerate(summaries)]


def journey(campaign: Campaign) -> Campaign:
    """As the stream keeps it."""
    return Campaign.from_map(json.loads(json.dumps(campaign.to_map(), allow_nan=False)))


def published(template: Campaign, accounts: Sequence[AccountSummary], id: str = "c-one") -> Campaign:
    members = tuple(Member(one.account, 0.995, one.events, one.tokens) for one in accounts)
    return replace(journey(template), id=id, members=members, detected_at_unix_nano=T0, signature=None)


def one_campaign_of(crowd: Summaries, *pools: Summaries) -> AggregatorCore:
    """It came to hold all of these."""
    (template,) = evaluated(crowd, pools[0]).campaigns()
    core = AggregatorCore(SETTINGS)
    everybody = [one for pool in pools for one in pool]
    core.recall(published(template, everybody))
    core.fold([*crowd, *everybody])
    return core


def two_pools(seed: int, first: int = 60, second: int = 40) -> tuple[Summaries, Summaries, Summaries]:
    rng = np.random.default_rng(seed)
    one, other = pool_accounts(rng, first, prefix="x"), pool_accounts(rng, second, prefix="y")
    return people(rng, 300), lots(one, "batch"), lots(other, "lot")


def looks(core: AggregatorCore, days: Sequence[float] = (0, 1)) -> list[Campaign]:
    """What is open after evaluations at these days."""
    for day in days:
        core.evaluate(T0 + int(day * DAY))
    return sorted((one for one in core.campaigns() if one.merged_into is None), key=lambda one: one.id != "c-one")


def members(campaign: Campaign) -> dict[str, float]:
    return {one.account: one.confidence for one in campaign.members}


def names(summaries: Summaries) -> set[str]:
    return {one.account for one in summaries}


# -- what is split -----------------------------------------------------------------------------------------------------


def test_a_pool_that_was_absorbed_by_a_merge_comes_out_again_and_what_was_done_under_its_first_name_is_done() -> None:
    crowd, one, other = two_pools(2)
    (template,) = evaluated(crowd, one).campaigns()
    core, decider = AggregatorCore(SETTINGS), Decider(POLICY, "c")
    core.recall(published(template, one))
    core.recall(published(template, other, "c-two"))
    core.fold([*crowd, *one, *other])
    absorb(*core._known.open(), T0)
    first, second = looks(core)
    assert (first.absorbed, second.split_from) == (("c-two",), ("c-one", "c-two"))
    assert set(members(second)) == names(other)
    verdict = Decider(POLICY, "c").on_campaign(published(template, other, "c-two"), core.table, T0)[0]
    [revocation] = revocations_of(verdict, "enforce", 1, None)
    decider.remember(revocation)  # of an earlier life, under the name of that time
    assert decider.on_campaign(second, core.table, T0 + DAY) == []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_two_pools_under_one_campaign_are_two_after_a_day_and_both_histories_say_so(seed: int) -> None:
    crowd, one, other = two_pools(seed)
    core = one_campaign_of(crowd, one, other)
    assert len(looks(core, [0, 0.5, 0.9])) == 1
    first, second = looks(core, [1])
    assert first.id == "c-one"
    assert (set(members(first)), set(members(second))) == (names(one), names(other))
    assert second.split_from == ("c-one",)
    assert first.detected_at_unix_nano == second.detected_at_unix_nano
    for campaign, said in ((first, f"{second.id} with 40 accounts: "), (second, "from c-one: ")):
        at, what, detail = campaign.history[-1]
        assert (at, what) == ((T0 + DAY) // S, "split")
        assert detail.startswith(said)
        assert "likeness 0." in detail
        assert "p = 0.001 now" in detail
    assert second.history[0] == first.history[0]
    assert all("signup=lot" not in text for text in first.linkage)
    assert {text for text in second.linkage if text.startswith("signup")} == {"signup=lot-0", "signup=lot-1"}


def test_the_split_itself_changes_nobodys_confidence_and_its_id_is_the_same_on_every_replay() -> None:
    crowd, one, other = two_pools(1)
    core = one_campaign_of(crowd, one, other)
    (before,) = looks(core, [0])
    after = looks(core, [1])
    together = {account: sure for campaign in after for account, sure in members(campaign).items()}
    assert together == members(before)
    again = one_campaign_of(crowd[::-1], one, other)
    again.fold([*other[::-1], *one])
    assert looks(again) == after


def test_what_is_split_is_not_merged_back_though_each_is_listed_in_the_other() -> None:
    crowd, one, other = two_pools(1)
    core = one_campaign_of(crowd, one, other)
    looks(core)
    first, second = core._known.open()
    # Shared accounts and mixtures that are alike by the bound for merging are not enough between these.
    first.core |= second.core
    for day in (1.1, 1.5, 2.0, 2.5):
        assert len(looks(core, [day])) == 2


def test_they_stay_apart_after_a_restart_from_what_was_published() -> None:
    crowd, one, other = two_pools(1)
    core = one_campaign_of(crowd, one, other)
    before = looks(core)
    later = AggregatorCore(SETTINGS)
    for campaign in before:
        later.recall(journey(campaign))
    later.fold([*crowd, *one, *other])
    assert [one.id for one in looks(later, [1.1, 2.2, 3.3])] == [one.id for one in before]
    first, second = later._known.open()
    first.core |= second.core
    assert len(looks(later, [3.4])) == 2


def test_a_snapshot_between_the_two_looks_changes_nothing() -> None:
    crowd, one, other = two_pools(2)
    core = one_campaign_of(crowd, one, other)
    looks(core, [0])
    gate = TickGate(2, 900, 30)
    kept = snapshot(core, Decider(POLICY, "c"), gate.state(), "m")
    later = AggregatorCore(SETTINGS)
    restore(kept, later, Decider(POLICY, "c"), TickGate(2, 900, 30))
    assert looks(later, [1]) == looks(core, [1])
    assert len(core.campaigns()) == 2


def test_what_two_hand_offs_connect_is_not_split() -> None:
    crowd, one, other = two_pools(3)

    def handed(a: int, b: int, at_s: int) -> None:
        when, of = T0 // 10**6 - at_s * 1_000, 7_000 + a
        one[a] = replace(one[a], failed=((when, of),), failures=1)
        other[b] = replace(other[b], begun=((when + 5_000, of),))

    for number in range(4):
        handed(number, number, 600 + 60 * number)
        if number < 3:  # so that they connect more than three customers
            other[number] = replace(
                other[number], failed=((T0 // 10**6 - 300_000 - number, 9_000 + number),), failures=1
            )
            one[number + 1] = replace(one[number + 1], begun=((T0 // 10**6 - 296_000 - number, 9_000 + number),))
    core = one_campaign_of(crowd, one, other)
    assert len(looks(core, [0, 1, 2, 3])) == 1
    assert core._handoffs.pairs()


def test_what_a_value_connects_is_not_split() -> None:
    crowd, one, other = two_pools(3)
    bridge = (("signup", "batch-0"), ("signup", "batch-1"), ("signup", "lot-0"), ("signup", "lot-1"))
    core = one_campaign_of(crowd, [replace(one[0], links=bridge), *one[1:]], other)
    assert len(looks(core, [0, 1, 2])) == 1


def test_a_part_with_fewer_accounts_than_a_group_needs_stays() -> None:
    crowd, one, other = two_pools(3, second=SETTINGS.min_group_accounts - 1)
    assert len(looks(one_campaign_of(crowd, one, lots(other, "lot", 1)), [0, 1, 2])) == 1


def test_where_no_campaign_more_may_be_open_nothing_is_split() -> None:
    crowd, one, other = two_pools(1)
    core = one_campaign_of(crowd, one, other)
    core._known._max_campaigns = 1
    assert len(looks(core, [0, 1, 2])) == 1


# -- what was decided --------------------------------------------------------------------------------------------------


def test_what_was_done_before_is_done_and_what_a_person_lifted_is_not_put_back_under_the_new_name() -> None:
    crowd, one, other = two_pools(1)
    core, decider = one_campaign_of(crowd, one, other), Decider(POLICY, "c")
    (before,) = looks(core, [0])
    verdicts = decider.on_campaign(before, core.table, T0)
    assert verdicts
    for verdict in verdicts:
        decider.taken(verdict)
    later = Decider(POLICY, "c")
    for verdict in verdicts:
        for revocation in revocations_of(verdict, "enforce", 1, None):
            later.remember(revocation)
    after = looks(core, [1])
    assert len(after) == 2
    for life in (decider, later):
        assert [life.on_campaign(campaign, core.table, T0 + DAY) for campaign in after] == [[], []]


# -- what is not -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_one_pool_in_lots_that_share_nothing_is_never_split(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    pool = pool_accounts(rng, 80)
    crowd, first, second = people(rng, 300), lots(pool[:50], "batch"), lots(pool[50:], "lot")
    core = one_campaign_of(crowd, first, second)
    assert len(looks(core, range(4))) == 1
    assert core._known.open()[0].look is not None  # there were parts to look at


def test_noise_tells_at_the_stated_rate_also_where_one_part_is_light_and_there_are_three() -> None:
    """One pool with half of cover; the second part has a fifth of the conversations, which scatter more. More often: `python -m
    benchmarks.splits`."""
    rng = np.random.default_rng(1)
    pool = rng.dirichlet(np.full(CELLS, 0.5))
    p_values = []
    for number in range(150):
        part = np.repeat([0, 1, 2], [20, 10, 8])
        volume = np.where(part == 1, 8, 40) + rng.integers(0, 8, len(part))
        own = rng.dirichlet(np.full(CELLS, 0.05), len(part))
        counts = np.array([rng.multinomial(n, 0.5 * pool + 0.5 * who) for n, who in zip(volume, own, strict=True)])
        cut = cut_of(counts.astype(float), part, number)
        assert cut is not None
        p_values.append(cut.p_value)
    assert np.mean(np.array(p_values) <= 0.05) <= 0.11  # 5 % expected; 150 tries, three standard deviations
    assert min(p_values) > 0.001


def test_pools_of_one_field_are_told_apart() -> None:
    rng = np.random.default_rng(2)
    field = rng.dirichlet(np.full(CELLS, 1.0))
    one, other = (rng.dirichlet(field * 600) for _ in range(2))
    cells = np.arange(CELLS)
    crowd = people(rng, 300)
    first = lots(pool_of(rng, 50, cells, one, 60, "x"), "batch")
    second = lots(pool_of(rng, 40, cells, other, 60, "y"), "lot")
    core = one_campaign_of(crowd, first, second)
    assert {frozenset(members(campaign)) for campaign in looks(core)} == {
        frozenset(names(first)), frozenset(names(second)),
    }  # fmt: skip
