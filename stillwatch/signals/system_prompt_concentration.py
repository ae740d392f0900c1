"""Share of requests under the account's most common system prompt, among all of its requests."""

from __future__ import annotations

from stillwatch.account import AccountState
from stillwatch.cohort import Cohort
from stillwatch.signals.base import MIN_SAMPLE, AccountSignal


def _value(state: AccountState, _cohort: Cohort) -> float | None:
    profile = state.profile
    if profile.events < MIN_SAMPLE or not profile.systems:
        return None
    return max(profile.systems.values()) / profile.events


SIGNAL = AccountSignal(
    name="system_prompt_concentration",
    family="habit",
    value=_value,
    low=0.0,
    high=1.02,
    suspicious="high",
    sentence=lambda value, normal: (
        f"{value:.0%} of requests come under one system prompt; comparable accounts: {normal[0]:.0%} to {normal[1]:.0%}"
    ),
)
