"""Scenario and texts in, events in time order out. Memory grows with accounts, never with events."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from stillwatch.event import RequestEvent
from stillwatch.simulator.conversation import Banned, Traced, nobody
from stillwatch.simulator.relay import Campaign
from stillwatch.simulator.scenario import Scenario
from stillwatch.simulator.texts import TextSource
from stillwatch.simulator.timing import FITTED, Arrivals
from stillwatch.verdict import AccountKind


@dataclass(frozen=True, slots=True)
class LabelRow:
    """The truth about an account. ``campaign`` is empty for honest ones."""

    account: str
    kind: AccountKind
    campaign: str = ""


def simulate(
    scenario: Scenario,
    texts: TextSource,
    *,
    banned: Banned = nobody,
    pool_texts: TextSource | None = None,
    arrivals: Arrivals = FITTED,
) -> Iterator[RequestEvent]:
    """The same scenario and texts give the same events, byte for byte.

    ``banned(account, time_unix_nano)`` says whether the platform refuses an account at a time; it must not change its
    mind about the past. A relay learns of it when a call is refused (status 403), goes on with a sibling within seconds
    and, with ``replace_after_h``, signs up a replacement. Honest accounts are not asked about: what they still send is
    in the stream for the caller to drop. As sources are merged one event ahead, an account can have one more event
    after its ban that is not marked as refused.
    """
    return (traced.event for traced in trace(scenario, texts, banned=banned, pool_texts=pool_texts, arrivals=arrivals))


def trace(
    scenario: Scenario,
    texts: TextSource,
    *,
    banned: Banned = nobody,
    pool_texts: TextSource | None = None,
    arrivals: Arrivals = FITTED,
) -> Iterator[Traced]:
    """The same events with the truth beside each: account, topic, cover."""
    world = scenario.world(arrivals, pool_texts, banned)
    sources = [source for group in scenario.parties for source in group.traffic(world, texts)]
    return heapq.merge(*sources, key=_order)


def labels(scenario: Scenario) -> list[LabelRow]:
    """Every account of the scenario, also one that never sends a request."""
    world = scenario.world()
    return [
        LabelRow(identity.account, identity.kind, group.name if isinstance(group, Campaign) else "")
        for group in scenario.parties
        for identity in group.roster(world)
    ]


def reserves(scenario: Scenario) -> list[LabelRow]:
    """Accounts that a campaign signs up only if others are banned: none of them sends anything without ``banned``."""
    world = scenario.world()
    return [
        LabelRow(account, group.label, group.name)
        for group in scenario.parties
        if isinstance(group, Campaign)
        for account in group.reserves(world)
    ]


def _order(traced: Traced) -> tuple[int, str]:
    return traced.event.time_unix_nano, traced.event.id
