"""All ports over NATS at once: over a connection, or in memory. What ``launch`` and the tests begin with."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from nats.aio.client import Client

from stillwatch import ports, subjects
from stillwatch.settings import Settings
from streams.audit import JournalAuditLog
from streams.bucket import Bucket, KvBucket
from streams.control import BucketControl, BucketLeases
from streams.deadletter import JournalDeadLetters
from streams.feed import JetStreamEvents
from streams.fence import StreamFence
from streams.indicators import BucketIndicators
from streams.journal import JetStreamJournal, Journal
from streams.memory import MemoryBucket, MemoryEvents, MemoryJournal, MemoryNats, MemoryPublisher
from streams.never_act import BucketNeverAct
from streams.pipeline import Pipeline
from streams.publisher import JetStreamPublisher
from streams.revocations import BucketRevocations
from streams.verdicts import JournalVerdictLog


@dataclass(frozen=True, slots=True)
class Hub:
    events: ports.EventStream
    publisher: ports.EventPublisher
    dead_letters: ports.DeadLetters
    verdicts: ports.VerdictLog
    audit: ports.AuditLog
    revocations: ports.RevocationStore
    control: ports.Control
    leases: ports.Leases
    fence: ports.WriteFence
    indicators: ports.IndicatorStore
    never_act: ports.NeverActStore


def jetstream_hub(client: Client, settings: Settings, clock: ports.Clock, never_act: Sequence[str] = ()) -> Hub:
    """Over a connection whose account looks like ``topology.ensure`` leaves it. ``never_act``: accounts that the policy file
    names, for whoever makes revocations."""
    pipeline = Pipeline(client)
    return _hub(
        JetStreamEvents(client, settings),
        JetStreamPublisher(pipeline, settings.partitions),
        JetStreamJournal(client, pipeline, subjects.VERDICTS),
        JetStreamJournal(client, pipeline, subjects.DEADLETTER),
        JetStreamJournal(client, pipeline, subjects.AUDIT),
        KvBucket(client, pipeline, subjects.REVOCATIONS_BUCKET),
        KvBucket(client, pipeline, subjects.CONTROL_BUCKET),
        settings,
        clock,
        writer=f"{client.options.get('name') or 'client'}.{secrets.token_hex(8)}",
        protected=never_act,
    )


def memory_hub(world: MemoryNats, never_act: Sequence[str] = ()) -> Hub:
    return _hub(
        MemoryEvents(world),
        MemoryPublisher(world),
        MemoryJournal(world, per_subject=True),
        MemoryJournal(world, per_subject=True),
        MemoryJournal(world, per_subject=False),
        MemoryBucket(world),
        MemoryBucket(world),
        world.settings,
        world.clock,
        writer=f"memory.{secrets.token_hex(8)}",
        protected=never_act,
    )


def _hub(
    events: ports.EventStream,
    publisher: ports.EventPublisher,
    verdicts: Journal,
    dead_letters: Journal,
    audit: Journal,
    revocations: Bucket,
    control: Bucket,
    settings: Settings,
    clock: ports.Clock,
    writer: str,
    protected: Sequence[str] = (),
) -> Hub:
    fence, never_act = StreamFence(verdicts, revocations), BucketNeverAct(control, protected)
    return Hub(
        events=events,
        publisher=publisher,
        dead_letters=JournalDeadLetters(dead_letters),
        verdicts=JournalVerdictLog(verdicts, f"/stillwatch/{settings.deployment}", fence),
        audit=JournalAuditLog(audit, writer),
        revocations=BucketRevocations(revocations, control, never_act, clock, fence),
        control=BucketControl(control),
        leases=BucketLeases(control, clock),
        fence=fence,
        indicators=BucketIndicators(control),
        never_act=never_act,
    )
