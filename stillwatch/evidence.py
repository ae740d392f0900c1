"""Many signals, one number: how much likelier an attack is than before, all things together.

Each signal's log-likelihood ratio comes ready from its reference (:mod:`stillwatch.tails`). Ratios of one family are
averaged with a discount, families are added by weight: a naive Bayes classifier whose witnesses are known to talk to each
other. The sum's own distribution among honest accounts is learned, and says how striking it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from stillwatch.reference import BINS, MIN_ACCOUNTS, bin_of, quantile
from stillwatch.signals.base import AccountSignal, Family
from stillwatch.standing import VERIFIED_ORGANISATIONS

# k ratios of one family are worth root k of one: they are as good as one witness when all agree, better when they do not.
_WORTH: Final = (0.0, *(count**-0.5 for count in range(1, 64)))
# What a campaign can not change without losing its cheapness weighs most: when its accounts write. A harvest need not be
# broader than a broad person, who is at the top of what can be counted there. Form of conversations, wishes about form and
# parameters are free to change and belong to tools that honest people share. An anomaly without direction (the half-space
# trees) is shown and not counted. Only the order matters much (docs/adr/0009).
_FAMILY_WEIGHT: Final[Mapping[Family, float]] = {
    "rhythm": 1.0, "content": 0.3, "conversation": 0.15, "harvest": 0.15, "habit": 0.05, "cohort": 0.0,
}  # fmt: skip
# Prior odds that an account is part of a campaign: 1 to 1,000, and 1 to 10,000.
_PRIOR_LOG_ODDS: Final = -math.log(1_000)
_PRIOR_LOG_ODDS_VERIFIED: Final = -math.log(10_000)
_MEMORY_ACCOUNTS: Final = 16_384

EVIDENCE: Final = AccountSignal(
    name="combined_evidence",
    family="cohort",
    value=lambda _state, _cohort: None,
    low=-3.0,
    high=13.0,
    suspicious="high",
    sentence=lambda value, normal: (
        f"all signals together make an attack {math.exp(value):.2g} times as likely; comparable accounts: "
        f"{math.exp(normal[0]):.2g} to {math.exp(normal[1]):.2g} times"
    ),
)


class Combiner:
    """Adds the log-likelihood ratios of some signals, by family.

    >>> from stillwatch.signals import ACCOUNT_SIGNALS
    >>> combined = Combiner(ACCOUNT_SIGNALS)
    >>> rhythm = [4.0 if signal.name == "inter_arrival" else None for signal in ACCOUNT_SIGNALS]
    >>> combined([None] * len(ACCOUNT_SIGNALS)) is None, combined(rhythm)
    (True, 4.0)
    """

    def __init__(self, signals: Sequence[AccountSignal]) -> None:
        families = sorted({signal.family for signal in signals if _FAMILY_WEIGHT[signal.family] > 0})
        # Only of those that count: (place among the signals, family).
        self._counted = [(place, families.index(s.family)) for place, s in enumerate(signals) if s.family in families]
        self._families = len(families)
        self._weights = [_FAMILY_WEIGHT[family] for family in families]

    def __call__(self, log_ratios: Sequence[float | None]) -> float | None:
        """``None`` when no signal has an opinion."""
        sums, counts = [0.0] * self._families, [0] * self._families
        for place, family in self._counted:
            ratio = log_ratios[place]
            if ratio is not None:
                sums[family] += ratio
                counts[family] += 1
        return self._weighed(sums, counts)

    def of_bins(self, tables: Sequence[Sequence[float] | None], bins: Sequence[int | None]) -> float | None:
        """The same from what each signal's bins say, and the bin that its value is in; ``None`` where there is none."""
        sums, counts = [0.0] * self._families, [0] * self._families
        for place, family in self._counted:
            at = bins[place]
            if at is not None:
                table = tables[place]
                if table is not None:
                    sums[family] += table[at]
                    counts[family] += 1
        return self._weighed(sums, counts)

    def _weighed(self, sums: Sequence[float], counts: Sequence[int]) -> float | None:
        if not any(counts):
            return None
        weighed = [w * total * _WORTH[n] for w, total, n in zip(self._weights, sums, counts, strict=True)]
        return math.fsum(weighed)


class EvidenceReference:
    """The combined evidence of honest accounts, by use. Volumes are read together: ratios know of them already."""

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = {}

    def learn(self, use: str, value: float, *, settled: bool) -> None:
        """Newcomers' evidence is read only until enough settled accounts have taught, as in the baseline."""
        for key in (use, f"{use}, newcomers too") if settled else (f"{use}, newcomers too",):
            counts = self._counts.setdefault(key, [0] * BINS)
            counts[bin_of(EVIDENCE, value)] += 1
            if sum(counts) >= _MEMORY_ACCOUNTS:
                self._counts[key] = [count // 2 for count in counts]

    def read(self, use: str, value: float) -> tuple[float, tuple[float, float]] | None:
        """(-log10 of the empirical p-value, normal range), or ``None``: too few have taught. For words, not for scores."""
        for key in (use, f"{use}, newcomers too"):
            counts = self._counts.get(key)
            if counts is not None and sum(counts) >= MIN_ACCOUNTS:
                extreme = sum(counts[bin_of(EVIDENCE, value) :])
                span = (quantile(EVIDENCE, counts, 0.05), quantile(EVIDENCE, counts, 0.95))
                return math.log10((1 + sum(counts)) / (1 + extreme)), span
        return None

    def state(self) -> dict[str, Any]:
        return {use: list(counts) for use, counts in self._counts.items()}

    def restore(self, raw: dict[str, Any]) -> None:
        self._counts = {use: list(counts) for use, counts in raw.items()}


def posterior(log_ratio: float, verification: str | None) -> float:
    """0..1: how likely such evidence makes an attack, from prior odds that depend on who stands behind the account.

    >>> [round(posterior(ratio, "email"), 3) for ratio in (0.0, 5.0, 9.0)]
    [0.001, 0.129, 0.89]
    >>> round(posterior(9.0, "contract"), 3)
    0.448
    """
    prior = _PRIOR_LOG_ODDS_VERIFIED if verification in VERIFIED_ORGANISATIONS else _PRIOR_LOG_ODDS
    return 1.0 / (1.0 + math.exp(-max(prior + log_ratio, -700.0)))
