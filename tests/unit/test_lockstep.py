"""From topic to topic together: seen where a list is worked through, and not where people have days, lessons and habits."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from asked_worlds import CELLS, FROM, group
from factories import HOUR

from stillwatch.aggregator import AggregatorCore
from stillwatch.aggregator_state import restore, snapshot
from stillwatch.correlation.finding import Finding
from stillwatch.correlation.linkage import LinkageIndex
from stillwatch.correlation.lockstep import Lockstep
from stillwatch.correlation.table import AccountTable, Slots
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
