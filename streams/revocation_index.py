"""All revocations of the bucket in RAM, kept up by reading only what was written since the last look.

A list of a page would otherwise read every record of the last 90 days. Records leave the bucket by age, and a bucket can be
made anew, neither of which is told: everything is read again once a minute, when somebody looks. It holds what the bucket
holds, 250 bytes and the accounts' names for each record.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

import msgpack

from stillwatch.ports import Clock
from stillwatch.revocation import Revocation
from streams.bucket import Bucket, Entry

_log = logging.getLogger(__name__)

RECORDS: Final = "record.*"
_ALL_AGAIN_S: Final = 60.0


class RevocationIndex:
    def __init__(self, bucket: Bucket, clock: Clock) -> None:
        self._bucket, self._clock = bucket, clock
        self._records: dict[str, Revocation] = {}
        self._oldest_first: list[Revocation] | None = None
        self._revision = 0
        self._read_all_at_s = float("-inf")
        self._alone = asyncio.Lock()

    async def records(self, *, all_again: bool = False) -> dict[str, Revocation]:
        """By id, as they are now. Not to be changed."""
        async with self._alone:
            now_s = self._clock.monotonic_s()
            if all_again or now_s - self._read_all_at_s >= _ALL_AGAIN_S:
                changed = await self._bucket.changes(RECORDS, 0)
                self._records, self._revision, self._read_all_at_s = {}, 0, now_s
            else:
                changed = await self._bucket.changes(RECORDS, self._revision)
            if changed or not self._records:
                self._oldest_first = None
            for entry in changed:
                self._revision = max(self._revision, entry.revision)
                record = unpack(entry)
                if record is None:
                    self._records.pop(entry.key.removeprefix("record."), None)
                else:
                    self._records[record.id] = record
            return self._records

    async def newest_first(self, before: tuple[int, str] | None = None) -> Iterator[Revocation]:
        """``before``: (created in unix s, id) of one that has been seen; those that come behind it."""
        records = await self.records()
        if self._oldest_first is None:
            self._oldest_first = sorted(records.values(), key=place)
        ordered = self._oldest_first
        end = len(ordered) if before is None else bisect_left(ordered, before, key=place)
        return (ordered[index] for index in range(end - 1, -1, -1))


def place(revocation: Revocation) -> tuple[int, str]:
    return revocation.created_unix_s, revocation.id


def unpack(entry: Entry) -> Revocation | None:
    if entry.value is None:
        return None
    try:
        return Revocation.from_map(msgpack.unpackb(entry.value, raw=False))
    except Exception as error:  # any bytes can stand in a bucket; one foreign write must not hide the others
        _log.warning("%s is no revocation: %s", entry.key, error)
        return None
