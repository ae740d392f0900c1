"""Share of conversations that follow the account's most common template, among those that follow one."""

from __future__ import annotations

from stillwatch.account import AccountState
from stillwatch.cohort import Cohort
from stillwatch.signals.base import MIN_SAMPLE, AccountSignal


def _value(state: AccountState, _cohort: Cohort) -> float | None:
    counts = state.profile.templates.values()
    return max(counts) / total if (total := sum(counts)) >= MIN_SAMPLE else None


SIGNAL = AccountSignal(
    name="template_concentration",
    family="habit",
    value=_value,
    low=0.0,
    high=1.02,
    suspicious="high",
    sentence=lambda value, normal: (
        f"{value:.0%} of its templated requests fill one template; comparable accounts: "
        f"{normal[0]:.0%} to {normal[1]:.0%}"
    ),
)
