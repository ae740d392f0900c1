"""Share of the account's most common template among its requests that follow one; where forms are a habit at all.

People's requests look like some template now and then, and more so within a conversation: which one says nothing.
"""

from __future__ import annotations

from stillwatch.account import AccountState
from stillwatch.cohort import Cohort
from stillwatch.signals.base import MIN_SAMPLE, AccountSignal

# Of the requests: people stay below, products and jobs that fill a form are at 1.
_HABIT_SHARE = 0.7


def _value(state: AccountState, _cohort: Cohort) -> float | None:
    counts = state.profile.templates.values()
    total = sum(counts)
    return max(counts) / total if total >= max(MIN_SAMPLE, _HABIT_SHARE * state.profile.events) else None


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
