"""Whose turn it is, and the bar for a discovery: it follows the tests of two eras, not the age of the system."""

from __future__ import annotations

from copy import deepcopy
from random import Random

import pytest

from stillwatch.correlation.docket import Docket
from stillwatch.correlation.linkage import Key

FOUND, LATER = ("address", "found"), ("address", "later")


def bar(docket: Docket, era: int) -> float:
    """The least evidence that is a discovery then."""
    docket.begin(era)
    low, high = 1.0, 1e9
    for _ in range(60):
        middle = (low * high) ** 0.5
        probe = deepcopy(docket)
        low, high = (low, middle) if probe.is_discovery(LATER, middle) else (middle, high)
    return high


def having_tested(docket: Docket, count: int, era: int) -> Docket:
    docket.begin(era)
    for number in range(count):
        docket.weigh(("address", str(number)), 1.0)
    return docket


def test_the_bar_is_the_number_of_tests_over_the_level() -> None:
    assert bar(having_tested(Docket(0.05), 200, era=7), era=7) == pytest.approx(200 / 0.05)


def test_tests_of_two_eras_count_and_older_ones_do_not() -> None:
    docket = Docket(0.05)
    for era in range(1, 9):
        having_tested(docket, 200, era)
        assert bar(docket, era) == pytest.approx((200 if era == 1 else 400) / 0.05)
    assert docket.tests == 1_600
    assert len(docket._weights) == 2


def test_a_discovery_lowers_the_bar_for_others_only_as_long_as_its_test_counts() -> None:
    docket = having_tested(Docket(0.05), 200, era=1)
    docket.confirm("c-1", 1e6)
    assert bar(docket, era=1) == pytest.approx(200 / 0.05 / 2)
    having_tested(docket, 100, era=2)
    assert bar(docket, era=2) == pytest.approx(300 / 0.05 / 2)
    assert bar(docket, era=3) == pytest.approx(100 / 0.05)
    assert docket._found == {}


def test_a_campaign_counts_once_however_often_it_passes() -> None:
    docket = having_tested(Docket(0.05), 200, era=1)
    for _ in range(5):
        docket.confirm("c-1", 1e6)
    assert bar(docket, era=1) == pytest.approx(200 / 0.05 / 2)


def test_campaigns_that_prove_to_be_one_are_one_discovery() -> None:
    docket = having_tested(Docket(0.05), 200, era=1)
    docket.confirm("c-1", 1e6)
    docket.begin(2)
    docket.confirm("c-2", 1e7)
    assert bar(docket, era=2) == pytest.approx(200 / 0.05 / 3)
    docket.unite("c-1", "c-2")
    docket.unite("c-1", "c-3")
    assert bar(docket, era=2) == pytest.approx(200 / 0.05 / 2)
    assert docket._found == {"c-1": {1: 1e6, 2: 1e7}}


def test_strong_evidence_that_was_no_discovery_is_forgotten_with_its_era() -> None:
    docket = having_tested(Docket(0.05), 200, era=1)
    docket.enter(FOUND, 300, era=1)
    assert not docket.is_discovery(FOUND, 3_000.0)
    docket.begin(2)
    assert len(docket._strong) == 1
    docket.begin(3)
    assert len(docket._strong) == 0


def turns(due: list[Key], at_most: int) -> list[list[Key]]:
    """What is tested at each turn until nothing waits."""
    docket, left, out = Docket(0.05), list(due), []
    while left:
        now = docket.next(left, at_most)
        left = [key for key in left if key not in now]
        assert docket.waiting == len(left)
        out.append(sorted(now))
    return out


def test_every_group_has_its_turn_the_likeliest_first_whatever_the_order_in_which_they_are_named() -> None:
    due = [(view, str(n)) for view in ("template", "client", "payment") for n in range(10)]
    expected = turns(due, 7)
    assert {view for view, _ in expected[0]} == {"payment"}
    assert sorted(key for turn in expected for key in turn) == sorted(due)
    assert [len(turn) for turn in expected] == [7, 7, 7, 7, 2]
    for seed in range(3):
        assert turns(Random(seed).sample(due, len(due)), 7) == expected


def test_who_waits_is_not_overtaken_for_ever() -> None:
    docket, slow = Docket(0.05), ("template", "slow")
    for turn in range(3):
        fresh = [("payment", f"{turn} {n}") for n in range(4)]
        if slow in docket.next([slow, *fresh], at_most=4):
            break
    assert turn == 1


def test_who_is_due_no_longer_waits_no_longer() -> None:
    docket = Docket(0.05)
    docket.next([("client", "a"), ("client", "b")], at_most=1)
    docket.next([], at_most=1)
    assert docket.waiting == 0
