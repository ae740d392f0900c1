"""The twins of everything that touches NATS, in one process's memory: for tests of whoever uses the ports.

They pass the same contract suite as the real ones. ``MemoryNats.down = True`` makes every call raise ``Unavailable``, as
an unreachable server does.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from stillwatch import subjects
from stillwatch.errors import Fenced, StreamRewound, Unavailable
from stillwatch.event import RequestEvent
from stillwatch.partition import partition_of
from stillwatch.ports import Clock, Label, RawMessage
from stillwatch.settings import Settings
from stillwatch.wire import MAX_EVENT_BYTES, MAX_MESSAGE_BYTES, encode_event, encode_label
from streams import bucket, journal
from streams.scan import Stored

_ROUTED: Final = ("stillwatch.requests.", "stillwatch.envelopes.", "stillwatch.labels.")


@dataclass(slots=True)
class MemoryNats:
    """The world that the twins share. ``acked`` is what each partition's feed has acknowledged."""

    settings: Settings
    clock: Clock
    down: bool = False
    ahead_nano: int = 0  # of the broker's clock
    messages: list[RawMessage] = field(default_factory=list)
    acked: dict[int, int] = field(default_factory=dict)
    _by_partition: dict[str, list[RawMessage]] = field(default_factory=dict)
    _seen: dict[str, int] = field(default_factory=dict)
    _arrival: asyncio.Event = field(default_factory=asyncio.Event)

    def store(
        self, subject: str, payload: bytes, message_id: str | None = None, traceparent: str | None = None
    ) -> bool:
        """What a publisher's message does: ``False`` for a duplicate inside the window."""
        self.require("the stream")
        if not subject.startswith(_ROUTED) or subject.count(".") != 2:
            raise Unavailable("the stream", f"no stream takes {subject}")
        now = self.clock.unix_nano()
        if message_id is not None:
            seen = self._seen.get(message_id)
            if seen is not None and now - seen < self.settings.nats.duplicate_window_s * 1_000_000_000:
                return False
            self._seen[message_id] = now
        _, kind, token = subject.split(".")
        if kind == "requests":
            subject = f"stillwatch.partition.{partition_of(token, self.settings.partitions)}.{token}"
        message = RawMessage(len(self.messages) + 1, subject, payload, now, traceparent)
        self.messages.append(message)
        self._by_partition.setdefault(subject.split(".")[2], []).append(message)
        arrival, self._arrival = self._arrival, asyncio.Event()
        arrival.set()
        return True

    def of_partition(self, partition: int, after_sequence: int, limit: int | None = None) -> list[RawMessage]:
        """What the consumer of the partition would deliver next."""
        messages = self._by_partition.get(str(partition), [])
        start = bisect_right(messages, after_sequence, key=lambda message: message.sequence)
        return messages[start:] if limit is None else messages[start : start + limit]

    async def arrival(self, deadline: float) -> bool:
        """Waits for the next message; ``False`` when the loop's clock reaches ``deadline`` first."""
        try:
            async with asyncio.timeout_at(deadline):
                await self._arrival.wait()
        except TimeoutError:
            return False
        return True

    def require(self, what: str) -> None:
        if self.down:
            raise Unavailable(what, "NATS is reconnecting")


class MemoryEvents:
    def __init__(self, world: MemoryNats) -> None:
        self._world = world

    async def identity(self) -> str:
        return "memory"

    async def end(self) -> int:
        self._world.require("the stream")
        return len(self._world.messages)

    async def open(self, partition: int, after_sequence: int) -> MemoryFeed:
        self._world.require(f"partition {partition}")
        return MemoryFeed(self._world, partition, after_sequence)


class MemoryFeed:
    def __init__(self, world: MemoryNats, partition: int, after_sequence: int) -> None:
        self._world, self._partition = world, partition
        self.restarts = 0
        self._handed = min(after_sequence, len(world.messages))
        self._rewound = (
            StreamRewound(partition, self._handed, "the stream ends before") if self._handed < after_sequence else None
        )

    async def fetch(self, max_messages: int, timeout_s: float) -> list[RawMessage]:
        deadline = asyncio.get_running_loop().time() + timeout_s
        while True:
            self._world.require(f"partition {self._partition}")
            if self._rewound is not None:
                rewound, self._rewound = self._rewound, None
                raise rewound
            taken = self._world.of_partition(self._partition, self._handed, max_messages)
            if taken:
                self._handed = taken[-1].sequence
                return taken
            if not await self._world.arrival(deadline):
                return []

    async def ack(self, sequence: int) -> None:
        self._world.require(f"partition {self._partition}")
        self._world.acked[self._partition] = max(sequence, self._world.acked.get(self._partition, 0))

    async def renew(self) -> None:
        self._world.require(f"partition {self._partition}")
        self.restarts += 1

    async def waiting(self) -> int:
        self._world.require(f"partition {self._partition}")
        return len(self._world.of_partition(self._partition, self._handed))

    async def close(self) -> None:
        return None


