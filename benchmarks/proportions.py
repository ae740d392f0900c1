"""Shares with what chance leaves open: exact bounds of a proportion, and intervals of a mean over streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy.stats import beta

_DRAWS: Final = 10_000
_SEED: Final = 1  # of the bootstrap: the same cells give the same document


def at_most(hits: int, of: int, confidence: float = 0.95) -> float:
    """Upper bound of a proportion, one-sided and exact (Clopper & Pearson 1934); 1 where nothing was looked at.

    >>> round(at_most(0, 1000), 5), at_most(3, 3), at_most(0, 0)
    (0.00299, 1.0, 1.0)
    """
    return 1.0 if hits >= of else float(beta.ppf(confidence, hits + 1, of - hits))


def at_least(hits: int, of: int, confidence: float = 0.95) -> float:
    """Lower bound, of the same kind.

    >>> round(at_least(10, 10), 3), at_least(0, 10)
    (0.741, 0.0)
    """
    return 0.0 if hits <= 0 else float(beta.ppf(1 - confidence, hits, of - hits + 1))


def bootstrap(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """(mean, lower, upper): the percentile bootstrap over independent streams (Efron 1979), two-sided.

    Where all values are alike it can not see that others are possible: say beside it how many there are.

    >>> bootstrap([0.0, 0.0, 0.0])
    (0.0, 0.0, 0.0)
    """
    [one] = bootstraps([[value] for value in values], confidence)
    return one


def bootstraps(values: Sequence[Sequence[float]], confidence: float = 0.95) -> list[tuple[float, float, float]]:
    """The same for each column of a table with one row a stream; streams are drawn whole."""
    known = np.asarray(values, dtype=np.float64)
    streams = len(known)
    weights = np.random.default_rng(_SEED).multinomial(streams, np.full(streams, 1 / streams), size=_DRAWS) / streams
    tail = 50 * (1 - confidence)
    low, high = np.percentile(weights @ known, [tail, 100 - tail], axis=0)
    return list(zip(known.mean(axis=0).tolist(), low.tolist(), high.tolist(), strict=True))
