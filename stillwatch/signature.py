"""What a campaign is recognised by when none of its accounts is left: its pool, and how its dispatcher behaves.

No account, no prompt, no name: sums over the core. Bounded by the number of topic cells (256) and of conduct's statistics.
Published with the campaign, so that it outlives the accounts, which are revoked, forgotten at the ends of eras or evicted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stillwatch.fingerprint import CELLS

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Signature:
    """``cells``: (topic cell, conversations of the core), by cell, without those nobody asked about. ``concentration``: S
    with F = 1 / (1 + S), how far honest people's mixtures scatter beside it. ``conduct`` and ``spread``: mean and standard
    deviation of the core's standard scores, by ``conduct.STATISTICS``; ``None`` where fewer than three accounts are old
    enough. Scores are against honest accounts of the platform that made it, 0 ordinary, positive suspicious.

    >>> pool = np.zeros(CELLS)
    >>> pool[[3, 7]] = 20, 1
    >>> found = Signature.of(pool, accounts=9, concentration=50.0, conduct=np.array([1.25, np.nan]), spread=np.ones(2))
    >>> found.cells, found.conversations, found.conduct
    (((3, 20), (7, 1)), 21, (1.25, None))
    >>> Signature.from_map(found.to_map()) == found
    True
    """

    cells: tuple[tuple[int, int], ...]
    accounts: int  # of the core, from which this is taken
    concentration: float
    conduct: tuple[float | None, ...] = ()
    spread: tuple[float | None, ...] = ()

    @classmethod
    def of(cls, pool: Vector, accounts: int, concentration: float, conduct: Vector, spread: Vector) -> Signature:
        """``pool``: conversations per topic cell, summed over the core."""
        cells = tuple((int(cell), int(pool[cell])) for cell in np.flatnonzero(pool))
        return cls(cells, accounts, round(float(concentration), 4), _rounded(conduct), _rounded(spread))

    @property
    def conversations(self) -> int:
        return sum(count for _, count in self.cells)

    def pool(self) -> Vector:
        """Conversations per topic cell, shape (CELLS,)."""
        out = np.zeros(CELLS)
        for cell, count in self.cells:
            out[cell] = count
        return out

    def conduct_scores(self, statistics: int) -> tuple[Vector, Vector]:
        """(means, spreads), so many of each; NaN where nothing is known, as of a statistic that is newer than this."""
        return _with_nan(self.conduct, statistics), _with_nan(self.spread, statistics)

    def fuller(self, other: Signature | None) -> Signature:
        """Of two of one campaign the one that knows more conversations; of two that know as many, this one. So what is known
        stays while nothing is new, and after a takedown until as much is known again."""
        return self if other is None or self.conversations >= other.conversations else other

    def to_map(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_map(cls, raw: Mapping[str, Any]) -> Signature:
        cells = tuple((int(cell), int(count)) for cell, count in raw["cells"] if 0 <= int(cell) < CELLS)
        return cls(
            cells, int(raw["accounts"]), float(raw["concentration"]), tuple(raw["conduct"]), tuple(raw["spread"])
        )


def _rounded(values: Vector) -> tuple[float | None, ...]:
    return tuple(round(float(value), 4) if math.isfinite(value) else None for value in values)


def _with_nan(values: tuple[float | None, ...], count: int) -> Vector:
    out = np.full(count, np.nan)
    known = [np.nan if value is None else value for value in values[:count]]
    out[: len(known)] = known
    return out
