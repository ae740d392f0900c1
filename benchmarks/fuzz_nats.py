"""Over NATS: a real server, a real shard's loop, and the sums at the end."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from opentelemetry.trace import NoOpTracer

from actors.shard import Shard, ShardPorts
from benchmarks.fuzz_inputs import messages
from benchmarks.fuzz_report import Door
from launch.embedded import EmbeddedNats
from launch.telemetry import SystemClock
from stillwatch.ports import Folded, Mark, Part
from stillwatch.settings import IngestSettings, NatsSettings, Settings
from stillwatch.wire import decode_message
from streams.connection import close, connect
from streams.hub import jetstream_hub
from streams.pipeline import Outgoing, Pipeline
from streams.topology import ensure

_BATCH: Final = 500
# A shard takes thousands of events a second; one that takes none for so long stands still.
_STALL_S: Final = 30.0
_PARTITIONS: Final = 4


class _Listener:
    async def fold(self, shard: str, life: str, part: Part | None, marks: Sequence[Mark]) -> Folded:
        return Folded("fuzz", True, 0, {})


async def fuzz_nats(inputs: int, seed: int, directory: Path) -> Door:
    door = Door("NATS, a shard's loop", inputs)
    with EmbeddedNats(directory / "nats") as server:
        settings = Settings(
            partitions=_PARTITIONS, shards=1, nats=NatsSettings(urls=(server.url,)),
            ingest=IngestSettings(fetch_timeout_s=0.2, lease_ttl_s=30),
        )  # fmt: skip
        client = await connect(settings.nats, "fuzz")
        await ensure(client, settings)
        clock = SystemClock()
        hub = jetstream_hub(client, settings, clock)
        ports = ShardPorts(hub.events, hub.dead_letters, hub.leases, _Listener(), clock, NoOpTracer())
        shard = Shard("shard-000", range(_PARTITIONS), settings, ports)
        await shard.start()
        offered, labels = await _publish(Pipeline(client), inputs, seed)
        await _until_nothing_waits(shard, client, settings, door)
        status = await shard.status()
        taken, duplicates, rejected, failed = (
            sum(getattr(p, name) for p in status.partitions)
            for name in ("events", "duplicates", "rejected", "failed_summaries")
        )
        stored = await hub.dead_letters.count()
        newest = await hub.dead_letters.newest(1_000_000)
        await shard.stop()
        await close(client)
    reasons = Counter(letter.rejected.reason for letter in newest)
    door.outcomes = {
        "events offered": offered, "taken": taken, "duplicates": duplicates, "rejected": rejected, "dead letters": stored,
        "labels": labels, **{f"({reason})": count for reason, count in reasons.items()},
    }  # fmt: skip
    of_labels = sum(letter.subject.startswith("stillwatch.labels.") for letter in newest)
    if offered != taken + duplicates + rejected - of_labels:
        door.failures.append(f"{offered} offered, but {taken} + {duplicates} + {rejected - of_labels} accounted for")
    if rejected != stored:
        door.failures.append(f"{rejected} rejected, but {stored} dead letters")
    crashed = reasons["processing_failed"]
    if crashed or failed:
        door.failures.append(f"{crashed} events and {failed} accounts brought out a bug: see their dead letters")
    door.failures += list(status.problems)
    return door


async def _publish(pipeline: Pipeline, inputs: int, seed: int) -> tuple[int, int]:
    """How many events, and how many labels. What the decoder counts is what the shard has to account for."""
    offered = labels = 0
    batch: list[Outgoing] = []
    for subject, payload, _ in messages(inputs, seed, _PARTITIONS, time.time_ns()):
        if subject.startswith("stillwatch.labels."):
            labels += 1
        else:
            offered += len(decode_message(payload))
        batch.append(Outgoing(subject, payload))
        if len(batch) >= _BATCH:
            await pipeline.send(batch)
            batch.clear()
            await asyncio.sleep(0)
    await pipeline.send(batch)
    return offered, labels


async def _until_nothing_waits(shard: Shard, client: object, settings: Settings, door: Door) -> None:
    seen, since = -1, time.monotonic()
    while True:
        status = await shard.status()
        place = sum(p.last_sequence for p in status.partitions)
        waiting = sum(p.waiting for p in status.partitions)
        if place == seen and not waiting and time.monotonic() - since > 2 * settings.ingest.fetch_timeout_s:
            return
        if place != seen:
            seen, since = place, time.monotonic()
        elif time.monotonic() - since > _STALL_S:
            door.failures.append(f"stood still for {_STALL_S:g} s with {waiting} messages waiting")
            return
        await asyncio.sleep(0.1)
