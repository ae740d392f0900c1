"""An account's state to a score: signals against the learned normal, the River models, and what they may learn from.

Score first, then learn: a request is judged by what was known before it. Learning is gated, so that an attacker can
not teach the models that the attack is normal.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

from stillwatch.account import AccountState
from stillwatch.cohort import Cohort
from stillwatch.evidence import EVIDENCE, Combiner, EvidenceReference, posterior
from stillwatch.fingerprint import Fingerprint
from stillwatch.lexicon import CAPABILITIES
from stillwatch.models import BaselineDrift, CohortAnomaly, Features, LabelModel
from stillwatch.models.base import CheckedFeatures
from stillwatch.reference import BINS, Baseline, Normal, teaches_at, volume_bucket
from stillwatch.signals import ACCOUNT_SIGNALS
from stillwatch.signals.base import AccountSignal
from stillwatch.standing import SETTLED_AFTER_S, VERIFIED_ORGANISATIONS
from stillwatch.verdict import AccountScore, Band, Signal

# An account teaches the cohort models with its first 256 requests and every 16th later: a loud one can not become
# the norm by being loud.
_FULL_TEACHING: Final = 256
# What everybody asks for is learned from the first 32: keys of products are the first to have asked for much, and
# coverage would be measured against them until people have caught up.
_FULL_COHORT_TEACHING: Final = 32
_LATER_TEACHING_EVERY: Final = 16
# Of the posterior that the score is (docs/adr/0009).
_BANDS: Final[tuple[tuple[float, Band], ...]] = ((0.9, "severe"), (0.5, "high"), (0.1, "elevated"), (0.0, "normal"))
ALARMING: Final[frozenset[Band]] = frozenset({"high", "severe"})
# Accounts are compared with their like. A tool works under one system prompt, a person under none or several.
_TOOL_SHARE: Final = 0.8
# Keys and colleagues of a verified organisation are like each other. Else its gateways, which write most, would be what a
# private account of some volume is compared with: many people behind one key are as even as a campaign's accounts.
# There a program, which fills its form with every request, is told from colleagues. Not among private accounts: they
# have too few programs to be read against, and whoever puts a form around every prompt would be out of sight.
_FORM_SHARE: Final = 0.8
_CAPABILITY_INDEX: Final = {name: index for index, name in enumerate(CAPABILITIES)}

# The half-space trees' score is read against the cohort like any signal.
_COHORT: Final = AccountSignal(
    name="cohort_anomaly",
    family="cohort",
    value=lambda _state, _cohort: None,
    low=0.0,
    high=1.0,
    suspicious="high",
    sentence=lambda value, normal: (
        f"unlike the cohort by {value:.2f} (0 ordinary, 1 unlike any); comparable accounts: "
        f"{normal[0]:.2f} to {normal[1]:.2f}"
    ),
)
_READ: Final = (*ACCOUNT_SIGNALS, _COHORT)
_READ_OFF: Final = tuple((signal.value, signal.low, 1.0 / (signal.high - signal.low)) for signal in ACCOUNT_SIGNALS)
_COMBINED: Final = Combiner(_READ)


@dataclass(slots=True)
class _Assessment:
    """All numbers of one account at one moment; words are made only when somebody asks."""

    features: Features
    values: list[float | None]  # one for each of _READ
    bins: list[int | None]
    stratum: tuple[str, str, int]
    normal: Normal | None
    evidence: float | None
    learned: float | None
    score: float | None
    band: Band


class Scorer:
    """The models and reference distributions of one partition. Bounded: nothing in it grows with accounts."""

    def __init__(self, seed: int, min_events_for_opinion: int) -> None:
        self._min_events = min_events_for_opinion
        self._cohort = Cohort()
        self._baseline = Baseline(_READ)
        self._evidence = EvidenceReference()
        self._anomaly = CohortAnomaly(seed)
        self._labels = LabelModel(seed)
        self._drift = BaselineDrift([signal.name for signal in _READ])

    def score(self, state: AccountState) -> AccountScore:
        return self._in_words(state, self._assess(state))

    def score_then_learn(self, state: AccountState, fingerprint: Fingerprint | None) -> AccountScore | None:
        """The score where it is alarming, else ``None``: most are not, and words cost more than the models.

        Leaves in the state how much likelier an attack all signals together make (natural log; ``None``: no reference
        yet). Made again whenever somebody asks, it would depend on when that is."""
        assessment = self._assess(state)
        state.evidence = assessment.evidence
        self._learn(state, assessment, fingerprint)
        return self._in_words(state, assessment) if assessment.band in ALARMING else None

    def learn_label(self, state: AccountState) -> None:
        """The account's label is new: the supervised models hear of it at once."""
        self._labels.learn(self._assess(state).features, state.label == "attack")

    @property
    def drifts(self) -> dict[str, int]:
        """By signal: how often its honest baseline has moved."""
        return dict(self._drift.drifts)

    @property
    def label_metrics(self) -> dict[str, float | int | str]:
        return self._labels.metrics()

    def _assess(self, state: AccountState) -> _Assessment:
        cohort = self._cohort
        values: list[float | None] = []
        bins: list[int | None] = []
        shares: list[float] = []  # of the signal's range, 0..1: features of the models, and places in the histograms
        for value_of, low, by in _READ_OFF:
            value = value_of(state, cohort)
            values.append(value)
            if value is None:
                shares.append(0.5)
                bins.append(None)
                continue
            share = (value - low) * by
            # As `bin_of_share` does, without a call for each.
            if share < 0:
                share, place = 0.0, 0
            elif share < 1.0:
                place = int(share * BINS)
            else:
                share, place = min(share, 1.0), BINS - 1
            shares.append(share)
            bins.append(place)
        features = _features(state, shares)
        anomaly = self._anomaly.score(features)
        values.append(anomaly)
        bins.append(None if anomaly is None else int(anomaly * BINS) if anomaly < 1.0 else BINS - 1)
        profile = state.profile
        stratum = (use_of(state), state.tier or "", volume_bucket(profile.topics.conversations))
        normal = self._baseline.normal(*stratum)
        score = None
        evidence = None if normal is None else _COMBINED.of_bins(normal.ratios, bins)
        learned = self._labels.score(features)
        if profile.events >= self._min_events:
            if evidence is not None:
                score = posterior(evidence, state.verification)
            if learned is not None:
                score = learned if score is None else max(score, learned)
        band = _band(score)
        return _Assessment(features, values, bins, stratum, normal, evidence, learned, score, band)

    def _learn(self, state: AccountState, assessment: _Assessment, fingerprint: Fingerprint | None) -> None:
        # What scores high does not teach "normal", unless a person has called it honest.
        honest = state.label != "attack" and (assessment.band not in ALARMING or state.label is not None)
        events = state.profile.events
        later = events % _LATER_TEACHING_EVERY == 0
        if honest and (events <= _FULL_TEACHING or later):
            self._anomaly.learn(assessment.features)
        if honest and fingerprint is not None and (events <= _FULL_COHORT_TEACHING or later):
            self._cohort.learn([_CAPABILITY_INDEX[name] for name in fingerprint.capabilities])
        # References: once per account and volume bucket.
        if state.profile.topics.conversations >= teaches_at(state.taught):
            state.taught += 1
            if honest:
                self._teach(state, assessment)

    def _teach(self, state: AccountState, assessment: _Assessment) -> None:
        # Where nobody says when accounts were made, all count as settled.
        age_s = state.last_seen_unix_nano / 1e9 - (state.created_unix or 0)
        settled = age_s >= SETTLED_AFTER_S or state.label is not None
        self._baseline.learn(*assessment.stratum, assessment.bins, settled=settled)
        if assessment.evidence is not None:
            self._evidence.learn(assessment.stratum[0], assessment.evidence, settled=settled)
        if assessment.normal is not None:
            read = zip(assessment.bins, assessment.normal.surprises, strict=True)
            self._drift.learn([None if b is None or s is None else 10 ** -s[b] for b, s in read])

    def _in_words(self, state: AccountState, assessment: _Assessment) -> AccountScore:
        signals = []
        for index, (signal, value) in enumerate(zip(_READ, assessment.values, strict=True)):
            place = assessment.bins[index]
            if value is None or place is None:
                continue
            known = assessment.normal
            span = known.ranges[index] if known is not None else None
            surprises = known.surprises[index] if known is not None else None
            words = signal.sentence(value, span) if span else f"{signal.name} is {value:.3g}; normal not known yet"
            signals.append(Signal(signal.name, value, span, surprises[place] if surprises else None, words))
        if assessment.evidence is not None:
            read = self._evidence.read(assessment.stratum[0], assessment.evidence)
            if read is not None:
                words = EVIDENCE.sentence(assessment.evidence, read[1])
                signals.append(Signal(EVIDENCE.name, assessment.evidence, read[1], read[0], words))
        if assessment.learned is not None:
            words = f"accounts that operators labelled as attacks look like this one: {assessment.learned:.0%}"
            signals.append(Signal("label_model", assessment.learned, None, None, words))
        return AccountScore(
            state.account, assessment.score, assessment.band, "observe", tuple(signals), None,
            state.last_seen_unix_nano, state.profile.events,
        )  # fmt: skip

    def state(self) -> dict[str, Any]:
        return {
            "cohort": self._cohort.state(),
            "baseline": self._baseline.state(),
            "evidence": self._evidence.state(),
            "anomaly": self._anomaly.snapshot(),
            "labels": self._labels.snapshot(),
            "drift": self._drift.snapshot(),
        }

    def restore(self, raw: dict[str, Any]) -> None:
        self._cohort.restore(raw["cohort"])
        self._baseline.restore(raw["baseline"])
        self._evidence.restore(raw["evidence"])
        self._anomaly.restore(raw["anomaly"])
        self._labels.restore(raw["labels"])
        self._drift.restore(raw["drift"])


