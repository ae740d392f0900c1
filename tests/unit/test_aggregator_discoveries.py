"""What counts as a discovery, what a campaign takes in, and what the aggregator forgets: odd orders, odd lives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from factories import HOUR, T0, a_summary
from summary_worlds import CELLS, evaluated, people, pool_accounts, pool_of

from stillwatch.aggregator import AggregatorCore
from stillwatch.settings import DetectionSettings
from stillwatch.summary import AccountSummary

DAY = 24 * HOUR


def named(summaries: list[AccountSummary], *links: tuple[str, str]) -> list[AccountSummary]:
    """The same accounts, sharing these values and nothing else."""
    return [replace(summary, links=links) for summary in summaries]


def later(summary: AccountSummary, times: int, now: int) -> AccountSummary:
    """With so many times the conversations, seen at that time."""
    cells = tuple(tuple((cell, times * count) for cell, count in half) for half in summary.cells)
    return replace(summary, cells=cells, last_seen_unix_nano=now)


def probable(core: AggregatorCore) -> list[set[str]]:
    return [{m.account for m in campaign.members if m.confidence >= 0.5} for campaign in core.campaigns()]


def test_a_campaign_seen_under_five_values_is_one_discovery() -> None:
    rng = np.random.default_rng(1)
    values = [(view, "own") for view in ("signup", "payment", "client", "address", "system")]
    core = evaluated(people(rng, 300), named(pool_accounts(rng, 30), *values))
    assert len(core.campaigns()) == 1
    assert core.campaigns()[0].e_value < 1e300
    assert len(core.campaigns()[0].linkage) >= 2


def test_a_popular_value_that_many_members_share_adds_no_bystander() -> None:
    rng = np.random.default_rng(2)
    honest = people(rng, 300)
    popular = [replace(s, links=(*s.links, ("template", "popular"))) for s in honest[:45]]
    pool = [replace(s, links=(*s.links, ("template", "popular"))) for s in pool_accounts(rng, 24)]
    core = evaluated(honest[45:], popular, pool)
    members = {m.account for campaign in core.campaigns() for m in campaign.members if m.confidence >= 0.9}
    assert len(members) >= 20
    assert not {name for name in members if name.startswith("p")}
    assert all("template=popular" not in campaign.linkage for campaign in core.campaigns())


def test_a_second_campaign_under_the_same_value_does_not_take_the_place_of_the_first() -> None:
    rng = np.random.default_rng(3)
    weights = np.full(90, 1 / 90)
    first = named(pool_of(rng, 30, np.arange(90), weights, 60, "x"), ("signup", "fair"))
    core = evaluated(people(rng, 300, breadth=30), first)
    before = core.campaigns()[0]
    # The first moves on to another card; another pool signs up at the same fair.
    moved = [replace(s, links=(("payment", "x"),), last_seen_unix_nano=T0 + HOUR) for s in first]
    second = named(pool_of(rng, 50, np.arange(100, 190), weights, 60, "z"), ("signup", "fair"))
    core.fold([*moved, *second])
    core.evaluate()
    found = {campaign.id: campaign for campaign in core.campaigns()}
    assert len(found) == 2
    assert {m.account[0] for m in found[before.id].members} == {"x"}


def test_in_a_new_life_a_campaign_nobody_was_sure_of_is_found_again_under_its_id() -> None:
    rng = np.random.default_rng(4)
    summaries = [*people(rng, 300), *named(pool_accounts(rng, 30), ("signup", "own"))]
    published = evaluated(summaries).campaigns()[0]
    core = AggregatorCore(DetectionSettings())
    core.recall(replace(published, members=()))
    core.fold(summaries)
    core.evaluate()
    assert [campaign.id for campaign in core.campaigns()] == [published.id]


def test_what_nobody_shares_any_longer_is_forgotten() -> None:
    rng = np.random.default_rng(5)
    core = AggregatorCore(DetectionSettings())
    core.fold(people(rng, 200))
    for day in range(1, 6):
        later = people(rng, 200)
        core.fold(
            replace(s, last_seen_unix_nano=T0 + day * DAY, links=(("signup", f"day-{day}-{n % 10}"),))
            for n, s in enumerate(later)
        )
        core.evaluate()
    assert core.tests >= 50
    assert len(core._docket) == 10
    assert len(core._docket._strong) <= 10


def test_a_group_that_goes_on_as_before_is_tested_again_after_an_era() -> None:
    rng = np.random.default_rng(6)
    core, everybody = AggregatorCore(DetectionSettings()), people(rng, 200)
    tests = []
    # At the end of an era half is forgotten; then as much comes again.
    for day, times in ((0, 4), (15, 2), (16, 3), (16.5, 3), (17, 4)):
        core.fold(later(summary, times, T0 + int(day * DAY)) for summary in everybody)
        core.evaluate()
        tests.append(core.tests)
    first = tests[0]
    assert first > 10
    assert tests == [first, first, 2 * first, 2 * first, 3 * first]


@pytest.mark.parametrize("count", [0, 1, 39])
def test_too_few_accounts_to_compare_with_are_no_campaign(count: int) -> None:
    core = evaluated(people(np.random.default_rng(7), count))
    assert core.campaigns() == []


def test_accounts_without_conversations_conduct_or_links_are_nothing_and_break_nothing() -> None:
    nothing = np.zeros((2, CELLS), dtype=np.int64)
    core = evaluated([a_summary(f"a{n:03d}", nothing) for n in range(100)])
    assert core.campaigns() == []
    one_topic = np.zeros((2, CELLS), dtype=np.int64)
    one_topic[:, 3] = 65_535
    core.fold(a_summary(f"b{n:03d}", one_topic, (("client", f"c{n % 4}"),)) for n in range(100))
    core.evaluate()
    assert core.campaigns() == []


def test_conduct_that_is_the_same_for_everybody_says_nothing() -> None:
    rng = np.random.default_rng(8)
    everybody = [replace(s, conduct=(0.3, 0.0, -2.0)) for s in people(rng, 300)]
    assert evaluated(everybody).campaigns() == []


def test_a_campaign_whose_accounts_were_all_evicted_stays_known_with_what_they_took() -> None:
    rng = np.random.default_rng(9)
    core = AggregatorCore(DetectionSettings(max_accounts=340))
    core.fold([*people(rng, 300), *pool_accounts(rng, 40)])
    core.evaluate()
    known = core.campaigns()[0]
    core.fold(replace(s, last_seen_unix_nano=T0 + HOUR) for s in people(rng, 340, prefix="q"))
    core.evaluate()
    (campaign,) = core.campaigns()
    assert campaign.id == known.id
    assert campaign.members == tuple(member for member in known.members if member.confidence >= 0.5)
    assert campaign.extraction is not None
    assert campaign.extraction.requests >= known.requests
    assert campaign.state == "asleep"


def test_sign_ups_and_requests_at_odd_times_break_nothing() -> None:
    rng = np.random.default_rng(10)
    odd = [
        replace(s, created_unix=created, window_from_unix_nano=window)
        for s, created, window in zip(
            people(rng, 300), (0, 1, None, 2**63 - 1, -1) * 60, (0, 2**63 - 1, T0) * 100, strict=True
        )
    ]
    core = evaluated(odd, pool_accounts(rng, 40))
    assert len(core.campaigns()) == 1


def in_any_order(seed: int) -> list[AccountSummary]:
    """Organisations, conduct, sign-up times and light accounts in it: all that an order could upset."""
    rng = np.random.default_rng(seed)
    out = []
    for number, summary in enumerate(people(rng, 260)):
        conduct = (float(rng.beta(1, 8)), float(rng.normal(2, 0.3)), float(rng.normal(1, 0.3)))
        out.append(
            replace(
                summary, conduct=conduct, organisation=f"o{number % 9}" if number % 5 == 0 else None,
                created_unix=T0 // 10**9 - number * 86_400, window_from_unix_nano=T0 - 3 * DAY,
            )
        )  # fmt: skip
    out += [
        replace(
            summary, conduct=(0.3, float(rng.normal(1.0, 0.1)), float(rng.normal(0, 0.1))),
            created_unix=T0 // 10**9 - 86_400, window_from_unix_nano=T0 - 3 * DAY,
        )
        for summary in pool_accounts(rng, 45, conversations=60)
    ]  # fmt: skip
    return out


def test_the_order_of_folding_is_irrelevant_to_the_last_digit() -> None:
    summaries = in_any_order(11)
    once = evaluated(summaries)
    assert once.campaigns() != []
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(summaries))
        again = evaluated([summaries[index] for index in order])
        assert again.campaigns() == once.campaigns()
        assert [c.evidence for c in again._known.open()] == [c.evidence for c in once._known.open()]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_two_pools_are_two_campaigns_and_neither_loses_its_members(seed: int) -> None:
    rng = np.random.default_rng(seed)
    others = [
        replace(summary, links=(("client", "sdk-2"), ("signup", f"lot-{number % 3}")))
        for number, summary in enumerate(pool_accounts(rng, 60, prefix="y"))
    ]
    found = evaluated(people(rng, 300), pool_accounts(rng, 60), others).campaigns()
    whose = [{member.account[0] for member in campaign.members} for campaign in found]
    assert sorted(map(sorted, whose)) == [["x"], ["y"]]
    assert min(len(campaign.members) for campaign in found) >= 40  # two of its three batches


def test_a_block_is_no_value_of_any_account_and_still_not_tested_again_without_news() -> None:
    rng = np.random.default_rng(8)
    everybody = people(rng, 600)
    tied = [
        replace(summary, links=(("signup", f"batch-{number % 2}"), ("payment", f"card-{number % 3}")))
        for number, summary in enumerate(pool_accounts(rng, 48))
    ]
    core = evaluated(everybody, tied)
    assert "block" in {key[0] for key, _ in core._normality.groups(core.table.with_at_least(2))}
    tests = core.tests
    core.evaluate()
    assert core.tests == tests
    assert all(not value.startswith("block") for value in core.campaigns()[0].linkage)


def handing_over(summaries: list[AccountSummary], size: int, first_hash: int = 0) -> list[AccountSummary]:
    """In clusters of so many, each account's failed call begins again on the next one's; nothing else is shared."""
    when_ms = T0 // 1_000_000 - 600_000
    out = [replace(one, created_unix=T0 // 10**9 - 5 * 86_400) for one in named(summaries)]
    for number in range(len(out)):
        if number % size < size - 1:
            call = when_ms - 1_000 * number, first_hash + number
            out[number] = replace(out[number], failed=(call,), failures=1)
            out[number + 1] = replace(out[number + 1], begun=((call[0] + 4_000, call[1]),))
    return out


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_small_clusters_that_hand_over_are_one_campaign_though_each_alone_is_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    crowd, pool = people(rng, 1_200), handing_over(pool_accounts(rng, 60, conversations=12), size=4)
    core = evaluated(crowd, pool)
    (found,) = probable(core)
    assert len(found) >= 50
    assert not {name for name in found if name.startswith("p")}
    (campaign,) = core._known.open()
    assert "clusters of 4 customers or more" in next(
        one.sentence for one in campaign.best.beside if one.name == "handoff"
    )
    one_cluster = [*pool[:4], *(replace(one, begun=(), failed=()) for one in pool[4:])]
    assert evaluated(crowd, one_cluster).campaigns() == []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_people_with_two_and_three_accounts_are_no_campaign_however_many(seed: int) -> None:
    rng = np.random.default_rng(seed)
    crowd = people(rng, 1_200)
    threes, twos = handing_over(crowd[:300], size=3), handing_over(crowd[300:700], size=2, first_hash=5_000)
    assert evaluated(threes, twos, crowd[700:]).campaigns() == []


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("breadth", [8, 30, 100])
def test_people_with_four_new_accounts_are_no_campaign_because_of_what_they_ask(seed: int, breadth: float) -> None:
    """More of them than anybody thought: hand-offs of small clusters are no evidence alone."""
    rng = np.random.default_rng(seed)
    crowd = people(rng, 1_200, breadth=breadth)
    assert evaluated(handing_over(crowd[:120], size=4), crowd[120:]).campaigns() == []
