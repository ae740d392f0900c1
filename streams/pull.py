"""One life of a pull subscription: JetStream's wire protocol for fetching, in order or not at all.

nats-py's own ``fetch`` takes 85 to 130 µs a message (a task, a timer and a uuid each), this 30: one callback per
message, one wake-up per batch. More important, it *knows* when something is wrong. The server answers every request
with messages or a status, and numbers its deliveries; so silence, a gap in the numbers (a message lost on the way, or a
second puller) and a consumer that is gone all end this life with a reason, and ``streams.feed`` starts the next one.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from stillwatch.ports import RawMessage
from stillwatch.subjects import H_TRACEPARENT

# A batch of the largest messages must not be half a gigabyte.
_BATCH_BYTES: Final = 32 * 1024 * 1024
# Beyond the time that a request asked for. A busy server answers in milliseconds, a cluster that elects in a second.
_SILENCE_S: Final = 3.0
_ACK_TOKENS: Final = 9  # $JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<ns>.<pending>
_DOMAIN_TOKENS: Final = 2  # newer servers may insert <domain>.<account hash> behind $JS.ACK


class Pull:
    """``replies`` is the caller's: messages up to ``after`` that the server delivers again only refresh their entry."""

    def __init__(self, client: Client, stream: str, consumer: str, after: int, replies: dict[int, str]) -> None:
        self.messages: deque[tuple[RawMessage, str]] = deque()
        self.broken: str | None = None
        self.reconnects = client.stats["reconnects"]
        self._client, self._replies, self._last = client, replies, after
        self._request_subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._inbox = client.new_inbox()
        self._subscription: Subscription | None = None
        self._next_delivery = 1
        self._request, self._owed, self._silent_at = 0, 0, 0.0
        self._answered = asyncio.Event()

    async def open(self) -> None:
        self._subscription = await self._client.subscribe(f"{self._inbox}.*", cb=self._on_message)

    async def close(self) -> None:
        if self._subscription is not None and not self._client.is_closed:
            await self._subscription.unsubscribe()

    @property
    def idle(self) -> bool:
        """No request is under way."""
        return self._owed == 0

    async def ask(self, batch: int, expires_s: float | None = None) -> None:
        """Everything that waits, up to ``batch``; with ``expires_s`` the server waits for the first ones to come."""
        self._request, self._owed = self._request + 1, batch
        self._answered.clear()
        self._silent_at = asyncio.get_running_loop().time() + (expires_s or 0.0) + _SILENCE_S
        request: dict[str, int | bool] = {"batch": batch}
        if expires_s is None:
            request |= {"no_wait": True, "max_bytes": _BATCH_BYTES}
        else:
            request["expires"] = int(expires_s * 1e9)
        reply = f"{self._inbox}.{self._request}"
        await self._client.publish(self._request_subject, json.dumps(request).encode(), reply)

    async def answer(self, deadline: float) -> None:
        """Returns when the request is answered or broken, or at ``deadline`` (of the loop's clock)."""
        loop = asyncio.get_running_loop()
        if not self._answered.is_set() and deadline > loop.time():
            try:
                async with asyncio.timeout_at(deadline):
                    await self._answered.wait()
            except TimeoutError:
                if not self.idle and loop.time() >= self._silent_at:
                    self._break("the server did not answer a request")

    async def _on_message(self, message: Msg) -> None:
        if self.broken is not None:
            return
        reply = message.reply
        if not reply:
            self._on_status(message)
            return
        sequence, delivery, received_unix_nano = place_of(reply)
        if delivery != self._next_delivery:
            self._break(f"delivery {delivery} came where {self._next_delivery} was due")
            return
        self._next_delivery += 1
        if sequence <= self._last:
            self._replies[sequence] = reply
        else:
            self._last = sequence
            traceparent = message.headers.get(H_TRACEPARENT) if message.headers else None
            raw = RawMessage(sequence, message.subject, message.data, received_unix_nano, traceparent)
            self.messages.append((raw, reply))
        self._owed -= 1
        if self._owed <= 0:
            self._end()

    def _on_status(self, message: Msg) -> None:
        headers = message.headers or {}
        status, description = headers.get("Status", ""), headers.get("Description", "")
        if self.idle or not message.subject.endswith(f".{self._request}"):
            return  # about a request that is answered
        # 404: nothing (more) waits. 408: the time is over. 409: as many as fit; or a consumer that is gone, of which
        # the next request will be told more clearly (503).
        if status in ("404", "408", "409"):
            self._end()
        elif status != "100":
            self._break(f"{status} {description}".strip())

    def _end(self) -> None:
        self._owed = 0
        self._answered.set()

    def _break(self, why: str) -> None:
        self.broken = why
        self._end()


def place_of(reply: str) -> tuple[int, int, int]:
    """Stream sequence, delivery number and receive time in ns, from the subject on which a message is acknowledged.

    >>> place_of("$JS.ACK.STREAM.consumer.1.4711.12.1790000000000000000.3")
    (4711, 12, 1790000000000000000)
    >>> place_of("$JS.ACK._.AHASH.STREAM.consumer.1.4711.12.1790000000000000000.3.rAnDoM")  # newer servers may do this
    (4711, 12, 1790000000000000000)
    """
    fields = reply.split(".")
    first = 5 if len(fields) == _ACK_TOKENS else 5 + _DOMAIN_TOKENS
    return int(fields[first]), int(fields[first + 1]), int(fields[first + 2])
