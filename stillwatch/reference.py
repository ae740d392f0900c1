"""What is normal, learned online: histograms of every signal over honest accounts of like use, plan and volume.

From them come p-values, which are shown, and log-likelihood ratios (:mod:`stillwatch.tails`), which are added up.

An account teaches each volume bucket once, so no account weighs more than another, however loud it is. Histograms are
additive, bounded, and give p-values that are conservative by construction: the account's own bin counts as "at least
as extreme", and so does one imagined observation. Older teaching fades, so that "normal" follows the traffic.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np

from stillwatch.signals.base import AccountSignal
from stillwatch.tails import log_ratios, standard_scores

BINS: Final = 64
# Half octaves, up to 2^15 conversations; beyond that all are alike. Most signals move with volume, in whole octaves so far
# that accounts at their lower end stood out.
_BUCKETS: Final = 32
# More accounts than this must have taught before there is an opinion: the 5 % quantile of fewer is noise.
MIN_ACCOUNTS: Final = 30
# A plan of its own is compared with only once it can tell 1 in 200; until then all plans are compared together.
_MIN_ACCOUNTS_OF_A_PLAN: Final = 200
_MAX_STRATA: Final = 24
# Beyond this all counts of a stratum are halved: the memory of about as many accounts.
_MEMORY_ACCOUNTS: Final = 16_384
# Tables are made again when this share of accounts came in since: they cost half a millisecond.
_STALE: Final = 1.0625
# No plan of a customer is called so: they start with a control character.
_ALL_PLANS: Final = "\x00all plans"
_ALL_AGES: Final = "\x00newcomers too"


@lru_cache(maxsize=1_024)  # nearly all accounts have fewer conversations, and every request asks
def volume_bucket(conversations: int) -> int:
    """
    >>> [volume_bucket(n) for n in (0, 1, 8, 11, 12, 15, 16, 10**9)]
    [0, 2, 8, 8, 9, 9, 10, 31]
    """
    octave = max(conversations, 0).bit_length()
    upper_half = octave > 1 and conversations >> (octave - 2) & 1
    return min(2 * octave + upper_half, _BUCKETS - 1)


def teaches_at(times_taught: int) -> int:
    """Conversations at which an account teaches for the next time: in the middle of each bucket.

    >>> [teaches_at(n) for n in range(5)], [volume_bucket(teaches_at(n)) for n in range(5)]
    ([10, 14, 20, 28, 40], [8, 9, 10, 11, 12])
    """
    return (10, 14)[times_taught & 1] << (times_taught >> 1)


class Normal:
    """The honest accounts of one stratum and volume: a histogram for each signal, and what is read from them."""

    __slots__ = (
        "_conversations", "_signals", "counts", "ranges", "ratios", "stale", "surprises", "tabled", "tabled_at", "taught",
    )  # fmt: skip

    def __init__(self, signals: Sequence[AccountSignal], bucket: int) -> None:
        self._signals = signals
        # In the middle of the bucket, where accounts teach it.
        self._conversations = (2.5 + bucket % 2) * 2.0 ** (bucket // 2 - 2)
        self.taught = 0
        self.counts = [[0] * BINS for _ in signals]
        # The tables are made from these older counts; kept, so that a restored baseline goes on exactly as it was.
        self.tabled: list[list[int]] = []
        self.tabled_at = 0
        self.stale = False
        # By signal: for each bin -log10 of the p-value and the log-likelihood ratio, and the normal range. `None` where
        # too few accounts had the signal.
        self.surprises: list[list[float] | None] = []
        self.ratios: list[list[float] | None] = []
        self.ranges: list[tuple[float, float] | None] = []

    def learn(self, bins: Sequence[int | None]) -> None:
        self.taught += 1
        for counts, place in zip(self.counts, bins, strict=True):
            if place is not None:
                counts[place] += 1
        if self.taught >= _MEMORY_ACCOUNTS:
            self.taught //= 2
            self.counts = [[count // 2 for count in counts] for counts in self.counts]
            self.tabled_at = 0
        if self.taught >= MIN_ACCOUNTS and self.taught >= self.tabled_at * _STALE:
            self.tabled, self.tabled_at = [list(counts) for counts in self.counts], self.taught
            self.stale = True

    def tabulate(self) -> None:
        """From the counts to what is read for every request; when it is read, as most strata teach and are not."""
        self.stale = False
        counts = np.array(self.tabled, dtype=np.float64)
        total = counts.sum(axis=1, keepdims=True)
        cumulated = counts.cumsum(axis=1)
        from_above = np.array([[signal.suspicious == "high"] for signal in self._signals])
        extreme = np.where(from_above, total - cumulated + counts, cumulated)
        surprises = np.log10((1 + total) / (1 + extreme))
        ordered = np.where(from_above, counts[:, ::-1], counts)
        ratios = log_ratios(standard_scores(ordered), self._conversations)
        ratios = np.where(from_above, ratios[:, ::-1], ratios)
        # The 5 % and the 95 % quantile, at the outer edges of their bins.
        first, last = (cumulated > 0.05 * total).argmax(axis=1), (cumulated >= 0.95 * total).argmax(axis=1) + 1
        self.surprises, self.ratios, self.ranges = [], [], []
        for row, signal in enumerate(self._signals):
            enough = total[row, 0] >= MIN_ACCOUNTS
            width = (signal.high - signal.low) / BINS
            # Lists, because one number is read at a time.
            # A model that goes on learning does not score today as it did when accounts taught: no p-value is promised.
            promised = enough and signal.family != "cohort"
            self.surprises.append(surprises[row].tolist() if promised else None)
            self.ratios.append(ratios[row].tolist() if enough else None)
            edges = (signal.low + int(first[row]) * width, signal.low + int(last[row]) * width)
            self.ranges.append(edges if enough else None)


def bin_of(signal: AccountSignal, value: float) -> int:
    return bin_of_share((value - signal.low) / (signal.high - signal.low))


def bin_of_share(share: float) -> int:
    """Of a value's place in its signal's range, 0..1."""
    place = int(share * BINS)
    return 0 if place < 0 else BINS - 1 if place >= BINS else place


def quantile(signal: AccountSignal, counts: Sequence[int], share: float) -> float:
    """Of a histogram, interpolated within the bin."""
    rank, seen = share * sum(counts), 0
    for place, count in enumerate(counts):
        if count and seen + count >= rank:
            return signal.low + (signal.high - signal.low) * (place + (rank - seen) / count) / BINS
        seen += count
    return signal.high


class Baseline:
    """All strata of one partition. A stratum is a kind of use and a plan, or all plans of that use."""

    def __init__(self, signals: Sequence[AccountSignal]) -> None:
        self._signals = tuple(signals)
        self._normals: dict[tuple[str, str, int], Normal] = {}

    def normal(self, use: str, plan: str, bucket: int) -> Normal | None:
        """What such an account is compared with; ``None`` = no opinion yet."""
        own = self._normals.get((use, plan, bucket))
        if own is None or own.taught < _MIN_ACCOUNTS_OF_A_PLAN:
            own = self._normals.get((use, _ALL_PLANS, bucket))
        if own is None or not own.tabled:
            own = self._normals.get((use, _ALL_AGES, bucket))
        if own is None or not own.tabled:
            return None
        if own.stale:
            own.tabulate()
        return own

    def learn(self, use: str, plan: str, bucket: int, bins: Sequence[int | None], *, settled: bool) -> None:
        """``settled``: the account is no newcomer. Campaigns consist of newcomers, and where accounts are busy they can
        be the majority: newcomers teach only what is used until enough settled accounts have taught."""
        for key in {(use, plan, bucket), (use, _ALL_PLANS, bucket)} if settled else ():
            self._learn(key, bins)
        self._learn((use, _ALL_AGES, bucket), bins)

    def _learn(self, key: tuple[str, str, int], bins: Sequence[int | None]) -> None:
        known = self._normals.get(key)
        if known is None:
            if len(self._normals) >= _MAX_STRATA * _BUCKETS and key[1] not in (_ALL_PLANS, _ALL_AGES):
                return  # a flood of made-up plans: they are still compared with all plans together
            known = self._normals[key] = Normal(self._signals, key[2])
        known.learn(bins)

    def state(self) -> list[Any]:
        names = [signal.name for signal in self._signals]
        return [
            [
                *key,
                normal.taught,
                normal.tabled_at,
                [dict(zip(names, counts, strict=True)) for counts in (normal.counts, normal.tabled) if counts],
            ]
            for key, normal in sorted(self._normals.items())
        ]

    def restore(self, raw: list[Any]) -> None:
        """Signals that the snapshot lacks start empty; those that are gone are left out."""
        self._normals = {}
        for use, plan, bucket, taught, tabled_at, counted in raw:
            normal = self._normals[use, plan, bucket] = Normal(self._signals, bucket)
            normal.taught, normal.tabled_at = taught, tabled_at
            both = [[list(counts.get(s.name) or [0] * BINS) for s in self._signals] for counts in counted]
            normal.counts, normal.tabled = both[0], both[1] if len(both) > 1 else []
            normal.stale = bool(normal.tabled)