def _band(score: float | None) -> Band:
    if score is None:
        return "no_opinion"
    for floor, name in _BANDS:  # nearly always the last; a generator costs more than all of it
        if score >= floor:
            return name
    raise ValueError(f"a score of {score}: it is 0..1")


def use_of(state: AccountState) -> str:
    """Whose like an account is, by what an operator can know and an honest account really has."""
    profile = state.profile
    tool = max(profile.systems.values(), default=0) >= _TOOL_SHARE * profile.events
    if state.verification not in VERIFIED_ORGANISATIONS:
        return "tool" if tool else "person"
    if sum(profile.templates.values()) >= _FORM_SHARE * profile.events:
        return "program of an organisation"
    return "tool of an organisation" if tool else "person of an organisation"


# In the order in which the trees want them; sorted once here and not for every request.
_FEATURES: Final = tuple(
    sorted([*(signal.name for signal in ACCOUNT_SIGNALS), "error_share", "output_share", "volume"])
)
_IN_ORDER: Final = itemgetter(
    *(
        [*(signal.name for signal in ACCOUNT_SIGNALS), "error_share", "output_share", "volume"].index(name)
        for name in _FEATURES
    )
)


def _features(state: AccountState, shares: list[float]) -> Features:
    """Fixed names, all in 0..1. ``shares``: of the signals; one without a value yet stands at its middle."""
    profile = state.profile
    tokens = profile.input_tokens + profile.output_tokens
    shares.append(profile.errors / profile.events if profile.events else 0.0)
    shares.append(profile.output_tokens / tokens if tokens else 0.5)
    shares.append(min(profile.events.bit_length() / 20, 1.0))
    return CheckedFeatures(zip(_FEATURES, _IN_ORDER(shares), strict=True))
