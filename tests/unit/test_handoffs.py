"""A failed call that begins again elsewhere: what counts, what does not, and what it says of groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from factories import T0
from summary_worlds import people

from stillwatch.campaigns import OpenCampaign
from stillwatch.correlation.handoff_graph import CLUSTERS, HANDOFF, HandoffGraph
from stillwatch.correlation.handoffs import Handoffs
from stillwatch.correlation.linkage import LinkageIndex
from stillwatch.correlation.table import AccountTable
from stillwatch.correlation.verify import GroupTest
from stillwatch.merging import that_hand_over

MINUTE_MS = 60_000
LATER_MS = 10 * MINUTE_MS


def after(*calls: tuple[str, int, int, int, bool], now_ms: int = LATER_MS) -> Handoffs:
    """Calls as (account, customer, ms, hash of the prompt, failed)."""
    found = Handoffs()
    for account, customer, at_ms, of, failed in calls:
        found.note(account, customer, [(at_ms, of)], [(at_ms, of)] if failed else [])
    found.settle(now_ms)
    return found


def test_a_failed_call_that_begins_again_elsewhere_is_a_hand_off() -> None:
    found = after(("a", 1, 0, 77, True), ("b", 2, 4_000, 77, False))
    assert (found.pairs(), found.failures, found.backwards) == ([("a", "b")], 1, 0)


def test_the_same_customer_s_other_key_is_not_elsewhere() -> None:
    assert after(("a", 1, 0, 77, True), ("b", 1, 4_000, 77, False)).pairs() == []


def test_another_prompt_a_later_hour_and_a_call_that_did_not_fail_are_none() -> None:
    assert after(("a", 1, 0, 77, True), ("b", 2, 4_000, 78, False)).pairs() == []
    assert after(("a", 1, 0, 77, True), ("b", 2, MINUTE_MS + 1, 77, False)).pairs() == []
    assert after(("a", 1, 0, 77, False), ("b", 2, 4_000, 77, False)).pairs() == []


def test_a_prompt_that_many_send_ties_nobody() -> None:
    class_of_six = [(f"student{n}", n, 3_000 * n, 77, n == 0) for n in range(6)]
    assert after(*class_of_six).pairs() == []


def test_a_beginning_just_before_the_failure_measures_chance() -> None:
    found = after(("b", 2, 0, 77, False), ("a", 1, 4_000, 77, True), ("c", 3, 8_000, 77, False))
    assert (found.pairs(), found.backwards) == ([], 1)


def test_a_chain_of_failures_ties_each_to_the_next() -> None:
    found = after(("a", 1, 0, 77, True), ("b", 2, 4_000, 77, True), ("c", 3, 9_000, 77, False))
    assert (found.pairs(), found.backwards) == ([("a", "b"), ("b", "c")], 0)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_neither_order_nor_repetition_matters(order: Sequence[int]) -> None:
    calls = [("a", 1, 0, 77, True), ("b", 2, 4_000, 77, False), ("c", 3, 90_000, 5, True)]
    found = after(*(calls[index] for index in order), *calls)
    assert (found.pairs(), found.failures) == ([("a", "b")], 2)


def test_a_failure_is_looked_at_once_when_its_minute_is_over() -> None:
    found = Handoffs()
    found.note("a", 1, [(0, 77)], [(0, 77)])
    found.settle(30_000)
    assert found.failures == 0
    found.note("b", 2, [(50_000, 77)], [])
    found.settle(LATER_MS)
    found.note("a", 1, [(0, 77)], [(0, 77)])  # the same summary again
    found.settle(2 * LATER_MS)
    assert (found.pairs(), found.failures) == ([("a", "b")], 1)


def test_hand_offs_of_eras_that_are_over_are_forgotten() -> None:
    found = after(("a", 1, 0, 77, True), ("b", 2, 4_000, 77, False))
    found.settle(40 * 86_400_000)
    assert (found.pairs(), found.failures) == ([], 0)


# -- groups ----------------------------------------------------------------------------------------------------------


def a_table(count: int, organisations: dict[int, str] | None = None, days_old: float = 5) -> AccountTable:
    table, created = AccountTable(1_000, LinkageIndex(100)), int(T0 // 10**9 - days_old * 86_400)
    for index, summary in enumerate(people(np.random.default_rng(1), count)):
        organisation = (organisations or {}).get(index)
        name = f"a{index:03d}"
        table.put(replace(summary, account=name, organisation=organisation, failures=2, created_unix=created))
    return table


def graph_of(
    table: AccountTable, *pairs: tuple[int, int], alone: int = 500, before: Sequence[tuple[int, int]] = ()
) -> HandoffGraph:
    """Hand-offs between these accounts, among so many failures that came to nothing; ``before``: between whom a call began on the
    second a moment before it failed on the first."""
    found = Handoffs()
    for number in range(alone):
        at_ms = 1_000 * number
        found.note("z", 10**6, [(at_ms, 10_000 + number)], [(at_ms, 10_000 + number)])
    for number, (one, other) in enumerate(pairs):
        at_ms = MINUTE_MS * number
        found.note(f"a{one:03d}", table.unit(f"a{one:03d}"), [(at_ms, number)], [(at_ms, number)])
        found.note(f"a{other:03d}", table.unit(f"a{other:03d}"), [(at_ms + 4_000, number)], [])
    for number, (one, other) in enumerate(before, len(pairs)):
        at_ms = MINUTE_MS * number
        found.note(f"a{one:03d}", table.unit(f"a{one:03d}"), [(at_ms, number)], [(at_ms, number)])
        found.note(f"a{other:03d}", table.unit(f"a{other:03d}"), [(at_ms - 4_000, number)], [])
    found.settle(10**9)
    return HandoffGraph(found, table)


def slots(table: AccountTable, *accounts: int) -> np.ndarray:
    return np.array([table.slot(f"a{account:03d}") for account in accounts], dtype=np.int64)


def test_accounts_that_hand_offs_connect_are_proposed_under_a_key_that_stays() -> None:
    table = a_table(30)
    ring = [(n, n + 1) for n in range(9)]
    (before,), (now,) = (graph_of(table, *ring).components(8), graph_of(table, *ring, (3, 20)).components(8))
    assert before[0] == now[0]
    assert before[0][0] == HANDOFF
    assert (len(before[1]), len(now[1])) == (10, 11)


def test_people_with_two_or_three_accounts_are_no_relay() -> None:
    table = a_table(60)
    doubles = [(n, n + 1) for n in range(0, 40, 2)] + [(50, 51), (51, 52), (52, 50)]
    graph = graph_of(table, *doubles)
    assert len(graph) == 0
    assert graph.components(3) == []
    assert graph.finding(slots(table, *range(60)), proposed_here=False) is None


def test_an_organisation_with_many_keys_is_one_customer() -> None:
    table = a_table(30, {n: f"org{n % 3}" for n in range(12)})
    assert len(graph_of(table, *((n, n + 1) for n in range(11)))) == 0


def test_hand_offs_within_a_group_are_evidence_and_those_beyond_it_are_not() -> None:
    table = a_table(40)
    graph = graph_of(table, *((n, n + 1) for n in range(11)))
    within = graph.finding(slots(table, *range(12)), proposed_here=False)
    across = graph.finding(slots(table, 0, 4, 8, *range(20, 30)), proposed_here=False)
    assert within is not None
    assert within.value == 11
    assert within.p_value < 1e-9
    assert "11 pairs" in within.sentence
    assert across is None


def test_a_group_proposed_by_hand_offs_is_read_against_the_largest_that_chance_connects_anywhere() -> None:
    table = a_table(400)
    ring = [(n, n + 1) for n in range(11)]
    graph = graph_of(table, *ring)
    mine = slots(table, *range(12))
    proposed = graph.finding(mine, proposed_here=True)
    assert proposed is not None
    assert proposed.p_value == graph._chance.p_value(12, 11) < 1e-4  # type: ignore[union-attr]
    assert (proposed.value, proposed.normal) == (11.0, None)
    assert "connects 12 customers anywhere" in proposed.sentence


def fours(*firsts: int) -> list[tuple[int, int]]:
    return [(first + n, first + n + 1) for first in firsts for n in range(3)]


def test_clusters_of_four_are_proposed_together_and_pairs_and_threes_are_not() -> None:
    table = a_table(400)
    graph = graph_of(table, *fours(0, 10, 20), (30, 31), (40, 41), (41, 42))
    ((key, mine),) = graph.clusters(8, slots(table), T0)
    assert key == CLUSTERS
    assert sorted(mine.tolist()) == sorted(slots(table, *range(4), *range(10, 14), *range(20, 24)).tolist())
    assert graph.clusters(13, slots(table), T0) == []
    assert graph_of(table, *fours(0)).clusters(4, slots(table), T0) == []


def test_what_touches_a_known_campaign_is_no_part_of_the_clusters() -> None:
    table = a_table(400)
    graph = graph_of(table, *fours(0, 10, 20))
    ((_, mine),) = graph.clusters(8, slots(table, 11), T0)
    assert sorted(mine.tolist()) == sorted(slots(table, *range(4), *range(20, 24)).tolist())


def test_clusters_with_an_account_that_is_old_are_people_s_own() -> None:
    table = a_table(400)
    table.put(replace(table.summary(int(slots(table, 1)[0])), created_unix=T0 // 10**9 - 90 * 86_400, events=10**6))
    graph = graph_of(table, *fours(0, 10, 20))
    ((_, mine),) = graph.clusters(8, slots(table), T0)
    assert sorted(mine.tolist()) == sorted(slots(table, *range(10, 14), *range(20, 24)).tolist())
    assert graph_of(a_table(400, days_old=90), *fours(0, 10, 20)).clusters(8, slots(table), T0) == []


def test_one_prompt_that_fails_on_four_customers_in_turn_is_one_coincidence_and_no_cluster() -> None:
    """An outage, and a prompt that four programs send on the minute."""
    table, found = a_table(400), Handoffs()
    for prompt in range(12):
        for at, account in enumerate(range(10 * prompt, 10 * prompt + 4)):
            call = 120_000 * prompt + 5_000 * at, prompt
            found.note(f"a{account:03d}", table.unit(f"a{account:03d}"), [call], [call])
    found.settle(10**9)
    assert len(found.pairs()) == 36
    assert sum(found.begins_a_chain(pair) for pair in found.pairs()) == 12
    graph = HandoffGraph(found, table)
    assert graph.clusters(4, slots(table), T0) == []
    assert graph.components(4) == []


def test_clusters_are_read_against_how_many_chance_connects_and_not_by_the_largest() -> None:
    table = a_table(400)
    graph = graph_of(table, *fours(*range(0, 120, 10)))
    ((_, mine),) = graph.clusters(8, slots(table), T0)
    together, one = (graph.finding(some, proposed_here=True) for some in (mine, slots(table, *range(4))))
    assert together is not None
    assert one is not None
    assert together.p_value < 1e-3 < one.p_value
    assert "12 clusters of 4 customers or more, 48 together, anywhere" in together.sentence


def test_where_beginnings_came_before_failures_too_as_many_hand_offs_prove_nothing() -> None:
    table = a_table(400)
    ring = [(n, n + 1) for n in range(11)]
    graph = graph_of(table, *ring, before=[(n + 1, n) for n in range(11)])
    for proposed_here in (True, False):
        found = graph.finding(slots(table, *range(12)), proposed_here=proposed_here)
        assert found is not None
        assert found.p_value > 0.1


def test_partners_of_a_core_come_with_what_a_hand_off_is_worth() -> None:
    table = a_table(40)
    graph = graph_of(table, *((n, n + 1) for n in range(11)))
    partners, worth = graph.partners(slots(table, *range(8)))
    assert partners.tolist() == slots(table, 8).tolist()
    assert 3 < worth <= 7
    assert graph.between(slots(table, *range(8)), slots(table, 8, 9, 20)) == 1


def a_campaign(name: str, found_at: int, *accounts: int) -> OpenCampaign:
    test = GroupTest(np.array([], dtype=np.int64), len(accounts), 0.0, None, 0.01, 100.0, 0.8, 100.0, 0.001)
    return OpenCampaign(name, found_at, test, frozenset(f"a{account:03d}" for account in accounts))


def test_campaigns_that_hand_over_to_each_other_twice_are_one_and_once_are_two() -> None:
    table = a_table(40)
    older, younger = a_campaign("c-b", 1, *range(6)), a_campaign("c-a", 2, *range(6, 12))
    chain = [(n, n + 1) for n in range(11)]
    once, twice = graph_of(table, *chain), graph_of(table, *chain, (0, 11))
    assert that_hand_over([younger, older], once, table.slots) == []
    assert that_hand_over([younger, older], twice, table.slots) == [(older, younger)]


def test_what_finds_no_room_is_counted_and_what_is_known_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stillwatch.correlation.handoffs._MAX_CALLS", 2)
    found = Handoffs()
    found.note("a", 1, [(0, 77)], [(0, 77)])
    found.note("b", 2, [(4_000, 77)], [])
    found.note("c", 3, [(5_000, 78), (6_000, 79)], [])
    found.settle(LATER_MS)
    assert (found.pairs(), found.dropped) == ([("a", "b")], 2)


def test_each_account_is_told_with_how_many_of_the_core_it_had_hand_offs() -> None:
    table = a_table(20)
    few = [(0, 1), (1, 2), (2, 3), (3, 0), (4, 0), (4, 1), (5, 4)]
    graph = graph_of(table, *few, (5, 7), (7, 8))
    found = graph.partners_in(slots(table, 0, 1, 2, 3), slots(table, 0, 4, 5, 6))
    assert found.tolist() == [2, 2, 0, 0]
    # A person can have six accounts; those that connect eight customers are no person's.
    assert not graph_of(table, *few).partners_in(slots(table, 0, 1, 2, 3), slots(table, 0, 4, 5, 6)).any()
