"""When an account asked about what: once each, whatever summaries come, and no more than a bounded sample."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from asked_worlds import FROM, told
from factories import HOUR
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from stillwatch.correlation.asked import KEPT_H, MAX_KEPT
from stillwatch.correlation.linkage import LinkageIndex
from stillwatch.correlation.table import AccountTable
from stillwatch.summary import AccountSummary

NOON = FROM // HOUR


def a_table(summaries: list[AccountSummary]) -> AccountTable:
    table = AccountTable(1_000, LinkageIndex(100))
    for summary in summaries:
        table.put(summary)
    return table


def asked(table: AccountTable, account: str = "a") -> list[tuple[int, int]]:
    """(hour, cell), as the table knows it."""
    slot = table.slot(account)
    assert slot is not None
    _, hours, cells = table.asked.rows([slot])
    return [(hour - NOON, cell) for hour, cell in zip(hours.tolist(), cells.tolist(), strict=True)]


def test_each_conversation_has_the_hour_in_which_it_was_told() -> None:
    conversations = [(0, 7), (0, 7), (3, 9), (30, 7)]
    assert asked(a_table(told("a", conversations))) == conversations


def test_what_the_first_summary_counts_has_no_hour() -> None:
    assert asked(a_table(told("a", [(0, 7), (3, 9)])[1:])) == [(3, 9)]


def test_summaries_in_any_order_and_twice_make_the_same() -> None:
    summaries = told("a", [(0, 7), (2, 7), (2, 9), (5, 7), (8, 1)])
    in_order = asked(a_table(summaries))
    assert len(in_order) == 5
    for order in permutations(summaries):
        assert asked(a_table([*order, order[1], order[0]])) == in_order


conversations = st.lists(st.tuples(st.integers(0, KEPT_H - 2), st.integers(0, 3)), max_size=200)


@examples(deadline=None, max_examples=60)
@given(conversations, st.randoms(use_true_random=False), st.integers(0, 5))
def test_so_they_do_where_only_a_sample_is_kept(
    conversations: list[tuple[int, int]], random: object, again: int
) -> None:
    summaries = told("a", conversations)
    shuffled = [*summaries, *random.choices(summaries, k=again)]  # type: ignore[attr-defined]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert asked(a_table(shuffled)) == asked(a_table(summaries))
    assert len(asked(a_table(summaries))) <= MAX_KEPT


def test_a_sample_of_a_busy_account_covers_its_whole_week() -> None:
    rng = np.random.default_rng(1)
    busy = [(int(hour), int(rng.integers(200))) for hour in np.repeat(np.arange(KEPT_H - 1), 6)]
    kept = asked(a_table(told("a", busy)))
    assert MAX_KEPT / 3 < len(kept) <= MAX_KEPT
    assert set(kept) <= set(busy)
    halves = np.histogram([hour for hour, _ in kept], bins=4, range=(0, KEPT_H))[0]
    assert halves.min() >= 3


def test_what_is_older_than_a_week_is_forgotten() -> None:
    assert asked(a_table(told("a", [(0, 7), (KEPT_H - 1, 8), (KEPT_H + 5, 9)]))) == [(KEPT_H - 1, 8), (KEPT_H + 5, 9)]


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [4, 0, 3, 2, 1], [3, 4, 1, 0, 2], [4, 3, 2, 1, 0]])
def test_counts_of_a_new_window_are_not_compared_with_those_of_the_old(order: list[int]) -> None:
    """At the end of an era an account's counts fall, or go on from others."""
    before = told("a", [(0, 7), (1, 7)])[1:]
    after = told("a", [(20, 8), (22, 7), (23, 9)], window_h=10)[1:]
    summaries = [*before, *after]
    assert asked(a_table([summaries[place] for place in order])) == [(22, 7), (23, 9)]


def test_a_late_request_that_moves_the_first_one_back_begins_no_window() -> None:
    first, second, third = told("a", [(0, 7), (1, 8)])
    third = replace(third, window_from_unix_nano=third.window_from_unix_nano - HOUR)
    for order in permutations([first, second, third]):
        assert asked(a_table(list(order))) == [(0, 7), (1, 8)]


def test_a_topic_for_which_there_was_no_room_any_longer_is_forgotten() -> None:
    summaries = told("a", [(0, 7), (0, 8), (1, 9)])
    gone = replace(summaries[2], cells=((), tuple(pair for pair in summaries[2].cells[1] if pair[0] != 7)))
    assert asked(a_table([*summaries[:2], gone])) == [(0, 8), (1, 9)]


def test_an_account_that_was_forgotten_begins_anew_and_its_place_is_nobodys() -> None:
    table = a_table(told("a", [(0, 7), (1, 8)]))
    table.forget_silent(FROM + 10 * HOUR)
    for summary in told("b", [(20, 1)]):
        table.put(summary)
    assert asked(table, "b") == [(20, 1)]
