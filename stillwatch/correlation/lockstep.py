"""Do the accounts of a group go from topic to topic together? Who works through a data set in its order makes them.

    within = of pairs of conversations of two accounts in the same three hours, the share on one topic
    beside = of pairs at that time of day, one on the day after the other's
    figure = within - beside

How alike the accounts are takes no part: it is in both. Nor do hours, time zones and what is asked in the evening: the
days are shifted whole. What goes on for days (an assignment, a project, a topic of the week) is in both, but for the one day on
which it changes. Timing alone takes no part either: only what is asked *when others write too* is looked at.

Counts of each time and topic are added up, so it costs what the conversations cost and never pairs of accounts. The sampling error
is the jackknife's over accounts. The p-value is the larger of that of no movement at all and that against the groups of the moment: a
p-value given what each account asked about in all, so independent of content's.

An honest group that turns to one subject on one afternoon (an incident, a lesson) moves together, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from stillwatch.correlation.asked import Integers
from stillwatch.correlation.finding import Finding
from stillwatch.correlation.group_null import GroupNull
from stillwatch.correlation.table import AccountTable, Slots
from stillwatch.fingerprint import CELLS

LOCKSTEP: Final = "lockstep"
# Long enough for pairs (a quiet account begins one conversation in an hour), short beside a day.
BIN_H: Final = 3
_BINS_A_DAY: Final = 24 // BIN_H
MIN_UNITS: Final = 8
# Of each kind. One topic in a hundred pairs is usual, so fewer say nothing.
_MIN_PAIRS: Final = 200
# Honest groups differ by at least this much beside sampling, however few groups there are to learn it from.
_MIN_BETWEEN: Final = 0.005
# Middle and spread of so many groups are known to some 5 %.
_MAX_TAUGHT: Final = 512

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Excess:
    """``within`` and ``beside``: shares of so many ``pairs``; ``variance``: of their difference, by sampling."""

    within: float
    beside: float
    variance: float
    units: int
    pairs: int

    @property
    def figure(self) -> float:
        return self.within - self.beside


def excess(unit: Integers, hour: Integers, cell: Integers) -> Excess | None:
    """Of conversations, a row each. ``None`` where too few accounts write at the same time to tell.

    >>> rng = np.random.default_rng(1)
    >>> unit, hour = rng.integers(0, 20, 800), rng.integers(0, 96, 800)
    >>> together, apart = (excess(unit, hour, cell) for cell in (hour // 3 * 7 % 64, rng.integers(0, 64, 800)))
    >>> round(together.figure, 1), abs(round(apart.figure, 2))
    (1.0, 0.0)
    """
    if not len(unit):
        return None
    bins = hour // BIN_H - int(hour.min()) // BIN_H
    same, next_day = _pairs(unit, bins, cell)
    same_all, next_day_all = _pairs(unit, bins, np.zeros_like(cell))  # as if there were one topic only
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
    return Excess(float(within), float(beside), variance, units, int(same_all.sum()) // 2)


def _pairs(unit: Integers, bins: Integers, cell: Integers) -> tuple[Floats, Floats]:
    """Of each unit the pairs of one of its conversations and one of another unit's on the same cell: in the same bin, and in
    that bin of the day before or after."""
    units, span = int(unit.max()) + 1, int(bins.max()) + 1 + 2 * _BINS_A_DAY
    at = (bins + _BINS_A_DAY) * CELLS + cell  # a day of nothing at either end, so that none is taken for another unit's
    all_at, all_many = np.unique(at, return_counts=True)
    mine, many = np.unique(unit * (span * CELLS) + at, return_counts=True)
    whose, where = np.divmod(mine, span * CELLS)

    def others(shift: int) -> Floats:
        moved = shift * CELLS
        others_many = _at(all_at, all_many, where + moved) - _at(mine, many, mine + moved)
        return np.asarray(many * others_many, dtype=np.float64)

    def of_units(pairs: Floats) -> Floats:
        return np.bincount(whose, pairs, minlength=units).astype(np.float64)

    return of_units(others(0)), of_units(others(_BINS_A_DAY) + others(-_BINS_A_DAY))


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
            GroupNull(0.0, 0.0, null.groups).mirrored().p_value(-found.figure, found.variance, found.units),
            null.mirrored().p_value(-found.figure, found.variance, found.units),
        )
        low, high = null.interval(found.variance)
        shown = "" if self.weight else "; it is shown, and no evidence here"
        return Finding(
            LOCKSTEP, found.figure, (low, high), p_value,
            f"of {found.pairs:,} pairs of conversations that two of {found.units} accounts began in the same {BIN_H} hours, "
            f"{found.within:.1%} are about one topic, and of pairs a day apart {found.beside:.1%}: {100 * found.figure:+.1f} "
            f"points, among accounts that share something else {100 * low:+.1f} to {100 * high:+.1f} (p = {p_value:.1e}){shown}",
            counts=self.weight > 0,
        )  # fmt: skip
