"""The feed of a partition: its durable consumer, pulled in batches. Implements ``ports.EventStream``/``PartitionFeed``.

Whatever goes wrong (restart of the server, a lost message, a deleted consumer, silence), one thing happens: the consumer
is reset to behind the last acknowledged message and a new subscription takes over. Messages that the caller has seen are
not handed out twice by one feed, so a caller sees stream order without gaps.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Final

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js.api import ConsumerInfo

from stillwatch import subjects
from stillwatch.errors import StreamRewound, Unavailable
from stillwatch.ports import RawMessage
from stillwatch.settings import Settings
from streams import topology
from streams.connection import reaching, require_connection
from streams.pull import Pull

_log = logging.getLogger(__name__)

# Two owners that pull from one consumer break each other's order until the lease decides. One restart in about a second
# keeps that cheap; the jitter keeps two of them from breaking each other in step for ever.
_RESTART_INTERVAL_S: Final = (0.5, 1.5)
_ACK_TIMEOUT_S: Final = 5.0
# The server's "time is over" should arrive before the caller's.
_ANSWER_MARGIN_S: Final = 0.02


_STREAM: Final = f"stream {subjects.REQUESTS}"


class JetStreamEvents:
    def __init__(self, client: Client, settings: Settings) -> None:
        self._client, self._settings = client, settings

    async def identity(self) -> str:
        with reaching(_STREAM):
            return str((await self._client.jetstream().stream_info(subjects.REQUESTS)).created)

    async def end(self) -> int:
        require_connection(self._client, _STREAM)
        with reaching(_STREAM):
            return (await self._client.jetstream().stream_info(subjects.REQUESTS)).state.last_seq

    async def open(self, partition: int, after_sequence: int) -> JetStreamFeed:
        feed = JetStreamFeed(self._client, self._settings, partition, after_sequence)
        await feed.start()
        return feed


class JetStreamFeed:
    """For one task: no two fetches at a time. ``restarts`` counts new subscriptions after the first."""

    def __init__(self, client: Client, settings: Settings, partition: int, after_sequence: int) -> None:
        self.restarts = 0
        self._client, self._context = client, client.jetstream()
        self._config = topology.consumer(settings, partition)
        self._name = subjects.consumer_name(partition)
        self._partition, self._what = partition, f"partition {partition}"
        self._handed = self._acked = after_sequence  # the last sequence that the caller has seen / has in state
        self._replies: dict[int, str] = {}  # of what is not acknowledged yet: at most max_ack_pending
        self._pull: Pull | None = None
        self._may_restart_at = float("-inf")
        self._created: object = None  # of the stream that the sequences belong to
        self._behind_the_first: int | None = None  # where it stood when the stream had forgotten what follows
        self._rewound: StreamRewound | None = None  # to be told to the caller

    async def start(self) -> None:
        """A new subscription, behind what is acknowledged. Raises ``Unavailable``."""
        require_connection(self._client, self._what)
        with reaching(self._what):
            await self.close()
            await self._begin_again_with_the_stream()
            await self._reset()
            self._replies.clear()
            pull = Pull(self._client, subjects.REQUESTS, self._name, self._handed, self._replies)
            await pull.open()
        self._pull = pull
        self._may_restart_at = asyncio.get_running_loop().time() + random.uniform(*_RESTART_INTERVAL_S)

    async def renew(self) -> None:
        self.restarts += 1
        await self.start()

    async def fetch(self, max_messages: int, timeout_s: float) -> list[RawMessage]:
        require_connection(self._client, self._what)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while True:
            pull = await self._working(deadline)
            if self._rewound is not None:
                rewound, self._rewound = self._rewound, None
                raise rewound
            if pull is None:
                return []
            with reaching(self._what):
                await self._fill(pull, max_messages, deadline)
            if pull.messages or (loop.time() >= deadline and pull.broken is None):
                return self._take(pull, max_messages)
            require_connection(self._client, self._what)

    async def ack(self, sequence: int) -> None:
        self._acked = max(self._acked, min(sequence, self._handed))
        covered = [known for known in self._replies if known <= sequence]
        if not covered:
            return  # acknowledged before, or the reset at the last start did it
        require_connection(self._client, self._what)
        pull = self._pull
        if pull is None or pull.broken is not None or self._lost_connection(pull):
            return  # the next start does it
        try:
            await self._client.request(self._replies[max(covered)], b"+ACK", timeout=_ACK_TIMEOUT_S)
        except nats.errors.TimeoutError:
            # A server that was killed may have forgotten that it delivered this, and leaves its acknowledgement unanswered
            # for ever. Asking again would stop the partition; a new start resets the consumer to behind it.
            pull.broken = "an acknowledgement was not answered"
            return
        except nats.errors.Error as error:
            raise Unavailable(self._what, f"{type(error).__name__}: {error}") from error
        for known in covered:
            self._replies.pop(known, None)

    async def waiting(self) -> int:
        require_connection(self._client, self._what)
        with reaching(self._what):
            info = await self._context.consumer_info(subjects.REQUESTS, self._name)
            waiting = (info.num_pending or 0) + (len(self._pull.messages) if self._pull else 0)
            if self._drifted(info) and self._pull is not None:
                self._pull.broken = "its consumer reads other subjects"
                raise Unavailable(self._what, "its consumer reads other subjects; it is set back")
            first = (await self._context.stream_info(subjects.REQUESTS)).state.first_seq if waiting else 0
        stuck_at, self._behind_the_first = (
            self._behind_the_first,
            self._handed if 0 < self._handed < first - 1 else None,
        )
        if stuck_at is not None and stuck_at == self._handed:
            # The server does not say whose messages it forgot. A quiet partition is behind the first one for a moment only.
            raise Unavailable(
                self._what,
                f"it has read up to {self._handed}, {waiting} wait, and the stream has forgotten all before {first}: messages "
                "may be lost. Its limits (nats.requests_max_bytes, requests_max_age_s) are too small for such a backlog",
            )
        return waiting

    def _drifted(self, info: ConsumerInfo) -> bool:
        found = info.config.filter_subjects or [info.config.filter_subject or ""]
        return set(found) != set(self._config.filter_subjects or [])

    async def close(self) -> None:
        pull, self._pull = self._pull, None
        if pull is not None:
            with reaching(self._what):
                await pull.close()

    async def _reset(self) -> None:
        # Looked up first: the server leaves the reset of a missing consumer unanswered (2.15), and creating one that
        # is there would undo what an operator changed (a pause).
        try:
            missing = self._drifted(await self._context.consumer_info(subjects.REQUESTS, self._name))
        except nats.js.errors.NotFoundError:
            missing = True
        if missing:
            await self._context.add_consumer(subjects.REQUESTS, self._config)
        await self._context.reset_consumer(subjects.REQUESTS, self._name, self._acked + 1)

    async def _fill(self, pull: Pull, max_messages: int, deadline: float) -> None:
        """Until there is a message, the time is over, or the pull is broken."""
        now = asyncio.get_running_loop().time
        if not pull.idle:
            await pull.answer(deadline)  # to a request that an earlier fetch did not wait for
        if pull.idle and pull.broken is None and len(pull.messages) < max_messages:
            await pull.ask(max_messages - len(pull.messages))
            await pull.answer(deadline)
        left_s = deadline - now() - _ANSWER_MARGIN_S
        if pull.messages or not pull.idle or pull.broken is not None or left_s <= 0:
            return
        # Nothing waits. One request for one message is the wake-up; with it, all that came meanwhile.
        await pull.ask(1, expires_s=left_s)
        await pull.answer(deadline)
        if pull.messages and pull.idle and pull.broken is None and max_messages > 1:
            await pull.ask(max_messages - 1)
            await pull.answer(deadline)

    def _lost_connection(self, pull: Pull) -> bool:
        return pull.reconnects != self._client.stats["reconnects"]

    async def _working(self, deadline: float) -> Pull | None:
        """The pull, started anew if it has to be; ``None`` when it is too early for that and the time is over."""
        pull = self._pull
        if pull is not None and pull.broken is None:
            if not self._lost_connection(pull):
                return pull
            pull.broken = "the connection was lost in between"
        if pull is not None and pull.messages:
            return pull  # what came in order before is good
        loop = asyncio.get_running_loop()
        earliest = self._may_restart_at
        if loop.time() < earliest:
            await asyncio.sleep(min(earliest, deadline) - loop.time())
            if loop.time() < earliest:
                return None
        if pull is not None:
            self.restarts += 1
            _log.warning("%s: %s; resuming behind sequence %d", self._what, pull.broken, self._acked)
        await self.start()
        return self._pull

    def _take(self, pull: Pull, max_messages: int) -> list[RawMessage]:
        taken: list[RawMessage] = []
        while pull.messages and len(taken) < max_messages:
            message, reply = pull.messages.popleft()
            if pull.broken is None:
                self._replies[message.sequence] = reply
            taken.append(message)
        if taken:
            self._handed = taken[-1].sequence
        return taken

    async def _begin_again_with_the_stream(self) -> None:
        """Waiting for numbers that were seen would lose what comes now, where numbers are given out again."""
        info = await self._context.stream_info(subjects.REQUESTS)
        end, why = info.state.last_seq, ""
        if self._created is not None and info.created != self._created:
            end, why = 0, "the stream was deleted and made anew"
        elif end < self._handed:  # a power failure with one replica
            why = f"the stream ends at {end}, before {self._handed}: the server has lost its newest messages"
        self._created = info.created
        if why:
            _log.error("%s: %s", self._what, why)
            self._handed = self._acked = end
            self._rewound = StreamRewound(self._partition, end, why)
