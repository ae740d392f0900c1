"""How alike consecutive requests of one conversation are: a person follows a thought."""

from __future__ import annotations

from stillwatch.account import AccountState
from stillwatch.cohort import Cohort
from stillwatch.signals.base import MIN_SAMPLE, AccountSignal


def _value(state: AccountState, _cohort: Cohort) -> float | None:
    pairs = state.profile.coherence_pairs
    return state.profile.coherence_sum / pairs if pairs >= MIN_SAMPLE else None


SIGNAL = AccountSignal(
    name="query_coherence",
    family="conversation",
    value=_value,
    low=0.3,   # unrelated 64-bit sketches agree in half of their bits; below 0.3 nothing natural is seen
    high=1.0,
    suspicious="low",
    sentence=lambda value, normal: (
        f"consecutive requests of a conversation agree in {value:.0%} of their sketch (unrelated ones in 50%); "
        f"comparable accounts: {normal[0]:.0%} to {normal[1]:.0%}"
    ),
)  # fmt: skip
