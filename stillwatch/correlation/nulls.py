"""What honest accounts look like beside a group: other accounts of like volume that no campaign holds.

The null of a homogeneity test is never "shuffle the labels", which would destroy the differences between honest people
and make everything look special. It is other people. Accounts of campaigns not yet found are among them; they make
honest accounts look more alike than they are, so the test errs towards silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from stillwatch.correlation.homogeneity import Heterogeneity, Shares, heterogeneity, heterogeneity_of
from stillwatch.correlation.table import AccountTable
from stillwatch.fingerprint import CELLS

Slots = npt.NDArray[np.int64]

# Accounts to compare with: three times the group, so that sets drawn from them differ; 512 fix F to a few percent.
_PER_MEMBER: Final = 3
_MIN_COMPARED: Final = 128
_MAX_COMPARED: Final = 512
_ORDINARY_SHARE: Final = 0.9
_UNSEEN_SHARE: Final = 0.05
_AT_ONCE: Final = 8_192  # rows: a million accounts at once would take gigabytes


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """The mixture of topics of all honest accounts, how many topics that is, the accounts by volume with their volumes, and
    by slot the account's place among them (-1: none)."""

    mixture: npt.NDArray[np.float64]
    effective_topics: float
    by_volume: Slots
    volumes: npt.NDArray[np.int64]
    place: npt.NDArray[np.int64]

    @property
    def mean(self) -> npt.NDArray[np.float64]:
        """The mixture as it was seen, without what was added for unseen topics."""
        return np.asarray((self.mixture - _UNSEEN_SHARE / len(self.mixture)) / (1 - _UNSEEN_SHARE))

    @classmethod
    def of(cls, table: AccountTable, honest: Slots) -> Population | None:
        if len(honest) == 0:
            return None
        total = np.zeros(CELLS)
        for at in range(0, len(honest), _AT_ONCE):
            counts = table.counts(honest[at : at + _AT_ONCE])
            total += (counts / counts.sum(axis=1, keepdims=True)).sum(axis=0)
        mean = total / len(honest)
        # A topic that nobody has asked about yet is rare, not impossible: else one such request would decide alone.
        mixture = (1 - _UNSEEN_SHARE) * mean + _UNSEEN_SHARE / len(mean)
        by_volume = honest[np.argsort(table.conversations(honest), kind="stable")]
        place = np.full(int(honest.max()) + 1, -1)
        place[by_volume] = np.arange(len(by_volume))
        return cls(mixture, float(1 / (mixture @ mixture)), by_volume, table.conversations(by_volume), place)

    def places(self, slots: Slots) -> Slots:
        """Of those of the accounts that are honest: their places by volume, rising, each once."""
        found = self.place[slots[slots < len(self.place)]]
        return np.unique(found[found >= 0])


@dataclass(frozen=True, slots=True, eq=False)
class Honest:
    """The accounts that a group is compared with, and how differently they choose their topics."""

    accounts: Slots
    found: Heterogeneity

    @property
    def f(self) -> float:
        """One standard error below the estimate: with few honest accounts, a group must be more alike to stand out."""
        return self.found.f - self.found.standard_error

    def sets(self, size: int, count: int, seed: int) -> list[Slots]:
        """Random sets of them. The same seed draws the same sets."""
        rng = np.random.default_rng([seed, size, len(self.accounts)])
        size = min(size, len(self.accounts) // 2)
        return [rng.choice(self.accounts, size=size, replace=False) for _ in range(count)]

    def f_of(self, sets: Sequence[Slots], table: AccountTable) -> list[float]:
        """F of each of these :meth:`sets`, without those of which too little is known. Where every account is a unit of its
        own, what F needs of an account is made once for all sets."""
        units = table.units(self.accounts)
        if int(units.max(initial=-1)) + 1 < len(units):
            found = [heterogeneity(table.counts_of_units(one)) for one in sets]
        else:
            in_order = self.accounts[np.argsort(units, kind="stable")]
            place = np.full(int(in_order.max(initial=-1)) + 1, -1)
            place[in_order] = np.arange(len(in_order))
            shares = Shares.of(table.counts(in_order))
            found = [heterogeneity_of(shares.at(np.sort(place[one]))) for one in sets]
        return [one.f for one in found if one is not None]


def honest_beside(
    table: AccountTable, slots: Slots, kin: Slots, population: Population, min_accounts: int
) -> Honest | None:
    """The accounts outside the group whose volumes are nearest to the group's median; ``None`` when they are too few.

    ``kin`` share with the group what most of its accounts share. If the group is a campaign they may be its siblings,
    so they are no measure of honesty, unless without them too few accounts are left.
    """
    without, count = population.places(np.concatenate([slots, kin])), len(population.by_volume)
    if count - len(without) < min_accounts:
        without = population.places(slots)
    left = count - len(without)
    if left < min_accounts:
        return None
    wanted = min(max(_PER_MEMBER * len(slots), _MIN_COMPARED), _MAX_COMPARED, left)
    # Places are counted among those that are left; which they are is looked up for the chosen ones alone, or each group
    # would cost a pass over all accounts.
    at = int(np.searchsorted(population.volumes, np.median(table.conversations(slots))))
    at -= int(np.searchsorted(without, at))
    low = max(0, min(at - wanted // 2, left - wanted))
    chosen = np.arange(low, low + wanted)
    accounts = population.by_volume[chosen + np.searchsorted(without - np.arange(len(without)), chosen, side="right")]
    counts = table.counts(accounts)
    # Accounts with a single topic (a product's keys) would make everybody else look alike by comparison: the tenth
    # with the most repetition is left out, which lowers F and so errs towards silence.
    totals = counts.sum(axis=1)
    repetition = (counts * (counts - 1)).sum(axis=1) / np.maximum(totals * (totals - 1), 1)
    ordinary = np.sort(np.argsort(repetition, kind="stable")[: max(int(len(accounts) * _ORDINARY_SHARE), 3)])
    found = heterogeneity(table.counts_of_units(accounts[ordinary]))
    return None if found is None else Honest(accounts[ordinary], found)
