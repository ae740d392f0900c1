"""Who belongs: does an account draw from the group's pool, or is it a person of its own?

A likelihood ratio per account. Under "member", its topic counts are a multinomial draw from the pool, estimated from
the *other* accounts. Under "a person", they are Dirichlet-multinomial around the population's mixture with the honest
concentration S, where F = 1 / (1 + S) ties S to the heterogeneity measured on honest sets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, gammaln, logsumexp

from stillwatch.correlation.homogeneity import Counts

Vector = npt.NDArray[np.float64]

# Pseudo-conversations of the population in the pool estimate: keeps an unseen cell from deciding alone.
_SMOOTHING = 8.0
_ROUNDS = 20  # the proportion moves by less than 1 % after ten
# Nine in one: to be surer than that, an account's own requests must say so.
_MAX_PRIOR = 2.2
# How broad people are, as multiples of the usual concentration, and how many of them. One in twenty is as broad as a
# gateway that serves a whole company.
_POOL_BREADTH = 64.0  # of a pool as one dispatcher deals it out, in the same multiples
# A busy honest person who asks about everything looks like a pool; the model does not know how many such people there are.
# So topics alone make nobody surer than 1 in 55, and speak against somebody as loudly as they like, within reason.
_CONTENT_SAYS = (-10.0, 4.0)
_BREADTHS = ((1.0, 0.75), (4.0, 0.2), (16.0, 0.05))


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """The topics that accounts know: ``row``, ``cell`` and ``count``, rows rising; ``totals`` by row. Most accounts know few, and
    what they do not know adds nothing to a likelihood."""

    row: npt.NDArray[np.int64]
    cell: npt.NDArray[np.int64]
    count: Vector
    totals: Vector

    @classmethod
    def of(cls, counts: Counts) -> Known:
        at = np.flatnonzero(counts != 0)
        row, cell = np.divmod(at, counts.shape[1])
        return cls(row, cell, counts.ravel()[at], counts.sum(axis=1))

    def only(self, kept: npt.NDArray[np.bool_]) -> Known:
        """Of the rows that are ``kept``."""
        mine = kept[self.row]
        return Known((np.cumsum(kept) - 1)[self.row[mine]], self.cell[mine], self.count[mine], self.totals[kept])

    def pool(self, cells: int) -> Vector:
        return np.asarray(np.bincount(self.cell, weights=self.count, minlength=cells), dtype=np.float64)

    def pool_log_likelihood(
        self, pool: Vector, population: Vector, concentration: float, inside: npt.NDArray[np.bool_]
    ) -> Vector:
        """log P(counts of each row | pool), leaving the row itself out of ``pool`` sums where it is ``inside``.

        Dirichlet-multinomial with a large concentration: the pool is estimated, and no dispatcher deals it out perfectly. A
        plain multinomial would find each account with thousands of requests unlike any pool.
        """
        own, own_total = np.where(inside[self.row], self.count, 0.0), np.where(inside, self.totals, 0.0)
        left = (pool.sum() - own_total + _SMOOTHING)[self.row]
        mixture = (pool[self.cell] - own + _SMOOTHING * population[self.cell]) / left
        return self._dirichlet_multinomial(mixture, concentration)

    def people_log_likelihood(self, population: Vector, concentration: float) -> Vector:
        """log P(counts of each row | an honest person, narrow or broad)."""
        persons = [
            np.log(weight) + self._dirichlet_multinomial(population[self.cell], concentration * breadth)
            for breadth, weight in _BREADTHS
        ]
        return np.asarray(logsumexp(persons, axis=0))

    def _dirichlet_multinomial(self, mixture: Vector, concentration: float) -> Vector:
        """``mixture``: of the known topics, by the account's law. Without the multinomial coefficient, which is the same for
        every law."""
        alpha = np.maximum(mixture * concentration, 1e-6)
        each = np.bincount(self.row, gammaln(self.count + alpha) - gammaln(alpha), minlength=len(self.totals))
        return np.asarray(gammaln(concentration) - gammaln(self.totals + concentration) + each)


def concentration_of(f: float) -> float:
    """S with F = 1 / (1 + S), kept to what people show: 0.5 (one hobby) to 500 (a gateway)."""
    return float(np.clip(1 / max(f, 1e-6) - 1, 0.5, 500.0))


def log_likelihood_ratio(
    counts: Counts | Known, pool: Vector, population: Vector, concentration: float, *, inside: npt.NDArray[np.bool_],
    people: Vector | None = None,
) -> Vector:  # fmt: skip
    """Natural log, kept to what topics can say; above 0 speaks for membership.

    A person is narrow with most of the weight and broad with some: a broad person's topics look like a pool's, and the
    ratio must then stay near 0, whatever the account's volume. ``people``: their likelihood, where it is known already.
    """
    known = counts if isinstance(counts, Known) else Known.of(counts)
    member = known.pool_log_likelihood(pool, population, concentration * _POOL_BREADTH, inside)
    people = known.people_log_likelihood(population, concentration) if people is None else people
    return np.clip(member - people, *_CONTENT_SAYS)


def prior_log_odds(log_ratio: Vector) -> float:
    """How many of the accounts that share a value are members, as log odds, from their own likelihood ratios.

    Two kinds of accounts in an unknown proportion, estimated by expectation maximisation with one pseudo-account of
    each kind and two more strangers. Capped: however exclusive a value is, linkage proposes and content decides.
    """
    share = 0.5
    for _ in range(_ROUNDS):
        posterior = expit(log_ratio + np.log(share / (1 - share)))
        before, share = share, float((posterior.sum() + 1) / (len(log_ratio) + 4))
        if share == before:  # every further round would be the same
            break
    return float(min(np.log(share / (1 - share)), _MAX_PRIOR))


def confidence(log_ratio: Vector, prior_log_odds: Vector) -> Vector:
    """Posterior probability of membership, kept off 0 and 1: the model is an approximation and should say so."""
    return np.clip(expit(log_ratio + prior_log_odds), 0.0001, 0.9999)
