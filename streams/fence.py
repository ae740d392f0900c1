"""Who may write verdicts and automatic revocations. Implements ``ports.WriteFence``.

An owner that was paused (SIGSTOP, a frozen machine, garbage collection) does not know that its lease is over, and no check of its
own can lie close enough to its write. So the check lies in the server: each owner begins with a message under a fixed subject of
the stream, and all that it writes is stored only while that message is the newest there.
"""

from __future__ import annotations

from typing import Final

from stillwatch.errors import Fenced, Unavailable
from stillwatch.subjects import REVOCATIONS_FENCE_KEY, VERDICTS_FENCE
from streams import bucket, journal
from streams.bucket import Bucket, Write
from streams.journal import Journal, epoch_of
from streams.scan import Stored

FENCE_TYPE: Final = "io.stillwatch.fence.v1"
_MAX_ROUNDS: Final = 10


class StreamFence:
    """``verdicts`` and ``revocations`` are ``None`` in a process that has not taken it: what a person does over the API is not
    an owner's."""

    def __init__(self, verdict_journal: Journal, revocation_bucket: Bucket) -> None:
        self._journal, self._bucket = verdict_journal, revocation_bucket
        self.verdicts: Stored | None = None
        self.revocations: bucket.Entry | None = None
        self.epoch = 0

    async def take(self, epoch: int) -> None:
        verdicts, revocations = await self._take_journal(epoch), await self._take_bucket(epoch)
        self.verdicts, self.revocations, self.epoch = verdicts, revocations, epoch

    async def newest(self) -> int:
        """Raises ``Unavailable``."""
        verdicts, entry = await self._journal.last(VERDICTS_FENCE), await self._bucket.get(REVOCATIONS_FENCE_KEY)
        return max(0 if verdicts is None else epoch_of(verdicts), _epoch(entry))

    async def _take_journal(self, epoch: int) -> Stored:
        # A CloudEvent like all others: whoever reads the stream must not stumble over it.
        headers = {
            "ce-specversion": "1.0", "ce-type": FENCE_TYPE, "ce-source": "/stillwatch", "ce-id": f"fence.{epoch}",
        }  # fmt: skip
        entry = journal.Entry(VERDICTS_FENCE, str(epoch).encode(), headers)
        for _ in range(_MAX_ROUNDS):
            before = await self._journal.last(VERDICTS_FENCE)
            if before is not None and epoch_of(before) > epoch:
                raise Fenced("verdicts", epoch)
            written = await self._journal.replace(entry, before)
            if written is not None:
                return written
        raise Unavailable("the fence of verdicts", f"others wrote to it {_MAX_ROUNDS} times meanwhile")

    async def _take_bucket(self, epoch: int) -> bucket.Entry:
        for _ in range(_MAX_ROUNDS):
            before = await self._bucket.get(REVOCATIONS_FENCE_KEY)
            if _epoch(before) > epoch:
                raise Fenced("revocations", epoch)
            value = str(epoch).encode()
            [revision] = await self._bucket.write([Write(REVOCATIONS_FENCE_KEY, value, before.revision)])
            if revision is not None:
                return bucket.Entry(REVOCATIONS_FENCE_KEY, value, revision)
        raise Unavailable("the fence of revocations", f"others wrote to it {_MAX_ROUNDS} times meanwhile")


def _epoch(entry: bucket.Entry) -> int:
    return int(entry.value) if entry.value is not None and entry.value.isdigit() else 0
