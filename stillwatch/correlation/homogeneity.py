"""How differently the accounts of a group choose their topics.

Accounts that one dispatcher feeds from one pool share one topic mixture to within sampling noise; people do not. The
statistic is population genetics' F_ST over topic cells (Weir & Cockerham 1984, moment form): 0 for one source, larger
the more the accounts' own mixtures differ, and unbiased at any number of requests.

    w = probability that two requests of one account are about one topic
    c = probability that two requests of two different accounts are
    F = (w - c) / (1 - c)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.float64]  # shape (accounts, cells): conversations an account opened per topic cell

# An account with more conversations than this weighs no more: no single loud account decides for its group.
_WEIGHT_CAP = 64.0


@dataclass(frozen=True, slots=True)
class Heterogeneity:
    """``f``: 0 = one source. ``standard_error`` by the jackknife over accounts. ``same_topic``: c above."""

    f: float
    standard_error: float
    same_topic: float
    accounts: int


def heterogeneity(counts: Counts) -> Heterogeneity | None:
    """F of the accounts (rows) with at least two conversations; ``None`` with fewer than three of them.

    >>> rng = np.random.default_rng(1)
    >>> one_pool = rng.multinomial(60, np.full(50, 1 / 50), size=40).astype(float)
    >>> abs(heterogeneity(one_pool).f) < 0.003
    True
    >>> people = np.array([rng.multinomial(60, rng.dirichlet(np.full(50, 0.2))) for _ in range(40)]).astype(float)
    >>> heterogeneity(people).f > 0.05
    True
    """
    return heterogeneity_of(Shares.of(counts))


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """What F needs of each account with two conversations or more (``told``: which those are). None of it depends on the other
    accounts, so a group that is trimmed step by step computes it once."""

    told: npt.NDArray[np.bool_]
    within: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64]
    mix: Counts
    squares: npt.NDArray[np.float64]

    @classmethod
    def of(cls, counts: Counts) -> Shares:
        totals = counts.sum(axis=1)
        told = totals >= 2
        counts, totals = counts[told], totals[told]
        # The sum of n (n - 1): counts are whole numbers, so this is exact.
        within = (np.einsum("ij,ij->i", counts, counts) - totals) / (totals * (totals - 1))
        weight = np.minimum(totals - 1, _WEIGHT_CAP)
        mix = counts / totals[:, None] * weight[:, None]
        return cls(told, within, weight, mix, (mix**2).sum(axis=1))

    def only(self, kept: npt.NDArray[np.bool_]) -> Shares:
        """Of the rows of the counts that are ``kept``."""
        return self._rows(self.told[kept], kept[self.told])

    def at(self, places: npt.NDArray[np.int64]) -> Shares:
        """Of these rows of the counts, rising."""
        told = self.told[places]
        return self._rows(told, (np.cumsum(self.told) - 1)[places[told]])

    def _rows(self, told: npt.NDArray[np.bool_], rows: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Shares:
        return Shares(told, self.within[rows], self.weight[rows], self.mix[rows], self.squares[rows])


def heterogeneity_of(shares: Shares) -> Heterogeneity | None:
    within, weight, mix, squares = shares.within, shares.weight, shares.mix, shares.squares
    accounts = len(weight)
    if accounts < 3:
        return None
    # Sums over accounts; leaving one out is a subtraction, so the jackknife costs no more than the estimate.
    weighted_within = weight * within
    total_mix = mix.sum(axis=0)
    cross = mix @ total_mix
    all_cross = float(total_mix @ total_mix)

    def f_of(w: npt.NDArray[np.float64], c: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return (w - c) / np.maximum(1 - c, 1e-12)

    def between(cross_sum: float, square_sum: float, weight_sum: float, weight_squares: float) -> float:
        return (cross_sum - square_sum) / max(weight_sum**2 - weight_squares, 1e-12)

    w_all = weighted_within.sum() / weight.sum()
    c_all = between(all_cross, squares.sum(), weight.sum(), (weight**2).sum())
    w_out = (weighted_within.sum() - weighted_within) / (weight.sum() - weight)
    weight_out = weight.sum() - weight
    cross_out = all_cross - 2 * cross + squares
    c_out = (cross_out - (squares.sum() - squares)) / np.maximum(weight_out**2 - ((weight**2).sum() - weight**2), 1e-12)
    f = float(f_of(np.asarray(w_all), np.asarray(c_all)))
    leave_one_out = f_of(w_out, c_out)
    variance = (accounts - 1) / accounts * ((leave_one_out - leave_one_out.mean()) ** 2).sum()
    return Heterogeneity(f, float(np.sqrt(variance)), float(c_all), accounts)


def likeness(one: Counts, other: Counts) -> float:
    """The cosine of two groups' mixtures of topics, free of sampling error: 1 for one pool, 0 for no common topic.

    Lengths are those of two different accounts' product, so that chance repetition within an account does not count. 0 where
    a group has fewer than two accounts, or no two that ever asked about the same.

    >>> rng = np.random.default_rng(1)
    >>> def group(pool):
    ...     return rng.multinomial(60, pool, size=30).astype(float)
    >>> one, other = rng.dirichlet(np.full(100, 1.0)), rng.dirichlet(np.full(100, 1.0))
    >>> round(likeness(group(one), group(one)), 1), round(likeness(group(one), group(other)), 1)
    (1.0, 0.5)
    """
    means = [group[(total := group.sum(axis=1)) > 0] / total[total > 0][:, None] for group in (one, other)]
    sums = [group.sum(axis=0) for group in means]
    same = [
        (total @ total - float((group**2).sum())) / max(len(group) * (len(group) - 1), 1)
        for group, total in zip(means, sums, strict=True)
    ]
    if min(same) <= 0:
        return 0.0
    return float(sums[0] @ sums[1] / (len(means[0]) * len(means[1])) / np.sqrt(same[0] * same[1]))
