"""How accounts behave in time, against honest accounts of like volume: standard scores, and what groups of them show.

A dispatcher that balances load gives every account about the same work every day, at hours at which no person works,
in an even stream; a blunt one gives it much. One account shows little of it; the mean over a group shows much, because
honest accounts that share something (a promotion, a tool, a card's family) keep their own hours. How much the means of
honest groups differ is taken from all linkage groups of the moment (:mod:`stillwatch.correlation.group_null`).

Scores are linear and not ranks: among 2,000 honest accounts a rank can not say more than "1 in 2,000", and a relay's
accounts lie further out than that. What lies outside is judged at the group, where its own null holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from stillwatch.correlation.evidence import e_from_p
from stillwatch.correlation.group_null import GroupNull
from stillwatch.correlation.nulls import Slots

Floats = npt.NDArray[np.float64]
Values = npt.NDArray[np.float64]  # shape (accounts, statistics); NaN where an account is too young
# As AccountTable.conduct gives them; +1 where large values are suspicious.
STATISTICS: Final = ("quiet_hours", "inter_arrival", "daily_dispersion", "volume")
SUSPICIOUS: Final = np.array([1.0, -1.0, -1.0, 1.0])
VOLUME: Final = STATISTICS.index("volume")
# A campaign can be most of the accounts of its own volume. So bins are wide, and the scale comes from the side of the
# middle on which campaigns are not.
_PER_BIN: Final = 200
_MAX_BINS: Final = 5
_MIN_REFERENCE: Final = 30
_QUARTILE: Final = 0.6745  # standard deviations from the median to the quartile of a normal law
_MIN_SCALE: Final = np.array([0.08, 0.1, 0.15, 0.3])  # of the four statistics: a narrower reference is a small sample
_LEAST: Final = -3.0
_CLIP_IN_GROUPS: Final = 6.0  # no account carries a group's mean alone, and no single statistic a member
_MAX_VOLUME: Final = 12.0  # but who writes ten times as much as the busiest is told from who is busy
# k statistics that correlate by 0.4 or so: their sum has a variance of about k^1.5.
_WORTH: Final = 0.75
# Honest groups' means differ by at least this much, however few groups there are to learn it from.
_MIN_BETWEEN: Final = 0.2
# A member's distance from honest accounts, as its core shows it, is shrunk by a fifth and taken as this at most.
_SHRINK: Final = 0.8
_MAX_SHIFT: Final = 4.0
# A member lies within two of the core's own standard deviations of its mean, or loses what a normal law takes off.
_TYPICAL: Final = 2.0
_MIN_SPREAD: Final = 0.5
_UNKNOWN: Final = GroupNull(0.0, 1.0, 10)  # until groups were seen, hardly anything is surprising


@dataclass(frozen=True, slots=True, eq=False)
class GroupConduct:
    """What stands out most: ``statistic`` is one of ``STATISTICS`` or ``together``; ``mean`` over units of the accounts'
    scores, ``normal`` that of honest groups. ``e_value``: of all statistics together."""

    statistic: str
    mean: float
    normal: tuple[float, float]
    p_value: float
    e_value: float
    units: int
    volume: float  # the mean of the accounts' scores of volume alone


class Conduct:
    """``scores`` by slot: 0 is ordinary, positive suspicious, standard deviations; NaN where nothing is known. A column a
    statistic, and last all of them together."""

    def __init__(self, values: Values, volumes: npt.NDArray[np.int64], honest_by_volume: Slots) -> None:
        self.z = _standard_scores(values, volumes, honest_by_volume)
        clipped = np.minimum(self.z, _CLIP_IN_GROUPS)
        known = np.isfinite(clipped).sum(axis=1)
        total = np.nansum(clipped, axis=1)
        together = np.where(known > 0, total / np.maximum(known, 1) ** _WORTH, np.nan)
        self.scores: Floats = np.column_stack([clipped, together])
        self._nulls: list[GroupNull] = [_UNKNOWN] * self.scores.shape[1]
        self._mixing = _correlations(self.z[honest_by_volume])

    def learn(self, groups: Iterable[Floats]) -> None:
        """The scores of all linkage groups, a row a unit."""
        figures: list[list[tuple[float, float]]] = [[] for _ in self._nulls]
        for group in groups:
            for column, mine in enumerate(figures):
                known = _known(group[:, column])
                if len(known) >= 3:
                    mean, variance = _mean_and_variance(known)
                    mine.append((mean, variance / len(known)))
        self._nulls = [GroupNull.of(mine, _MIN_BETWEEN) or _UNKNOWN for mine in figures]

    def group(self, units: Floats) -> GroupConduct | None:
        """``units`` are rows of scores. ``None`` where no statistic is known of three of them.

        Volume counts only together with others here: honest groups differ widely in it.
        """
        found: list[tuple[float, str, float, tuple[float, float], int]] = []
        for column, null in enumerate(self._nulls):
            known = _known(units[:, column])
            if column != VOLUME and len(known) >= 3:
                mean, variance = _mean_and_variance(known)
                sampling = max(variance, 0.5) / len(known)
                p_value = null.mirrored().p_value(-mean, sampling, len(known))
                name = STATISTICS[column] if column < self.z.shape[1] else "together"
                found.append((p_value, name, mean, null.interval(sampling), len(known)))
        if not found:
            return None
        p_value, name, mean, normal, count = min(found)
        e_value = sum(e_from_p(one[0]) for one in found) / len(found)
        loud = _known(units[:, VOLUME])
        return GroupConduct(
            name, mean, normal, p_value, e_value, count, float(loud.mean()) if len(loud) else 0.0
        )  # fmt: skip

    def profile(self, core: Slots) -> tuple[Floats, Floats]:
        """(means, standard deviations) of the accounts' scores, by ``STATISTICS``; NaN where fewer than three are known."""
        of_core = self.z[core]
        known = np.isfinite(of_core).sum(axis=0)
        told = known >= 3
        means = np.where(told, np.nansum(of_core, axis=0) / np.maximum(known, 1), np.nan)
        squares = np.nansum((of_core - np.where(told, means, 0.0)) ** 2, axis=0)
        return means, np.where(told, np.sqrt(squares / np.maximum(known - 1, 1)), np.nan)

    def log_ratio(self, slots: Slots, core: Slots) -> Floats:
        """:meth:`log_ratio_to` these accounts."""
        return self.log_ratio_to(slots, *self.profile(core))

    def log_ratio_to(self, slots: Slots, means: Floats, spread: Floats) -> Floats:
        """Natural log of how much likelier an account's conduct is among a core's than among honest accounts; ``means`` and
        ``spread`` are the core's :meth:`profile`, now or as it was remembered.

        Fisher's linear discriminant: two normals with the honest accounts' correlations, the core's mean apart; less what
        an account falls short of the core: who writes much is not like accounts that write ten times as much. 0 where
        nothing is known, and for a core that keeps people's hours.
        """
        told = np.isfinite(means)
        if not told.any():
            return np.zeros(len(slots))
        means, spread = np.where(told, means, 0.0), np.where(told, spread, _MIN_SPREAD)
        shift = np.clip(_SHRINK * means, 0.0, _MAX_SHIFT)
        spread = np.maximum(spread, _MIN_SPREAD)
        z = self.z[slots]
        out = np.zeros(len(slots))
        # Accounts with the same statistics known share one discriminant: at most 2^4 of them.
        pattern = np.isfinite(z) & told
        codes = pattern @ (1 << np.arange(z.shape[1]))
        for code in np.unique(codes):
            columns = np.flatnonzero([code >> bit & 1 for bit in range(z.shape[1])])
            if len(columns):
                mine = codes == code
                weights = np.linalg.solve(self._mixing[np.ix_(columns, columns)], shift[columns])
                own = z[np.ix_(mine, columns)]
                short = np.maximum((means[columns] - own) / spread[columns] - _TYPICAL, 0.0) * (shift[columns] > 0)
                out[mine] = own @ weights - shift[columns] @ weights / 2 - (short**2).sum(axis=1) / 2
        return out


