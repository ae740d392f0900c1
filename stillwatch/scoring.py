"""An account's state to a score: signals against the learned normal, the River models, and what they may learn from.

Score first, then learn: a request is judged by what was known before it. Learning is gated, so that an attacker can
not teach the models that the attack is normal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from stillwatch.account import AccountState
from stillwatch.models import CohortAnomaly, Features, LabelModel
from stillwatch.models.base import checked
from stillwatch.reference import combined_surprise, references, volume_bucket
from stillwatch.signals import ACCOUNT_SIGNALS
from stillwatch.signals.base import AccountSignal
from stillwatch.verdict import AccountScore, Band, Signal

# An account teaches the cohort model with its first 256 requests and every 16th later: a loud one can not become
# the norm by being loud.
_FULL_TEACHING: Final = 256
_LATER_TEACHING_EVERY: Final = 16
# A label is rare and was paid for with a person's time: it weighs as much as 20 requests.
_LABEL_WEIGHT: Final = 20
# Half of the score scale at a p-value of 1 in 100 (docs/adr/0005).
_SCORE_HALF_SURPRISE: Final = 2.0
_BANDS: Final[tuple[tuple[float, Band], ...]] = ((0.75, "severe"), (0.6, "high"), (0.5, "elevated"), (0.0, "normal"))
ALARMING: Final[frozenset[Band]] = frozenset({"high", "severe"})


# The half-space trees' score is read against the cohort like any signal.
_COHORT: Final = AccountSignal(
    name="cohort_anomaly",
    value=lambda _state: None,
    low=0.0,
    high=1.0,
    suspicious="high",
    sentence=lambda value, normal: (
        f"unlike the cohort by {value:.2f} (0 ordinary, 1 unlike any); accounts of this volume: "
        f"{normal[0]:.2f} to {normal[1]:.2f}"
    ),
)
_READ: Final = (*ACCOUNT_SIGNALS, _COHORT)


@dataclass(slots=True)
class _Assessment:
    """All numbers of one account at one moment; words are made only when somebody asks."""

    features: Features
    values: list[float | None]  # one for each of _READ
    bucket: int
    surprises: list[float | None]
    learned: float | None
    score: float | None
    band: Band


class Scorer:
    """The models and reference distributions of one partition. Bounded: nothing in it grows with accounts."""

    def __init__(self, seed: int, min_events_for_opinion: int) -> None:
        self._min_events = min_events_for_opinion
        self._references = references(None, _READ)
        self._anomaly = CohortAnomaly(seed)
        self._labels = LabelModel(seed)

    def score(self, state: AccountState) -> AccountScore:
        return self._in_words(state, self._assess(state))

    def score_then_learn(self, state: AccountState) -> AccountScore | None:
        """The score where it is alarming, else ``None``: most are not, and words cost more than the models."""
        assessment = self._assess(state)
        self._learn(state, assessment)
        return self._in_words(state, assessment) if assessment.band in ALARMING else None

    def learn_label(self, state: AccountState) -> None:
        """The account's label is new: the supervised model hears of it at once."""
        features = self._assess(state).features
        for _ in range(_LABEL_WEIGHT):
            self._labels.learn(features, state.label == "attack")

    def _assess(self, state: AccountState) -> _Assessment:
        values = [signal.value(state) for signal in ACCOUNT_SIGNALS]
        features = _features(state, values)
        values.append(self._anomaly.score(features))
        bucket = volume_bucket(state.conversations)
        surprises = [
            None if value is None else reference.surprise(value, bucket)
            for value, reference in zip(values, self._references, strict=True)
        ]
        learned = score = None
        if state.events >= self._min_events:
            known = [surprise for surprise in surprises if surprise is not None]
            if known:
                surprise = combined_surprise(known)
                score = surprise / (surprise + _SCORE_HALF_SURPRISE)
            learned = self._labels.score(features)
            if learned is not None:
                score = learned if score is None else max(score, learned)
        band: Band = "no_opinion" if score is None else next(name for floor, name in _BANDS if score >= floor)
        return _Assessment(features, values, bucket, surprises, learned, score, band)

    def _learn(self, state: AccountState, assessment: _Assessment) -> None:
        attack = None if state.label is None else state.label == "attack"
        alarming = assessment.band in ALARMING
        if attack is not None or state.events <= _FULL_TEACHING or state.events % _LATER_TEACHING_EVERY == 0:
            # What scores high does not teach "normal": an attacker must not move the line it is measured by.
            if not alarming:
                self._anomaly.learn(assessment.features, attack)
            self._labels.learn(assessment.features, attack)
        # References: once per account and volume bucket, in the middle of the bucket (at 12, 24, 48, … conversations).
        if state.conversations >= 12 << state.taught:
            state.taught += 1
            if not alarming and not attack:
                for value, reference in zip(assessment.values, self._references, strict=True):
                    if value is not None:
                        reference.learn(value, assessment.bucket)

    def _in_words(self, state: AccountState, assessment: _Assessment) -> AccountScore:
        signals = []
        read = zip(_READ, assessment.values, assessment.surprises, self._references, strict=True)
        for signal, value, surprise, reference in read:
            if value is None:
                continue
            normal = reference.normal(assessment.bucket)
            words = signal.sentence(value, normal) if normal else f"{signal.name} is {value:.3g}; normal not known yet"
            signals.append(Signal(signal.name, value, normal, surprise, words))
        if assessment.learned is not None:
            words = f"accounts that operators labelled as attacks look like this one: {assessment.learned:.0%}"
            signals.append(Signal("label_model", assessment.learned, None, None, words))
        return AccountScore(
            state.account, assessment.score, assessment.band, "observe", tuple(signals), None,
            state.last_seen_unix_nano, state.events,
        )  # fmt: skip

    def state(self) -> dict[str, Any]:
        return {
            "references": {s.name: r.state() for s, r in zip(_READ, self._references, strict=True)},
            "anomaly": self._anomaly.snapshot(),
            "labels": self._labels.snapshot(),
        }

    def restore(self, raw: dict[str, Any]) -> None:
        self._references = references(raw["references"], _READ)
        self._anomaly.restore(raw["anomaly"])
        self._labels.restore(raw["labels"])


def _features(state: AccountState, values: list[float | None]) -> Features:
    """Fixed names, all in 0..1, finite. A signal without a value yet stands at its middle."""
    out = {}
    for signal, value in zip(ACCOUNT_SIGNALS, values, strict=True):
        out[signal.name] = 0.5 if value is None else (value - signal.low) / (signal.high - signal.low)
    tokens = state.input_tokens + state.output_tokens
    out["volume"] = min(math.log2(1 + state.events) / 20, 1.0)
    out["output_share"] = state.output_tokens / tokens if tokens else 0.5
    out["error_share"] = state.errors / state.events if state.events else 0.0
    return checked(out) or out
