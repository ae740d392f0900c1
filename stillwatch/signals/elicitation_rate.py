"""Share of requests that ask for what a student model is trained on: reasoning traces, structured output."""

from __future__ import annotations

from stillwatch.account import AccountState
from stillwatch.signals.base import AccountSignal


def _value(state: AccountState) -> float | None:
    return None if state.events < 8 else state.elicitations / state.events


SIGNAL = AccountSignal(
    name="elicitation_rate",
    value=_value,
    low=0.0,
    high=1.02,
    suspicious="high",
    sentence=lambda value, normal: (
        f"{value:.0%} of requests ask for reasoning traces or structured output; accounts of this volume: "
        f"{normal[0]:.0%} to {normal[1]:.0%}"
    ),
)
