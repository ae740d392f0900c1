"""Snapshots of partitions: what a shard knows of one, and what it has still to tell the aggregator.

Taken between two batches, on the loop, so that it is of one moment; sealed and stored beside the work that goes on.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgpack

from actors.outbox import Outbox
from actors.snapshots import Snapshots
from stillwatch.errors import SnapshotIncompatible, Unavailable
from stillwatch.ports import Clock, EventStream, Lease, SnapshotCounts
from stillwatch.settings import Settings
from stillwatch.shard import PartitionCore
from stillwatch.snapshots import Header
from stillwatch.subjects import consumer_name

log = logging.getLogger("stillwatch.snapshots")

PARTITION_SCHEMA: Final = 1
# Stores forget what is old. One of a partition that nobody writes to is written anew.
_ANEW_S: Final = 24 * 3600.0


@contextmanager
def _without_collector() -> Iterator[None]:
    """Thousands of objects come into being and none goes: looking for garbage among them takes two thirds of a restore."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class PartitionSnapshots:
    """Of one shard. Without a store it saves nothing and finds nothing."""

    def __init__(self, settings: Settings, snapshots: Snapshots | None, events: EventStream, clock: Clock) -> None:
        self._settings, self._snapshots, self._events, self._clock = settings, snapshots, events, clock
        self._saved: dict[int, tuple[int, float]] = {}  # by partition: the sequence in it, and when (monotonic)
        self._saving: dict[int, asyncio.Task[None]] = {}

    @property
    def counts(self) -> SnapshotCounts:
        return self._snapshots.counts if self._snapshots is not None else SnapshotCounts()

    # -- out ---------------------------------------------------------------------------------------------------------

    def save_if_due(self, core: PartitionCore, outbox: Outbox, lease: Lease) -> None:
        """Begins one if something was read since the last and its time has come; one at a time."""
        if self._snapshots is None:
            return
        now_s, period_s = self._clock.monotonic_s(), self._settings.snapshots.period_s
        sequence, at_s = self._saved.setdefault(core.partition, (core.last_sequence, now_s))
        running = self._saving.get(core.partition)
        due = now_s - at_s >= (period_s if sequence != core.last_sequence else _ANEW_S)
        if due and (running is None or running.done()):
            self._saved[core.partition] = core.last_sequence, now_s
            header, place, body = self._taken(core, outbox, lease)
            self._saving[core.partition] = asyncio.create_task(self._save(self._snapshots, header, place, body))

    async def save(self, core: PartitionCore, outbox: Outbox, lease: Lease) -> None:
        """Now, and waits for it: the last one of an owner that goes."""
        await self.finish(core.partition)
        if self._snapshots is not None and core.last_sequence > 0:
            await self._save(self._snapshots, *self._taken(core, outbox, lease))

    async def finish(self, partition: int) -> None:
        running = self._saving.pop(partition, None)
        self._saved.pop(partition, None)
        if running is not None:
            await running

    async def rewound(self, partition: int, sequence: int) -> None:
        """The stream gives out numbers behind ``sequence`` again: a snapshot beyond it would later skip what they stand for
        then. One that can not be removed now is refused as long as the stream is shorter."""
        await self.finish(partition)
        if self._snapshots is not None:
            try:
                self._snapshots.stream = await self._events.identity()
                await self._snapshots.forget(consumer_name(partition), sequence)
            except Unavailable as error:
                log.error("snapshots of partition %d beyond sequence %d stay: %s", partition, sequence, error)

    def _taken(self, core: PartitionCore, outbox: Outbox, lease: Lease) -> tuple[Header, int, bytes]:
        told = outbox.state()  # first: it takes the cuts, which the core would say later
        body = bytes(msgpack.packb([core.snapshot(), told]))
        header = Header(
            consumer_name(core.partition), PARTITION_SCHEMA, core.last_sequence,
            self._settings.state_sha256(), lease.epoch, core.closed_unix_nano,
        )  # fmt: skip
        return header, core.last_sequence, body

    async def _save(self, snapshots: Snapshots, header: Header, place: int, body: bytes) -> None:
        try:
            await snapshots.save(header, place, body)
        except Exception:  # a partition must not stop because what would shorten its next start does not work
            snapshots.counts.failed += 1
            log.exception("the snapshot of %s failed", header.subject)

    async def newest_epoch(self, partition: int) -> int:
        """Raises ``Unavailable``."""
        return 0 if self._snapshots is None else await self._snapshots.newest_epoch(consumer_name(partition))

    # -- in ----------------------------------------------------------------------------------------------------------

    async def newest(self, partition: int, epoch: int) -> tuple[PartitionCore, Outbox] | None:
        """``None``: the stream has to be read from its beginning. Raises ``Unavailable``."""
        if self._snapshots is None:
            return None
        end, settings = await self._events.end(), self._settings
        # Asked each time: the stream may have been made anew since this process began.
        self._snapshots.stream = await self._events.identity()

        def restored(header: Header, body: bytes) -> tuple[PartitionCore, Outbox]:
            if header.last_sequence > end:  # a server that lost its newest messages gives their numbers out again
                raise SnapshotIncompatible(header.subject, f"of sequence {header.last_sequence}", f"at most {end}")
            core = PartitionCore(partition, settings.partitions, settings.ingest, settings.detection)
            state, told = msgpack.unpackb(body, raw=False, strict_map_key=False)
            with _without_collector():
                core.restore(state)
            outbox = Outbox(core, epoch)
            outbox.restore(told)
            return core, outbox

        subject = consumer_name(partition)
        return await self._snapshots.newest(subject, (PARTITION_SCHEMA,), settings.state_sha256(), restored)
