"""How often two requests of the account are about different topics.

The probability that two conversations, drawn without replacement, fall into different topic cells (Simpson 1949;
Hurlbert's rarefaction at m = 2). Unbiased at any volume, unlike entropy, which grows with it.
"""

from __future__ import annotations

from stillwatch.account import AccountState
from stillwatch.signals.base import AccountSignal

_MIN_CONVERSATIONS = 8  # 28 pairs; below that the estimate is mostly noise


def _value(state: AccountState) -> float | None:
    n = state.conversations
    return None if n < _MIN_CONVERSATIONS else 1.0 - state.same_topic_pairs / (n * (n - 1))


SIGNAL = AccountSignal(
    name="topic_diversity",
    value=_value,
    low=0.0,
    high=1.0,
    suspicious="high",
    sentence=lambda value, normal: (
        f"two requests are about different topics in {value:.1%} of pairs; "
        f"accounts of this volume: {normal[0]:.1%} to {normal[1]:.1%}"
    ),
)
