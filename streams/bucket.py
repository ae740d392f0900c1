"""A KV bucket with compare-and-set on every write, and with many keys under way at once.

:class:`Bucket` is what revocations, the kill switch and leases are written against; :class:`KvBucket` is the real one
(the wire format of ADR-8, readable by every NATS client), ``memory.MemoryBucket`` its twin. Reads of single keys go to
the stream's leader: a lease must not be judged by a replica that lags.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from nats.aio.client import Client
from nats.aio.msg import Msg

from stillwatch.errors import Unavailable
from streams.pipeline import EXPECT_LAST_ON_SUBJECT, Outgoing, Pipeline, under
from streams.scan import read_all

_OPERATION: Final = "KV-Operation"
# Beside a client's removal, the server's own tombstone after a TTL.
_TOMBSTONES: Final = (_OPERATION, "Nats-Marker-Reason")
_NO_MESSAGE: Final = 10037
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Entry:
    """``value`` is ``None`` for a key that was removed or never was; its ``revision`` is what a write must expect."""

    key: str
    value: bytes | None
    revision: int


@dataclass(frozen=True, slots=True)
class Write:
    """``value=None`` removes the key. ``ttl_s`` lets the server forget it; nothing may depend on when."""

    key: str
    value: bytes | None
    expected_revision: int
    ttl_s: int | None = None
    # Instead of its own revision, that of this entry must be the newest of its key: whoever is the writer now.
    under: Entry | None = None


class Bucket(Protocol):
    async def get(self, key: str) -> Entry: ...

    async def get_many(self, keys: Iterable[str]) -> list[Entry]:
        """In the order of the keys."""
        ...

    async def write(self, writes: Sequence[Write]) -> list[int | None]:
        """The new revision of each, ``None`` where the expected revision was not the newest: nothing was written."""
        ...

    async def scan(self, *patterns: str) -> list[Entry]:
        """The newest entry of every key that matches one of the patterns and has a value."""
        ...

    async def changes(self, pattern: str, after_revision: int) -> list[Entry]:
        """The newest entry of every key that was written or removed behind the revision. What the server forgot by its
        age is not told."""
        ...

    async def broker_unix_nano(self) -> int:
        """The time by the server's clock."""
        ...


class KvBucket:
    def __init__(self, client: Client, pipeline: Pipeline, name: str) -> None:
        self._client, self._pipeline = client, pipeline
        self._stream, self._prefix = f"KV_{name}", f"$KV.{name}."

    async def get(self, key: str) -> Entry:
        [entry] = await self.get_many([key])
        return entry

    async def get_many(self, keys: Iterable[str]) -> list[Entry]:
        wanted = list(keys)
        subject = f"$JS.API.STREAM.MSG.GET.{self._stream}"
        requests = [Outgoing(subject, json.dumps({"last_by_subj": self._prefix + key}).encode()) for key in wanted]
        answers = await self._pipeline.exchange(requests)
        return [self._read(key, answer) for key, answer in zip(wanted, answers, strict=True)]

    async def write(self, writes: Sequence[Write]) -> list[int | None]:
        acks = await self._pipeline.send([self._outgoing(write) for write in writes])
        return [None if ack.refused else ack.sequence for ack in acks]

    async def scan(self, *patterns: str) -> list[Entry]:
        found = [entry for pattern in patterns for entry in await self.changes(pattern, 0)]
        return [entry for entry in {entry.key: entry for entry in found}.values() if entry.value is not None]

    async def changes(self, pattern: str, after_revision: int) -> list[Entry]:
        newest: dict[str, Entry] = {}
        async for stored in read_all(self._client, self._stream, self._prefix + pattern, after_revision + 1):
            removed = any(name in stored.headers for name in _TOMBSTONES)
            key = stored.subject[len(self._prefix) :]
            newest[key] = Entry(key, None if removed else stored.payload, stored.sequence)
        return list(newest.values())

    async def broker_unix_nano(self) -> int:
        [answer] = await self._pipeline.exchange([Outgoing(f"$JS.API.STREAM.INFO.{self._stream}", b"")])
        said = json.loads(answer.data or b"{}")
        try:
            at = datetime.fromisoformat(said["ts"])
        except (KeyError, ValueError) as error:
            raise Unavailable(f"bucket {self._stream}", "the server does not say what time it is") from error
        return int((at - _EPOCH) / timedelta(microseconds=1)) * 1_000

    def _read(self, key: str, answer: Msg) -> Entry:
        if not answer.data:
            raise Unavailable(f"bucket {self._stream}", "JetStream does not answer")
        said = json.loads(answer.data)
        error = said.get("error")
        if error is not None:
            if error.get("err_code") == _NO_MESSAGE:
                return Entry(key, None, 0)
            raise Unavailable(f"bucket {self._stream}", str(error.get("description", error)))
        message = said["message"]
        headers = base64.b64decode(message.get("hdrs", ""))
        removed = any(f"\n{name}:".encode() in headers for name in _TOMBSTONES)
        return Entry(key, None if removed else base64.b64decode(message.get("data", "")), message["seq"])

    def _outgoing(self, write: Write) -> Outgoing:
        headers = {EXPECT_LAST_ON_SUBJECT: str(write.expected_revision)}
        if write.under is not None:
            headers = under(self._prefix + write.under.key, write.under.revision)
        if write.value is None:
            headers[_OPERATION] = "DEL"
        if write.ttl_s is not None:
            headers["Nats-TTL"] = str(write.ttl_s)
        return Outgoing(self._prefix + write.key, write.value or b"", headers)
