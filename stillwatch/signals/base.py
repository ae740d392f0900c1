"""What an account signal is: one number from one account's state, with a direction.

To add one: write a module with an :class:`AccountSignal` beside the others and add it to ``ACCOUNT_SIGNALS`` in
``stillwatch/signals/__init__.py``. Everything else (reference distribution, surprise, features, API) follows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from stillwatch.account import AccountState

# More accounts than this must have taught a reference before it may speak: the 5 % quantile of fewer is noise.
MIN_REFERENCE_ACCOUNTS = 30


@dataclass(frozen=True, slots=True)
class AccountSignal:
    """``value`` is ``None`` while the account is too young. ``low``/``high`` bound the value (for histograms);
    ``suspicious`` names the tail that a harvester of a model falls into."""

    name: str
    value: Callable[[AccountState], float | None]
    low: float
    high: float
    suspicious: Literal["high", "low"]
    sentence: Callable[[float, tuple[float, float]], str]
