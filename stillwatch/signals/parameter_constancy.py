"""Share of the account's requests with its most common parameter tuple (temperature, top_p, max_tokens, …)."""

from __future__ import annotations

from stillwatch.account import AccountState
from stillwatch.signals.base import AccountSignal


def _value(state: AccountState) -> float | None:
    total = sum(state.parameters.values())
    return None if total < 8 else max(state.parameters.values()) / total


SIGNAL = AccountSignal(
    name="parameter_constancy",
    value=_value,
    low=0.0,
    high=1.02,  # so that 1.0, by far the most common value, has a bin of its own
    suspicious="high",
    sentence=lambda value, normal: (
        f"{value:.0%} of requests use one set of parameters; accounts of this volume: {normal[0]:.0%} to {normal[1]:.0%}"
    ),
)
