"""PRADA on text: are the distances between an account's queries spread as natural ones are?

Juuti et al. 2019 (EuroS&P, arXiv 1805.02628): honest queries have smallest distances to earlier ones that look normally
distributed; synthetic queries made around seeds do not. Shapiro-Wilk's W on those distances, outliers beyond three
standard deviations removed, tested once an account has more than 100; a small W is an attack.

Two things had to give way on text. Distance is the Hamming distance of 64-bit SimHashes, not L2 on images: 65 values, so
W is a little below 1 for the most honest of accounts. And there is no predicted class to keep queries apart by: the
strongest capability of the prompt stands in for it. What is kept of an account is bounded, the paper keeps all. On LLM
text the protocol is known to do badly (benign false positives of 100 % in 7 of 14 pairs, in the results of 2606.05725).
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import shapiro

from stillwatch.event import RequestEvent
from stillwatch.fingerprint import event_fingerprint
from stillwatch.rivals.base import Rival

MIN_DISTANCES: Final = 100  # as in the paper's protocol
_MAX_QUERIES: Final = 256  # earlier queries an account and class: 2 KB
_MAX_DISTANCES: Final = 512  # the newest ones decide
_MAX_CLASSES: Final = 8


class Prada(Rival):
    name = "prada"

    def __init__(self, threshold: float | None = None) -> None:
        super().__init__(threshold)
        self._queries: dict[str, dict[str, deque[int]]] = {}
        self._distances: dict[str, deque[int]] = {}
        self._changed: set[str] = set()

    def observe(self, event: RequestEvent) -> None:
        found = event_fingerprint(event)
        if found is None:
            return
        by_class = self._queries.setdefault(event.account, {})
        name = found.capabilities[0] if found.capabilities else ""
        if name not in by_class and len(by_class) >= _MAX_CLASSES:
            name = ""
        earlier = by_class.setdefault(name, deque(maxlen=_MAX_QUERIES))
        sketch = found.sketch
        if earlier:
            nearest = min((sketch ^ other).bit_count() for other in earlier)
            self._distances.setdefault(event.account, deque(maxlen=_MAX_DISTANCES)).append(nearest)
            self._changed.add(event.account)
        earlier.append(sketch)

    def _evaluate(self, now_unix_nano: int) -> set[str]:
        changed, self._changed = self._changed, set()
        for account in changed:
            w = shapiro_wilk(np.array(self._distances[account], dtype=np.float64))
            if w is not None:
                self._score[account] = 1.0 - w
        return changed


def shapiro_wilk(distances: npt.NDArray[np.float64]) -> float | None:
    """W, 0..1, of the distances without outliers; ``None`` with ``MIN_DISTANCES`` or fewer. All equal: 0."""
    if len(distances) <= MIN_DISTANCES:
        return None
    mean, deviation = distances.mean(), distances.std()
    kept = distances[np.abs(distances - mean) <= 3 * deviation]
    if np.ptp(kept) == 0:
        return 0.0
    return float(shapiro(kept).statistic)
