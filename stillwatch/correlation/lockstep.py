"""Do the accounts of a group go from topic to topic together? Who works through a data set in its order makes them.

    within = of pairs of conversations of two accounts in the same hour, the share on one topic
    beside = of pairs at that hour of two days in a row
    figure = within - beside

How alike the accounts are takes no part: it is in both. Nor do hours, time zones and what is asked in the evening: the
days are shifted whole. What goes on for days (an assignment, a project, a topic of the week) is in both, but for the one day on
which it changes. Timing alone takes no part either: only what is asked *when others write too* is looked at.

Counts of each time and topic are added up, so it costs what the conversations cost and never pairs of accounts.

The p-value is the largest of three. *No movement*: the error is the jackknife's over accounts. *No more than others*: against
the groups of the moment. *No more than an incident or an assignment*, which move honest groups through some topics: the topics
are taken as the sample, and so few of them say little. All of it is given what each account asked about in all, so it does not
depend on what content says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr

from stillwatch.correlation.asked import Integers
from stillwatch.correlation.finding import Finding
from stillwatch.correlation.group_null import GroupNull
from stillwatch.correlation.table import AccountTable, Slots
from stillwatch.fingerprint import CELLS

LOCKSTEP: Final = "lockstep"
_DAY_H: Final = 24
MIN_UNITS: Final = 8
# Of each kind. One topic in a hundred pairs is usual, so fewer say nothing.
_MIN_PAIRS: Final = 200
# Honest groups differ by at least this much beside sampling, however few groups there are to learn it from.
_MIN_BETWEEN: Final = 0.005
_TOLD: Final = 0.05  # above it, what is no evidence would only make a reviewer read more
# Middle and spread of so many groups are known to some 5 %.
_MAX_TAUGHT: Final = 512

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Excess:
    """``within`` and ``beside``: shares of so many ``pairs``; ``variance``: of their difference, by sampling; ``topics``: over how
    many it is spread, as if they had equal parts."""

    within: float
    beside: float
    variance: float
    units: int
    pairs: int
    topics: float

    @property
    def figure(self) -> float:
        return self.within - self.beside


def excess(unit: Integers, hour: Integers, cell: Integers) -> Excess | None:
    """Of conversations, a row each. ``None`` where too few accounts write at the same time to tell.

    >>> rng = np.random.default_rng(1)
    >>> unit, hour = rng.integers(0, 20, 2000), rng.integers(0, 96, 2000)
    >>> together, apart = (excess(unit, hour, cell) for cell in (hour * 7 % 61, rng.integers(0, 61, 2000)))
    >>> round(together.figure, 1), abs(round(apart.figure, 2))
    (1.0, 0.0)
    """
    if not len(unit):
        return None
    hour = hour - hour.min()
    found, possible = _pairs(unit, hour, cell), _pairs(unit, hour, np.zeros_like(cell))  # as if there were one topic
    same, next_day, same_all, next_day_all = found.same, found.next_day, possible.same, possible.next_day
    told = same_all + next_day_all > 0
    units = int(told.sum())
    if units < MIN_UNITS or min(same_all.sum(), next_day_all.sum()) < 2 * _MIN_PAIRS:
        return None
    within, beside = same.sum() / same_all.sum(), next_day.sum() / next_day_all.sum()
    # Each pair stands with both of its accounts: without one of them its pairs are gone twice.
    within_out = (same.sum() - 2 * same[told]) / np.maximum(same_all.sum() - 2 * same_all[told], 1.0)
    beside_out = (next_day.sum() - 2 * next_day[told]) / np.maximum(next_day_all.sum() - 2 * next_day_all[told], 1.0)
    out = within_out - beside_out
    variance = (units - 1) / units * float(((out - out.mean()) ** 2).sum())
    share = np.bincount(cell, minlength=CELLS) / len(cell)
    topics = _topics(found.same_on, found.next_day_on, same_all.sum(), next_day_all.sum(), share)
    return Excess(float(within), float(beside), variance, units, int(same_all.sum()) // 2, topics)


def _topics(same: Floats, next_day: Floats, pairs: float, pairs_beside: float, share: Floats) -> float:
    """Over how many topics the excess is spread: its square over the sum of the parts' squares, less what chance makes of these
    (Poisson). Popular topics make most pairs, so each counts by what it is more than its share."""
    within, beside = same / pairs, next_day / pairs_beside
    weight = 1 / (share + 1 / CELLS)
    parts = weight * (within - beside)
    by_chance = float((weight**2 * 2 * (within / pairs + beside / pairs_beside)).sum())  # each pair stands twice
    whole = max(float(parts.sum()), 0.0) ** 2
    return whole / max(float((parts**2).sum()) - by_chance, whole / CELLS, 1e-30)


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Of each unit the pairs of one of its conversations and one of another unit's on the same cell: in the same hour, and in that
    hour of the day before or after. ``_on``: of each cell."""

    same: Floats
    next_day: Floats
    same_on: Floats
    next_day_on: Floats


