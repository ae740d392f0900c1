"""p-values to evidence, and evidence to decisions with a stated false discovery rate.

E-values (Vovk & Wang 2021) may be averaged and compared however they depend on each other; e-BH (Wang & Ramdas 2022)
over all tests ever made keeps the expected share of false discoveries at or below the level under any dependence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def e_from_p(p: float) -> float:
    """The mixture of all power calibrators, ∫ κ p^(κ-1) dκ: no tuning constant, unbounded as p goes to 0.

    >>> [round(e_from_p(p), 1) for p in (1.0, 0.05, 1e-3, 1e-6)]
    [0.5, 1.8, 20.8, 5239.1]
    """
    p = min(max(p, 1e-300), 1.0)
    log_p = math.log(p)
    if p > 0.999:
        return 0.5  # the limit; the closed form is 0 / 0 there
    return (1 - p + p * log_p) / (p * log_p**2)


def e_bh(e_values: Sequence[float], tests: float, level: float) -> float:
    """The smallest e-value that is a discovery among ``tests`` tests; infinite when none is.

    ``e_values`` holds the large ones; those left out count in ``tests``. Weighted e-values are compared with the sum of
    all weights instead.

    >>> e_bh([500.0, 90.0, 3.0], tests=10, level=0.05)
    500.0
    >>> e_bh([3.0], tests=10, level=0.05)
    inf
    """
    best = math.inf
    for rank, e_value in enumerate(sorted(e_values, reverse=True), start=1):
        if e_value >= tests / (level * rank):
            best = e_value
    return best
