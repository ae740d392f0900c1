"""How accounts behave in time, against honest accounts of like volume: one number each, and what groups of them show.

A dispatcher that balances load gives every account about the same work every day, at hours at which no person works,
in an even stream. One account shows little of it; the mean over a group shows much, because honest accounts that share
something (a promotion, a tool, a card's family) keep their own hours. How much the means of honest groups differ is
taken from all linkage groups of the moment, by a robust scale: a few campaigns among them hardly move it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtr

from stillwatch.correlation.nulls import Slots

Values = npt.NDArray[np.float64]  # shape (accounts, statistics); NaN where an account is too young
# Statistics in the order of AccountSummary.conduct, +1 where large values are suspicious.
SUSPICIOUS: Final = np.array([1.0, -1.0, -1.0])
_PER_BIN: Final = 128  # honest accounts to read a value against; bins by volume
_MAX_BINS: Final = 12
# k statistics that correlate by 0.4 or so: their sum has a variance of about k^1.5.
_WORTH: Final = 0.75
# Honest groups' means differ by at least this much, however few groups there are to learn it from.
_MIN_BETWEEN: Final = 0.2
_MIN_GROUPS: Final = 10
_MAX_SHIFT: Final = 2.5


@dataclass(frozen=True, slots=True, eq=False)
class GroupConduct:
    mean: float
    normal: tuple[float, float]
    p_value: float
    units: int


class Conduct:
    """``scores`` by slot: 0 is ordinary, positive suspicious, standard deviations; NaN where nothing is known."""

    def __init__(self, values: Values, volumes: npt.NDArray[np.int64], honest_by_volume: Slots) -> None:
        self.scores = _scores(values, volumes, honest_by_volume)
        self._centre, self._between = 0.0, 1.0  # until groups were seen: nothing is surprising

    def learn(self, groups: Iterable[npt.NDArray[np.float64]]) -> None:
        """The scores of all linkage groups, a value a unit."""
        known = [(float(one.mean()), one.var(ddof=1) / len(one)) for one in map(_known, groups) if len(one) >= 3]
        if len(known) < _MIN_GROUPS:
            return
        means, sampling = np.array([mean for mean, _ in known]), np.array([variance for _, variance in known])
        self._centre = float(np.median(means))
        spread = 1.4826 * float(np.median(np.abs(means - self._centre)))
        self._between = max(float(np.sqrt(max(spread**2 - float(np.median(sampling)), 0.0))), _MIN_BETWEEN)

    def group(self, units: npt.NDArray[np.float64]) -> GroupConduct | None:
        """One-sided, Student's t, that an honest group's mean is as suspicious. ``None`` with fewer than three."""
        known = _known(units)
        if len(known) < 3:
            return None
        error = float(np.sqrt(self._between**2 + max(known.var(ddof=1), 0.5) / len(known)))
        mean = float(known.mean())
        p_value = float(stdtr(len(known) - 1, -(mean - self._centre) / error))
        return GroupConduct(mean, (self._centre - 1.645 * error, self._centre + 1.645 * error), p_value, len(known))

    def log_ratio(self, slots: Slots, core: Slots) -> npt.NDArray[np.float64]:
        """Natural log of how much likelier an account's conduct is among the core's than among honest accounts: two
        normals, a shrunken distance apart. 0 where nothing is known, and for a core that keeps people's hours."""
        of_core = _known(self.scores[core])
        shift = min(max(0.8 * (float(of_core.mean()) - self._centre), 0.0), _MAX_SHIFT) if len(of_core) >= 3 else 0.0
        return np.nan_to_num(shift * (self.scores[slots] - self._centre) - shift**2 / 2, nan=0.0)


def _known(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return scores[np.isfinite(scores)]


def _scores(values: Values, volumes: npt.NDArray[np.int64], honest: Slots) -> npt.NDArray[np.float64]:
    """Normal scores among the honest accounts of the same volume bin, added over the statistics."""
    out = np.full(len(values), np.nan)
    if not len(honest):
        return out
    bins = min(max(len(honest) // _PER_BIN, 1), _MAX_BINS)
    edges = [int(part[0]) for part in np.array_split(volumes[honest], bins)][1:]
    bin_of, bin_of_honest = np.digitize(volumes, edges), np.digitize(volumes[honest], edges)
    for number in range(bins):
        mine = np.flatnonzero(bin_of == number)
        z = _normal_scores(values[mine], values[honest[bin_of_honest == number]])
        known = np.isfinite(z).sum(axis=1)
        total = np.nansum(z, axis=1)
        out[mine] = np.where(known > 0, total / np.maximum(known, 1) ** _WORTH, np.nan)
    return out


def _normal_scores(values: Values, honest: Values) -> Values:
    z = np.full(values.shape, np.nan)
    for column, sign in enumerate(SUSPICIOUS):
        reference = np.sort(sign * honest[:, column][np.isfinite(honest[:, column])])
        told = np.isfinite(values[:, column])
        if len(reference) < 30:
            continue
        mine = sign * values[told, column]
        below = (np.searchsorted(reference, mine, "left") + np.searchsorted(reference, mine, "right")) / 2
        z[told, column] = ndtri((below + 0.5) / (len(reference) + 1))
    return z
