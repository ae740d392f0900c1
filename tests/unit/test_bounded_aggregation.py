"""A bounded amount of work at a time, accounts that are forgotten, and that neither changes what is found."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from factories import HOUR, T0, a_summary
from moment_worlds import a_world, honest
from scipy.special import gammaln, logsumexp
from summary_worlds import people, pool_accounts

from stillwatch.aggregator import AggregatorCore
from stillwatch.correlation.homogeneity import heterogeneity
from stillwatch.correlation.linkage import LinkageIndex
from stillwatch.correlation.membership import log_likelihood_ratio
from stillwatch.correlation.nulls import Population, honest_beside
from stillwatch.correlation.packing import _FIELDS, count_matrix, pack_cells, pack_fields, unpack
from stillwatch.correlation.table import AccountTable
from stillwatch.settings import DetectionSettings
from stillwatch.summary import AccountSummary

DAY = 24 * HOUR


def a_core(summaries: list[AccountSummary], **settings: int) -> AggregatorCore:
    core = AggregatorCore(DetectionSettings(**settings))  # type: ignore[arg-type]
    core.fold(summaries)
    return core


def a_crowd(seed: int) -> list[AccountSummary]:
    rng = np.random.default_rng(seed)
    return [*people(rng, 300), *pool_accounts(rng, 60)]


def test_an_evaluation_tests_so_many_groups_and_the_next_ones_the_others() -> None:
    everybody = a_crowd(1)
    # Groups by mixture are sought among accounts of no known campaign: when one is found is what they depend on.
    at_once = a_core(everybody, mixture_groups=0)
    in_turns = a_core(everybody, mixture_groups=0, max_tests_per_evaluation=5)
    at_once.evaluate()
    assert at_once.waiting == 0
    waiting, tests = [], 0
    while not waiting or waiting[-1]:
        in_turns.evaluate()
        assert in_turns.tests - tests <= 5 + 5  # a group of a known campaign is tested once more, without its members
        tests = in_turns.tests
        waiting.append(in_turns.waiting)
    assert waiting == sorted(waiting, reverse=True)
    assert len(waiting) > 3
    assert in_turns._docket._tested_at == at_once._docket._tested_at
    assert members(in_turns) == members(at_once) != []


def members(core: AggregatorCore) -> list[set[str]]:
    return [{m.account for m in campaign.members if m.confidence >= 0.5} for campaign in core.campaigns()]


def test_which_groups_wait_does_not_depend_on_the_order_of_folding() -> None:
    everybody, seen = a_crowd(2), []
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(everybody))
        core = a_core([everybody[at] for at in order], max_tests_per_evaluation=7)
        for _ in range(3):
            core.evaluate()
        seen.append((sorted(core._docket._tested_at), core.campaigns()))
    assert seen[0] == seen[1] == seen[2]


def test_accounts_that_are_silent_for_longer_than_scores_look_back_are_forgotten() -> None:
    core = a_core(a_crowd(3))
    core.fold([a_summary("late", np.ones((2, 256), dtype=np.int64), (), now=T0 + 60 * DAY)])
    core.evaluate()
    assert (len(core.table), core.table.evicted) == (1, 360)
    assert core.table.slot("p0000") is None
    assert core._links.sharing(("signup", "batch-0")) == set()


def test_an_account_that_was_seen_in_the_era_before_is_kept() -> None:
    core = a_core(a_crowd(3))
    core.fold([a_summary("late", np.ones((2, 256), dtype=np.int64), (), now=T0 + 14 * DAY)])
    core.evaluate()
    assert core.table.evicted == 0


def test_a_forgotten_account_that_comes_back_is_known_again() -> None:
    core = a_core(a_crowd(4))
    back = replace(a_crowd(4)[0], last_seen_unix_nano=T0 + 60 * DAY)
    core.fold([back])
    core.evaluate()
    core.fold([replace(back, events=back.events + 1)])
    assert core.table.summary_of(back.account) == replace(back, events=back.events + 1)
    assert core.table.with_at_least(1).tolist() == [core.table.slot(back.account)]


@pytest.mark.parametrize("seed", range(4))
def test_a_full_table_keeps_those_that_were_seen_last_whatever_the_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = np.ones((2, 256), dtype=np.int64)
    # Each account is told of three times, as it grew; the last request of number n was in hour n, but for pairs.
    told = [
        a_summary(f"a{n:03d}", counts * (1 + step), now=T0 + (n // 2 - 40 * (2 - step)) * HOUR)
        for n in range(300) for step in range(3)
    ]  # fmt: skip
    table = AccountTable(101, LinkageIndex(10))
    for at in rng.permutation(len(told)):
        table.put(told[at])
        assert len(table) <= 101 + 2
    table.make_room()
    assert {table.name(int(slot)) for slot in table.with_at_least(1)} == {f"a{n:03d}" for n in range(199, 300)}
    assert all(table.summary(int(slot)).cells[0][0] == (0, 3) for slot in table.with_at_least(1))


def test_accounts_are_by_name_after_any_number_of_arrivals_and_departures() -> None:
    rng, table = np.random.default_rng(5), AccountTable(1_000, LinkageIndex(10))
    counts = np.ones((2, 256), dtype=np.int64)
    for day in range(30):
        for name in rng.integers(0, 10_000, size=40 if day == 0 else 5):
            table.put(a_summary(f"a{name}", counts, now=T0 + day * DAY))
        table.forget_silent(T0 + (day - 5) * DAY)
        names = [table.name(int(slot)) for slot in table.with_at_least(0)]
        assert names == sorted(names)
        assert len(names) == len(table)


# -- what is computed in a cheaper way is what it was ----------------------------------------------------------------


def test_a_summary_is_given_back_as_it_was_told() -> None:
    summary = replace(
        a_crowd(6)[0], organisation="o", label=None, conduct=(0.25, None, -1.5), evidence=-0.125, created_unix=-1,
        window_from_unix_nano=2**63 - 1, failures=3,
    )  # fmt: skip
    assert unpack(summary.account, pack_fields(summary), summary.links, pack_cells(summary.cells)) == summary


def test_nothing_of_a_summary_is_left_out_but_the_calls_that_are_looked_at_when_it_comes() -> None:
    kept = {*_FIELDS, "account", "links", "cells"}
    assert {field.name for field in fields(AccountSummary)} - kept == {"begun", "failed"}


def test_counts_are_those_of_the_summaries() -> None:
    everybody = a_crowd(7)[:50]
    dense = np.zeros((50, 2, 256))
    for row, summary in enumerate(everybody):
        for half in (0, 1):
            for cell, count in summary.cells[half]:
                dense[row, half, cell] = count
    packed = [pack_cells(summary.cells) for summary in everybody]
    assert (count_matrix(packed, None) == dense.sum(axis=1)).all()
    assert all((count_matrix(packed, half) == dense[:, half]).all() for half in (0, 1))
    assert count_matrix([], None).shape == (0, 256)


@pytest.mark.parametrize("seed", range(5))
def test_a_group_is_compared_with_the_accounts_nearest_in_volume_of_all_others(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = a_world(honest(rng, 700)).table
    known = table.with_at_least(2)
    population = Population.of(table, known[: int(rng.integers(200, 700))])
    assert population is not None
    slots = rng.choice(known, size=int(rng.integers(5, 60)), replace=False)
    kin = rng.choice(known, size=int(rng.integers(0, 400)), replace=False)
    found = honest_beside(table, slots, kin, population, 40)
    # One by one, over all of them.
    outside = [slot for slot in population.by_volume.tolist() if slot not in {*slots.tolist(), *kin.tolist()}]
    if len(outside) < 40:
        outside = [slot for slot in population.by_volume.tolist() if slot not in slots.tolist()]
    volumes = [int(table.conversations(np.array([slot]))[0]) for slot in outside]
    wanted = min(max(3 * len(slots), 128), 512, len(outside))
    at = sum(volume < np.median(table.conversations(slots)) for volume in volumes)
    low = max(0, min(at - wanted // 2, len(outside) - wanted))
    counts = table.counts(outside[low : low + wanted])
    totals = counts.sum(axis=1)
    order = np.argsort((counts * (counts - 1)).sum(axis=1) / np.maximum(totals * (totals - 1), 1), kind="stable")
    expected = np.array(outside[low : low + wanted])[np.sort(order[: max(int(wanted * 0.9), 3)])]
    assert found is not None
    assert found.accounts.tolist() == expected.tolist()
    assert found.found == heterogeneity(table.counts_of_units(expected))


def test_the_likelihood_of_the_known_topics_is_that_of_all_topics() -> None:
    rng = np.random.default_rng(8)
    counts = count_matrix([pack_cells(summary.cells) for summary in a_crowd(8)], None)
    pool, population, inside = counts[300:].sum(axis=0), rng.dirichlet(np.full(256, 1.0)), np.arange(360) >= 300

    def dense(alpha: np.ndarray) -> np.ndarray:
        each = gammaln(counts + alpha) - gammaln(alpha)
        return gammaln(alpha.sum(axis=1)) - gammaln((counts + alpha).sum(axis=1)) + each.sum(axis=1)

    rest = pool - np.where(inside[:, None], counts, 0)
    mixture = (rest + 8 * population) / (rest.sum(axis=1, keepdims=True) + 8)
    persons = [
        np.log(weight) + dense(np.broadcast_to(population * 10 * breadth, counts.shape))
        for breadth, weight in ((1.0, 0.75), (4.0, 0.2), (16.0, 0.05))
    ]
    expected = np.clip(dense(mixture * 640) - logsumexp(persons, axis=0), -10, 4)
    assert log_likelihood_ratio(counts, pool, population, 10.0, inside=inside) == pytest.approx(expected, abs=1e-6)
    assert (expected[300:] > expected[:300].mean()).mean() > 0.9


def test_an_account_that_makes_room_for_others_as_it_comes_is_no_fault() -> None:
    newest_first = [a_summary(f"a{n:03d}", np.ones((2, 256), dtype=int), now=T0 - n * HOUR) for n in range(125)]
    core = a_core(newest_first, max_accounts=100)
    core.table.make_room()
    assert len(core.table) == 100
    assert core.table.slot("a000") is not None
