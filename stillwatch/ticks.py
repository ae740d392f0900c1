"""When evaluations stand, and what belongs to which: ticks of event time, at multiples of their distance since 1970.

A partition closes a tick when, in the order of its stream, the first request at or after the tick comes; what it then
says is its state after everything before that request. So a late request counts when it comes, and what is said at a
tick is a function of the partition's messages alone: not of batches, shards or clocks (docs/adr/0014).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from stillwatch.summary import AccountSummary
from stillwatch.verdict import AccountScore

# A gateway's clock that is further ahead than this drives no ticks: by a request of tomorrow, today would be closed.
MAX_AHEAD_NANO: Final = 60_000_000_000
_MAX_ALERTS: Final = 1_000  # of one partition and tick
# Nobody takes cuts while the aggregator is away. A shard stops reading long before; beyond this, ticks become one.
MAX_CUTS: Final = 256
_S_NANO: Final = 1_000_000_000


def tick_after(time_unix_nano: int, tick_nano: int) -> int:
    """The first tick behind a time; a tick itself belongs to the next one.

    >>> tick_after(899, 900), tick_after(900, 900)
    (900, 1800)
    """
    return (time_unix_nano // tick_nano + 1) * tick_nano


@dataclass(frozen=True, slots=True)
class Cut:
    """What a partition says at a tick: accounts that changed since the one before, by name, and severe scores."""

    tick_unix_nano: int
    summaries: list[AccountSummary]
    alerts: list[AccountScore]


@dataclass(slots=True)
class Ledger:
    """What of a partition changed since its last cut. ``open_unix_nano`` is the tick that it will be said at; 0 before
    the first request. Bounded by the partition's accounts."""

    tick_nano: int
    open_unix_nano: int = 0
    silent_unix_nano: int = 0  # the last tick that was closed by silence
    changed: set[str] = field(default_factory=set)
    alerts: dict[str, AccountScore] = field(default_factory=dict)

    @property
    def closed_unix_nano(self) -> int:
        """Every tick up to here has been closed."""
        return max(self.open_unix_nano - self.tick_nano, 0)

    def ends(self, time_unix_nano: int) -> bool:
        """Whether a request of this time closes the open tick."""
        return 0 < self.open_unix_nano <= time_unix_nano

    def has_news(self) -> bool:
        return self.open_unix_nano > 0 and bool(self.changed or self.alerts)

    def go_on_to(self, tick_unix_nano: int) -> None:
        self.open_unix_nano = max(self.open_unix_nano, tick_unix_nano)

    def alert(self, score: AccountScore) -> None:
        """The newest of an account counts."""
        if score.account in self.alerts or len(self.alerts) < _MAX_ALERTS:
            self.alerts[score.account] = score

    def forget(self, accounts: Iterable[str]) -> None:
        self.changed.difference_update(accounts)


def nano_of(seconds: float) -> int:
    return round(seconds * _S_NANO)
