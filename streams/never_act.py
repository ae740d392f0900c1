"""The never-act list in the control bucket, under ``never_act.<id>``. Implements ``ports.NeverActStore``.

One JSON document per entry, so that an operator can read it with any NATS client. An entry that has ended stays until
somebody has said so (:meth:`remove`), whatever its age.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from stillwatch.errors import Conflict, Unavailable
from stillwatch.never_act import MAX_ENTRIES, Protection, of_policy
from stillwatch.subjects import CONTROL_BUCKET, NEVER_ACT_IN, never_act_key
from streams.bucket import Bucket, Entry, Write

_MAX_ROUNDS: Final = 10


class BucketNeverAct:
    def __init__(self, bucket: Bucket, policy: Iterable[str] = ()) -> None:
        """``policy``: accounts that the policy file names."""
        self._bucket, self._of_policy = bucket, of_policy(policy)

    async def put(self, protection: Protection) -> None:
        # Also where one of them can not be read: putting it anew is how that is mended.
        others = [one for one in await self._bucket.scan(NEVER_ACT_IN) if one.key != never_act_key(protection.id)]
        if len(others) >= MAX_ENTRIES:
            raise Conflict("the never-act list", f"it holds {MAX_ENTRIES} entries at most; remove one first")
        await self._write(protection.id, json.dumps(protection.to_map(), ensure_ascii=False).encode())

    async def remove(self, id: str, only: Protection | None = None) -> None:
        await self._write(id, None, only)

    async def list(self) -> list[Protection]:
        found = [*self._of_policy, *map(_protection, await self._bucket.scan(NEVER_ACT_IN))]
        return sorted(found, key=lambda one: (one.expires_unix_s, one.id))

    async def _write(self, id: str, value: bytes | None, only: Protection | None = None) -> None:
        for _ in range(_MAX_ROUNDS):
            entry = await self._bucket.get(never_act_key(id))
            if value is None and entry.value is None:
                return
            if only is not None and _protection(entry) != only:
                return
            [written] = await self._bucket.write([Write(entry.key, value, entry.revision)])
            if written is not None:
                return
        raise Unavailable(f"never-act entry {id}", f"others wrote to it {_MAX_ROUNDS} times meanwhile")


def _protection(entry: Entry) -> Protection:
    """Any bytes can stand in a bucket. To go on without it would act on whom it protects."""
    try:
        return Protection.from_map(json.loads(entry.value or b""))
    except (ValueError, KeyError, TypeError) as error:
        problem = (
            f"{entry.key} in bucket {CONTROL_BUCKET} can not be read ({error!r}), so nobody is acted on. Add its account or "
            f"organisation again (`stillwatch never-act add`), or delete the key (`nats kv del {CONTROL_BUCKET} {entry.key}`)"
        )
        raise Unavailable("the never-act list", problem) from error