def _pairs(unit: Integers, hour: Integers, cell: Integers) -> _Pairs:
    units, span = int(unit.max()) + 1, int(hour.max()) + 1 + 2 * _DAY_H
    at = (hour + _DAY_H) * CELLS + cell  # a day of nothing at either end, so that none is taken for another unit's
    all_at, all_many = np.unique(at, return_counts=True)
    mine, many = np.unique(unit * (span * CELLS) + at, return_counts=True)
    whose, where = np.divmod(mine, span * CELLS)

    def others(shift: int) -> Floats:
        moved = shift * CELLS
        others_many = _at(all_at, all_many, where + moved) - _at(mine, many, mine + moved)
        return np.asarray(many * others_many, dtype=np.float64)

    same, next_day = others(0), others(_DAY_H) + others(-_DAY_H)
    by = ((whose, units), (where % CELLS, CELLS))
    return _Pairs(
        *(np.bincount(of, pairs, minlength=count).astype(np.float64) for of, count in by for pairs in (same, next_day))
    )


def _at(keys: Integers, values: Integers, wanted: Integers) -> Integers:
    """The values of those keys (rising), 0 where there is none."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0)


class Lockstep:
    """What is normal is learnt when a group is first asked about: most evaluations test none."""

    def __init__(self, table: AccountTable, groups: Sequence[Slots], weight: float) -> None:
        """``groups``: linkage groups of the moment, each once; ``weight``: of the finding as evidence, 0: it is only shown."""
        self._table, self._groups, self.weight = table, groups, weight
        self._null: GroupNull | None = None
        self._learnt = False

    @property
    def null(self) -> GroupNull | None:
        """``None`` before enough groups were seen."""
        if not self._learnt:
            every = -(-len(self._groups) // _MAX_TAUGHT) or 1
            self._null = self.learnt(self._groups[::every])
            self._learnt = True
        return self._null

    def learnt(self, groups: Iterable[Slots]) -> GroupNull | None:
        found = [one for slots in groups if (one := self.excess(slots)) is not None]
        return GroupNull.of([(one.figure, one.variance) for one in found], _MIN_BETWEEN)

    def excess(self, slots: Slots) -> Excess | None:
        if len(slots) < MIN_UNITS:
            return None
        place, hour, cell = self._table.asked.rows(slots.tolist())
        return excess(self._table.units(slots)[place], hour, cell)

    def finding(self, slots: Slots) -> Finding | None:
        """One-sided. ``None`` for a small or quiet group, and before enough groups were seen. ``value``: a share of pairs."""
        found = self.excess(slots)
        null = self.null if found is not None else None
        if found is None or null is None:
            return None
        p_value = max(
            GroupNull(0.0, 0.0, null.groups).p_value(-found.figure, found.variance, found.units),
            _of_few_topics(found),
            null.mirrored().p_value(-found.figure, found.variance, found.units),
        )
        low, high = null.interval(found.variance)
        over = f", over some {found.topics:.0f} topics" if found.figure > 0 and found.topics >= 0.5 else ""
        shown = "" if self.weight else "; it is shown, and no evidence here"
        return Finding(
            LOCKSTEP, found.figure, (low, high), p_value,
            f"of {found.pairs:,} pairs of conversations that two of {found.units} accounts began in the same hour, {found.within:.1%} "
            f"are about one topic, and of pairs a day apart {found.beside:.1%}: {100 * found.figure:+.1f} "
            f"points{over}; among accounts that share something else {100 * low:+.1f} to "
            f"{100 * high:+.1f} points (p = {p_value:.1e}){shown}",
            counts=self.weight > 0,
        )  # fmt: skip

    def shown(self, slots: Slots) -> Finding | None:
        """Without a weight: what a reviewer of a campaign is told, if it is anything. Asked of what was found alone."""
        found = self.finding(slots) if not self.weight else None
        return found if found is not None and found.p_value <= _TOLD else None


def _of_few_topics(found: Excess) -> float:
    """One-sided, Student's t: that topics which move by chance, up or down, add up to as much. A mean over its error is the root
    of the number of topics, where these have equal parts.

    >>> def of(topics):
    ...     return _of_few_topics(Excess(0.1, 0.05, 1e-6, 30, 1000, topics))
    >>> [f"{of(topics):.0e}" for topics in (1, 6, 30)]
    ['3e-01', '3e-02', '3e-06']
    """
    if found.figure <= 0:
        return 1.0
    return float(stdtr(max(found.topics - 1, 1.0), -np.sqrt(found.topics)))
