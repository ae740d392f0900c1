"""Calls that failed on one account and began again, word for word, on another customer's within a minute.

Relays do this: what is limited or fails goes to a sibling at once (public account pools: sticky sessions with failover). One
customer hardly ever asks what another's call has just failed with; how often it happens by chance is counted on the same
traffic, as beginnings *before* the failure (the shifted null of point processes): chance knows no direction. Prompts that
several customers send within minutes (a greeting, an assignment) tie nobody.

Nothing need be shared for this, and cover does not hide it. A relay that lets failed calls go, or waits with them, or rewords
them, shows none. Pair-free: each call is looked up by its hash; kept are some minutes of calls and the hand-offs found.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

Call = tuple[int, int]  # (ms since 1970, hash of the prompt)
# Public relays try the next account at once, some after some seconds.
_WITHIN_MS: Final = 60_000
# Summaries of one moment arrive over some seconds.
_LATE_MS: Final = 30_000
# A call is tried on three accounts at most; what more customers begin with is a common prompt.
_MAX_CUSTOMERS: Final = 4
# Bounds. At 10,000 requests a second some 1.5 million calls are looked at; 28.8 million requests had some 130,000 hand-offs.
_MAX_CALLS: Final = 2_000_000
_MAX_HANDOFFS: Final = 200_000
_DAY_MS: Final = 86_400_000

Pair = tuple[str, str]


class Handoffs:
    """
    >>> found = Handoffs()
    >>> for second in range(3):
    ...     failed = (1_000_000 * second, second)
    ...     found.note("a", 1, begun=[failed], failed=[failed])
    ...     found.note(f"b{second}", 2 + second, begun=[(failed[0] + 4_000, second)], failed=[])
    ...     found.settle(failed[0] + 200_000)
    >>> found.pairs(), found.failures, found.backwards
    ([('a', 'b0'), ('a', 'b1'), ('a', 'b2')], 3, 0)
    """

    def __init__(self, era_days: int = 14) -> None:
        """``era_days``: hand-offs of the running era and the one before it count, as all that is known of accounts."""
        self._era_ms = era_days * _DAY_MS
        self._begun: dict[int, dict[tuple[int, str], int]] = {}  # by hash: (ms, account) -> customer
        self._failed: dict[tuple[int, str, int], int] = {}  # (ms, account, hash) -> customer
        self._calls = 0
        self._settled_ms = -(1 << 62)  # failures until here have been looked at
        self._pairs: dict[Pair, list[int]] = {}  # -> [first ms, last ms, how often, of these where a chain began]
        self._before: dict[Pair, int] = {}  # -> last ms: between whom a beginning came before the failure
        # By era: failures that were looked at, and those with a beginning before.
        self._counted: dict[int, list[int]] = {}
        self.dropped = 0  # calls and hand-offs for which there was no room

    # -- calls in ----------------------------------------------------------------------------------------------------

    def note(self, account: str, customer: int, begun: Iterable[Call], failed: Iterable[Call]) -> None:
        """Of an account's summary; the same calls any number of times. ``customer``: accounts of one organisation are one."""
        for at_ms, of in failed:
            if at_ms > self._settled_ms:
                self._failed[at_ms, account, of] = customer
        for at_ms, of in begun:
            if at_ms > self._settled_ms - _WITHIN_MS:
                same = self._begun.setdefault(of, {})
                if (at_ms, account) not in same:
                    if self._calls >= _MAX_CALLS:
                        self.dropped += 1
                        continue
                    self._calls += 1
                    same[at_ms, account] = customer

    def settle(self, now_ms: int) -> None:
        """Looks at the failures after which a minute has passed."""
        until_ms = now_ms - _WITHIN_MS - _LATE_MS
        if until_ms <= self._settled_ms:
            return
        due = (failure for failure in self._failed if self._settled_ms < failure[0] <= until_ms)
        for failure in sorted(due):
            self._look_at(*failure, self._failed[failure])
        self._settled_ms = until_ms
        self._forget(now_ms)

    def _look_at(self, at_ms: int, account: str, of: int, customer: int) -> None:
        same = self._begun.get(of, {})
        others = sorted((ms, name) for (ms, name), whose in same.items() if whose != customer)
        counted = self._counted.setdefault(at_ms // self._era_ms, [0, 0])
        counted[0] += 1
        if len({*same.values(), customer}) > _MAX_CUSTOMERS:
            return
        # What failed elsewhere before, and came from there, is the same hand-off going on.
        before = [name for ms, name in others if -_WITHIN_MS <= ms - at_ms < 0 and (ms, name, of) not in self._failed]
        if before:
            counted[1] += 1
            self._before[min(account, before[0]), max(account, before[0])] = at_ms
            return
        after = [(ms, name) for ms, name in others if 0 <= ms - at_ms <= _WITHIN_MS]
        if after:
            ms, sibling = after[0]
            pair = (min(account, sibling), max(account, sibling))
            first, last, count, begins = self._pairs.setdefault(pair, [ms, ms, 0, 0])
            goes_on = any(-_WITHIN_MS <= ms - at_ms < 0 for ms, _ in others)
            self._pairs[pair] = [min(first, ms), max(last, ms), count + 1, begins + (not goes_on)]

    def _forget(self, now_ms: int) -> None:
        oldest_ms = self._settled_ms - _WITHIN_MS
        self._failed = {failure: whose for failure, whose in self._failed.items() if failure[0] > oldest_ms}
        for of in list(self._begun):
            kept = {call: whose for call, whose in self._begun[of].items() if call[0] > oldest_ms}
            self._calls -= len(self._begun[of]) - len(kept)
            if kept:
                self._begun[of] = kept
            else:
                del self._begun[of]
        eras = (now_ms // self._era_ms - 1, now_ms // self._era_ms)
        self._counted = {era: counted for era, counted in self._counted.items() if era in eras}
        self._pairs = {pair: seen for pair, seen in self._pairs.items() if seen[1] // self._era_ms in eras}
        self._before = {pair: last for pair, last in self._before.items() if last // self._era_ms in eras}
        for pair in sorted(self._before, key=lambda pair: (self._before[pair], pair))[:-_MAX_HANDOFFS]:
            del self._before[pair]  # more of them than hand-offs that are kept: there is no telling them apart any more
        over = len(self._pairs) - _MAX_HANDOFFS
        if over > 0:
            self.dropped += over
            for pair in sorted(self._pairs, key=lambda pair: (self._pairs[pair][1], pair))[:over]:
                del self._pairs[pair]

    # -- what was found ----------------------------------------------------------------------------------------------

    def pairs(self) -> list[Pair]:
        """Accounts of different customers, oldest hand-off first."""
        return sorted(self._pairs, key=lambda pair: (self._pairs[pair][0], pair))

    def begins_a_chain(self, pair: Pair) -> bool:
        """Whether one of the pair's hand-offs was the first of its call. In an outage one prompt that four customers send within a minute
        fails on one after the other and looks like a call that went through all four: one coincidence, and not three."""
        return self._pairs[pair][3] > 0

    def pairs_before(self) -> list[Pair]:
        """Between whom chance made the like, by the beginnings before failures."""
        return sorted(self._before)

    @property
    def failures(self) -> int:
        """That were looked at, within the eras that count."""
        return sum(counted[0] for counted in self._counted.values())

    @property
    def backwards(self) -> int:
        """Of these, with a beginning just before: what chance makes, it makes in both directions."""
        return sum(counted[1] for counted in self._counted.values())
