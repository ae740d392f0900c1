"""Share of the account's requests with its most common parameter tuple (temperature, top_p, max_tokens, …)."""

from __future__ import annotations

from stillwatch.account import AccountState
from stillwatch.cohort import Cohort
from stillwatch.signals.base import MIN_SAMPLE, AccountSignal


def _value(state: AccountState, _cohort: Cohort) -> float | None:
    counts = state.profile.parameters.values()
    return max(counts) / total if (total := sum(counts)) >= MIN_SAMPLE else None


SIGNAL = AccountSignal(
    name="parameter_constancy",
    family="habit",
    value=_value,
    low=0.0,
    high=1.02,  # so that 1.0, by far the most common value, has a bin of its own
    suspicious="high",
    sentence=lambda value, normal: (
        f"{value:.0%} of requests use one set of parameters; comparable accounts: {normal[0]:.0%} to {normal[1]:.0%}"
    ),
)
