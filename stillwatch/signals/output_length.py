"""How long the answers are: a harvest pays for tokens of the answer. Geometric mean, because lengths are log-normal."""

from __future__ import annotations

from stillwatch.account import AccountState
from stillwatch.cohort import Cohort
from stillwatch.signals.base import MIN_SAMPLE, AccountSignal

_LONGEST = 12.0  # ln of 160,000 tokens


def _value(state: AccountState, _cohort: Cohort) -> float | None:
    profile = state.profile
    return min(profile.output_log_sum / profile.outputs, _LONGEST) if profile.outputs >= MIN_SAMPLE else None


SIGNAL = AccountSignal(
    name="output_length",
    family="harvest",
    value=_value,
    low=0.0,
    high=_LONGEST,
    suspicious="high",
    sentence=lambda value, normal: (
        f"a typical answer has {2.718281828**value:.0f} tokens; comparable accounts: "
        f"{2.718281828 ** normal[0]:.0f} to {2.718281828 ** normal[1]:.0f}"
    ),
)
