"""Has "normal" moved? River's ADWIN (Bifet and Gavalda 2007) on what honest accounts teach, one per signal.

It watches where each teaching account falls among those before it (its p-value): uniform while nothing changes. A
drift is news for a person (a product launch, a new client, or somebody who teaches the baseline on purpose).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from river import drift

from stillwatch.models.base import pack, unpack

# One false alarm in so many looks, a signal: with 20 signals and 10,000 teachings a day about one in five days.
_DELTA: Final = 1e-6


class BaselineDrift:
    name = "baseline_drift"

    def __init__(self, signals: Sequence[str]) -> None:
        adwin: Any = drift.ADWIN
        self._detectors: dict[str, Any] = {name: adwin(delta=_DELTA) for name in signals}
        self.drifts: dict[str, int] = dict.fromkeys(signals, 0)

    def learn(self, ranks: Sequence[float | None]) -> None:
        """For each signal 0..1, or ``None`` where the account had no value."""
        for (name, detector), rank in zip(self._detectors.items(), ranks, strict=True):
            if rank is not None:
                detector.update(rank)
                self.drifts[name] += detector.drift_detected

    def snapshot(self) -> bytes:
        return pack(self.name, {"detectors": self._detectors, "drifts": self.drifts})

    def restore(self, snapshot: bytes) -> None:
        state = unpack(self.name, snapshot)
        self._detectors, self.drifts = state["detectors"], state["drifts"]
