"""How many of the 24 capability classes the account has asked for, against accounts of its volume."""

from __future__ import annotations

from stillwatch.account import AccountState
from stillwatch.lexicon import CAPABILITIES
from stillwatch.signals.base import AccountSignal


def _value(state: AccountState) -> float | None:
    return None if state.events < 8 else float(sum(1 for count in state.capabilities if count))


SIGNAL = AccountSignal(
    name="capability_coverage",
    value=_value,
    low=0.0,
    high=len(CAPABILITIES) + 1.0,
    suspicious="high",
    sentence=lambda value, normal: (
        f"covers {value:.0f} of {len(CAPABILITIES)} capabilities; accounts of this volume: "
        f"{normal[0]:.0f} to {normal[1]:.0f}"
    ),
)
