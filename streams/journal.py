"""A journal: an append-only stream that is read back newest first. Verdicts, dead letters and the audit are journals.

:class:`Journal` is what they are written against; :class:`JetStreamJournal` is the real one, ``memory.MemoryJournal``
its twin.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import quote

import nats.js.errors
from nats.aio.client import Client
from nats.js.api import StreamState

from stillwatch.errors import Fenced
from streams.connection import reaching, require_connection
from streams.pipeline import EXPECT_LAST_ON_SUBJECT, Outgoing, Pipeline, under
from streams.scan import Stored, read_all, read_page

# Reading backwards goes in windows of sequences, the next one four times as wide: cheap when matches are dense, a few
# round trips when they are not.
_FIRST_WINDOW: Final = 256
_MAX_WINDOW: Final = 65_536
_WINDOW_GROWTH: Final = 4
# CloudEvents' rule for header values (3.1.3.2 of its HTTP binding), which NATS's binding shares: printable ASCII
# without space, quote and percent; the rest is percent-encoded UTF-8.
_HEADER_SAFE: Final = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')


@dataclass(frozen=True, slots=True)
class Entry:
    subject: str
    payload: bytes
    headers: Mapping[str, str]


class Journal(Protocol):
    @property
    def max_message_bytes(self) -> int:
        """Payload and headers of one entry together."""
        ...

    async def append(self, entries: Sequence[Entry], *, once: bool = False, fence: Stored | None = None) -> list[int]:
        """The sequences of those that are stored now. ``once``: an entry whose subject is stored already is left as it is, so that a repeat changes nothing. ``fence``:
        only while this is the newest of its subject; raises :class:`~stillwatch.errors.Fenced` when it no longer is."""
        ...

    async def last(self, subject: str) -> Stored | None:
        """The newest of exactly this subject, as the stream's leader has it."""
        ...

    async def replace(self, entry: Entry, before: Stored | None) -> Stored | None:
        """Stores it if ``before`` is still the newest of its subject; else ``None``."""
        ...

    async def newest(self, limit: int, matching: str) -> list[Stored]:
        """Newest first, of the entries whose subject matches (NATS wildcards)."""
        ...

    async def count(self) -> int: ...


class JetStreamJournal:
    def __init__(self, client: Client, pipeline: Pipeline, stream: str) -> None:
        self._client, self._pipeline, self._stream = client, pipeline, stream
        self._context = client.jetstream()

    @property
    def max_message_bytes(self) -> int:
        return self._pipeline.max_message_bytes

    async def append(self, entries: Sequence[Entry], *, once: bool = False, fence: Stored | None = None) -> list[int]:
        condition = {EXPECT_LAST_ON_SUBJECT: "0"} if once else {}
        if fence is not None:
            condition = under(fence.subject, fence.sequence)
            if once:  # the server takes one condition, and nobody but the one behind the fence writes these
                entries = [entry for entry in entries if await self.last(entry.subject) is None]
        acks = await self._pipeline.send(
            [Outgoing(entry.subject, entry.payload, {**entry.headers, **condition}) for entry in entries]
        )
        if fence is not None and any(ack.refused for ack in acks):
            raise Fenced(f"stream {self._stream}", epoch_of(fence))
        return [ack.sequence for ack in acks if not ack.refused]

    async def last(self, subject: str) -> Stored | None:
        require_connection(self._client, f"stream {self._stream}")
        with reaching(f"stream {self._stream}"):
            try:
                found = await self._context.get_last_msg(self._stream, subject)
            except nats.js.errors.NotFoundError:
                return None
        return Stored(subject, found.seq or 0, found.data or b"", found.headers or {})

    async def replace(self, entry: Entry, before: Stored | None) -> Stored | None:
        expected = {EXPECT_LAST_ON_SUBJECT: str(before.sequence if before is not None else 0)}
        [ack] = await self._pipeline.send([Outgoing(entry.subject, entry.payload, {**entry.headers, **expected})])
        return None if ack.refused else Stored(entry.subject, ack.sequence, entry.payload, dict(entry.headers))

    async def newest(self, limit: int, matching: str) -> list[Stored]:
        state = await self._state()
        probe = await read_page(self._client, self._stream, matching, state.first_seq, limit=1)
        if len(probe.messages) + probe.left <= _WINDOW_GROWTH * limit:
            return await self._all(limit, matching)
        found: list[Stored] = []
        end, window = state.last_seq, max(_FIRST_WINDOW, 2 * limit)
        while len(found) < limit and end >= state.first_seq:
            start = max(state.first_seq, end - window + 1)
            found += reversed(await self._between(start, end, matching))
            end, window = start - 1, min(window * _WINDOW_GROWTH, _MAX_WINDOW)
        return found[:limit]

    async def count(self) -> int:
        return (await self._state()).messages

    async def _state(self) -> StreamState:
        require_connection(self._client, f"stream {self._stream}")
        with reaching(f"stream {self._stream}"):
            return (await self._context.stream_info(self._stream)).state

    async def _all(self, limit: int, matching: str) -> list[Stored]:
        last: deque[Stored] = deque(maxlen=limit)
        async for message in read_all(self._client, self._stream, matching):
            last.append(message)
        return list(reversed(last))

    async def _between(self, start: int, end: int, matching: str) -> list[Stored]:
        found: list[Stored] = []
        async for message in read_all(self._client, self._stream, matching, start):
            if message.sequence > end:
                break
            found.append(message)
        return found


def epoch_of(fence: Stored) -> int:
    """Of the owner who wrote it; 0 for what is no fence."""
    return int(fence.payload) if fence.payload.isdigit() else 0


def header_value(text: str) -> str:
    """A text as a header can carry it; ``urllib.parse.unquote`` gives it back.

    >>> header_value("für 3 %")
    'f%C3%BCr%203%20%25'
    """
    return quote(text, safe=_HEADER_SAFE)
