"""Conversations per distinct topic: people return to their topics, a harvester works through a list."""

from __future__ import annotations

import math

from stillwatch.account import AccountState
from stillwatch.cohort import Cohort
from stillwatch.signals.base import MIN_SAMPLE, AccountSignal


def _value(state: AccountState, _cohort: Cohort) -> float | None:
    topics = state.profile.topics
    if topics.conversations < MIN_SAMPLE:
        return None
    return min(math.log2(topics.conversations / topics.distinct), 8.0)


SIGNAL = AccountSignal(
    name="volume_to_diversity",
    family="content",
    value=_value,
    low=0.0,
    high=8.0,
    suspicious="low",
    sentence=lambda value, normal: (
        f"{2**value:.1f} conversations per distinct topic; comparable accounts: "
        f"{2 ** normal[0]:.1f} to {2 ** normal[1]:.1f}"
    ),
)
