"""The never-act list in the control bucket, under ``never_act.<id>``. Implements ``ports.NeverActStore``.

One JSON document per entry, so that an operator can read it with any NATS client. An entry that has ended stays until
somebody has said so (:meth:`remove`), whatever its age.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from typing import Final

from stillwatch.errors import Conflict, Unavailable
from stillwatch.never_act import MAX_ENTRIES, Protection, of_policy
from stillwatch.subjects import NEVER_ACT_IN, never_act_key
from streams.bucket import Bucket, Entry, Write

_log = logging.getLogger(__name__)
_MAX_ROUNDS: Final = 10


class BucketNeverAct:
    def __init__(self, bucket: Bucket, policy: Iterable[str] = ()) -> None:
        """``policy``: accounts that the policy file names."""
        self._bucket, self._of_policy = bucket, of_policy(policy)

    async def put(self, protection: Protection) -> None:
        others = [one for one in await self.list() if one.id != protection.id and not one.endless]
        if len(others) >= MAX_ENTRIES:
            raise Conflict("the never-act list", f"it holds {MAX_ENTRIES} entries at most; remove one first")
        await self._write(protection.id, json.dumps(protection.to_map(), ensure_ascii=False).encode())

    async def remove(self, id: str) -> None:
        await self._write(id, None)

    async def list(self) -> list[Protection]:
        found = [*self._of_policy, *(_protection(entry) for entry in await self._bucket.scan(NEVER_ACT_IN))]
        return sorted((one for one in found if one is not None), key=lambda one: (one.expires_unix_s, one.id))

    async def _write(self, id: str, value: bytes | None) -> None:
        for _ in range(_MAX_ROUNDS):
            entry = await self._bucket.get(never_act_key(id))
            if value is None and entry.value is None:
                return
            [written] = await self._bucket.write([Write(entry.key, value, entry.revision)])
            if written is not None:
                return
        raise Unavailable(f"never-act entry {id}", f"others wrote to it {_MAX_ROUNDS} times meanwhile")


def _protection(entry: Entry) -> Protection | None:
    """Any bytes can stand in a bucket; one foreign write must not hide the others."""
    try:
        return Protection.from_map(json.loads(entry.value or b""))
    except (ValueError, KeyError, TypeError) as error:
        _log.warning("%s is no entry of the never-act list: %s", entry.key, error)
        return None
