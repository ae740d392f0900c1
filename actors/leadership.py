"""Which aggregator acts: the one that holds the lease, and whose writes the fence lets through.

The lease keeps two from working; the fence keeps one that lost it without noticing from doing harm. Epochs are revisions of the
bucket of the leases, so they begin again where that is lost. What was written under the old ones is still there: fences would
refuse, and snapshots would count before, all that comes. So a new lease's epoch is greater than any of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from stillwatch.errors import Fenced, StillwatchError
from stillwatch.ports import Clock, Lease, Leases, WriteFence
from stillwatch.subjects import AGGREGATOR_LEASE

log = logging.getLogger("stillwatch.aggregator")

_RETRY_S: Final = 1.0


class Leadership:
    """Without ``leases`` it always leads: somebody else has seen to it that there is one. ``written``: the newest epoch under
    which something is stored, beside the fence."""

    def __init__(
        self, holder: str, ttl_s: float, leases: Leases | None, fence: WriteFence | None, clock: Clock,
        written: Callable[[], Awaitable[int]] | None = None,
    ) -> None:  # fmt: skip
        self._holder, self._ttl_s, self._leases, self._fence, self._clock = holder, ttl_s, leases, fence, clock
        self._written = written
        self._another = False  # holds the lease, as it was seen last
        self._why_not = ""
        self._lease: Lease | None = None
        self._until_s = 0.0  # monotonic
        self._renewing: asyncio.Task[None] | None = None

    @property
    def epoch(self) -> int:
        return self._lease.epoch if self._lease is not None else 0

    @property
    def holds(self) -> bool:
        return self._leases is None or self._clock.monotonic_s() < self._until_s

    @property
    def why_not(self) -> str:
        """Why it does not lead although no other one is seen to; empty: it does, or another one does."""
        return "" if self.holds or self._another else self._why_not or "it has no lease yet"

    def require(self) -> None:
        """Before each effect: what is noticed here need not be refused there."""
        if not self.holds:
            raise Fenced("the aggregator", self.epoch)

    async def win(self) -> None:
        """Returns when it leads; waits for as long as another does."""
        while self._leases is not None:
            try:
                asked_s = self._clock.monotonic_s()
                lease = await self._leases.acquire(AGGREGATOR_LEASE, self._holder, self._ttl_s)
                if lease is not None and (known := await self._known_epoch()) >= lease.epoch:
                    log.warning("epoch %d is known, %d is the lease's: was its bucket lost?", known, lease.epoch)
                    lease = await self._leases.acquire(AGGREGATOR_LEASE, self._holder, self._ttl_s, above=known)
                self._another = lease is None
                if lease is not None:
                    if self._fence is not None:
                        await self._fence.take(lease.epoch)
                    self._lease, self._until_s = lease, asked_s + self._ttl_s
                    self._renewing = asyncio.create_task(self._renew(self._leases))
                    log.info("%s acts, epoch %d", self._holder, lease.epoch)
                    return
            except StillwatchError as error:
                self._another, self._why_not = False, str(error)
                log.warning("%s waits for its lease: %s", self._holder, error)
            await asyncio.sleep(_RETRY_S)

    async def _known_epoch(self) -> int:
        fence = 0 if self._fence is None else await self._fence.newest()
        return max(fence, 0 if self._written is None else await self._written())

    async def _renew(self, leases: Leases) -> None:
        while self._lease is not None:
            await asyncio.sleep(self._ttl_s / 3)
            asked_s = self._clock.monotonic_s()
            try:
                renewed = await leases.renew(self._lease, self._ttl_s)
            except StillwatchError as error:
                log.warning("%s could not renew its lease: %s", self._holder, error)
                continue  # two more tries before it is over
            if renewed is None:
                self._until_s = 0.0
                return
            self._lease, self._until_s = renewed, asked_s + self._ttl_s

    async def resign(self, *, release: bool) -> None:
        self._until_s, self._why_not = 0.0, "its lease is over"
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
            self._renewing = None
        lease, self._lease = self._lease, None
        if release and lease is not None and self._leases is not None:
            try:
                await self._leases.release(lease)
            except StillwatchError as error:
                log.warning("%s could not give its lease back: %s", self._holder, error)
