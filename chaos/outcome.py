"""What a line has come to, read from its streams and its API; and how two of them differ."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from chaos.site import Site
from stillwatch import subjects
from stillwatch.event import RequestEvent
from stillwatch.revocation import Revocation
from stillwatch.verdict import Action, strength
from streams.scan import read_all

_MANY: Final = 100_000
_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class Outcome:
    """``decided``: verdict -> the tick that it was decided at; ``stored``: verdict -> when the stream took it.
    ``accounts``: account -> how many of its events are in state. ``audited``: revocation -> entries about it."""

    decided: Mapping[str, int]
    stored: Mapping[str, int]
    acted_on: Mapping[str, int]  # account -> the first tick at which it was acted on
    campaigns: Mapping[str, int]  # -> when it was detected, in event time
    revocations: frozenset[str]
    enforced: Mapping[str, str]  # account -> what is in force against it: the strongest action of all revocations
    audited: Mapping[str, int]
    accounts: Mapping[str, int]
    status: Mapping[str, Any] = field(default_factory=dict)

    @property
    def incomplete_evaluations(self) -> int:
        return int((self.status.get("aggregator") or {}).get("incomplete_evaluations", 0))


async def outcome_of(site: Site, accounts: Sequence[str]) -> Outcome:
    verdicts = await site.hub.verdicts.verdicts(limit=_MANY)
    revocations = await site.hub.revocations.list(limit=_MANY)
    acted_on: dict[str, int] = {}
    for verdict in sorted(verdicts, key=lambda one: one.decided_at_unix_nano):
        for account in verdict.members:
            acted_on.setdefault(account, verdict.decided_at_unix_nano)
    audit = await site.hub.audit.newest(_MANY)
    about = Counter(str(entry.details["revocation"]) for entry in audit if "revocation" in entry.details)
    return Outcome(
        decided={one.id: one.decided_at_unix_nano for one in verdicts},
        stored=await _stored(site),
        acted_on=acted_on,
        campaigns={one.id: one.detected_at_unix_nano for one in await site.hub.verdicts.campaigns()},
        revocations=frozenset(one.id for one in revocations),
        enforced=in_force(revocations, time.time()),
        audited=about,
        accounts=await _events_in_state(site, accounts),
        status=await site.ask("/v1/status") or {},
    )


def in_force(revocations: Sequence[Revocation], now_unix_s: float) -> dict[str, str]:
    """By account, as a gateway must do it."""
    out: dict[str, Action] = {}
    for one in revocations:
        for account in one.accounts if one.state(now_unix_s) == "active" else ():
            out[account] = max(out.get(account, one.action), one.action, key=strength)
    return {account: str(action) for account, action in sorted(out.items())}


async def _stored(site: Site) -> dict[str, int]:
    out: dict[str, int] = {}
    async for one in read_all(site.client, subjects.VERDICTS, subjects.verdict_subject("*", "*", "*")):
        at = datetime.fromisoformat(one.headers["Nats-Time-Stamp"])
        out[one.subject.rpartition(".")[2]] = int(at.timestamp() * 1e9)
    return out


async def _events_in_state(site: Site, accounts: Sequence[str]) -> dict[str, int]:
    gate, out = asyncio.Semaphore(_AT_ONCE), dict[str, int]()

    async def one(account: str) -> None:
        async with gate:
            for _ in range(5):  # a moment in which an owner changes
                answer = await site.ask(f"/v1/accounts/{account}")
                if answer is not None and answer["state"] is not None:
                    out[account] = answer["state"]["events"]
                    return
                await asyncio.sleep(0.2)

    await asyncio.gather(*(one(account) for account in accounts))
    return out


async def stream_order(site: Site) -> list[tuple[str, bytes]]:
    """(account, message) as they stand in the stream: what a line without faults must come to the same by."""
    stored = read_all(site.client, subjects.REQUESTS, "stillwatch.partition.>")
    return [(one.subject.rpartition(".")[2], one.payload) async for one in stored]


@dataclass(frozen=True, slots=True)
class Difference:
    """What a run with faults and one without do not have in common. All empty: they are the same."""

    lost_events: int  # acknowledged to publishers, not in state
    doubled_events: int
    verdicts_missing: tuple[str, ...]
    verdicts_more: tuple[str, ...]
    revocations_missing: tuple[str, ...]
    revocations_more: tuple[str, ...]
    campaigns_missing: tuple[str, ...]
    campaigns_more: tuple[str, ...]
    unaudited: tuple[str, ...]
    enforced_otherwise: tuple[str, ...]  # accounts against which another action is in force, or none, or one only here
    refused_otherwise: tuple[str, ...]  # accounts that a gateway which lived through all faults treats otherwise
    audited_twice: int
    incomplete_evaluations: int
    event_delay: float  # the largest of an account's detection, as a share of its time to detection without faults


def difference(
    found: Outcome, reference: Outcome, events: Sequence[RequestEvent], gateway: Mapping[str, str]
) -> Difference:
    """``gateway``: account -> action, as the gateway does it that lived through all faults. It must do what the line without
    faults has come to: what is in force after them may itself be what they broke."""
    sent = Counter(event.account for event in events)
    begun = events[0].time_unix_nano
    delays = [0.0]
    for account, at in reference.acted_on.items():
        later = found.acted_on.get(account)
        delays.append(float("inf") if later is None else (later - at) / max(at - begun, 1))
    return Difference(
        lost_events=sum(max(0, count - found.accounts.get(account, 0)) for account, count in sent.items()),
        doubled_events=sum(max(0, found.accounts.get(account, 0) - count) for account, count in sent.items()),
        verdicts_missing=_less(reference.decided, found.decided),
        verdicts_more=_less(found.decided, reference.decided),
        revocations_missing=_less(reference.revocations, found.revocations),
        revocations_more=_less(found.revocations, reference.revocations),
        campaigns_missing=_less(reference.campaigns, found.campaigns),
        campaigns_more=_less(found.campaigns, reference.campaigns),
        unaudited=_less(found.revocations, found.audited),
        enforced_otherwise=_otherwise(found.enforced, reference.enforced),
        refused_otherwise=_otherwise(gateway, reference.enforced),
        audited_twice=sum(count > 1 for count in found.audited.values()),
        incomplete_evaluations=found.incomplete_evaluations,
        event_delay=max(delays),
    )


def _otherwise(mine: Mapping[str, str], other: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted({account for account, _ in set(mine.items()) ^ set(other.items())}))


def _less(mine: Mapping[str, Any] | frozenset[str], other: Mapping[str, Any] | frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(set(mine) - set(other)))
