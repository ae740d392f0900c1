"""In which hour each account asked about which topic: its last week, told from the summaries that come anyway.

A summary counts conversations by topic since its window began. The i-th on a topic had begun by the hour of every summary that
counts i of them, so its hour is the earliest of these. That is the same in whatever order summaries come, how often, and
after which crash they are told again: a minimum (a join-semilattice; Shapiro et al. 2011). What the first summary counts may
be older than it and has no hour. A new window (an era's end, an account that a shard has begun afresh) starts from nothing,
as counts of two windows can not be compared.

Bounded: of each account a sample of at most ``MAX_KEPT`` conversations, four bytes each: every second one on a topic, every
fourth and so on, from a start that a hash of account and topic gives. So it is spread over the whole week, of a busy account
as of a light one, and what is kept does not depend on what has come before.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Totals = dict[int, int]  # topic cell -> conversations
Integers = npt.NDArray[np.int64]

# A light user's week, and a relay's account's four days: some 20 conversations in each hour of a group of a hundred.
MAX_KEPT: Final = 48
# Longer than that nobody's work is one piece, and a class is at its next assignment.
KEPT_H: Final = 7 * 24
_HOUR_NANO: Final = 3_600_000_000_000
_CODE: Final = "I"  # uint32: hours since 1970 and cell, in 24 and 8 bits
_CELL_BITS: Final = 8
_MOST_HALVINGS: Final = 24  # more conversations than that leaves over can not be counted (65,535 a cell)

_One = tuple[int, int, int]  # cell, i, hour


def hour_of(time_unix_nano: int) -> int:
    return time_unix_nano // _HOUR_NANO


class Asked:
    """By slot of the table. ``known``: what the newest summary of the account counted until now, in both halves.

    >>> asked = Asked()
    >>> asked.begin(0, hour=100)
    >>> asked.later(0, 7, known={3: 1}, told={3: 2, 5: 1}, hour=104)
    >>> asked.earlier(0, 7, known={3: 2, 5: 1}, told={3: 2}, hour=102, newest_hour=104)  # came late
    >>> [column.tolist() for column in asked.rows([0])]
    [[0, 0], [102, 104], [3, 5]]
    """

    def __init__(self) -> None:
        self._packed: list[bytes] = []
        self._first_hour = array("I")  # what began until then has no hour
        self._halvings = array("B")  # one conversation in 2^n is kept

    def begin(self, slot: int, hour: int) -> None:
        """The account's first summary, or the first of a new window."""
        while slot >= len(self._packed):
            self._packed.append(b"")
            self._first_hour.append(0)
            self._halvings.append(0)
        self._packed[slot], self._first_hour[slot], self._halvings[slot] = b"", hour, 0

    def forget(self, slot: int) -> None:
        self.begin(slot, 0)

    def later(self, slot: int, salt: int, known: Totals, told: Totals, hour: int) -> None:
        """A summary that is newer than all before. ``salt``: of the account, 32 bits."""
        if self._appended(slot, known, told, hour):
            return
        # A topic that an account's state had no room for any longer has fewer than before.
        ones = [one for one in self._ones(slot, salt, known) if one[1] <= told.get(one[0], 0)]
        if hour > self._first_hour[slot]:
            ones += self._drawn(slot, salt, known, told, hour)
        self._keep(slot, salt, ones, hour)

    def earlier(self, slot: int, salt: int, known: Totals, told: Totals, hour: int, newest_hour: int) -> None:
        """One of the same window that others have overtaken."""
        first, ones = self._first_hour[slot], self._ones(slot, salt, known)
        if hour < first and first > newest_hour - KEPT_H:
            # What had no hour, and is not counted here, has that of the summary that was the first.
            of_first = {cell: self._unknown(slot, salt, cell, count, ones) for cell, count in known.items()}
            ones += [(cell, i, first) for cell, places in of_first.items() for i in places]
        self._first_hour[slot] = min(first, hour)
        self._keep(
            slot, salt,
            [(cell, i, min(at, hour) if i <= told.get(cell, 0) else at) for cell, i, at in ones], newest_hour,
        )  # fmt: skip

    def rows(self, slots: Sequence[int]) -> tuple[Integers, Integers, Integers]:
        """(place among ``slots``, hour since 1970, cell) of each conversation that is kept."""
        packed = [self._packed[slot] for slot in slots]
        codes = np.frombuffer(b"".join(packed), dtype=np.uint32).astype(np.int64)
        places = np.repeat(np.arange(len(packed)), [len(one) // 4 for one in packed])
        return places, codes >> _CELL_BITS, codes & 0xFF

    def _appended(self, slot: int, known: Totals, told: Totals, hour: int) -> bool:
        """The same without asking which conversation each is, where all are kept: of nearly every account."""
        first = self._first_hour[slot]
        if self._halvings[slot] or any(told.get(cell, 0) < count for cell, count in known.items()):
            return False
        oldest = max(first, hour - KEPT_H) + 1 << _CELL_BITS
        codes = [code for code in array(_CODE, self._packed[slot]) if code >= oldest]
        if hour > first:
            for cell, count in told.items():
                if count > (before := known.get(cell, 0)):
                    codes += [hour << _CELL_BITS | cell] * min(count - before, MAX_KEPT + 1)
        if len(codes) > MAX_KEPT:
            return False
        self._packed[slot] = array(_CODE, sorted(codes)).tobytes()
        return True

    def size(self, slots: Sequence[int]) -> tuple[int, int]:
        """(bytes of what is kept of these accounts, how many of them had more than fits, so that a sample is kept)."""
        return sum(len(self._packed[slot]) for slot in slots), sum(self._halvings[slot] > 0 for slot in slots)

    # -- conversations by what they are ------------------------------------------------------------------------------

    def _ones(self, slot: int, salt: int, known: Totals) -> list[_One]:
        """Those that are kept. Of a topic they are the last that were drawn, in the order of their hours."""
        hours: dict[int, list[int]] = {}
        for code in array(_CODE, self._packed[slot]):
            hours.setdefault(code & 0xFF, []).append(code >> _CELL_BITS)
        out = []
        for cell, at in hours.items():
            places = self._downwards(slot, salt, cell, known.get(cell, 0), 0)
            out += [(cell, i, hour) for hour, i in zip(reversed(at), places, strict=False)]
        return out

    def _drawn(self, slot: int, salt: int, known: Totals, told: Totals, hour: int) -> Iterator[_One]:
        for cell, count in told.items():
            if count > (before := known.get(cell, 0)):
                yield from ((cell, i, hour) for i in self._downwards(slot, salt, cell, count, before))

    def _unknown(self, slot: int, salt: int, cell: int, count: int, ones: Iterable[_One]) -> list[int]:
        kept = {i for of, i, _ in ones if of == cell}
        return [i for i in self._downwards(slot, salt, cell, count, 0) if i not in kept]

    def _downwards(self, slot: int, salt: int, cell: int, from_count: int, to_count: int) -> Iterator[int]:
        step = 1 << self._halvings[slot]
        return iter(range(from_count - (from_count - _start(salt, cell)) % step, to_count, -step))

    def _keep(self, slot: int, salt: int, ones: list[_One], newest_hour: int) -> None:
        oldest = max(self._first_hour[slot], newest_hour - KEPT_H)
        ones = [one for one in ones if one[2] > oldest]
        while len(ones) > MAX_KEPT and self._halvings[slot] < _MOST_HALVINGS:
            self._halvings[slot] += 1
            ones = [one for one in ones if _is_drawn(salt, one[0], one[1], self._halvings[slot])]
        self._packed[slot] = array(_CODE, sorted(hour << _CELL_BITS | cell for cell, _, hour in ones)).tobytes()


def _is_drawn(salt: int, cell: int, i: int, halvings: int) -> bool:
    """Nested: what is drawn at one in four is drawn at one in two."""
    return (i - _start(salt, cell)) % (1 << halvings) == 0


def _start(salt: int, cell: int) -> int:
    mixed = (salt ^ cell * 0x9E3779B1) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF  # as in the finaliser of MurmurHash3
    return mixed ^ (mixed >> 15)
