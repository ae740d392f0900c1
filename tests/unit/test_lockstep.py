"""From topic to topic together: seen where a list is worked through, and not where people have days, lessons and habits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from asked_worlds import CELLS, FROM, group
from factories import HOUR, T0, a_summary, topic_counts
from moment_worlds import a_world, conducted, honest, over

from stillwatch.aggregator import AggregatorCore
from stillwatch.aggregator_state import restore, snapshot
from stillwatch.campaigns import OpenCampaign, describe
from stillwatch.correlation.docket import Stand
from stillwatch.correlation.evidence import e_from_p
from stillwatch.correlation.finding import Finding
from stillwatch.correlation.linkage import LinkageIndex
from stillwatch.correlation.lockstep import LOCKSTEP, Lockstep
from stillwatch.correlation.table import AccountTable, Slots
from stillwatch.correlation.verify import GroupTest, examine_group, lockstep_evidence
from stillwatch.decisions import Decider
from stillwatch.gate import TickGate
from stillwatch.settings import DetectionSettings, Policy
from stillwatch.summary import AccountSummary

DAYS, ACCOUNTS, GROUPS = 3, 30, 16
HOURS = DAYS * 24


def a_table(*groups: list[AccountSummary]) -> AccountTable:
    table = AccountTable(10_000, LinkageIndex(1_000))
    for summaries in groups:
        for summary in summaries:
            table.put(summary)
    return table


def slots_of(table: AccountTable, name: str) -> Slots:
    known = table.with_at_least(1)
    return known[[table.name(int(slot)).startswith(f"{name}-") for slot in known]]


@cache
def crowd(seed: int, groups: int = GROUPS) -> list[AccountSummary]:
    rng = np.random.default_rng(seed)
    return [summary for number in range(groups) for summary in group(rng, f"g{number}", 12, DAYS)]


def finding(of: list[AccountSummary], weight: float = 0.0) -> Finding | None:
    table = a_table(crowd(1), of)
    groups = [slots_of(table, f"g{number}") for number in range(GROUPS)]
    return Lockstep(table, groups, weight).finding(slots_of(table, "x"))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_who_works_through_a_list_in_its_order_is_seen_under_half_of_cover(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = finding(group(rng, "x", ACCOUNTS, DAYS, rng.permutation(CELLS)[:HOURS].tolist()))
    assert found is not None
    assert found.p_value < 1e-4
    assert found.normal is not None
    assert found.value > 5 * found.normal[1]
    assert "that two of 30 accounts began in the same hour" in found.sentence
    assert "no evidence here" in found.sentence
    assert not found.counts


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_same_list_in_any_order_says_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    of_hour = rng.permutation(CELLS)[:HOURS]
    shuffled = [
        summary
        for number in range(ACCOUNTS)
        for summary in group(rng, f"x-{number}", 1, DAYS, rng.permutation(of_hour).tolist())
    ]
    found = finding(shuffled)
    assert found is not None
    assert found.p_value > 0.01


def test_an_incident_and_an_assignment_are_few_topics() -> None:
    rng = np.random.default_rng(1)
    incident = [7 if 30 <= hour < 34 else 8 for hour in range(HOURS)]
    exercises = [(3, 90, 41)[hour // 24] for hour in range(HOURS)]
    for of_hour in (incident, exercises):
        found = finding(group(rng, "x", ACCOUNTS, DAYS, of_hour))
        assert found is not None
        assert found.p_value > 0.01


def test_what_is_asked_at_that_hour_every_day_is_a_habit() -> None:
    rng = np.random.default_rng(1)
    found = finding(group(rng, "x", ACCOUNTS, DAYS, [hour % 24 for hour in range(HOURS)]))
    assert found is not None
    assert found.p_value > 0.01


def test_honest_groups_come_out_below_a_level_no_more_often_than_it_says() -> None:
    p_values = []
    for seed in range(2):
        table = a_table(crowd(seed, groups=60))
        groups = [slots_of(table, f"g{number}") for number in range(60)]
        lockstep = Lockstep(table, groups, weight=0.0)
        p_values += [found.p_value for slots in groups if (found := lockstep.finding(slots)) is not None]
    assert len(p_values) > 100
    assert np.mean(np.array(p_values) <= 0.05) <= 0.05
    assert min(p_values) > 1e-3


def test_keys_of_one_organisation_are_no_group() -> None:
    rng = np.random.default_rng(1)
    keys = group(rng, "x", ACCOUNTS, DAYS, list(range(HOURS)))
    assert finding([replace(summary, organisation="one") for summary in keys]) is None


def test_too_few_groups_to_learn_from_or_too_few_accounts_say_nothing() -> None:
    rng = np.random.default_rng(1)
    table = a_table(group(rng, "x", ACCOUNTS, DAYS, list(range(HOURS))))
    slots = slots_of(table, "x")
    assert Lockstep(table, [slots] * 3, 0.0).finding(slots) is None
    assert Lockstep(table, [slots] * 30, 0.0).finding(slots[:7]) is None


def test_a_restored_aggregator_goes_on_with_what_was_asked_when() -> None:
    rng = np.random.default_rng(1)
    summaries = sorted(group(rng, "x", 12, DAYS, list(range(HOURS))), key=lambda one: one.last_seen_unix_nano)
    settings, policy = DetectionSettings(), Policy(version="1", rules=())

    def life() -> tuple[AggregatorCore, Decider, TickGate]:
        return AggregatorCore(settings), Decider(policy, "c0"), TickGate(1, 900, 30)

    whole, first, second = life(), life(), life()
    whole[0].fold(summaries)
    half = len(summaries) // 2
    first[0].fold(summaries[:half])
    restore(snapshot(first[0], first[1], first[2].state(), "m"), *second)
    second[0].fold([*summaries[half - 20 :], *summaries[:10]])  # some are told again
    slots = slots_of(whole[0].table, "x").tolist()
    rows = [core.table.asked.rows(slots) for core in (whole[0], second[0])]
    assert len(rows[0][0]) > 300
    for column, again in zip(*rows, strict=True):
        assert np.array_equal(column, again)
    assert FROM < whole[0].last_seen_unix_nano < FROM + HOURS * HOUR


def test_without_a_weight_it_is_shown_where_it_says_something_and_with_one_it_is_evidence_instead() -> None:
    rng = np.random.default_rng(1)
    for of_hour, told in ((rng.permutation(CELLS)[:HOURS].tolist(), True), (None, False)):
        table = a_table(crowd(1), group(rng, "x", ACCOUNTS, DAYS, of_hour))
        groups, slots = [slots_of(table, f"g{number}") for number in range(GROUPS)], slots_of(table, "x")
        assert (Lockstep(table, groups, 0.0).shown(slots) is not None) is told
        assert Lockstep(table, groups, 0.2).shown(slots) is None


# -- as evidence -----------------------------------------------------------------------------------------------------------


def a_finding(p_value: float) -> Finding:
    return Finding(LOCKSTEP, 0.05, (-0.01, 0.01), p_value, "…", counts=False)


@pytest.fixture(scope="module")
def evidence() -> Callable[[float, float | None], float]:
    """Of a group under half of cover with a machine's conduct: by the finding's weight and its p-value, ``None`` without it."""
    rng = np.random.default_rng(1)
    pool = rng.dirichlet(np.full(CELLS, 1.0))
    mixtures = [0.5 * pool + 0.5 * rng.dirichlet(np.full(CELLS, 8 / CELLS)) for _ in range(30)]
    accounts = [
        a_summary(f"z{n:03d}", topic_counts(rng, one, 40), (("payment", "one"),)) for n, one in enumerate(mixtures)
    ]
    world = a_world(honest(rng), over(conducted(rng, accounts, shift=3.0), 10))
    moment, slots = world.moment(), world.slots("z")
    kin = world.table.kin(slots)

    def of(weight: float, p_value: float | None) -> float:
        settings = DetectionSettings(null_sets=20, lockstep_weight=weight)
        beside = moment.beside.findings(slots, proposed_by_handoffs=False)
        beside += () if p_value is None else (a_finding(p_value),)
        found = examine_group(world.table, slots, kin, moment, beside, settings)
        assert found is not None
        assert found.void is None
        return found.e_value

    return of


def test_without_a_weight_it_changes_no_digit(evidence: Callable[[float, float | None], float]) -> None:
    assert evidence(0.0, 1e-9) == evidence(0.0, 1.0) == evidence(0.0, None) > 20


def test_with_a_weight_it_is_one_part_of_a_mean_whose_weights_sum_to_one(
    evidence: Callable[[float, float | None], float],
) -> None:
    """The evidence is a line in that of lockstep. Where this is as much as the other tests', no weight changes anything."""
    e_low, e_high = e_from_p(1e-2), e_from_p(1e-6)
    for weight in (0.1, 0.5):
        low, high = evidence(weight, 1e-2), evidence(weight, 1e-6)
        slope = (high - low) / (e_high - e_low)
        others = e_low + (evidence(0.0, None) - low) / slope
        assert others == pytest.approx(e_low + (evidence(0.0, None) - evidence(0.2, 1e-2)) / (slope * 0.2 / weight))
        assert evidence(weight, None) == pytest.approx(low + slope * (1.0 - e_low))
    assert evidence(0.5, 1e-30) > evidence(0.0, None) > evidence(0.5, None)


def test_a_companys_own_jobs_are_no_evidence() -> None:
    assert lockstep_evidence([a_finding(1e-9)], companies=True) == 1.0
    assert lockstep_evidence([a_finding(1e-9)], companies=False) > 1e5


def test_what_does_not_count_is_shown_and_not_among_the_grounds_of_a_verdict() -> None:
    """They say what an evidence is made of."""
    for counts in (False, True):
        best = GroupTest(
            kept=np.arange(3), tested_accounts=20, f=0.0, normal_f=(0.01, 0.05), p_value=0.1, e_value=50.0, breadth=0.8,
            concentration=20.0, floor=0.003, beside=(replace(a_finding(1e-6), counts=counts),),
        )  # fmt: skip
        campaign = OpenCampaign("c-1", 1, best)
        campaign.note_test(("signup", "x"), best, 50.0, Stand(20.0, 3, 0.05), T0, opened=True)
        assert (LOCKSTEP in dict(campaign.tests[0].beside)) is counts
        described = describe(campaign, AccountTable(100, LinkageIndex(100)), np.full(CELLS, 1 / CELLS), T0)
        assert LOCKSTEP in {signal.name for signal in described.signals}
