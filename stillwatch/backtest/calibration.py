"""Do p-values mean what they say? On honest accounts P(p <= t) must not exceed t.

The check is one-sided Kolmogorov-Smirnov: only an excess of small p-values breaks a promise, a lack of them merely
costs power. Our p-values are counts over counts, so they move in steps, and steps only make them conservative.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import ksone

from stillwatch.verdict import Signal

BINS: Final = 20
# Below one in a thousand the excess is no accident of this sample: stated per (signal, kind), so read some in the light
# of how many there are.
_ACCIDENT: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Calibration:
    """One signal on one honest kind. ``excess``: the largest amount by which P(p <= t) exceeds t, 0..1;
    ``excess_p``: the chance of so much on honest p-values; ``histogram``: shares of p-values in ``BINS`` equal bins."""

    signal: str
    kind: str
    accounts: int
    excess: float
    excess_p: float
    histogram: tuple[float, ...]

    @property
    def conservative(self) -> bool:
        return self.excess_p > _ACCIDENT


def excess_of_small(p_values: Sequence[float]) -> tuple[float, float]:
    """(D+, its p-value) of the one-sided test that the p-values are uniform or larger.

    >>> excess_of_small([0.2, 0.4, 0.6, 0.8, 1.0])[0] < 1e-9
    True
    >>> excess_of_small([0.001] * 50)[1] < 1e-9
    True
    """
    p = np.sort(np.clip(np.asarray(p_values, dtype=np.float64), 0.0, 1.0))
    n = len(p)
    excess = float(max((np.arange(1, n + 1) / n - p).max(), 0.0))
    return excess, float(min(max(ksone.sf(excess, n), 0.0), 1.0))


def calibrate(views: Iterable[tuple[str, Sequence[Signal]]], kinds: Mapping[str, str]) -> list[Calibration]:
    """Over (account, its signals) of a run; any set of signals. Attackers are left out: theirs should be small."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for account, signals in views:
        kind = kinds.get(account, "unlabelled")
        if kind == "attack":
            continue
        for signal in signals:
            if signal.surprise is not None:
                found[signal.name, kind].append(10.0**-signal.surprise)
    out = []
    for (name, kind), p_values in sorted(found.items()):
        excess, chance = excess_of_small(p_values)
        counts, _ = np.histogram(p_values, bins=BINS, range=(0.0, 1.0))
        shares = tuple((counts / len(p_values)).tolist())
        out.append(Calibration(name, kind, len(p_values), excess, chance, shares))
    return out
