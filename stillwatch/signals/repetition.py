"""How often a conversation opens with nearly the same words as one of the last eight.

People retry and rephrase; a pool that is worked through without repeats has no near-duplicates at all.
"""

from __future__ import annotations

from stillwatch.account import AccountState
from stillwatch.cohort import Cohort
from stillwatch.signals.base import MIN_SAMPLE, AccountSignal


def _value(state: AccountState, _cohort: Cohort) -> float | None:
    profile = state.profile
    return profile.repeats / profile.near_pairs if profile.near_pairs >= MIN_SAMPLE else None


SIGNAL = AccountSignal(
    name="repetition",
    family="conversation",
    value=_value,
    low=0.0,
    high=1.02,
    suspicious="low",
    sentence=lambda value, normal: (
        f"{value:.0%} of conversations open almost as a recent one did; comparable accounts: "
        f"{normal[0]:.0%} to {normal[1]:.0%}"
    ),
)
