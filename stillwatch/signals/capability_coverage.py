"""How much of what a model can do the account has asked for, against chance.

The coupon collector's curve: a random sample of everybody's requests would meet sum over k of 1 - (1 - q_k)^n
capability classes. People stay below it, because they have interests; a systematic sweep reaches or passes it.
"""

from __future__ import annotations

from stillwatch.account import AccountState
from stillwatch.cohort import Cohort
from stillwatch.lexicon import CAPABILITIES
from stillwatch.signals.base import MIN_SAMPLE, AccountSignal


def _value(state: AccountState, cohort: Cohort) -> float | None:
    if state.profile.events < MIN_SAMPLE:
        return None
    expected = cohort.expected_capabilities(state.profile.events)
    if expected is None:
        return None
    return min((len(CAPABILITIES) - state.profile.capabilities.count(0)) / expected, 1.5)


SIGNAL = AccountSignal(
    name="capability_coverage",
    family="content",
    value=_value,
    low=0.0,
    high=1.5,
    suspicious="high",
    sentence=lambda value, normal: (
        f"covers {value:.0%} of the {len(CAPABILITIES)} capabilities that as many random requests would; "
        f"comparable accounts: {normal[0]:.0%} to {normal[1]:.0%}"
    ),
)
