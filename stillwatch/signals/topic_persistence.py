"""Whether a conversation is more like the one before it than like one some way back.

A person has a subject for a while; a dispatcher deals out whatever comes next, so that the order of an account's
topics tells nothing (they are exchangeable). Compared with the account's own conversations eight back, so narrow and
broad accounts are measured alike and no population is needed for the zero point.
"""

from __future__ import annotations

from stillwatch.account import AccountState
from stillwatch.cohort import Cohort
from stillwatch.signals.base import MIN_SAMPLE, AccountSignal


def _value(state: AccountState, _cohort: Cohort) -> float | None:
    profile = state.profile
    if profile.far_pairs < MIN_SAMPLE:
        return None
    return profile.near_related / profile.near_pairs - profile.far_related / profile.far_pairs


SIGNAL = AccountSignal(
    name="topic_persistence",
    family="conversation",
    value=_value,
    low=-0.5,
    high=0.75,
    suspicious="low",
    sentence=lambda value, normal: (
        f"a conversation shares a topic with the one before it {value:+.0%} more often than with one eight back; "
        f"comparable accounts: {normal[0]:+.0%} to {normal[1]:+.0%}"
    ),
)
