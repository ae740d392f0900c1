"""What the backtest asks of a detector: ours and every rival answer the same four questions.

Event time is the only time. ``observe`` is called in (nearly) event-time order; ``advance`` at fixed ticks, and only
when something was observed since the last one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from stillwatch.event import RequestEvent
from stillwatch.verdict import Action, Campaign


@dataclass(frozen=True, slots=True)
class ActedOn:
    """An action of throttle or stronger that a detector takes on one account."""

    account: str
    action: Action
    at_unix_nano: int
    expires_unix_nano: int
    score: float
    campaign: str | None
    signals: tuple[str, ...]
    sentence: str


@dataclass(frozen=True, slots=True)
class DetectorId:
    """Which detector, in which version, with which numbers: what a report must name to be repeatable."""

    name: str
    version: str
    config_sha256: str


class Detector(Protocol):
    @property
    def id(self) -> DetectorId: ...

    def observe(self, event: RequestEvent) -> None:
        """One request that was served. Never raises for bad data."""

    def refused(self, event: RequestEvent) -> None:
        """One request that the gateway refused because of what this detector decided."""

    def advance(self, now_unix_nano: int) -> list[ActedOn]:
        """The evaluation at a tick: what is newly acted on. Everything observed so far ended at or before ``now``,
        late events apart."""

    def scores(self) -> Mapping[str, float]:
        """A continuous suspicion of each account, higher is worse, on any scale. An account without an opinion is
        left out: it stands below all others."""

    def campaigns(self) -> list[Campaign]:
        """Groups found so far, oldest first; empty for detectors that know accounts only."""
