"""Conversations per distinct topic: people return to their topics, a harvester works through a list."""

from __future__ import annotations

from stillwatch.account import AccountState
from stillwatch.signals.base import AccountSignal


def _value(state: AccountState) -> float | None:
    return None if state.conversations < 8 else min(state.conversations / state.distinct_cells, 64.0)


SIGNAL = AccountSignal(
    name="volume_to_diversity",
    value=_value,
    low=1.0,
    high=65.0,
    suspicious="low",
    sentence=lambda value, normal: (
        f"{value:.1f} conversations per distinct topic; accounts of this volume: {normal[0]:.1f} to {normal[1]:.1f}"
    ),
)
