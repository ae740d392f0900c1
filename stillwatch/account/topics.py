"""What an account asks about: how many of its conversations fell into each topic cell, in two halves.

One half may propose groups, the other tests them (docs/adr/0005). At most 192 of the 256 cells are kept (broader than
that is simply broad: the rarest makes room) and counts saturate at 65,535. Packed: three to five bytes a cell in use.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Final

_MAX_COUNT: Final = 65_535
_MAX_CELLS: Final = 192
# Cells by their count, for rarefaction; the last rank holds all larger counts.
_RANKS: Final = 32

Sparse = tuple[tuple[int, int], ...]


class TopicCounts:
    """
    >>> topics = TopicCounts()
    >>> for cell in (1, 2, 2, 3):
    ...     topics.count(cell, half=0)
    >>> topics.conversations, topics.distinct, round(topics.rarefied(2), 2)
    (4, 3, 1.83)
    """

    __slots__ = ("_first", "_ranks", "_rarefied", "_totals", "conversations")

    def __init__(self) -> None:
        self._totals: dict[int, int] = {}
        self._first: dict[int, int] = {}
        self._ranks = [0] * _RANKS  # how many cells have a count of j, the last also more
        self._rarefied: dict[int, float] = {}  # by sample size, until the next count
        self.conversations = 0

    def count(self, cell: int, half: int) -> None:
        totals, ranks = self._totals, self._ranks
        before = totals.get(cell, 0)
        if before >= _MAX_COUNT:
            return
        if self._rarefied:
            self._rarefied.clear()
        if before == 0 and len(totals) >= _MAX_CELLS:
            self._make_room()
        totals[cell] = before + 1
        if half == 0:
            self._first[cell] = self._first.get(cell, 0) + 1
        if before < _RANKS - 1:
            if before:
                ranks[before] -= 1
            ranks[before + 1] += 1
        self.conversations += 1

    def _make_room(self) -> None:
        rarest = min(self._totals, key=lambda cell: (self._totals[cell], cell))
        count = self._totals.pop(rarest)
        self._first.pop(rarest, None)
        self._ranks[min(count, _RANKS - 1)] -= 1
        self.conversations -= count

    @property
    def distinct(self) -> int:
        return len(self._totals)

    @property
    def seen_once(self) -> int:
        return self._ranks[1]

    def rarefied(self, sample: int) -> float:
        """Distinct topics to be expected in ``sample`` of these conversations, drawn without replacement.

        Hurlbert (1971): sum over cells of 1 - C(n - x, m) / C(n, m). Unbiased at any n >= m, unlike the number of
        distinct topics or their entropy, which grow with n.
        """
        known = self._rarefied.get(sample)
        if known is None:
            known = self._rarefied[sample] = self._expected_distinct(sample)
        return known

    def _expected_distinct(self, sample: int) -> float:
        n = self.conversations
        if n < sample:
            raise ValueError(f"a sample of {sample} from {n} conversations")
        missing, out = 1.0, 0.0
        rest = len(self._totals) - self._ranks[-1]
        for count in range(1, min(n, _RANKS - 2) + 1):
            if not rest:  # most accounts have met no topic often
                break
            # C(n - x, m) / C(n, m) from that of x - 1: one factor each
            missing *= max(n - sample - count + 1, 0) / (n - count + 1)
            cells = self._ranks[count]
            if cells:
                out += cells * (1.0 - missing)
                rest -= cells
        if self._ranks[-1]:
            # The same product over m factors instead of x, by its middle factor: off by less than 1 in 1,000.
            middle = n - (sample - 1) / 2
            large = (count for count in self._totals.values() if count >= _RANKS - 1)
            out += sum(1.0 - max(1.0 - count / middle, 0.0) ** sample for count in large)
        return out

    def halves(self) -> tuple[Sparse, Sparse]:
        """(cell, count) pairs of the proposing and of the testing half."""
        in_first = self._first.get
        second = []
        for pair in sorted(self._totals.items()):
            cell, count = pair
            here = in_first(cell)
            if here is None:
                second.append(pair)
            elif here != count:
                second.append((cell, count - here))
        return tuple(sorted(self._first.items())), tuple(second)

    def add(self, other: TopicCounts, sign: int = 1) -> None:
        """Counts of two disjoint sets of conversations together; with ``sign=-1`` a part is taken out again."""
        for cell, count in other._totals.items():
            _put(self._totals, cell, self._totals.get(cell, 0) + sign * count)
        for cell, count in other._first.items():
            _put(self._first, cell, min(self._first.get(cell, 0) + sign * count, self._totals.get(cell, 0)))
        while len(self._totals) > _MAX_CELLS:
            self._make_room()
        self._recount()

    def pack(self) -> list[bytes]:
        cells = sorted(self._totals)
        totals, first = [self._totals[cell] for cell in cells], [self._first.get(cell, 0) for cell in cells]
        width = "B" if max(totals, default=0) < 256 else "H"
        return [bytes(cells), array(width, totals).tobytes(), array(width, first).tobytes()]

    @classmethod
    def unpack(cls, raw: Iterable[bytes]) -> TopicCounts:
        self = cls()
        cells, totals, first = raw
        width = "B" if len(totals) == len(cells) else "H"
        self._totals = dict(zip(cells, array(width, totals), strict=True))
        self._first = {cell: n for cell, n in zip(cells, array(width, first), strict=True) if n}
        self._recount()
        return self

    def _recount(self) -> None:
        self._rarefied.clear()
        self._ranks = [0] * _RANKS
        for count in self._totals.values():
            self._ranks[min(count, _RANKS - 1)] += 1
        self.conversations = sum(self._totals.values())


def _put(counts: dict[int, int], cell: int, count: int) -> None:
    if count > 0:
        counts[cell] = min(count, _MAX_COUNT)
    else:
        counts.pop(cell, None)
