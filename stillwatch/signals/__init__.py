"""The account signals, in the order in which they are shown. One file each; this list is the registration."""

from __future__ import annotations

from typing import Final

from stillwatch.signals import (
    capability_coverage,
    elicitation_rate,
    parameter_constancy,
    query_coherence,
    topic_diversity,
    volume_to_diversity,
)
from stillwatch.signals.base import AccountSignal

ACCOUNT_SIGNALS: Final[tuple[AccountSignal, ...]] = (
    topic_diversity.SIGNAL,
    volume_to_diversity.SIGNAL,
    capability_coverage.SIGNAL,
    query_coherence.SIGNAL,
    parameter_constancy.SIGNAL,
    elicitation_rate.SIGNAL,
)