def _known(scores: Floats) -> Floats:
    return scores[np.isfinite(scores)]


def _mean_and_variance(known: Floats) -> tuple[float, float]:
    """To the bit what ``mean()`` and ``var(ddof=1)`` give, in a third of the time on short rows."""
    mean = np.add.reduce(known) / len(known)
    apart = known - mean
    apart *= apart
    return float(mean), float(np.add.reduce(apart) / (len(known) - 1))


def _standard_scores(values: Values, volumes: npt.NDArray[np.int64], honest: Slots) -> Values:
    out = np.full(values.shape, np.nan)
    if not len(honest):
        return out
    signed = values * SUSPICIOUS
    bins = min(max(len(honest) // _PER_BIN, 1), _MAX_BINS)
    edges = [int(part[0]) for part in np.array_split(volumes[honest], bins)][1:]
    bin_of, bin_of_honest = np.digitize(volumes, edges), np.digitize(volumes[honest], edges)
    for column in range(values.shape[1]):
        for number in range(1 if column == VOLUME else bins):  # how much is itself no matter of like volume
            reference = honest if column == VOLUME else honest[bin_of_honest == number]
            known = _known(signed[reference, column])
            if len(known) < _MIN_REFERENCE:
                continue
            quarter, middle = np.quantile(known, (0.25, 0.5))
            scale = max((middle - quarter) / _QUARTILE, _MIN_SCALE[column])
            mine = slice(None) if column == VOLUME else bin_of == number
            most = _MAX_VOLUME if column == VOLUME else _CLIP_IN_GROUPS
            out[mine, column] = np.clip((signed[mine, column] - middle) / scale, _LEAST, most)
    return out


def _correlations(z: Values) -> Floats:
    """Of honest accounts' statistics, pairwise; half-way to none, so that it can be inverted and few accounts do no harm."""
    count = z.shape[1]
    out = np.eye(count)
    for one in range(count):
        for other in range(one):
            both = z[np.isfinite(z[:, [one, other]]).all(axis=1)][:, [one, other]]
            if len(both) >= _MIN_REFERENCE and both.std(axis=0).min() > 0:
                out[one, other] = out[other, one] = 0.5 * float(np.asarray(np.corrcoef(both.T))[0, 1])
    return out
