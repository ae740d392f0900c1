"""What is normal, learned online: a histogram of each signal over honest accounts of like volume.

An account teaches each volume bucket once, so no account weighs more than another, however loud it is. Histograms
are additive, bounded (64 bins, 16 buckets) and give a p-value that is conservative by construction: the account's own
bin counts as "at least as extreme", and so does one imagined observation.
"""

from __future__ import annotations

import math
from typing import Any, Final

from stillwatch.signals.base import MIN_REFERENCE_ACCOUNTS, AccountSignal

_BINS: Final = 64
_BUCKETS: Final = 16  # by powers of two: up to 2^15 conversations, beyond that all are alike


def volume_bucket(conversations: int) -> int:
    """
    >>> [volume_bucket(n) for n in (0, 1, 8, 15, 16, 10**9)]
    [0, 1, 4, 4, 5, 15]
    """
    return min(max(conversations, 0).bit_length(), _BUCKETS - 1)


class Reference:
    """Histograms of one signal, one per volume bucket."""

    __slots__ = ("_bins", "_high", "_low", "_suspicious_high")

    def __init__(self, signal: AccountSignal) -> None:
        self._low, self._high = signal.low, signal.high
        self._suspicious_high = signal.suspicious == "high"
        self._bins: list[list[int]] = [[] for _ in range(_BUCKETS)]

    def learn(self, value: float, bucket: int) -> None:
        bins = self._bins[bucket]
        if not bins:
            bins.extend([0] * _BINS)
        bins[self._bin(value)] += 1

    def normal(self, bucket: int) -> tuple[float, float] | None:
        """The 5 % and 95 % quantile, or ``None`` while too few accounts have taught."""
        bins = self._bins[bucket]
        total = sum(bins)
        if total < MIN_REFERENCE_ACCOUNTS:
            return None
        return self._quantile(bins, 0.05 * total, upper=False), self._quantile(bins, 0.95 * total, upper=True)

    def surprise(self, value: float, bucket: int) -> float | None:
        """-log10 of the one-sided p-value towards the suspicious tail; ``None`` = no opinion yet."""
        bins = self._bins[bucket]
        total = sum(bins)
        if total < MIN_REFERENCE_ACCOUNTS:
            return None
        at = self._bin(value)
        extreme = sum(bins[at:]) if self._suspicious_high else sum(bins[: at + 1])
        return -math.log10((1 + extreme) / (1 + total))

    def state(self) -> list[list[int]]:
        return [list(bins) for bins in self._bins]

    def restore(self, raw: list[list[int]]) -> None:
        self._bins = [list(bins) for bins in raw]

    def _bin(self, value: float) -> int:
        share = (value - self._low) / (self._high - self._low)
        return min(max(int(share * _BINS), 0), _BINS - 1)

    def _quantile(self, bins: list[int], rank: float, *, upper: bool) -> float:
        seen = 0
        for index, count in enumerate(bins):
            seen += count
            if seen >= rank:
                edge = index + 1 if upper else index
                return self._low + (self._high - self._low) * edge / _BINS
        return self._high


def combined_surprise(surprises: list[float]) -> float:
    """-log10 of a p-value for "any of these", valid however they depend on each other (Bonferroni).

    >>> round(combined_surprise([3.0, 0.1]), 2)
    2.7
    """
    return max(0.0, max(surprises) - math.log10(len(surprises))) if surprises else 0.0


def references(raw: Any, signals: tuple[AccountSignal, ...]) -> list[Reference]:
    """Fresh references for ``signals``, or restored ones from :meth:`Reference.state` maps by signal name."""
    out = []
    for signal in signals:
        reference = Reference(signal)
        if raw and signal.name in raw:
            reference.restore(raw[signal.name])
        out.append(reference)
    return out
