"""How likely chance alone connects so many customers by hand-offs.

Hand-offs that chance makes fall anywhere on a platform: that several of them touch, so that they connect many customers, is much
rarer than that there are several. Were all hand-offs chance, a graph of them would be an inhomogeneous random graph (Bollobás,
Janson, Riordan 2007): each starts at a customer by its share of failures and ends at one by its share of beginnings. The
component of a hand-off, explored customer by customer, is at most a branching process with mixed Poisson offspring, whose total
progeny Chernoff's inequality bounds (Dwass 1969): with G(z) the offspring's generating function,

    P(n customers or more) <= z^-(n - 2) G(z)^(n - 1)    for every z >= 1.

That there are several clusters of four customers or more is rarer still. Each holds a tree of three hand-offs, and the trees of
different clusters have none in common: with mu the expected number of such trees, P(k clusters or more) <= mu^k / k! (van den
Berg and Kesten 1985; where hand-offs are independent it is the union bound over sets of k trees that share none).

How many hand-offs chance makes is not known either, only how many beginnings *before* a failure it made. So an exact upper
limit stands in (Garwood 1936), and the chance that it is exceeded is added.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import gammainccinv, gammaln, logsumexp, pdtrc

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

# By how much chance an upper limit is exceeded; fixed beforehand, the best is taken.
_EXCEEDED: Final = np.geomspace(1e-1, 1e-8, 22)
_BUSY: Final = 0.01
_CLASSES: Final = (
    64  # of customers by their share, each taken as its largest: a million customers cost as much as a thousand
)
_STEPS: Final = np.geomspace(1e-3, 40.0, 48)  # of the busiest customer's exponent: where z is looked for


class ChanceComponents:
    """``failed``, ``begun``: of each customer, counts; ``backwards``: beginnings before a failure on the whole platform.

    The busiest hundredth of customers, whose hand-offs with anybody are likeliest to be chance, connects nobody: ``busy`` says
    who that is.

    >>> platform = ChanceComponents(np.ones(2_000), np.ones(2_000), backwards=1)
    >>> [f"{platform.p_value(customers, customers - 1):.0e}" for customers in (4, 6, 8)]
    ['2e-02', '2e-04', '2e-06']
    >>> f"{pdtrc(7 - 1, 1 + 1):.0e}"  # that chance makes as many anywhere, connected or not: eight customers, seven hand-offs
    '5e-03'
    """

    def __init__(self, failed: Floats, begun: Floats, backwards: int) -> None:
        starts, ends = _shares(failed), _shares(begun)
        touched = starts + ends  # of a hand-off's two ends, how many are this customer's on average
        self.busy = touched > np.quantile(touched, 1 - _BUSY)
        # Of the hand-offs that chance makes, those between the others: their number, and how these share them.
        starts, ends = starts[~self.busy], ends[~self.busy]
        self._most = gammainccinv(backwards + 1.0, _EXCEEDED) * float(starts.sum()) * float(ends.sum())
        starts, ends = starts / starts.sum(), ends / ends.sum()
        self._starts, self._ends = np.zeros(len(touched)), np.zeros(len(touched))
        self._starts[~self.busy], self._ends[~self.busy] = starts, ends
        self._classes = _classes(starts + ends)
        at = np.searchsorted(self._classes, (starts + ends) * (1 - 1e-12))
        at = np.minimum(at, len(self._classes) - 1)
        self._by_class = tuple(np.bincount(at, weights=of, minlength=len(self._classes)) for of in (starts, ends))
        self._known: dict[tuple[int, int], float] = {}

    def p_value(self, customers: int, handoffs: int) -> float:
        """That chance makes a component of at least so many customers, or at least so many hand-offs at all: at most this."""
        key = customers, handoffs
        if key not in self._known:
            connected = np.minimum(self._most * np.exp(self._log_connects(customers)), 1.0)
            # Which of the two says more is chosen afterwards: both are charged.
            either = 2 * np.minimum(connected, pdtrc(handoffs - 1, self._most))
            # Limits are nested: that the best of them is exceeded, or holds and lets chance do this, is twice one of them.
            self._known[key] = float(min(2 * np.maximum(_EXCEEDED, either).min(), 1.0))
        return self._known[key]

    def p_value_of_clusters(self, clusters: int, connected: Places, of_three: Places) -> float:
        """That chance makes at least so many clusters of four customers or more: at most this.

        People have two accounts, of their own and of their work, and some have three. So one hand-off that chance makes between two
        of the customers ``connected`` to another one, or at one of those ``of_three`` or more, may make a cluster, too: all
        of these are taken as such people.

        >>> platform, some = ChanceComponents(np.ones(2_000), np.ones(2_000), backwards=1), np.arange(80)
        >>> [f"{platform.p_value_of_clusters(clusters, some, some[:40]):.0e}" for clusters in (2, 4, 8)]
        ['6e-02', '2e-03', '5e-06']
        """
        touched, starts, ends = self._starts + self._ends, self._starts, self._ends
        paths, stars = float((starts * touched).sum() * (ends * touched).sum()), float((touched**3).sum()) / 6
        mine = touched[connected]
        one = float(starts[connected].sum() * ends[connected].sum() + touched[of_three].sum())
        two = float(mine.sum() * (touched**2).sum() + 2 * (mine**2).sum())
        expected = self._most**3 * (paths + stars) + self._most**2 * two + self._most * one
        by_chance = np.exp(np.minimum(clusters * np.log(expected) - gammaln(clusters + 1), 0.0))
        return float(min(2 * np.maximum(_EXCEEDED, by_chance).min(), 1.0))

    def _log_connects(self, customers: int) -> Floats:
        """For each upper limit the natural log of the bound, of one hand-off."""
        busiest = float(self._classes[-1])
        out = np.zeros(len(self._most))
        for index, most in enumerate(self._most):
            further = _STEPS / (most * busiest)  # z - 1
            exponent = most * further[:, None] * self._classes
            offspring = np.max([logsumexp(exponent, axis=1, b=shares) for shares in self._by_class], axis=0)
            bound = (customers - 1) * offspring - (customers - 2) * np.log1p(further)
            out[index] = min(float(bound.min()), 0.0)
        return out


def _shares(counts: Floats) -> Floats:
    """One more than were counted: who had none yet can have one."""
    return np.asarray((counts + 1.0) / max(float((counts + 1.0).sum()), 1.0))


def _classes(touched: Floats) -> Floats:
    """Largest share of each class, ascending."""
    least, most = float(touched.min()), float(touched.max())
    return np.geomspace(least, most, _CLASSES) if most > least * (1 + 1e-9) else np.array([most])
