"""What somebody asks about: a distribution over topics, and the measure that shows whether it is as broad as people's.

Interests are Dirichlet around the popularity of topics. The concentration says how far a person is from the average:
the variance between people is 1 / (concentration + 1) of the largest possible. The two breadths are fitted to figures
measured on real text (docs/simulator.md has them beside ours; a test holds them).
"""

from __future__ import annotations

import math
import random
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stillwatch.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Breadth:
    """Concentrations are lognormal over people; a share of people has hardly more than one subject.

    ``widening``: by how much broader interests are per share of conversations that come back to a recent topic, so that
    what people send over some weeks is as diverse as was measured, where such returns are included.
    """

    median_concentration: float
    sigma: float
    widening: float
    single_minded_share: float = 0.0

    def concentration(self, return_share: float, rng: random.Random) -> float:
        """Of one person, in a population where this share of conversations comes back to a recent topic."""
        if self.single_minded_share and rng.random() < self.single_minded_share:
            return _SINGLE_MINDED
        median = self.median_concentration * (1.0 + self.widening * return_share)
        return rng.lognormvariate(math.log(median), self.sigma)


# Fitted to the measured figures alone, never to what a detector makes of them: `python -m benchmarks.population`.
_SINGLE_MINDED: Final = 2.0
# Users of a chat assistant: distinct topics in 20 conversations, 5 / 50 / 95 %: 14.8 / 16.8 / 18.3 measured.
BROAD: Final = Breadth(105.0, 0.5, widening=8.0)
# Users of one forum: 10.6 / 13.2 / 16.3 measured.
FOCUSED: Final = Breadth(21.0, 0.4, widening=1.0)
# Users of another forum, some of whom have one subject only: 4.9 / 12.5 / 15.4 measured.
UNEVEN: Final = Breadth(17.0, 0.5, widening=1.0, single_minded_share=0.07)


class Interests:
    """Weights over topics, ready to draw from. Sparse: somebody's interests leave most topics out."""

    __slots__ = ("_cumulative", "_topics", "_weights", "count")

    def __init__(self, weights: Sequence[float] | NDArray[np.float64]) -> None:
        given = np.asarray(weights, dtype=np.float64)
        self.count = len(given)
        # What is asked about less than once in 100,000 conversations would be memory for nothing.
        kept = np.flatnonzero(given > 1e-5 * given.sum())
        self._topics = array("I", kept.tolist())
        self._cumulative = array("d", np.cumsum(given[kept]).tolist())
        self._weights: NDArray[np.float64] | None = None

    def draw(self, rng: random.Random) -> int:
        at = bisect_right(self._cumulative, rng.random() * self._cumulative[-1], 0, len(self._cumulative) - 1)
        return self._topics[at]

    @property
    def weights(self) -> NDArray[np.float64]:
        """Over all topics; they sum to 1. Kept once asked for: a population asks the same average for each person."""
        if self._weights is None:
            self._weights = np.zeros(self.count)
            self._weights[self._topics] = np.diff(self._cumulative, prepend=0.0) / self._cumulative[-1]
        return self._weights

    def around(self, concentration: float, rng: random.Random) -> Interests:
        """Somebody's interests in a world where these are the average."""
        # RandomState, not Generator: numpy never changes what it draws from a seed, and a seed must give the same
        # bytes with every version.
        drawn = np.random.RandomState(rng.getrandbits(32)).standard_gamma(self.weights * concentration)
        # All gammas of a very small concentration can underflow to zero: then it is one topic, the usual limit.
        if not drawn.any():
            drawn[self.draw(rng)] = 1.0
        return Interests(drawn)

    def person(self, breadth: Breadth, rng: random.Random, return_share: float = 0.0) -> Interests:
        return self.around(breadth.concentration(return_share, rng), rng)


def restricted(popularity: Sequence[float], topics: Sequence[str], patterns: Sequence[str]) -> Interests:
    """The popularity of the topics whose names match one of the patterns; of all of them without a pattern."""
    if not patterns:
        return Interests(popularity)
    kept = [
        weight if any(fnmatchcase(topic, pattern) for pattern in patterns) else 0.0
        for weight, topic in zip(popularity, topics, strict=True)
    ]
    if not any(kept):
        known = ", ".join(topics[:5])
        raise SettingsError("topics", f"no topic matches {', '.join(patterns)}", f"Topics are named like {known}")
    return Interests(kept)


def rarefied_distinct(counts: Sequence[int], sample: int = 20) -> float:
    """The expected number of distinct topics in ``sample`` conversations drawn from these without replacement."""
    total = sum(counts)
    assert total >= sample
    everything = math.comb(total, sample)
    return sum(1.0 - math.comb(total - count, sample) / everything for count in counts if count)
