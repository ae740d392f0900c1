"""The measures behind the population's figures count what they say."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.population import near_duplicates, spread


def test_near_duplicates_are_told_apart_by_owner() -> None:
    # The second differs from the first in three bits, the third in four, the last is the first again elsewhere.
    sketches = [0, 0b111, 0b1111 << 20, 0]
    own, pairs = near_duplicates(sketches, ["a", "a", "a", "b"])
    assert own == 1 / 4
    # Of three pairs across accounts, two are near.
    assert pairs == pytest.approx(2e6 / 3)


def test_sketches_that_differ_in_every_band_are_not_compared_into_duplicates() -> None:
    own, pairs = near_duplicates([0, (1 << 0) | (1 << 16) | (1 << 32) | (1 << 48)], ["a", "b"])
    assert (own, pairs) == (0.0, 0.0)


def test_the_spread_leaves_out_accounts_with_too_few_conversations() -> None:
    everything = Counter({topic: 1 for topic in range(20)})
    one_topic = Counter({0: 40})
    few = Counter({0: 19})
    assert spread([everything, everything, few]).split(" / ") == ["20.0", "20.0", "20.0"]
    assert spread([one_topic, everything]).split(" / ")[1].strip() == "10.5"
    assert spread([few]) == "-"
