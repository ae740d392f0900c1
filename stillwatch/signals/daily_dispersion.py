"""How unequal the account's days are: variance over mean of its daily requests (Fano factor), as a logarithm.

A balanced pool gives every account about the same every day (near 1, whatever hides the requests inside the day);
people have busy and idle days (10 and more at 26 requests a day).
"""

from __future__ import annotations

import math

from stillwatch.account import AccountState
from stillwatch.cohort import Cohort
from stillwatch.signals.base import AccountSignal

_MIN_DAYS = 3  # the variance of two is one difference
_MIN_PER_DAY = 8  # with fewer, chance is most of what is seen: whoever writes little would look even


def _value(state: AccountState, _cohort: Cohort) -> float | None:
    profile = state.profile
    # The first day began when the account did: it counts, or young accounts would never be measured.
    if profile.days < _MIN_DAYS or profile.days_sum < _MIN_PER_DAY * profile.days:
        return None
    mean = profile.days_sum / profile.days
    variance = (profile.days_sum_squared - profile.days * mean * mean) / (profile.days - 1)
    return math.log10(min(max(variance / mean, 0.01), 1_000.0))


SIGNAL = AccountSignal(
    name="daily_dispersion",
    family="rhythm",
    value=_value,
    low=-2.0,
    high=3.0,
    suspicious="low",
    sentence=lambda value, normal: (
        f"its days vary {10**value:.1f} times as much as random ones would; comparable accounts: "
        f"{10 ** normal[0]:.1f} to {10 ** normal[1]:.1f}"
    ),
)
