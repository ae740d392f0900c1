"""What all accounts of a partition ask for together: the chance model that coverage is measured against. Bounded."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, Final

from stillwatch.lexicon import CAPABILITIES

_MIN_REQUESTS: Final = 500
# Requests of the cohort's memory: older ones fade, so that the curve follows the traffic.
_MEMORY: Final = 50_000
# The curve is tabulated at these numbers of requests and interpolated: it is smooth.
_GRID: Final = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1_024, 2_048, 4_096)


class Cohort:
    def __init__(self) -> None:
        self._requests = 0
        self._counts = [0] * len(CAPABILITIES)
        self._curve: list[float] = []
        self._curve_at = 0  # requests when the curve was tabulated

    def learn(self, capabilities: Sequence[int]) -> None:
        """The capability classes of one request, by their place. The caller caps how much one account teaches."""
        self._requests += 1
        for index in capabilities:
            self._counts[index] += 1
        if self._requests >= _MEMORY:
            self._requests //= 2
            self._counts = [count // 2 for count in self._counts]
            self._curve_at = 0

    def expected_capabilities(self, requests: int) -> float | None:
        """Distinct classes in so many random requests of the cohort; ``None`` before there are enough of them."""
        if self._requests < _MIN_REQUESTS:
            return None
        if self._requests >= 1.1 * self._curve_at:
            self._curve = [self._expected(count) for count in _GRID]
            self._curve_at = self._requests
        if requests >= _GRID[-1]:
            return self._curve[-1]
        upper = bisect_right(_GRID, requests)
        if upper == 0:
            return self._curve[0]
        share = (requests - _GRID[upper - 1]) / (_GRID[upper] - _GRID[upper - 1])
        return self._curve[upper - 1] + share * (self._curve[upper] - self._curve[upper - 1])

    def _expected(self, requests: int) -> float:
        return sum(1.0 - (1.0 - min(count / self._requests, 1.0)) ** requests for count in self._counts)

    def state(self) -> list[Any]:
        return [self._requests, self._counts, self._curve, self._curve_at]

    def restore(self, raw: list[Any]) -> None:
        self._requests, self._counts, self._curve, self._curve_at = raw[0], list(raw[1]), list(raw[2]), raw[3]
