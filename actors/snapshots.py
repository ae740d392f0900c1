"""Writing snapshots and finding the one to begin with: for shards and the aggregator alike.

Sealing (compressing, hashing, signing) runs in a thread: it takes tenths of a second and lets the loop answer meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from stillwatch.errors import NotFound, SnapshotDamaged, SnapshotIncompatible, SnapshotUntrusted, Unavailable
from stillwatch.ports import Clock, SnapshotCounts, SnapshotName, SnapshotStore
from stillwatch.snapshots import Header, Wanted, read, seal

log = logging.getLogger("stillwatch.snapshots")

T = TypeVar("T")
_UNUSABLE: Final = (SnapshotDamaged, SnapshotUntrusted, SnapshotIncompatible, NotFound)


@dataclass(slots=True)
class Snapshots:
    """``key`` signs them; ``keep`` are kept of each subject."""

    store: SnapshotStore
    key: bytes
    keep: int
    clock: Clock
    stream: str  # the identity of the stream of requests: a snapshot of another one's sequences would skip messages
    counts: SnapshotCounts = field(default_factory=SnapshotCounts)

    async def save(self, header: Header, place: int, body: bytes) -> bool:
        """Whether it is stored. A store that is away costs a longer replay and nothing else."""
        name = SnapshotName(header.subject, header.epoch, place)
        try:
            sealed = await asyncio.to_thread(seal, replace(header, stream=self.stream), body, self.key)
            await self.store.put(name, sealed)
        except Unavailable as error:
            self.counts.failed += 1
            log.warning("%s could not be stored: %s", name, error)
            return False
        self.counts.written += 1
        self.counts.written_unix_nano, self.counts.bytes = self.clock.unix_nano(), len(sealed)
        await self._prune(header.subject)
        return True

    async def newest(
        self, subject: str, schemas: tuple[int, ...], config_sha256: str, restore: Callable[[Header, bytes], T]
    ) -> T | None:
        """The state of the newest snapshot that can be used; ``None``: there is none, and the stream has to be read from its
        beginning. ``restore`` begins with nothing each time it is called, and may raise. Raises ``Unavailable``: that the store
        does not answer does not mean that it is empty."""
        for name in reversed(await self.store.names(subject)):
            try:
                sealed = await self.store.get(name)
                wanted = Wanted(subject, self.stream, config_sha256, schemas)
                header, body = await asyncio.to_thread(read, sealed, self.key, wanted)
                state = restore(header, body)
            except Unavailable:
                raise
            except _UNUSABLE as error:
                self.counts.unusable += 1
                log.error("%s is passed over: %s", name, error)
                continue
            except Exception:  # ours and intact, and yet it trips us: it must not keep a partition down for ever
                self.counts.unusable += 1
                log.exception("%s is passed over", name)
                continue
            self.counts.restored += 1
            return state
        return None

    async def newest_epoch(self, subject: str) -> int:
        """Of all of this subject that are stored; 0: there is none. One that is written under an older epoch would never count.
        Raises ``Unavailable``."""
        return max((name.epoch for name in await self.store.names(subject)), default=0)

    async def forget(self, subject: str, beyond: int) -> None:
        """Those whose place is beyond this one: the stream gives these places out again. Raises ``Unavailable``."""
        for name in await self.store.names(subject):
            if name.place > beyond:
                await self.store.delete(name)

    async def _prune(self, subject: str) -> None:
        try:
            for name in (await self.store.names(subject))[: -self.keep]:
                await self.store.delete(name)
        except Unavailable as error:
            log.warning("old snapshots of %s stay for now: %s", subject, error)
