"""Whether the account ever sleeps: the share of requests in its quietest eight hours of the day.

Under uniform activity it is close to a third; a person's nights are empty, wherever the person lives.
"""

from __future__ import annotations

from itertools import accumulate
from operator import sub

from stillwatch.account import AccountState
from stillwatch.cohort import Cohort
from stillwatch.signals.base import AccountSignal

_NIGHT_HOURS = 8
_MIN_EVENTS = 48  # two a clock hour: with fewer, some eight hours are empty by chance


def _value(state: AccountState, _cohort: Cohort) -> float | None:
    if state.profile.events < _MIN_EVENTS:
        return None
    # Every eight hours in a row, round the clock: differences of cumulated counts.
    cumulated = list(accumulate(state.profile.hours + state.profile.hours[: _NIGHT_HOURS - 1], initial=0))
    quietest: int = min(map(sub, cumulated[_NIGHT_HOURS:], cumulated))
    return quietest / state.profile.events


SIGNAL = AccountSignal(
    name="quiet_hours",
    family="rhythm",
    value=_value,
    low=0.0,
    high=0.34,
    suspicious="high",
    sentence=lambda value, normal: (
        f"{value:.0%} of requests fall into its quietest eight hours of the day (33% would be round the clock); "
        f"comparable accounts: {normal[0]:.0%} to {normal[1]:.0%}"
    ),
)
