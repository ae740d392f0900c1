"""What is stored under some keys of a NATS KV bucket, and every change of it, for ever.

Not nats-py's own KV watch: its ordered consumer counts a message as received before it has room for it, so that a busy
process loses messages without a word, and it has been seen to stay silent after a restart. Here one ephemeral consumer
delivers to a plain subscription; a gap in its sequence, a missing heartbeat or a reconnection ends it, and a new one
starts from the whole list. On top of that the list is read anew from time to time and compared: what a feed could have
missed in spite of all that is wrong for ``relist_s`` at most.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Self

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

_log = logging.getLogger(__name__)

# JetStream's own. An account that imports the API of another one does so under a name of its choice.
API_PREFIX: Final = "$JS.API"
# Two heartbeats may be late before a feed counts as dead; 5 s bounds how long a lost consumer goes unnoticed.
_HEARTBEAT_S: Final = 2.0
_SILENCE_S: Final = 5.0
# How often a waiting feed looks whether the connection was made anew; its consumer is gone then.
_LOOK_S: Final = 0.5
# The server removes the consumer of a gateway that vanished.
_INACTIVE_S: Final = 30.0
# A thousand gateways must not come back at the same instant, nor a hundred times a second.
_BACKOFF_S: Final = (0.1, 5.0)


@dataclass(frozen=True, slots=True)
class Change:
    """A key's newest value, ``None`` once it is removed. Revisions of a bucket only grow."""

    key: str
    value: bytes | None
    revision: int


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything that was stored, removed keys included; ``horizon`` is the newest revision that it surely knows of."""

    changes: Mapping[str, Change]
    horizon: int


class FeedBroken(Exception):
    """This consumer's next message could not be trusted. Start over."""


class BucketFeed:
    """Calls ``on_change`` for every change, and ``on_listing(listing, first)`` with the whole list: when it starts,
    after every interruption, and each ``relist_s``. ``first`` is true where the list opens a feed; the other lists are
    only compared. ``on_missing`` is called while the bucket does not exist, ``on_recreated`` before the list of another
    bucket of the same name, whose revisions begin again. Callbacks must not raise."""

    def __init__(
        self,
        client: Client,
        bucket: str,
        keys: Sequence[str],
        *,
        on_change: Callable[[Change], None],
        on_listing: Callable[[Listing, bool], None],
        on_missing: Callable[[], None],
        on_recreated: Callable[[], None],
        relist_s: float,
        api_prefix: str = API_PREFIX,
    ) -> None:
        self._client, self._bucket, self._keys = client, bucket, tuple(keys)
        self._api_prefix = api_prefix
        self._on_change, self._on_listing = on_change, on_listing
        self._on_missing, self._on_recreated = on_missing, on_recreated
        self._relist_s = relist_s
        self._created: object = None
        self._heard_s: float | None = None  # the loop's clock
        self.interruptions = self.comparisons = 0

    def start(self) -> list[asyncio.Task[None]]:
        """Its tasks; they run until they are cancelled. No task group: see ``tasks.end``."""
        return [
            asyncio.create_task(self._again_and_again(self._follow, 0.0), name=f"{self._bucket} feed"),
            asyncio.create_task(self._again_and_again(self._compare, self._relist_s), name=f"{self._bucket} list"),
        ]

    async def _again_and_again(self, act: Callable[[], Coroutine[Any, Any, None]], pause_s: float) -> None:
        delay_s = _BACKOFF_S[0]
        while True:
            await asyncio.sleep(pause_s)
            started = asyncio.get_running_loop().time()
            try:
                await act()
            except nats.js.errors.NotFoundError:
                self._on_missing()
            except (FeedBroken, nats.errors.Error, OSError) as error:
                self.interruptions += 1
                _log.warning("feed of %s: %s: %s; starting over", self._bucket, type(error).__name__, error)
            except Exception:
                # A supervisor: an unknown mistake must not end enforcement for the life of the process.
                self.interruptions += 1
                _log.exception("feed of %s failed; starting over", self._bucket)
            else:
                continue
            if asyncio.get_running_loop().time() - started > 2 * _SILENCE_S:
                delay_s = _BACKOFF_S[0]
            await asyncio.sleep(random.uniform(delay_s / 2, delay_s))
            delay_s = min(2 * delay_s, _BACKOFF_S[1])

    @property
    def silent_s(self) -> float:
        """How long ago the server last said something in the feed; 0 before it has begun."""
        return 0.0 if self._heard_s is None else asyncio.get_running_loop().time() - self._heard_s

    async def _follow(self) -> None:
        async with _Tap(self._client, self._bucket, self._keys, self._api_prefix) as tap:
            if self._created not in (None, tap.created):
                self._on_recreated()
            self._created = tap.created
            self._on_listing(await tap.listing(self._on_change), True)
            while True:
                self._heard_s = asyncio.get_running_loop().time()
                change = await tap.next()
                if change is not None:
                    self._on_change(change)

    async def _compare(self) -> None:
        async with _Tap(self._client, self._bucket, self._keys, self._api_prefix) as tap:
            listing = await tap.listing()
        if tap.created == self._created:  # else the feed itself is about to start over
            self._on_listing(listing, False)
            self.comparisons += 1