class MemoryPublisher:
    def __init__(self, world: MemoryNats) -> None:
        self._world = world

    async def publish(self, events: Sequence[RequestEvent], traceparent: str | None = None) -> int:
        encoded = [(event, encode_event(event)) for event in events]
        for event, payload in encoded:
            if len(payload) > MAX_EVENT_BYTES:
                raise ValueError(f"{event.id}: {len(payload)} bytes; the server takes {MAX_MESSAGE_BYTES} with headers")
        return sum(
            self._world.store(subjects.request_subject(event.account), payload, event.id, traceparent)
            for event, payload in encoded
        )

    async def publish_label(self, label: Label) -> None:
        partition = partition_of(label.account, self._world.settings.partitions)
        self._world.store(subjects.label_subject(partition), encode_label(label))


class MemoryJournal:
    """``per_subject`` keeps one entry per subject, the newest, as the verdict and dead-letter streams do."""

    def __init__(self, world: MemoryNats, *, per_subject: bool) -> None:
        self._world, self._per_subject = world, per_subject
        self._entries: list[Stored] = []
        self._stored: set[str] = set()
        self._sequence = 0

    @property
    def max_message_bytes(self) -> int:
        return MAX_MESSAGE_BYTES

    async def append(
        self, entries: Sequence[journal.Entry], *, once: bool = False, fence: Stored | None = None
    ) -> list[int]:
        self._world.require("the journal")
        sequences: list[int] = []
        for entry in entries:
            if once and entry.subject in self._stored:
                continue
            if fence is not None and await self.last(fence.subject) != fence:
                raise Fenced("the journal", journal.epoch_of(fence))
            sequences.append(self._store(entry).sequence)
        return sequences

    def _store(self, entry: journal.Entry) -> Stored:
        if entry.subject in self._stored and self._per_subject:
            self._entries = [stored for stored in self._entries if stored.subject != entry.subject]
        self._stored.add(entry.subject)
        self._sequence += 1
        self._entries.append(Stored(entry.subject, self._sequence, entry.payload, dict(entry.headers)))
        return self._entries[-1]

    async def last(self, subject: str) -> Stored | None:
        return next(iter(await self.newest(1, subject)), None)

    async def replace(self, entry: journal.Entry, before: Stored | None) -> Stored | None:
        return self._store(entry) if await self.last(entry.subject) == before else None

    async def newest(self, limit: int, matching: str) -> list[Stored]:
        self._world.require("the journal")
        return [stored for stored in reversed(self._entries) if matches(matching, stored.subject)][:limit]

    async def count(self) -> int:
        self._world.require("the journal")
        return len(self._entries)


class MemoryBucket:
    def __init__(self, world: MemoryNats) -> None:
        self._world = world
        self._entries: dict[str, bucket.Entry] = {}
        self._forgotten_nano: dict[str, int] = {}  # when, of those that were written with a time to live
        self._revision = 0

    def _require(self) -> None:
        self._world.require("the bucket")
        now_nano = self._world.clock.unix_nano()
        for key in [key for key, at_nano in self._forgotten_nano.items() if now_nano >= at_nano]:
            del self._entries[key], self._forgotten_nano[key]

    async def get(self, key: str) -> bucket.Entry:
        self._require()
        return self._entries.get(key) or bucket.Entry(key, None, 0)

    async def get_many(self, keys: Iterable[str]) -> list[bucket.Entry]:
        return [await self.get(key) for key in keys]

    async def write(self, writes: Sequence[bucket.Write]) -> list[int | None]:
        self._require()
        return [self._write(write) for write in writes]

    async def scan(self, *patterns: str) -> list[bucket.Entry]:
        self._require()
        return [
            entry
            for entry in self._entries.values()
            if entry.value is not None and any(matches(pattern, entry.key) for pattern in patterns)
        ]

    async def changes(self, pattern: str, after_revision: int) -> list[bucket.Entry]:
        self._require()
        return [
            entry for entry in self._entries.values() if entry.revision > after_revision and matches(pattern, entry.key)
        ]

    async def broker_unix_nano(self) -> int:
        self._require()
        return self._world.clock.unix_nano() + self._world.ahead_nano

    def _write(self, write: bucket.Write) -> int | None:
        guard = bucket.Entry(write.key, None, write.expected_revision) if write.under is None else write.under
        present = self._entries.get(guard.key)
        if (present.revision if present else 0) != guard.revision:
            return None
        self._revision += 1
        self._forgotten_nano.pop(write.key, None)
        if write.ttl_s is not None:
            self._forgotten_nano[write.key] = self._world.clock.unix_nano() + write.ttl_s * 1_000_000_000
        self._entries[write.key] = bucket.Entry(write.key, write.value, self._revision)
        return self._revision


def matches(pattern: str, subject: str) -> bool:
    """NATS's wildcards: ``*`` one token, ``>`` one or more at the end.

    >>> matches("a.*.>", "a.b.c.d"), matches("a.*", "a.b.c")
    (True, False)
    """
    wanted, given = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        if len(given) < len(wanted):
            return False
        wanted, given = wanted[:-1], given[: len(wanted) - 1]
    return len(wanted) == len(given) and all(w in ("*", g) for w, g in zip(wanted, given, strict=True))
