"""How alike consecutive requests are: a person follows a thought, a dispatcher deals out the next item."""

from __future__ import annotations

from stillwatch.account import AccountState
from stillwatch.signals.base import AccountSignal


def _value(state: AccountState) -> float | None:
    return None if state.coherence_pairs < 8 else state.coherence


SIGNAL = AccountSignal(
    name="query_coherence",
    value=_value,
    low=0.3,   # unrelated 64-bit sketches agree in half of their bits; below 0.3 nothing natural is seen
    high=1.0,
    suspicious="low",
    sentence=lambda value, normal: (
        f"consecutive requests agree in {value:.0%} of their sketch (unrelated ones in 50%); "
        f"accounts of this volume: {normal[0]:.0%} to {normal[1]:.0%}"
    ),
)  # fmt: skip
