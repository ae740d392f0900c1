"""From many signals to one number: how unlike an honest account this one is, all things together.

Each signal's p-value becomes a normal score; scores of one family are averaged, families are added as Stouffer (1949)
does. The sum's own distribution among honest accounts is learned, because families are not independent, and read with
a robust scale (median and 90 % quantile): a few per cent of attackers among the teachers hardly move it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any, Final

from stillwatch.reference import BINS, MIN_ACCOUNTS, bin_of, quantile
from stillwatch.signals.base import AccountSignal, Family

# Beyond 1 in 10,000 a single signal's reference is thin; below -2 a signal that looks very human must not buy freedom.
_CLIP: Final = (-2.0, 3.7)
# k scores of one family are worth k^0.25: their sum has a variance of k^1.5 when they correlate by 0.4 or so.
_WORTH: Final = (0.0, *(count**-0.75 for count in range(1, 64)))
# What a campaign can not change without losing its purpose or its cheapness weighs most: what it asks about and when. Form
# of conversations, wishes about form and parameters are free to change and belong to tools that honest people share. The
# sizes follow what the families could tell on development seeds (docs/adr/0009). An anomaly without direction (the half-space
# trees) is shown and not counted.
_FAMILY_WEIGHT: Final[Mapping[Family, float]] = {
    "content": 1.0, "rhythm": 1.5, "conversation": 0.3, "harvest": 0.4, "habit": 0.1, "cohort": 0.0,
}  # fmt: skip
# An attacker's combined evidence grows with the root of what is seen of it, until the references' resolution ends it.
_SHIFT_PER_ROOT_CONVERSATION: Final = 0.3
_MAX_SHIFT: Final = 3.0
# Prior odds of 1 to 1,000 that an account is part of a campaign.
_PRIOR_LOG_ODDS: Final = -math.log(1_000)
_Z90: Final = NormalDist().inv_cdf(0.9)
# The sum of correlated scores is wider than one, of few families narrower; this guards against a degenerate reference.
_MIN_SCALE: Final = 0.4
_MEMORY_ACCOUNTS: Final = 16_384

EVIDENCE: Final = AccountSignal(
    name="combined_evidence",
    family="cohort",
    value=lambda _state, _cohort: None,
    low=-6.0,
    high=10.0,
    suspicious="high",
    sentence=lambda value, normal: (
        f"all signals together are at {value:+.1f} standard deviations; comparable accounts: "
        f"{normal[0]:+.1f} to {normal[1]:+.1f}"
    ),
)


class Combiner:
    """Adds the normal scores of some signals, by family.

    >>> from stillwatch.signals import ACCOUNT_SIGNALS
    >>> combined = Combiner(ACCOUNT_SIGNALS)
    >>> combined([None] * len(ACCOUNT_SIGNALS)) is None, combined([1.0] + [None] * (len(ACCOUNT_SIGNALS) - 1))
    (True, 1.0)
    """

    def __init__(self, signals: Sequence[AccountSignal]) -> None:
        families = sorted({signal.family for signal in signals if _FAMILY_WEIGHT[signal.family] > 0})
        self._family_of = [families.index(s.family) if s.family in families else None for s in signals]
        self._families = len(families)
        self._weights = [_FAMILY_WEIGHT[family] for family in families]

    def __call__(self, z: Sequence[float | None]) -> float | None:
        """``None`` when no signal has an opinion."""
        sums, counts = [0.0] * self._families, [0] * self._families
        for family, score in zip(self._family_of, z, strict=True):
            if score is not None and family is not None:
                sums[family] += _CLIP[0] if score < _CLIP[0] else min(score, _CLIP[1])
                counts[family] += 1
        total = square = 0.0
        for weight, scores, count in zip(self._weights, sums, counts, strict=True):
            if count:
                total += weight * scores * _WORTH[count]
                square += weight * weight
        return total / math.sqrt(square) if square else None


class EvidenceReference:
    """The combined evidence of honest accounts, by use. It is standardised already, so all volumes are read together."""

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = {}
        # What is read for every request, until the next account teaches: (counts, middle, scale, normal range).
        self._tabled: dict[str, tuple[list[int], float, float, tuple[float, float]] | None] = {}

    def learn(self, use: str, value: float, *, settled: bool) -> None:
        """Newcomers' evidence is read only until enough settled accounts have taught, as in the baseline."""
        self._tabled.clear()
        for key in (use, f"{use}, newcomers too") if settled else (f"{use}, newcomers too",):
            counts = self._counts.setdefault(key, [0] * BINS)
            counts[bin_of(EVIDENCE, value)] += 1
            if sum(counts) >= _MEMORY_ACCOUNTS:
                self._counts[key] = [count // 2 for count in counts]

    def read(self, use: str, value: float) -> tuple[float, tuple[float, float], float] | None:
        """(-log10 of the empirical p-value, normal range, robust standard score), or ``None``: no opinion yet."""
        if use not in self._tabled:
            self._tabled[use] = self._tabulate(use)
        known = self._tabled[use]
        if known is None:
            return None
        counts, middle, scale, span = known
        extreme = sum(counts[bin_of(EVIDENCE, value) :])
        return math.log10((1 + sum(counts)) / (1 + extreme)), span, (value - middle) / scale

    def _tabulate(self, use: str) -> tuple[list[int], float, float, tuple[float, float]] | None:
        for key in (use, f"{use}, newcomers too"):
            counts = self._counts.get(key)
            if counts is not None and sum(counts) >= MIN_ACCOUNTS:
                low, middle, high, top = (quantile(EVIDENCE, counts, share) for share in (0.05, 0.5, 0.9, 0.95))
                return counts, middle, max((high - middle) / _Z90, _MIN_SCALE), (low, top)
        return None

    def state(self) -> dict[str, Any]:
        return {use: list(counts) for use, counts in self._counts.items()}

    def restore(self, raw: dict[str, Any]) -> None:
        self._counts = {use: list(counts) for use, counts in raw.items()}
        self._tabled = {}


def posterior(standard_score: float, conversations: int) -> float:
    """0..1: how likely such evidence makes an attack, at prior odds of 1 : 1,000.

    The likelihood ratio of two normals, shifted by what so many conversations could show. So a striking score of a few
    conversations says little: an attacker would hardly look like that yet, and there are many light accounts.

    >>> [round(posterior(4.0, n), 3) for n in (4, 16, 64)]
    [0.009, 0.056, 0.453]
    """
    shift = min(_SHIFT_PER_ROOT_CONVERSATION * math.sqrt(conversations), _MAX_SHIFT)
    log_odds = _PRIOR_LOG_ODDS + shift * standard_score - shift * shift / 2
    return 1.0 / (1.0 + math.exp(-max(log_odds, -700.0)))
