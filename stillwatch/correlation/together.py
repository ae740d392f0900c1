"""What conduct, the accounts' own evidence and equal volumes say together, where each alone says little.

A dispatcher shows in all three, an honest group in one now and then. Their p-values become standard scores, and the figure of a
group is their sum over the root of their number (Stouffer 1949). They depend on each other, so how much the figure differs
among honest groups is not assumed: it is taken from all linkage groups of the moment, as for each of the three.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from scipy.special import ndtri

from stillwatch.correlation.finding import Finding
from stillwatch.correlation.group_null import GroupNull

TOGETHER: Final = "three_together"
_FEWEST: Final = 2  # of the three
# No test alone makes more than one chance in 10^12 of it, nor takes more away than it gives at one in two hundred.
_LEAST_P: Final = 1e-12
_MOST_P: Final = 0.995
# Three scores that do not depend on each other would differ by 1; honest groups' are not to be taken as nearer than that.
_MIN_BETWEEN: Final = 1.0


class Together:
    """
    >>> rng = np.random.default_rng(1)
    >>> normal = Together((list(rng.uniform(size=3)), 20) for _ in range(100))
    >>> [f"{normal.finding([p, p, p], 40).p_value:.0e}" for p in (0.3, 1e-2, 1e-4)]
    ['2e-01', '2e-04', '8e-08']
    >>> normal.finding([1e-4], 40) is None
    True
    """

    def __init__(self, groups: Iterable[tuple[Sequence[float], int]]) -> None:
        """Of each linkage group of the moment: the p-values of the tests that had something to say, and its units."""
        figures = [(_figure(p_values), 0.0) for p_values, _ in groups if len(p_values) >= _FEWEST]
        self._null = GroupNull.of(figures, _MIN_BETWEEN)

    def finding(self, p_values: Sequence[float], units: int) -> Finding | None:
        """One-sided. ``None`` where fewer than two tests have something to say, or too few groups were seen."""
        if self._null is None or len(p_values) < _FEWEST:
            return None
        figure = _figure(p_values)
        p_value = self._null.mirrored().p_value(-figure, 0.0, units)
        low, high = self._null.interval(0.0)
        return Finding(
            TOGETHER, figure, (low, high), p_value,
            f"taken together, conduct, the accounts' own signals and how equal their volumes are lie {figure:.1f} standard deviations "
            f"towards a relay; of groups that share something else, 90 % lie between {low:.1f} and {high:.1f} (p = {p_value:.1e})",
        )  # fmt: skip


def _figure(p_values: Sequence[float]) -> float:
    scores = -ndtri(np.clip(np.array(p_values), _LEAST_P, _MOST_P))
    return float(scores.sum() / np.sqrt(len(scores)))
