"""Share of requests that ask for what a student model is trained on: reasoning traces, structured output."""

from __future__ import annotations

from stillwatch.account import AccountState
from stillwatch.cohort import Cohort
from stillwatch.signals.base import MIN_SAMPLE, AccountSignal


def _value(state: AccountState, _cohort: Cohort) -> float | None:
    profile = state.profile
    return profile.elicitations / profile.events if profile.events >= MIN_SAMPLE else None


SIGNAL = AccountSignal(
    name="elicitation_rate",
    family="harvest",
    value=_value,
    low=0.0,
    high=1.02,
    suspicious="high",
    sentence=lambda value, normal: (
        f"{value:.0%} of requests ask for reasoning traces or structured output; comparable accounts: "
        f"{normal[0]:.0%} to {normal[1]:.0%}"
    ),
)
