"""A clock that stands still until a test moves it."""

from __future__ import annotations


class ManualClock:
    def __init__(self, unix_s: float = 1_790_000_000.0) -> None:
        self._unix_nano, self._monotonic_s = int(unix_s * 1e9), 1_000.0

    def unix_nano(self) -> int:
        return self._unix_nano

    def monotonic_s(self) -> float:
        return self._monotonic_s

    @property
    def unix_s(self) -> float:
        return self._unix_nano / 1e9

    def advance(self, seconds: float) -> None:
        self._unix_nano += int(seconds * 1e9)
        self._monotonic_s += seconds
