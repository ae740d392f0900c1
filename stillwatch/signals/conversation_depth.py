"""Requests per conversation: people ask back, a harvest takes the answer and goes on."""

from __future__ import annotations

import math

from stillwatch.account import AccountState
from stillwatch.cohort import Cohort
from stillwatch.signals.base import MIN_SAMPLE, AccountSignal


def _value(state: AccountState, _cohort: Cohort) -> float | None:
    profile = state.profile
    if profile.openings < MIN_SAMPLE:
        return None
    return min(math.log2((profile.openings + profile.coherence_pairs) / profile.openings), 5.0)


SIGNAL = AccountSignal(
    name="conversation_depth",
    family="conversation",
    value=_value,
    low=0.0,
    high=5.0,
    suspicious="low",
    sentence=lambda value, normal: (
        f"{2**value:.1f} requests per conversation; comparable accounts: {2 ** normal[0]:.1f} to {2 ** normal[1]:.1f}"
    ),
)
