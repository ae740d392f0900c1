"""Did the accounts of a group go over to a new model together?

Who harvests a model goes over to the next one within a day, with all accounts; people take weeks, and some never do.

A release is a model that was not there on the first day of history and that ``MIN_ADOPTERS`` units have used since.
It begins with the third unit to use it: no early access and no odd clock moves it. Of a group's units that were there
before and wrote after, those are counted that used it within ``WINDOW_S``.

Expected is what others do, which depends on how much they write, and with what: an update of a tool moves all who use
it, on one day. So the rate expected of a unit is the highest of those of units of like volume, and of other users of
its client, its system prompt and its parameters. Where most of a group shares one of these with nearly nobody
outside, such an update explains everything, and there is no opinion (who gives all accounts a client of their own is
linked by it). Siblings among the others make the test quieter, never louder.

The p-value is the larger of the binomial law's and that of the excess against the groups of the moment. A newsletter
can move strangers, too: it is no evidence by itself and counts beside content.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import bdtrc

from stillwatch.correlation.finding import Finding
from stillwatch.correlation.group_null import GroupNull
from stillwatch.correlation.linkage import Key
from stillwatch.correlation.table import NEVER_S, AccountTable, Slots

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

WINDOW_S: Final = 24 * 3_600
MIN_ADOPTERS: Final = 20  # units, before a new name is a release
MIN_UNITS: Final = 5
_FIRST_UNITS: Final = 3
_DAY_S: Final = 86_400
# A longer time ago too many accounts have come and gone.
_REMEMBERED_S: Final = 28 * _DAY_S
_EARLIEST: Final = 0.01  # history begins when this share of units was there: no odd clock moves that either
# Of like volume: one of sixteen bins, if they hold so many units; else of fewer.
_BINS: Final = 16
_PER_BIN: Final = 60
_TOOLS: Final = ("client", "parameters", "system")  # what a unit writes with
_MIN_OTHERS: Final = 10  # from fewer no rate is told
# Honest groups' shares differ by at least this much beside chance, however few groups there are to learn it from.
_MIN_BETWEEN: Final = 0.05
_WORTH_A_LOOK: Final = 0.05  # before tools are looked at, which takes all accounts


@dataclass(frozen=True, slots=True, eq=False)
class _Units:
    """All units that were there before the release and wrote after, by hash."""

    hashes: Slots
    adopted: Flags
    bin_of: Slots
    compared: Flags  # no known campaign's

    def rows(self, table: AccountTable, slots: Slots) -> Slots:
        wanted = np.unique(table.unit_hashes(slots))
        at = np.minimum(np.searchsorted(self.hashes, wanted), len(self.hashes) - 1)
        return np.asarray(at[self.hashes[at] == wanted])


class Pivot:
    """What is normal after the newest release."""

    def __init__(self, table: AccountTable, units: _Units, model: int, released_s: int, now_s: int) -> None:
        self.model, self.age_s, self.window_s = model, now_s - released_s, min(WINDOW_S, now_s - released_s)
        self._table, self._units = table, units
        self._all = _by_bin(units, units.compared)
        self.null: GroupNull | None = None

    @classmethod
    def learn(cls, table: AccountTable, honest: Slots, groups: Iterable[Slots], now_unix_nano: int) -> Pivot | None:
        """``honest``: accounts of no known campaign. ``None`` without a release in the last four weeks."""
        now_s = now_unix_nano // 10**9
        known = table.with_at_least(1)
        found = _newest_release(table, known, now_s)
        if found is None:
            return None
        model, released_s = found
        units = _exposed(table, known, honest, model, released_s, min(released_s + WINDOW_S, now_s))
        if units is None:
            return None
        self = cls(table, units, model, released_s, now_s)
        figures = []
        for slots in groups:
            rows = units.rows(table, slots)
            if len(rows) >= MIN_UNITS:
                figures.append(_excess(units.adopted[rows], self._by_volume(rows, rows)))
        self.null = GroupNull.of(figures, _MIN_BETWEEN)
        return self

    def _by_volume(self, rows: Slots, without: Slots) -> Floats:
        """The rate of other units of like volume, a row each."""
        apart = np.zeros(len(self._units.hashes), dtype=np.bool_)
        apart[without] = True
        count, adopters = self._all - _by_bin(self._units, apart & self._units.compared)
        if (thin := count < _MIN_OTHERS).any():
            count[thin], adopters[thin] = count.sum(), adopters.sum()
        return np.asarray(((adopters + 0.5) / (count + 1))[self._units.bin_of[rows]])

    @cached_property
    def _tools(self) -> tuple[list[frozenset[Key]], Counter[Key], Counter[Key]]:
        """What each unit writes with; how many units do, and how many of these adopted."""
        of_unit: list[set[Key]] = [set() for _ in self._units.hashes]
        known = self._table.with_at_least(1)
        hashes = self._table.unit_hashes(known)
        at = np.minimum(np.searchsorted(self._units.hashes, hashes), len(self._units.hashes) - 1)
        for slot, row in zip(known[mine := self._units.hashes[at] == hashes], at[mine], strict=True):
            of_unit[row].update(key for key in self._table.links(int(slot)) if key[0] in _TOOLS)
        users, adopters = Counter[Key](), Counter[Key]()
        for row, keys in enumerate(of_unit):
            users.update(keys)
            if self._units.adopted[row]:
                adopters.update(keys)
        return [frozenset(keys) for keys in of_unit], users, adopters

    def _by_tool(self, rows: Slots) -> Floats | None:
        """The highest rate of other users of what each unit writes with, 0 where too few others use it. ``None`` where
        most of the group shares what hardly anybody else uses."""
        of_unit, users, adopters = self._tools
        inside = Counter(key for row in rows for key in of_unit[row])
        moved = Counter(key for row in rows if self._units.adopted[row] for key in of_unit[row])
        rates = {}
        for key, count in inside.items():
            others = users[key] - count
            if others >= _MIN_OTHERS:
                rates[key] = (adopters[key] - moved[key] + 0.5) / (others + 1)
            elif 2 * count > len(rows):
                return None
        return np.array([max((rates.get(key, 0.0) for key in of_unit[row]), default=0.0) for row in rows])

    def test(self, slots: Slots) -> Finding | None:
        rows, null = self._units.rows(self._table, slots), self.null
        if null is None or len(rows) < MIN_UNITS:
            return None
        adopted, expected = self._units.adopted[rows], self._by_volume(rows, rows)
        p_value = _p_value(null, adopted, expected)
        if p_value <= _WORTH_A_LOOK:
            without = np.union1d(rows, self._units.rows(self._table, self._table.kin(slots)))
            by_tool = self._by_tool(rows)
            if by_tool is None:
                return None
            expected = np.maximum(np.maximum(expected, self._by_volume(rows, without)), by_tool)
            p_value = _p_value(null, adopted, expected)
        count, hours = len(rows), self.window_s / 3_600
        share, usual = float(adopted.mean()), float(expected.mean())
        low, high = null.interval(usual * (1 - usual) / count)
        normal = (min(max(usual + low, 0.0), 1.0), min(max(usual + high, 0.0), 1.0))
        sentence = (
            f"{int(adopted.sum())} of {count} accounts that were there before went over to a new model within "
            f"{hours:.0f} hours of its release, {self.age_s / _DAY_S:.1f} days ago; of others that write as much, or with "
            f"the same software, {usual:.0%} did"
        )
        return Finding("pivot", share, normal, p_value, sentence)


def pivot(table: AccountTable, slots: Slots, normal: Pivot) -> Finding | None:
    """One-sided. ``None`` for a small group, before enough groups were seen, and where an update of a tool may explain
    it. ``value``: the share of units that went over."""
    return normal.test(slots)


def _p_value(null: GroupNull, adopted: Flags, expected: Floats) -> float:
    count, moved = len(adopted), int(adopted.sum())
    excess, sampling = _excess(adopted, expected)
    by_chance = float(bdtrc(moved - 1, count, float(expected.mean()))) if moved else 1.0
    return max(by_chance, null.mirrored().p_value(-excess, sampling, count))


def _excess(adopted: Flags, expected: Floats) -> tuple[float, float]:
    """By how much the share that adopted is larger than expected, and its sampling variance."""
    variance = float((expected * (1 - expected)).sum()) / len(adopted) ** 2
    return float(adopted.mean() - expected.mean()), variance


def _by_bin(units: _Units, which: Flags) -> Floats:
    """(units, adopters) of each bin of volume."""
    count = np.bincount(units.bin_of[which], minlength=_BINS)
    return np.array([count, np.bincount(units.bin_of[which & units.adopted], minlength=_BINS)], dtype=np.float64)


def _newest_release(table: AccountTable, known: Slots, now_s: int) -> tuple[int, int] | None:
    """(hash of the model, unix s)."""
    models, first_s, seen_s = table.first_uses(known)
    row, place = np.nonzero(first_s < NEVER_S)
    model, at_s, unit = models[row, place], first_s[row, place], table.unit_hashes(known)[row]
    order = np.lexsort((at_s, unit, model))
    model, at_s, unit = model[order], at_s[order], unit[order]
    earliest = np.ones(len(model), dtype=np.bool_)  # of each unit's accounts
    earliest[1:] = (model[1:] != model[:-1]) | (unit[1:] != unit[:-1])
    model, at_s = model[earliest], at_s[earliest]
    order = np.lexsort((at_s, model))
    names, starts, counts = np.unique(model[order], return_index=True, return_counts=True)
    names, starts = names[counts >= MIN_ADOPTERS], starts[counts >= MIN_ADOPTERS]
    if not len(names):
        return None
    released_s = at_s[order][starts + _FIRST_UNITS - 1]
    began_s = int(np.sort(seen_s[:, 0])[int(_EARLIEST * len(seen_s))])
    new = (released_s > began_s + _DAY_S) & (released_s > now_s - _REMEMBERED_S)
    if not new.any():
        return None
    newest = int(np.lexsort((names, np.where(new, released_s, -1)))[-1])
    return int(names[newest]), int(released_s[newest])


def _exposed(
    table: AccountTable, known: Slots, honest: Slots, model: int, released_s: int, until_s: int
) -> _Units | None:  # fmt: skip
    models, first_s, seen_s = table.first_uses(known)
    hashes, unit = np.unique(table.unit_hashes(known), return_inverse=True)
    first, last, used = (np.full(len(hashes), value) for value in (NEVER_S, 0, NEVER_S))
    np.minimum.at(first, unit, seen_s[:, 0])
    np.maximum.at(last, unit, seen_s[:, 1])
    np.minimum.at(used, unit, np.where(models == model, first_s, NEVER_S).min(axis=1))
    exposed = (first < released_s) & (last >= released_s)
    if not exposed.any():
        return None
    volume = np.bincount(unit, table.conversations(known), minlength=len(hashes))[exposed]
    bins = int(np.clip(len(volume) // _PER_BIN, 1, _BINS))
    edges = np.quantile(volume, np.arange(1, bins) / bins)
    compared = np.isin(hashes, table.unit_hashes(honest))[exposed]
    return _Units(hashes[exposed], (used <= until_s)[exposed], np.searchsorted(edges, volume, side="right"), compared)
