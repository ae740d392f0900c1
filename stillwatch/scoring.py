"""An account's state to a score: signals against the learned normal, the River models, and what they may learn from.

Score first, then learn: a request is judged by what was known before it. Learning is gated, so that an attacker can
not teach the models that the attack is normal.
"""

from __future__ import annotations

import math
from typing import Any, Final

from stillwatch.account import AccountState
from stillwatch.models import CohortAnomaly, LabelModel
from stillwatch.reference import combined_surprise, references, volume_bucket
from stillwatch.signals import ACCOUNT_SIGNALS
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


class Scorer:
    """The models and reference distributions of one partition. Bounded: nothing in it grows with accounts."""

    def __init__(self, seed: int, min_events_for_opinion: int) -> None:
        self._min_events = min_events_for_opinion
        self._references = references(None, ACCOUNT_SIGNALS)
        self._anomaly = CohortAnomaly(seed)
        self._labels = LabelModel(seed)

    def score(self, state: AccountState) -> AccountScore:
        return self._score(state, self._features(state))

    def score_then_learn(self, state: AccountState) -> AccountScore:
        features = self._features(state)
        score = self._score(state, features)
        self._learn(state, features, score)
        return score

    def learn_label(self, state: AccountState) -> None:
        """The account's label is new: the supervised model hears of it at once."""
        features = self._features(state)
        for _ in range(_LABEL_WEIGHT):
            self._labels.learn(features, state.label == "attack")

    def _learn(self, state: AccountState, features: dict[str, float], score: AccountScore) -> None:
        attack = None if state.label is None else state.label == "attack"
        if attack is not None or state.events <= _FULL_TEACHING or state.events % _LATER_TEACHING_EVERY == 0:
            # What scores high does not teach "normal": an attacker must not move the line it is measured by.
            if score.band not in ("high", "severe"):
                self._anomaly.learn(features, attack)
            self._labels.learn(features, attack)
        self._teach_references(state, score)

    def _teach_references(self, state: AccountState, score: AccountScore) -> None:
        """Once per account and volume bucket, in the middle of the bucket (at 12, 24, 48, … conversations)."""
        due = 12 << state.taught
        if state.conversations < due:
            return
        state.taught += 1
        if state.label == "attack" or score.band in ("high", "severe"):
            return
        bucket = volume_bucket(state.conversations)
        for signal, reference in zip(ACCOUNT_SIGNALS, self._references, strict=True):
            value = signal.value(state)
            if value is not None:
                reference.learn(value, bucket)

    def _score(self, state: AccountState, features: dict[str, float]) -> AccountScore:
        signals = self._signals(state, features)
        enough = state.events >= self._min_events
        surprises = [signal.surprise for signal in signals if signal.surprise is not None]
        score: float | None = None
        if enough and surprises:
            surprise = combined_surprise(surprises)
            score = surprise / (surprise + _SCORE_HALF_SURPRISE)
        learned = self._labels.score(features) if enough else None
        if learned is not None:
            sentence = f"accounts that operators labelled as attacks look like this one: {learned:.0%}"
            signals = (*signals, Signal("label_model", learned, None, None, sentence))
            score = learned if score is None else max(score, learned)
        band: Band = "no_opinion" if score is None else next(name for floor, name in _BANDS if score >= floor)
        return AccountScore(
            state.account, score, band, "observe", signals, None, state.last_seen_unix_nano, state.events
        )  # fmt: skip

    def _signals(self, state: AccountState, features: dict[str, float]) -> tuple[Signal, ...]:
        bucket = volume_bucket(state.conversations)
        out = []
        for signal, reference in zip(ACCOUNT_SIGNALS, self._references, strict=True):
            value = signal.value(state)
            if value is None:
                continue
            normal = reference.normal(bucket)
            sentence = (
                signal.sentence(value, normal) if normal else f"{signal.name} is {value:.3g}; normal not known yet"
            )
            out.append(Signal(signal.name, value, normal, reference.surprise(value, bucket), sentence))
        anomaly = self._anomaly.score(features)
        if anomaly is not None:
            sentence = f"the cohort's half-space trees place this account at {anomaly:.2f} (0 ordinary, 1 unlike any)"
            out.append(Signal("cohort_anomaly", anomaly, None, None, sentence))
        return tuple(out)

    def _features(self, state: AccountState) -> dict[str, float]:
        """Fixed names, all in 0..1, finite. A signal without a value yet stands at its middle."""
        out = {}
        for signal in ACCOUNT_SIGNALS:
            value = signal.value(state)
            out[signal.name] = 0.5 if value is None else (value - signal.low) / (signal.high - signal.low)
        tokens = state.input_tokens + state.output_tokens
        out["volume"] = min(math.log2(1 + state.events) / 20, 1.0)
        out["output_share"] = state.output_tokens / tokens if tokens else 0.5
        out["error_share"] = state.errors / state.events if state.events else 0.0
        return out

    def state(self) -> dict[str, Any]:
        return {
            "references": {s.name: r.state() for s, r in zip(ACCOUNT_SIGNALS, self._references, strict=True)},
            "anomaly": self._anomaly.snapshot(),
            "labels": self._labels.snapshot(),
        }

    def restore(self, raw: dict[str, Any]) -> None:
        self._references = references(raw["references"], ACCOUNT_SIGNALS)
        self._anomaly.restore(raw["anomaly"])
        self._labels.restore(raw["labels"])
