"""How likely the next conversation is about a topic that the account has never asked about.

Good and Turing's estimate (Good 1953): the share of conversations whose topic was met once. It is the slope of the
diversity curve at the account's volume, where rarefaction looks at its beginning.
"""

from __future__ import annotations

from stillwatch.account import AccountState
from stillwatch.cohort import Cohort
from stillwatch.signals.base import MIN_SAMPLE, AccountSignal


def _value(state: AccountState, _cohort: Cohort) -> float | None:
    topics = state.profile.topics
    return topics.seen_once / topics.conversations if topics.conversations >= MIN_SAMPLE else None


SIGNAL = AccountSignal(
    name="topic_novelty",
    family="content",
    value=_value,
    low=0.0,
    high=1.02,
    suspicious="high",
    sentence=lambda value, normal: (
        f"the next conversation is about something new with a chance of {value:.0%}; comparable accounts: "
        f"{normal[0]:.0%} to {normal[1]:.0%}"
    ),
)
