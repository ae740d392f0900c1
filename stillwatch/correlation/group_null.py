"""How much honest groups differ from each other: what a group's figure is read against.

Honest accounts that share a value are not a random sample of all honest accounts: a promotion, a tool, a campus or a trade
brings people of a kind together. So a group's figure is not surprising because its sampling error is small, only because
it lies outside what groups of the moment show. Their middle and spread are taken robustly (median, median absolute
deviation): a few campaigns among them hardly move either, and they widen the spread, which errs towards silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr

# Fewer groups tell too little of how groups differ.
MIN_GROUPS: Final = 10
_QUARTILE: Final = 0.6745  # standard deviations from the middle of a normal law to its quartiles
_HALVINGS: Final = 40


@dataclass(frozen=True, slots=True)
class GroupNull:
    """A normal law of honest groups' true figures: ``centre``, ``between`` (its standard deviation), from ``groups``."""

    centre: float
    between: float
    groups: int

    @classmethod
    def of(cls, figures: Sequence[tuple[float, float]], min_between: float = 0.0) -> GroupNull | None:
        """From (figure, its sampling variance) of each group; ``None`` with fewer than ``MIN_GROUPS``.

        A half of honest groups lies within 0.67 standard deviations, of which each has its own part from sampling: small
        groups with large errors must not widen what precise ones show.

        >>> null = GroupNull.of([(n / 10, 0.01) for n in range(-10, 11)])
        >>> null.centre, round(null.between, 2)
        (0.0, 0.73)
        """
        if len(figures) < MIN_GROUPS:
            return None
        values, sampling = np.array(figures, dtype=np.float64).T
        centre = median(values)
        return cls(centre, max(_between(np.abs(values - centre), sampling), min_between), len(figures))

    def mirrored(self) -> GroupNull:
        """Of the figures with their sign changed."""
        return GroupNull(-self.centre, self.between, self.groups)

    def error(self, sampling_variance: float) -> float:
        """The standard deviation of an honest group's figure that has this sampling variance."""
        return float(np.sqrt(self.between**2 + sampling_variance))

    def p_value(self, figure: float, sampling_variance: float, units: int) -> float:
        """One-sided, Student's t: that an honest group of so many units comes out as low. Degrees of freedom are those of
        the scarcer side, units or groups."""
        error = self.error(sampling_variance)
        if error <= 0:
            return 1.0
        return float(stdtr(max(min(units, self.groups) - 1, 1), (figure - self.centre) / error))

    def interval(self, sampling_variance: float) -> tuple[float, float]:
        """5 % and 95 % of honest groups."""
        error = self.error(sampling_variance)
        return self.centre - 1.645 * error, self.centre + 1.645 * error


def median(values: npt.NDArray[np.float64]) -> float:
    """Of a row of finite numbers, as ``np.median`` has it: that spends most of its time on checks of short rows.

    >>> median(np.array([3.0, 1.0, 2.0])), median(np.array([4.0, 1.0, 2.0, 3.0]))
    (2.0, 2.5)
    """
    half = len(values) // 2
    if len(values) % 2:
        return float(np.partition(values, half)[half])
    ordered = np.partition(values, (half - 1, half))
    return float((ordered[half - 1] + ordered[half]) / 2)


def _between(distances: npt.NDArray[np.float64], sampling: npt.NDArray[np.float64]) -> float:
    """The standard deviation beside sampling with which the median standardised distance is that of a normal law."""

    def median_at(between: float) -> float:
        return median(distances / np.sqrt(np.maximum(sampling + between**2, 1e-24)))

    low, high = 0.0, float(distances.max()) / _QUARTILE
    if median_at(low) <= _QUARTILE:
        return 0.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if median_at(middle) > _QUARTILE else (low, middle)
    return high
