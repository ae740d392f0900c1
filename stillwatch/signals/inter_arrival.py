"""How uneven the pauses between conversations are: the standard deviation of their logarithm.

Sittings and nights make a person's pauses range from seconds to days (about 2 and more); a random stream has
pi / sqrt(6) = 1.28; a scheduler less. Exponentially weighted over about 100 pauses.
"""

from __future__ import annotations

import math

from stillwatch.account import AccountState
from stillwatch.cohort import Cohort
from stillwatch.event import RequestEvent
from stillwatch.fingerprint import Fingerprint
from stillwatch.signals.base import MIN_SAMPLE, AccountSignal

_MEMORY = 1 / 100


def _fold(before: list[float] | None, event: RequestEvent, _fingerprint: Fingerprint | None) -> list[float]:
    """[time of the last opening in s, pauses, mean of ln(1 + pause), variance of it]"""
    now_s = event.time_unix_nano / 1e9
    if before is None:
        return [now_s, 0.0, 0.0, 0.0]
    turn = event.attributes.get("stillwatch.prompt.turn")
    if isinstance(turn, int | float) and turn > 1:
        return before
    last_s, pauses, mean, variance = before
    # West (1979), with a weight that is 1/n at first and constant later.
    weight = max(1 / (pauses + 1), _MEMORY)
    step = math.log1p(max(now_s - last_s, 0.0)) - mean
    mean += weight * step
    variance = (1 - weight) * (variance + weight * step * step)
    return [max(now_s, last_s), pauses + 1, mean, variance]


def _value(state: AccountState, _cohort: Cohort) -> float | None:
    known = state.memory.get("inter_arrival")
    return min(math.sqrt(known[3]), 6.0) if known is not None and known[1] >= MIN_SAMPLE else None


SIGNAL = AccountSignal(
    name="inter_arrival",
    family="rhythm",
    value=_value,
    low=0.0,
    high=6.0,
    suspicious="low",
    sentence=lambda value, normal: (
        f"the pauses between conversations vary by a factor of {2.718281828**value:.1f} (a random stream: 3.6); "
        f"comparable accounts: {2.718281828 ** normal[0]:.1f} to {2.718281828 ** normal[1]:.1f}"
    ),
    fold=_fold,
)
