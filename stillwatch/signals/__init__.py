"""The account signals, in the order in which they are shown. One file each; this list is the registration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from stillwatch.account import Fold
from stillwatch.signals import (
    capability_coverage,
    conversation_depth,
    daily_dispersion,
    elicitation_rate,
    inter_arrival,
    output_length,
    parameter_constancy,
    query_coherence,
    quiet_hours,
    repetition,
    system_prompt_concentration,
    template_concentration,
    topic_diversity,
    topic_novelty,
    topic_persistence,
    volume_to_diversity,
)
from stillwatch.signals.base import AccountSignal

ACCOUNT_SIGNALS: Final[tuple[AccountSignal, ...]] = (
    topic_diversity.SIGNAL,
    topic_novelty.SIGNAL,
    volume_to_diversity.SIGNAL,
    capability_coverage.SIGNAL,
    topic_persistence.SIGNAL,
    query_coherence.SIGNAL,
    conversation_depth.SIGNAL,
    repetition.SIGNAL,
    quiet_hours.SIGNAL,
    inter_arrival.SIGNAL,
    daily_dispersion.SIGNAL,
    parameter_constancy.SIGNAL,
    template_concentration.SIGNAL,
    system_prompt_concentration.SIGNAL,
    elicitation_rate.SIGNAL,
    output_length.SIGNAL,
)
# What signals keep of an account for themselves; see AccountState.observe.
MEMORIES: Final[Mapping[str, Fold]] = {s.name: s.fold for s in ACCOUNT_SIGNALS if s.fold is not None}
