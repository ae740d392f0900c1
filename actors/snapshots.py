"""Writing snapshots and finding the one to begin with: for shards and the aggregator alike.

Sealing (compressing, hashing, signing) runs in a thread: it takes tenths of a second and lets the loop answer meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from stillwatch.errors import NotFound, SnapshotDamaged, SnapshotIncompatible, SnapshotUntrusted, Unavailable
from stillwatch.ports import Clock, SnapshotCounts, SnapshotName, SnapshotStore
from stillwatch.snapshots import Header, read, seal

log = logging.getLogger("stillwatch.snapshots")

T_co = TypeVar("T_co", covariant=True)
_UNUSABLE = (SnapshotDamaged, SnapshotUntrusted, SnapshotIncompatible, NotFound)


class Restore(Protocol[T_co]):
    def __call__(self, header: Header, body: bytes) -> T_co:
        """The state. Raises :class:`SnapshotIncompatible`; begins with nothing each time it is called."""
        ...


@dataclass(slots=True)
class Snapshots:
    """``key`` signs them; ``keep`` are kept of each subject."""

    store: SnapshotStore
    key: bytes
    keep: int
    clock: Clock
    counts: SnapshotCounts = field(default_factory=SnapshotCounts)

    async def save(self, header: Header, place: int, body: bytes) -> bool:
        """Whether it is stored. A store that is away costs a longer replay and nothing else."""
        name = SnapshotName(header.subject, header.epoch, place)
        try:
            sealed = await asyncio.to_thread(seal, header, body, self.key)
            await self.store.put(name, sealed)
        except Unavailable as error:
            self.counts.failed += 1
            log.warning("%s could not be stored: %s", name, error)
            return False
        self.counts.written += 1
        self.counts.written_unix_nano, self.counts.bytes = self.clock.unix_nano(), len(sealed)
        await self._prune(header.subject)
        return True

    async def newest(self, subject: str, schemas: tuple[int, ...], config_sha256: str, restore: Restore[T_co]) -> T_co | None:
        """The state of the newest snapshot that can be used; ``None``: there is none, and the stream has to be read from its
        beginning. Raises ``Unavailable``: that the store does not answer does not mean that it is empty."""
        for name in reversed(await self.store.names(subject)):
            try:
                sealed = await self.store.get(name)
                header, body = await asyncio.to_thread(read, sealed, self.key, subject, schemas, config_sha256)
                state = restore(header, body)
            except _UNUSABLE as error:
                self.counts.unusable += 1
                log.error("%s is passed over: %s", name, error)
                continue
            self.counts.restored += 1
            return state
        return None

    async def _prune(self, subject: str) -> None:
        try:
            for name in (await self.store.names(subject))[: -self.keep]:
                await self.store.delete(name)
        except Unavailable as error:
            log.warning("old snapshots of %s stay for now: %s", subject, error)
