"""Scenario and texts in, events in time order out. Memory grows with accounts, never with events."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from stillwatch.event import RequestEvent
from stillwatch.simulator.conversation import Traced
from stillwatch.simulator.relay import Campaign
from stillwatch.simulator.scenario import Scenario
from stillwatch.simulator.texts import TextSource
from stillwatch.verdict import AccountKind


@dataclass(frozen=True, slots=True)
class LabelRow:
    """The truth about an account. ``campaign`` is empty for honest ones."""

    account: str
    kind: AccountKind
    campaign: str = ""


def simulate(scenario: Scenario, texts: TextSource) -> Iterator[RequestEvent]:
    """The same scenario and texts give the same events, byte for byte."""
    return (traced.event for traced in trace(scenario, texts))


def trace(scenario: Scenario, texts: TextSource) -> Iterator[Traced]:
    """The same events with the truth beside each: account, topic, cover."""
    world = scenario.world()
    sources = [source for group in scenario.groups for source in group.traffic(world, texts)]
    return heapq.merge(*sources, key=_order)


def labels(scenario: Scenario) -> list[LabelRow]:
    """Every account of the scenario, also one that never sends a request."""
    world = scenario.world()
    return [
        LabelRow(identity.account, identity.kind, group.name if isinstance(group, Campaign) else "")
        for group in scenario.groups
        for identity in group.roster(world)
    ]


def _order(traced: Traced) -> tuple[int, str]:
    return traced.event.time_unix_nano, traced.event.id
