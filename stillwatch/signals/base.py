"""What an account signal is: one number from one account's state, with a direction and a sentence.

To add one: write a module with an :class:`AccountSignal` beside the others and add it to ``ACCOUNT_SIGNALS`` in
``stillwatch/signals/__init__.py``. Normal ranges, p-values, features of the River models, the API, the backtest's
calibration follow. A signal that needs numbers which the account's profile lacks keeps up to 8 of its own: ``fold``.
docs/signals.md walks through an example.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from stillwatch.account import AccountState, Fold
from stillwatch.cohort import Cohort

# Evidence of one family is averaged before families are added: six ways of saying "diverse" are not six witnesses.
Family = Literal["content", "conversation", "rhythm", "habit", "harvest", "cohort"]
# Conversations, or requests where a signal counts those: with fewer, estimates are mostly noise.
MIN_SAMPLE = 8


@dataclass(frozen=True, slots=True)
class AccountSignal:
    """``value`` is ``None`` while the account is too young or lacks the data. ``low``/``high`` bound the value (for
    histograms); ``suspicious`` names the tail that a harvester of a model falls into. ``sentence`` gets the value and
    the 5 % and 95 % quantile of honest accounts of like use, plan and volume."""

    name: str
    family: Family
    value: Callable[[AccountState, Cohort], float | None]
    low: float
    high: float
    suspicious: Literal["high", "low"]
    sentence: Callable[[float, tuple[float, float]], str]
    fold: Fold | None = None
