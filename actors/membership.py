"""Which partitions a shard wants: its share among the shards of its cluster that live, while its cluster is the one that acts."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from stillwatch.ownership import assign, holder, shard_name, split
from stillwatch.ports import Clock, Lease, Leases
from stillwatch.settings import Settings
from stillwatch.subjects import AGGREGATOR_LEASE, SHARD_LEASES, shard_lease_key

log = logging.getLogger("stillwatch.shard")


class Membership:
    """``wanted`` changes in :meth:`look` only. With fixed partitions there is nothing to look at but who acts."""

    def __init__(
        self,
        name: str,
        cluster: str,
        partitions: Sequence[int] | None,
        settings: Settings,
        leases: Leases,
        clock: Clock,
    ) -> None:
        self.holder = holder(name, cluster)
        self.wanted = frozenset(partitions or ()) if not cluster else frozenset[int]()
        self._name, self._cluster, self._settings, self._leases = name, cluster, settings, leases
        self._fixed = None if partitions is None else frozenset(partitions)
        self._lease: Lease | None = None
        # A cluster's shards start one after the other: the first must not take everything only to hand most of it over.
        self._clock, self._all_come_until_s = clock, clock.monotonic_s() + settings.ingest.lease_ttl_s

    async def look(self) -> None:
        """Says that this shard lives, and finds out who else does. Raises ``Unavailable``; then everything stays as it is."""
        if self._cluster and await self._another_acts():
            if self.wanted:
                log.warning("%s stands by: another cluster acts", self.holder)
            self.wanted = frozenset()
        elif self._fixed is not None:
            self.wanted = self._fixed
        else:
            self.wanted = await self._share()

    async def _another_acts(self) -> bool:
        acting = await self._leases.holder(AGGREGATOR_LEASE)
        return acting is not None and split(acting)[1] != self._cluster

    async def _share(self) -> frozenset[int]:
        ttl_s, key = self._settings.ingest.lease_ttl_s, shard_lease_key(self._key)
        if self._lease is not None:
            self._lease = await self._leases.renew(self._lease, ttl_s)
        if self._lease is None:
            self._lease = await self._leases.acquire(key, self.holder, ttl_s)
        living = {split(one) for one in (await self._leases.holders(SHARD_LEASES)).values()}
        shards = {name for name, cluster in living if cluster == self._cluster} | {self._name}
        if self._clock.monotonic_s() < self._all_come_until_s:
            shards |= {shard_name(index) for index in range(self._settings.shards)}
        mine = (
            number for number, shard in assign(self._settings.partitions, sorted(shards)).items() if shard == self._name
        )
        return frozenset(mine)

    @property
    def _key(self) -> str:
        """Two clusters have shards of the same names."""
        return f"{self._name}-{self._cluster}" if self._cluster else self._name

    async def leave(self) -> None:
        """The others share what this one had."""
        if self._lease is not None:
            await self._leases.release(self._lease)
            self._lease = None
