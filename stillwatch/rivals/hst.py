"""River's half-space trees alone, on per-request features: the online anomaly detector that one reaches for first.

Tan, Ting & Liu 2011 (IJCAI), as implemented by River: 10 trees of height 8, windows of 250, its published defaults. An
account's score is the mean of its requests' scores. Known limits, which this rival shows: it forgets a sustained burst
within two windows, and an attacker whose requests look like everybody's is not an anomaly.
"""

from __future__ import annotations

import math
from typing import Any, Final

from river import anomaly

from stillwatch.event import RequestEvent
from stillwatch.fingerprint import CELLS, event_fingerprint
from stillwatch.rivals.base import Rival

_WINDOW: Final = 250
_MIN_REQUESTS: Final = 12  # the mean of fewer is one odd request
_DAY_S: Final = 24 * 3_600


class HalfSpaceTrees(Rival):
    name = "hst"

    def __init__(self, threshold: float | None = None, seed: int = 7) -> None:
        super().__init__(threshold)
        self._trees: Any = anomaly.HalfSpaceTrees(n_trees=10, height=8, window_size=_WINDOW, seed=seed)
        self._learned = 0
        self._last: dict[str, int] = {}
        self._sums: dict[str, tuple[float, int]] = {}
        self._changed: set[str] = set()

    def observe(self, event: RequestEvent) -> None:
        features = self._features(event)
        if self._learned >= _WINDOW:  # before its first window is full it scores 0, which is not "normal"
            total, count = self._sums.get(event.account, (0.0, 0))
            self._sums[event.account] = (total + float(self._trees.score_one(features)), count + 1)
            self._changed.add(event.account)
        self._trees.learn_one(features)
        self._learned += 1

    def _features(self, event: RequestEvent) -> dict[str, float]:
        """All in 0..1, as half-space trees expect."""
        gap_s = (event.time_unix_nano - self._last.get(event.account, event.time_unix_nano)) / 1e9
        self._last[event.account] = event.time_unix_nano
        found = event_fingerprint(event)
        seconds = event.time_unix_nano / 1e9 % _DAY_S
        return {
            "gap": _log(gap_s, _DAY_S),
            "hour": seconds / _DAY_S,
            "input_tokens": _log(event.number("gen_ai.usage.input_tokens") or 0, 200_000),
            "output_tokens": _log(event.number("gen_ai.usage.output_tokens") or 0, 64_000),
            "temperature": min((event.number("gen_ai.request.temperature") or 0) / 2, 1.0),
            "turn": _log(event.number("stillwatch.prompt.turn") or 1, 64),
            "cell": 0.5 if found is None else found.cell / CELLS,
            "chars": 0.5 if found is None else _log(found.chars, 64_000),
            "capabilities": 0.5 if found is None else len(found.capabilities) / 3,
            "markers": 0.5 if found is None else len(found.markers) / 3,
        }

    def _evaluate(self, now_unix_nano: int) -> set[str]:
        changed, self._changed = self._changed, set()
        for account in changed:
            total, count = self._sums[account]
            if count >= _MIN_REQUESTS:
                self._score[account] = total / count
        return changed


def _log(value: float, high: float) -> float:
    """
    >>> _log(0, 100), _log(100, 100), _log(1e9, 100)
    (0.0, 1.0, 1.0)
    """
    return min(math.log1p(max(value, 0.0)) / math.log1p(high), 1.0)
