"""MIDAS-R: bursts of edges account -> topic, template or shared value (Bhatia et al., AAAI 2020, arXiv 1911.04464).

Two count-min sketches (2 rows of 1,024, as in the paper) hold how often an edge came in the current tick and ever; the
score is chi-squared for "more now than its mean so far". The R variant lets the current tick fade by half instead of
forgetting it, and takes the largest of the edge's, the source's and the destination's score. An account's score is the
mean log-score of its edges: a maximum would only count its requests. Known on this problem: AUC 0.42 an edge, 0.19 an
account; accounts that a balancer feeds evenly burst *less* than people (detection notes, simulated).
"""

from __future__ import annotations

import math
import zlib
from typing import Final

import numpy as np

from stillwatch.event import RequestEvent
from stillwatch.fingerprint import event_fingerprint
from stillwatch.rivals.base import Rival, shared_values

_ROWS: Final = 2
_COLUMNS: Final = 1_024
_FADE: Final = 0.5
_TICK_NANO: Final = 3_600_000_000_000


class CountMin:
    """Counts of hashed keys in bounded memory; never below the true count (Cormode & Muthukrishnan 2005).

    >>> sketch = CountMin()
    >>> sketch.add(b"a"), sketch.add(b"a"), sketch.add(b"b")
    (1.0, 2.0, 1.0)
    """

    def __init__(self, rows: int = _ROWS, columns: int = _COLUMNS) -> None:
        self._columns = columns
        self._cells = [[0.0] * columns for _ in range(rows)]

    def add(self, key: bytes) -> float:
        """Counts the key and gives its estimate."""
        estimate = math.inf
        for row, cells in enumerate(self._cells):
            # CRC is linear in its start value, so rows are told apart by a prefix and a multiplicative mix.
            at = ((zlib.crc32(key, row) * (2 * row + 1) * 0x9E3779B1) & 0xFFFF_FFFF) * self._columns >> 32
            cells[at] += 1
            estimate = min(estimate, cells[at])
        return estimate

    def fade(self, factor: float) -> None:
        self._cells = [(np.asarray(cells) * factor).tolist() for cells in self._cells]


def burst_score(now: float, total: float, tick: int) -> float:
    """The paper's chi-squared statistic: (a - s/t)² t² / (s (t - 1)), for a > s/t; else 0.

    >>> burst_score(now=10, total=100, tick=10)  # as often as ever
    0.0
    >>> round(burst_score(now=100, total=109, tick=10), 1)  # a burst after nine quiet ticks
    809.3
    """
    if tick <= 1 or total <= 0 or now * tick <= total:
        return 0.0
    return (now - total / tick) ** 2 * tick**2 / (total * (tick - 1))


class _Counted:
    def __init__(self) -> None:
        self._now, self._total = CountMin(), CountMin()

    def score(self, key: bytes, tick: int) -> float:
        return burst_score(self._now.add(key), self._total.add(key), tick)

    def fade(self) -> None:
        self._now.fade(_FADE)


class Midas(Rival):
    name = "midas"

    def __init__(self, threshold: float | None = None) -> None:
        super().__init__(threshold)
        self._edges, self._sources, self._destinations = _Counted(), _Counted(), _Counted()
        self._first_tick = self._tick = 0
        self._sums: dict[str, tuple[float, int]] = {}
        self._changed: set[str] = set()

    def observe(self, event: RequestEvent) -> None:
        self._turn(event.time_unix_nano // _TICK_NANO)
        tick = self._tick - self._first_tick + 1
        source = event.account.encode()
        of_source = self._sources.score(source, tick)
        worst = 0.0
        for value in _destinations(event):
            key = value.encode()
            edge = self._edges.score(source + b"\x1f" + key, tick)
            worst = max(worst, edge, of_source, self._destinations.score(key, tick))
        total, count = self._sums.get(event.account, (0.0, 0))
        self._sums[event.account] = (total + math.log1p(worst), count + 1)
        self._changed.add(event.account)

    def _turn(self, tick: int) -> None:
        if not self._first_tick:
            self._first_tick = self._tick = tick
        if tick > self._tick:
            # After 64 halvings nothing is left: a gap of years costs no more.
            for _ in range(min(tick - self._tick, 64)):
                for counted in (self._edges, self._sources, self._destinations):
                    counted.fade()
            self._tick = tick

    def _evaluate(self, now_unix_nano: int) -> set[str]:
        changed, self._changed = self._changed, set()
        for account in changed:
            total, count = self._sums[account]
            self._score[account] = total / count
        return changed


def _destinations(event: RequestEvent) -> list[str]:
    found = event_fingerprint(event)
    values = shared_values(event)
    if found is not None:
        values.append(f"cell={found.cell}")
        if found.template is not None:
            values.append(f"template={found.template}")
    return values
