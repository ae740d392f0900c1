"""Do p-values mean what they say? On honest accounts P(p <= t) must not exceed t.

The check is one-sided Kolmogorov-Smirnov: only an excess of small p-values breaks a promise, a lack of them merely
costs power. Our p-values are counts over counts, so they move in steps, and steps only make them conservative.

Colleagues share their hours and subjects, a class its assignment: fifty of them are not fifty draws. The unit is the
*crowd*, as in surveys (Kish 1965): the variance of the mean p-value is taken over crowds, and the sample counts for as
many accounts as independent ones would need for that variance. What is wrong in every crowd is still seen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2, ksone

from stillwatch.verdict import Signal

BINS: Final = 20
# Below one in a thousand the excess is no accident of this sample: stated per (signal, kind), so read some in the light
# of how many there are.
_ACCIDENT: Final = 1e-3
# A variance of few crowds may be this improbably small by chance.
_UNSURE: Final = 0.15


@dataclass(frozen=True, slots=True)
class Calibration:
    """One signal on one honest kind. ``excess``: the largest amount by which P(p <= t) exceeds t, 0..1;
    ``excess_p``: the chance of so much on honest p-values of ``independent`` accounts, which those of ``accounts`` are
    worth; ``histogram``: shares of p-values in ``BINS`` equal bins."""

    signal: str
    kind: str
    accounts: int
    independent: int
    excess: float
    excess_p: float
    histogram: tuple[float, ...]

    @property
    def conservative(self) -> bool:
        return self.excess_p > _ACCIDENT


def excess_of_small(p_values: Sequence[float], crowds: Sequence[str] | None = None) -> tuple[float, float]:
    """(D+, its p-value) of the one-sided test that the p-values are uniform or larger.

    >>> excess_of_small([0.2, 0.4, 0.6, 0.8, 1.0])[0] < 1e-9
    True
    >>> excess_of_small([0.001] * 50)[1] < 1e-9
    True
    >>> excess_of_small([0.1] * 50, ["one class"] * 50)
    (0.9, 0.1)
    """
    p = np.clip(np.asarray(p_values, dtype=np.float64), 0.0, 1.0)
    n = len(p)
    excess = float(max((np.arange(1, n + 1) / n - np.sort(p)).max(), 0.0))
    worth = n if crowds is None else independent(p, crowds)
    return excess, round(float(min(max(ksone.sf(excess, worth), 0.0), 1.0)), 12)


def independent(p_values: Sequence[float] | npt.NDArray[np.float64], crowds: Sequence[str]) -> int:
    """How many independent accounts such p-values are worth; between the crowds' number and the accounts'.

    >>> independent([0.1, 0.1, 0.5, 0.5, 0.9, 0.9], ["a", "a", "b", "b", "c", "c"])
    3
    >>> independent([0.1, 0.5, 0.9, 0.2, 0.6, 0.7], ["a", "b", "c", "d", "e", "f"])
    6
    """
    p = np.asarray(p_values, dtype=np.float64)
    _, crowd_of = np.unique(np.asarray(crowds), return_inverse=True)
    sizes = np.bincount(crowd_of).astype(np.float64)
    off = p - p.mean()
    # Were all of a crowd alike, and where nothing varies they may be: the larger the crowds, the less they are worth.
    most = float((sizes**2).sum() / len(p))
    alone, together = float((off**2).sum()), float((np.bincount(crowd_of, weights=off) ** 2).sum())
    effect = most
    if len(sizes) > 1 and alone > 0:
        freedom = len(sizes) - 1
        effect = together / alone * len(sizes) / freedom * (len(p) - 1) / len(p)
        # Of three classes the variance is hardly known: it is read at its upper end.
        effect *= freedom / float(chi2.ppf(_UNSURE, freedom))
    return max(int(len(p) / min(max(effect, 1.0), most) + 1e-9), 1)


def calibrate(
    views: Iterable[tuple[str, Sequence[Signal]]], kinds: Mapping[str, str], crowds: Mapping[str, str] | None = None
) -> list[Calibration]:
    """Over (account, its signals) of a run; any set of signals. Attackers are left out: theirs should be small.
    ``crowds``: account -> whom it belongs together with; who is not in it is on its own."""
    together = crowds or {}
    found: dict[tuple[str, str], list[tuple[float, str]]] = defaultdict(list)
    for account, signals in views:
        kind = kinds.get(account, "unlabelled")
        if kind == "attack":
            continue
        for signal in signals:
            if signal.surprise is not None:
                found[signal.name, kind].append((10.0**-signal.surprise, together.get(account, account)))
    out = []
    for (name, kind), pairs in sorted(found.items()):
        p_values, members = [p for p, _ in pairs], [crowd for _, crowd in pairs]
        excess, chance = excess_of_small(p_values, members)
        counts, _ = np.histogram(p_values, bins=BINS, range=(0.0, 1.0))
        shares = tuple((counts / len(p_values)).tolist())
        out.append(Calibration(name, kind, len(pairs), independent(p_values, members), excess, chance, shares))
    return out