class _Tap:
    """One ephemeral consumer: the newest message of each key, in the stream's order, then what comes."""

    def __init__(self, client: Client, bucket: str, keys: Sequence[str], api_prefix: str) -> None:
        self._client, self._stream = client, f"KV_{bucket}"
        self._prefix = f"$KV.{bucket}."
        self._filters = [self._prefix + key for key in keys]
        self._context = client.jetstream(prefix=api_prefix)
        self._subscription: Subscription | None = None
        # Bounded by the server's flow control, whose questions are answered in their turn.
        self._arrived: deque[Msg] = deque()
        self._arrival = asyncio.Event()
        self._connection = self._stored = self._received = self._horizon = 0
        self._consumer = ""
        self.created: object = None

    async def __aenter__(self) -> Self:
        while not self._client.is_connected:  # noqa: ASYNC110 - nats-py gives no event to wait for
            await asyncio.sleep(_LOOK_S)
        self._connection = self._client.stats["reconnects"]
        stream = await self._context.stream_info(self._stream)
        self._horizon, self.created = stream.state.last_seq, stream.created
        inbox = self._client.new_inbox()
        # By callback: a list of many keys comes four times as fast as by `next_msg`.
        self._subscription = await self._client.subscribe(inbox, cb=self._on_message)
        try:
            info = await self._context.add_consumer(
                self._stream,
                ConsumerConfig(
                    deliver_subject=inbox,
                    deliver_policy=DeliverPolicy.LAST_PER_SUBJECT,
                    ack_policy=AckPolicy.NONE,
                    filter_subjects=self._filters,
                    idle_heartbeat=_HEARTBEAT_S,
                    flow_control=True,
                    inactive_threshold=_INACTIVE_S,
                    mem_storage=True,
                    num_replicas=1,
                ),
            )
        except BaseException:
            await self._unsubscribe()
            raise
        self._consumer = info.name
        delivered = info.delivered.consumer_seq if info.delivered else 0
        self._stored = delivered + (info.num_pending or 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._unsubscribe()
        if self._client.is_connected:
            # The server would do it after a while by itself; listing once a minute should not leave a trail.
            try:
                await self._context.delete_consumer(self._stream, self._consumer)
            except (nats.errors.Error, OSError):
                _log.debug("consumer of %s is gone already", self._stream)

    async def listing(self, tell: Callable[[Change], None] = lambda _: None) -> Listing:
        """What is stored; ``tell`` hears of each key as it comes."""
        listed: dict[str, Change] = {}
        while self._received < self._stored:
            change = await self.next()
            if change is None:
                break  # a message of the list was removed meanwhile
            listed[change.key] = change
            tell(change)
        return Listing(listed, self._horizon)

    async def next(self) -> Change | None:
        """The next change; ``None`` when the server says that there is none and that nothing was lost."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + _SILENCE_S
        while True:
            if self._client.stats["reconnects"] != self._connection:
                raise FeedBroken("the connection was made anew")
            if not self._arrived:
                if loop.time() > deadline_s:
                    raise FeedBroken(f"no heartbeat for {_SILENCE_S:g} s")
                self._arrival.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_S):
                        await self._arrival.wait()
                continue
            message = self._arrived.popleft()
            deadline_s = loop.time() + _SILENCE_S
            if message.headers and "Status" in message.headers:
                if await self._is_idle(message):
                    return None
                continue
            return self._read(message)

    async def _on_message(self, message: Msg) -> None:
        self._arrived.append(message)
        self._arrival.set()

    async def _is_idle(self, message: Msg) -> bool:
        """Heartbeats tell what should have come by now; flow control waits for a word from us."""
        headers = message.headers or {}
        last = headers.get("Nats-Last-Consumer")
        if last is not None and int(last) != self._received:
            raise FeedBroken(f"{int(last) - self._received} messages were lost")
        stalled = message.reply or headers.get("Nats-Consumer-Stalled")
        if stalled:
            await self._client.publish(stalled)
        return last is not None and not stalled

    def _read(self, message: Msg) -> Change:
        sequence = message.metadata.sequence
        self._received += 1
        if sequence is None or sequence.consumer != self._received:
            raise FeedBroken(f"message {sequence and sequence.consumer} came where {self._received} was due")
        headers = message.headers or {}
        # A removal by a client, by a purge, or by the server when a value got too old.
        removed = headers.get("KV-Operation") in ("DEL", "PURGE") or "Nats-Marker-Reason" in headers
        return Change(message.subject[len(self._prefix) :], None if removed else message.data, sequence.stream)

    async def _unsubscribe(self) -> None:
        if self._subscription is not None and not self._client.is_closed:
            try:
                await self._subscription.unsubscribe()
            except (nats.errors.Error, OSError):
                _log.debug("subscription to %s was closed already", self._stream)
