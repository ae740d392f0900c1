"""What honest sets of accounts look like: random sets of like size and volume, drawn from accounts that no campaign holds.

The null of a homogeneity test is never "shuffle the labels", which would destroy the differences between honest people
and make everything look special. It is other sets of people. Accounts of campaigns not yet found are among them; they
make honest sets look more alike than they are, so the test errs towards silence.

Sets are drawn once an evaluation for each (size, volume) class and shared by all groups of that class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stillwatch.correlation.homogeneity import heterogeneity
from stillwatch.correlation.table import AccountTable

Slots = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """The mixture of topics of all honest accounts, how many topics that is, and the accounts by volume."""

    mixture: npt.NDArray[np.float64]
    effective_topics: float
    by_volume: Slots

    @classmethod
    def of(cls, table: AccountTable, honest: Slots) -> Population | None:
        if len(honest) == 0:
            return None
        counts = table.counts(honest)
        mixture = (counts / counts.sum(axis=1, keepdims=True)).mean(axis=0)
        order = np.argsort(table.conversations(honest), kind="stable")
        return cls(mixture, float(1 / (mixture @ mixture)), honest[order])


@dataclass(frozen=True, slots=True, eq=False)
class HonestSets:
    """``f``: their heterogeneities; ``sets``: their accounts."""

    f: npt.NDArray[np.float64]
    sets: list[Slots]

    @property
    def median_f(self) -> float:
        return float(np.median(self.f))

    @property
    def normal_f(self) -> tuple[float, float]:
        return float(np.quantile(self.f, 0.05)), float(np.quantile(self.f, 0.95))


class NullBank:
    """Honest sets for one evaluation. Bounded: sizes and volumes come in classes of factor two."""

    def __init__(self, table: AccountTable, population: Population, sets: int, seed: int) -> None:
        self._table, self._population, self._sets, self._seed = table, population, sets, seed
        self._volumes = table.conversations(population.by_volume)
        self._drawn: dict[tuple[int, int], HonestSets | None] = {}

    def like(self, slots: Slots) -> HonestSets | None:
        """Sets like this group; ``None`` when there are too few honest accounts to draw half as many again from."""
        volume = int(np.median(self._table.conversations(slots)))
        key = (len(slots).bit_length(), volume.bit_length())
        if key not in self._drawn:
            self._drawn[key] = self._draw(min(1 << (key[0] - 1), len(slots)), volume, key)
        return self._drawn[key]

    def _draw(self, size: int, volume: int, key: tuple[int, int]) -> HonestSets | None:
        by_volume = self._population.by_volume
        near = max(3 * size, 64)
        at = int(np.searchsorted(self._volumes, volume))
        low = max(0, min(at - near // 2, len(by_volume) - near))
        window = by_volume[low : low + near]
        if len(window) < 1.5 * size:
            return None
        rng = np.random.default_rng([self._seed, *key])
        sets = [rng.choice(window, size=size, replace=False) for _ in range(self._sets)]
        found = [heterogeneity(self._table.counts(accounts)) for accounts in sets]
        f = np.array([one.f for one in found if one is not None])
        return HonestSets(f, sets) if len(f) >= self._sets // 2 else None
