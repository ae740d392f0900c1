"""The kill switch and the leases, in the control bucket. Implement ``ports.Control`` and ``ports.Leases``.

Nobody compares the clocks of two machines. Whoever wants a lease watches it: when its key has not been written for as long as
the lease lives, by the watcher's own monotonic clock, its holder has let it go (as Kubernetes' leader election does). The
expiry in the value is for people. Nothing here trusts the server to forget a key in time.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final

import msgpack

from stillwatch.errors import Unavailable
from stillwatch.ports import Clock, Lease
from stillwatch.subjects import ENFORCEMENT_KEY, SHARD_LEASES
from streams.bucket import Bucket, Entry, Write

_log = logging.getLogger(__name__)
_MAX_ROUNDS: Final = 10
_MAX_TTL_S: Final = 60.0  # as in the settings
# The server's garbage collection of keys that say a shard lives: each start of a cluster brings new ones, which nobody writes again.
# Ten lives of the longest lease: whoever watches one has judged it by then. Leases of partitions and of the aggregator stay: there
# is one of each, and its epoch is remembered.
_FORGOTTEN_S: Final = 600
_FORGOTTEN: Final = SHARD_LEASES.removesuffix("*")


class BucketControl:
    """Enforcement is on unless the key says ``off``: a lost key must not silently open every gateway."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    async def enforcement(self) -> bool:
        entry = await self._bucket.get(ENFORCEMENT_KEY)
        # An operator at 3 a.m. types `OFF` or adds a newline.
        return (entry.value or b"on").strip().lower() != b"off"

    async def set_enforcement(self, on: bool) -> None:
        for _ in range(_MAX_ROUNDS):
            entry = await self._bucket.get(ENFORCEMENT_KEY)
            value = b"on" if on else b"off"
            [written] = await self._bucket.write([Write(ENFORCEMENT_KEY, value, entry.revision)])
            if written is not None:
                return
        raise Unavailable("the kill switch", f"others wrote to it {_MAX_ROUNDS} times meanwhile")

    async def broker_unix_nano(self) -> int:
        return await self._bucket.broker_unix_nano()


class BucketLeases:
    """The epoch is the KV revision of the write that changed the owner; a renewal writes a new revision and keeps the
    epoch in the value. Revisions begin at 1 again where the bucket was lost and made anew: whoever knows of an epoch says so
    (``above``), and gets a greater one."""

    def __init__(self, bucket: Bucket, clock: Clock) -> None:
        self._bucket, self._clock = bucket, clock
        # The newest revision of each lease, since when it is that (monotonic), and for how long it lives.
        self._seen: dict[str, tuple[int, float, float]] = {}

    async def acquire(self, key: str, holder: str, ttl_s: float, above: int = 0) -> Lease | None:
        entry = await self._bucket.get(key)
        held = _lease(entry)
        if held is not None and held.holder != holder and self._lives(entry):
            return None
        # Epoch 0 in the value means "the revision of this write", which nobody knows before it is written: it will be greater
        # than the one before.
        floor = max(above, 0 if held is None else held.epoch)
        taken = Lease(key, holder, 0 if entry.revision >= floor else floor + 1, self._now() + ttl_s)
        [revision] = await self._bucket.write([_write(key, _pack(taken, ttl_s), entry)])
        return None if revision is None else replace(taken, epoch=taken.epoch or revision)

    async def renew(self, lease: Lease, ttl_s: float) -> Lease | None:
        # An expired lease that nobody took is still ours: compare-and-set decides, not the clock.
        entry = await self._held(lease)
        if entry is None:
            return None
        renewed = replace(lease, expires_unix_s=self._now() + ttl_s)
        [revision] = await self._bucket.write([_write(lease.key, _pack(renewed, ttl_s), entry)])
        return None if revision is None else renewed

    async def release(self, lease: Lease) -> None:
        entry = await self._held(lease)
        if entry is not None:
            # Refused means that somebody has just taken it over: nothing left to release.
            await self._bucket.write([_write(lease.key, None, entry)])

    async def holder(self, key: str) -> str | None:
        return self._holder(await self._bucket.get(key))

    async def holders(self, pattern: str) -> dict[str, str]:
        found = ((entry.key, self._holder(entry)) for entry in await self._bucket.scan(pattern))
        return {key: holder for key, holder in sorted(found) if holder is not None}

    def _holder(self, entry: Entry) -> str | None:
        held = _lease(entry)
        return held.holder if held is not None and self._lives(entry) else None

    def _lives(self, entry: Entry) -> bool:
        """Not yet seen unchanged for as long as it lives. One that is seen for the first time lives."""
        now_s = self._clock.monotonic_s()
        revision, since_s, ttl_s = self._seen.get(entry.key, (0, 0.0, 0.0))
        if revision != entry.revision:
            since_s, ttl_s = now_s, _ttl_s(entry)
            self._seen[entry.key] = entry.revision, since_s, ttl_s
        return now_s - since_s < ttl_s

    async def _held(self, lease: Lease) -> Entry | None:
        entry = await self._bucket.get(lease.key)
        held = _lease(entry)
        same = held is not None and (held.holder, held.epoch) == (lease.holder, lease.epoch)
        return entry if same else None

    def _now(self) -> float:
        return self._clock.unix_nano() / 1e9


def _write(key: str, value: bytes | None, before: Entry) -> Write:
    return Write(key, value, before.revision, ttl_s=_FORGOTTEN_S if key.startswith(_FORGOTTEN) else None)


def _pack(lease: Lease, ttl_s: float) -> bytes:
    value = {
        "holder": lease.holder, "epoch": lease.epoch, "expires_unix_s": lease.expires_unix_s, "ttl_s": ttl_s,
    }  # fmt: skip
    return bytes(msgpack.packb(value, use_bin_type=True))


def _ttl_s(entry: Entry) -> float:
    try:
        return min(float(msgpack.unpackb(entry.value or b"", raw=False)["ttl_s"]), _MAX_TTL_S)
    except Exception:  # of a version that did not say it, or no lease at all
        return _MAX_TTL_S


def _lease(entry: Entry) -> Lease | None:
    if entry.value is None:
        return None
    try:
        value = msgpack.unpackb(entry.value, raw=False)
        epoch = int(value["epoch"]) or entry.revision
        return Lease(entry.key, str(value["holder"]), epoch, float(value["expires_unix_s"]))
    except Exception as error:  # any bytes can stand in a bucket; a lease that can not be read is free
        _log.warning("%s is no lease: %s", entry.key, error)
        return None
