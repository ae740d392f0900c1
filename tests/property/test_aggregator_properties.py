"""Laws of the aggregate: what arrives in which order, how often and how late changes nothing."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
from factories import HOUR, T0
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from moment_worlds import conducted, honest, over
from summary_worlds import pool_accounts

from stillwatch.aggregator import AggregatorCore
from stillwatch.settings import DetectionSettings
from stillwatch.summary import AccountSummary
from stillwatch.verdict import Campaign

SETTINGS = DetectionSettings(null_sets=20, max_group_accounts=1_000)


def a_history(seed: int) -> list[AccountSummary]:
    """Each account's summaries as it grew: other links, another organisation, other conduct in the earlier ones."""
    rng = np.random.default_rng(seed)
    accounts = [*honest(rng, 160), *over(conducted(rng, pool_accounts(rng, 45, conversations=60), shift=3.0), 5)]
    out = []
    for number, last in enumerate(accounts):
        last = replace(last, organisation=f"o{number % 7}" if number % 6 == 0 else None)
        half = tuple(tuple((cell, count - count // 2) for cell, count in side) for side in last.cells)
        first = replace(
            last, events=last.events // 2, cells=half, last_seen_unix_nano=T0 - 9 * HOUR, organisation=None,
            links=(*last.links[:1], ("address", f"home-{number % 20}")), conduct=(None, None, None),
        )  # fmt: skip
        out += [first, last]
    return out


HISTORY = a_history(1)


def found(summaries: list[AccountSummary]) -> list[Campaign]:
    core = AggregatorCore(SETTINGS)
    core.fold(summaries)
    core.evaluate()
    return core.campaigns()


IN_ORDER = found(HISTORY)


def test_there_is_something_to_find() -> None:
    assert len(IN_ORDER) == 1
    assert len(IN_ORDER[0].members) >= 30


@examples(deadline=None, max_examples=20)
@given(st.randoms(use_true_random=False), st.integers(0, 200))
def test_summaries_in_any_order_and_any_number_of_times_give_the_same_campaigns(random: Random, again: int) -> None:
    shuffled = [*HISTORY, *random.sample(HISTORY, again)]
    random.shuffle(shuffled)
    assert found(shuffled) == IN_ORDER
