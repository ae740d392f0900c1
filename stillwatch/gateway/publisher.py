"""Sends request events to Stillwatch without ever being in the way of a request.

``publish`` puts an event into a bounded queue and returns; it does not wait, raise or grow. One background task sends
what is queued, waits for the stream's acknowledgements with a bound, and repeats what was not acknowledged, under the
same id, until it is or has become too old. What is lost is counted, by reason. Text becomes a fingerprint before it is
queued. Delivery is at least once; the stream and the shards drop repetitions by id.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal, Self, get_args

import nats.errors
from nats.aio.client import Client
from opentelemetry import trace
from opentelemetry.trace import Tracer

from stillwatch.event import RequestEvent
from stillwatch.gateway.outbox import Message, Queued, admit, envelopes, single
from stillwatch.gateway.tasks import end
from stillwatch.wire import MAX_MESSAGE_BYTES

_log = logging.getLogger(__name__)

DropReason = Literal[
    "queue_full",        # more than the queue holds: the publisher is slower than the platform
    "too_large",         # beyond what the server takes
    "invalid",           # not an event of the contract
    "nats_unavailable",  # not acknowledged before it was too old, or before the process ended
    "closed",            # published after drain
]  # fmt: skip
DROP_REASONS: Final[tuple[DropReason, ...]] = get_args(DropReason)

# Headers, the subject and protocol around a payload.
_OVERHEAD_BYTES: Final = 1_024
# An acknowledgement takes milliseconds; what takes longer was most likely sent into a broken connection.
_ACK_TIMEOUT_S: Final = 3.0
_BACKOFF_S: Final = (0.1, 5.0)
# Envelopes are worth their while when they are full.
_LINGER_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class PublisherStats:
    accepted: int
    published: int  # acknowledged by the stream; includes ``duplicates``
    duplicates: int  # the stream had them already, from an attempt whose acknowledgement was lost
    retried: int  # messages that were sent again
    dropped: Mapping[DropReason, int]
    queued_events: int  # accepted and not yet settled
    queued_bytes: int
    connected: bool


class Publisher:
    """``async with Publisher("nats://…") as publisher: publisher.publish(event)``.

    ``nats`` is a connection that somebody else owns, or where to connect to, with ``connect_options`` as nats-py's
    ``connect`` takes them (``user_credentials``, ``tls``, ...). With ``partitions``, the deployment's number of them,
    events travel in envelopes: fewer messages, but no longer one trace context per message. ``send_text`` leaves
    prompts in the events, for a cluster that is to make the fingerprints; do so only inside one trust boundary.
    Not thread-safe: one publisher per event loop.
    """

    def __init__(
        self,
        nats: Client | str | Sequence[str],
        *,
        partitions: int | None = None,
        send_text: bool = False,
        max_queue_events: int = 20_000,
        max_queue_bytes: int = 32 * 1024 * 1024,
        batch_events: int = 256,
        give_up_s: float = 300.0,
        connect_options: Mapping[str, Any] | None = None,
        tracer: Tracer | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._owned = not isinstance(nats, Client)
        self._client = Client() if not isinstance(nats, Client) else nats
        self._context = self._client.jetstream()
        self._servers = [] if isinstance(nats, Client) else [nats] if isinstance(nats, str) else list(nats)
        self._connect_options = dict(connect_options or {})
        self._partitions, self._send_text = partitions, send_text
        self._max_events, self._max_bytes = max_queue_events, max_queue_bytes
        self._batch_events, self._give_up_s = batch_events, give_up_s
        self._tracer = tracer or trace.get_tracer("stillwatch.gateway")
        self._now_s = monotonic_s
        self._queue: deque[Queued] = deque()
        self._wake, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None
        self._closed = self._connecting = False
        self._accepted = self._published = self._duplicates = self._retried = 0
        self._events = self._bytes = 0
        self._dropped: dict[DropReason, int] = dict.fromkeys(DROP_REASONS, 0)

    @property
    def stats(self) -> PublisherStats:
        return PublisherStats(
            self._accepted, self._published, self._duplicates, self._retried, dict(self._dropped), self._events,
            self._bytes, self._client.is_connected,
        )  # fmt: skip

    def publish(self, event: RequestEvent) -> bool:
        """Queue an event; ``False`` when it was dropped, which ``stats`` explains. Call it inside the request's span:
        that becomes the parent of the message's."""
        try:
            return self._enqueue(event)
        except Exception:
            # A mistake in here must not become a failed request of the platform.
            _log.exception("an event could not be queued")
            return self._drop("invalid")

    async def start(self) -> None:
        """Connect and send in the background. ``publish`` does it by itself when called in a running event loop."""
        self._ensure_task()

    async def drain(self, timeout_s: float = 5.0) -> bool:
        """Take no more, send what is queued, close. ``True`` when everything was acknowledged."""
        self._closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        task, self._task = self._task, None
        if task is not None:
            await end([task])
        left, self._events, self._bytes = self._events, 0, 0
        self._queue.clear()
        self._dropped["nats_unavailable"] += left
        if left:
            _log.warning("%d events were not acknowledged before the end", left)
        if self._connecting and not self._client.is_closed:
            await self._client.close()
        return left == 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.drain()

    def _enqueue(self, event: RequestEvent) -> bool:
        if self._closed:
            return self._drop("closed")
        if self._events >= self._max_events or self._bytes >= self._max_bytes:
            return self._drop("queue_full")
        item = admit(
            event,
            trace.get_current_span().get_span_context(),
            keep_text=self._send_text,
            for_envelope=self._partitions is not None,
            max_bytes=self._max_payload(),
            now_s=self._now_s(),
        )
        if not isinstance(item, Queued):
            if not self._dropped[item]:
                _log.warning(
                    "an event was dropped (%s); more are only counted. Is it built as the contract says?", item
                )
            return self._drop(item)
        self._queue.append(item)
        self._accepted += 1
        self._events += 1
        self._bytes += len(item.payload)
        self._idle.clear()
        self._wake.set()
        if self._task is None:
            with suppress(RuntimeError):  # no loop is running yet: the event waits for start()
                self._ensure_task()
        return True

    def _drop(self, reason: DropReason) -> bool:
        self._dropped[reason] += 1
        return False

    def _ensure_task(self) -> None:
        if self._task is None and not self._closed:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="stillwatch-publisher")

    async def _run(self) -> None:
        if self._owned:
            await self._connect()
        while True:
            await self._wake.wait()
            if self._partitions is not None and len(self._queue) < self._batch_events:
                await asyncio.sleep(_LINGER_S)
            batch = [self._queue.popleft() for _ in range(min(self._batch_events, len(self._queue)))]
            if not batch:
                self._wake.clear()
                continue
            try:
                await self._deliver(self._messages(batch))
            except Exception:
                # A supervisor: whatever it was, later events have a right to their attempt.
                _log.exception("a batch of %d events could not be sent", len(batch))
                self._settle([item for item in batch if not item.settled], "invalid")

    async def _connect(self) -> None:
        async def on_error(error: Exception) -> None:
            _log.warning("publisher: %s: %s", type(error).__name__, error)

        options: dict[str, Any] = {"name": "stillwatch-publisher", "error_cb": on_error, "reconnect_time_wait": 1.0}
        delay_s, self._connecting = _BACKOFF_S[0], True
        while not self._client.is_connected:
            try:
                await self._client.connect(
                    self._servers, max_reconnect_attempts=-1, **{**options, **self._connect_options}
                )
            except Exception as error:
                # Also what the library raises for a wrong address: said again and again, never an end of the task.
                await on_error(error)
                delay_s = await _pause(delay_s)

    def _messages(self, batch: Sequence[Queued]) -> list[Message]:
        if self._partitions is None:
            return [single(self._tracer, item) for item in batch]
        return envelopes(self._tracer, batch, self._partitions, self._max_payload())

    def _max_payload(self) -> int:
        return min(MAX_MESSAGE_BYTES, self._client.max_payload or MAX_MESSAGE_BYTES) - _OVERHEAD_BYTES

    async def _deliver(self, messages: list[Message]) -> None:
        delay_s = _BACKOFF_S[0]
        while True:
            outcomes = await asyncio.gather(*(self._send(message) for message in messages))
            messages = [message for message, done in zip(messages, outcomes, strict=True) if not done]
            if not messages:
                return
            delay_s = await _pause(delay_s)
            too_old = self._now_s() - self._give_up_s
            for message in [m for m in messages if m.items[0].queued_s < too_old]:
                messages.remove(message)
                message.failed("nats_unavailable")
                self._settle(message.items, "nats_unavailable")
            self._retried += len(messages)

    async def _send(self, message: Message) -> bool:
        """Whether the message is settled. Whatever goes wrong, it is tried again until it is too old."""
        if not self._client.is_connected:
            return False
        try:
            ack = await self._context.publish(
                message.subject, message.payload, timeout=_ACK_TIMEOUT_S, headers=dict(message.headers)
            )
        except nats.errors.MaxPayloadError:
            message.failed("too_large")
            self._settle(message.items, "too_large")
            return True
        except Exception as error:
            # Timeouts, a closed connection, no stream yet, a stream that is full: all of them may pass.
            _log.info("not acknowledged, will be sent again: %s: %s", type(error).__name__, error)
            return False
        message.span.end()
        self._published += len(message.items)
        self._duplicates += len(message.items) if ack.duplicate else 0
        self._settle(message.items, None)
        return True

    def _settle(self, items: Sequence[Queued], dropped: DropReason | None) -> None:
        for item in items:
            item.settled = True
            self._bytes -= len(item.payload)
        self._events -= len(items)
        if dropped is not None:
            self._dropped[dropped] += len(items)
        if self._events == 0:
            self._idle.set()


async def _pause(delay_s: float) -> float:
    await asyncio.sleep(random.uniform(delay_s / 2, delay_s))
    return min(2 * delay_s, _BACKOFF_S[1])
