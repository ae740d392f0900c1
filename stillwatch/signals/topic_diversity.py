"""How many different topics 8 of the account's conversations are about.

Rarefaction (Hurlbert 1971): the expected number of distinct topic cells in a sample of fixed size, unbiased at any
volume; raw counts and entropy grow with volume. People return to their topics, a harvester works through a list.
"""

from __future__ import annotations

from stillwatch.account import AccountState
from stillwatch.cohort import Cohort
from stillwatch.signals.base import MIN_SAMPLE, AccountSignal


def _value(state: AccountState, _cohort: Cohort) -> float | None:
    topics = state.profile.topics
    return topics.rarefied(MIN_SAMPLE) if topics.conversations >= MIN_SAMPLE else None


SIGNAL = AccountSignal(
    name="topic_diversity",
    family="content",
    value=_value,
    low=1.0,
    high=float(MIN_SAMPLE),
    suspicious="high",
    sentence=lambda value, normal: (
        f"{MIN_SAMPLE} of its conversations are about {value:.1f} different topics; comparable accounts: "
        f"{normal[0]:.1f} to {normal[1]:.1f}"
    ),
)
