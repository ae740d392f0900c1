"""Many requests out, all answers in: the one way in which this package writes, and reads single keys.

A round trip per message would cap a publisher at the network's latency; here a whole batch is under way at once and the
wait for its answers has a bound. (``publish_async`` of nats-py does the same for acknowledgements, at twice the cost per
message and without a bound.)
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg

from stillwatch.errors import Unavailable
from streams.connection import reaching, require_connection

EXPECT_LAST_ON_SUBJECT: Final = "Nats-Expected-Last-Subject-Sequence"
_EXPECT_ON: Final = "Nats-Expected-Last-Subject-Sequence-Subject"  # nats-server 2.12 and later
_WRONG_LAST_SEQUENCE: Final = (10071, 10164)
# The server queues 10,000 unstored messages of a stream before it refuses; several publishers share that.
_WINDOW: Final = 1_000
_TIMEOUT_S: Final = 5.0
# How often a wait looks whether its connection is still the one that it began with: answers to another never come.
_LOOK_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Outgoing:
    subject: str
    payload: bytes
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Ack:
    """``refused``: the expected last sequence was another one; nothing was stored."""

    sequence: int
    duplicate: bool = False
    refused: bool = False


@dataclass(slots=True)
class _Call:
    answers: list[Msg | None]
    missing: int
    done: asyncio.Event


def under(subject: str, sequence: int) -> dict[str, str]:
    """Headers by which the server stores a message only while this is the newest of another subject of the stream: it
    compares and stores in one step, so that no pause of the writer lies in between."""
    return {EXPECT_LAST_ON_SUBJECT: str(sequence), _EXPECT_ON: subject}


class Pipeline:
    """Shared by everything that talks to JetStream over one connection."""

    def __init__(self, client: Client, timeout_s: float = _TIMEOUT_S) -> None:
        self._client, self._timeout_s = client, timeout_s
        self._inbox = client.new_inbox()
        self._subscribing = asyncio.Lock()
        self._subscribed = False
        self._calls: dict[str, _Call] = {}
        self._next_call = 0

    @property
    def max_message_bytes(self) -> int:
        """Payload and headers together. The server closes the connection, for ever, of whoever sends more."""
        return self._client.max_payload

    async def send(self, messages: Sequence[Outgoing]) -> list[Ack]:
        """Stores messages: one :class:`Ack` each, in order. Raises ``Unavailable`` when not all were acknowledged in
        time (those that were stored stay stored)."""
        return [_ack(answer) for answer in await self.exchange(messages)]

    async def exchange(self, messages: Sequence[Outgoing]) -> list[Msg]:
        """The answer to each message, in order. Raises ``Unavailable``, and ``ValueError``, before anything is sent,
        for a message beyond the server's limit."""
        for message in messages:
            size = _size(message)
            if size > self.max_message_bytes:
                raise ValueError(f"{message.subject}: {size} bytes; the server takes {self.max_message_bytes}")
        answers: list[Msg] = []
        for start in range(0, len(messages), _WINDOW):
            answers += await self._exchange_window(messages[start : start + _WINDOW])
        return answers

    async def _exchange_window(self, messages: Sequence[Outgoing]) -> list[Msg]:
        require_connection(self._client, "JetStream")
        self._next_call += 1
        name = str(self._next_call)
        reconnects = self._client.stats["reconnects"]
        call = self._calls[name] = _Call([None] * len(messages), len(messages), asyncio.Event())
        try:
            with reaching("JetStream"):
                await self._subscribe()
                async with asyncio.timeout(self._timeout_s):
                    for index, message in enumerate(messages):
                        headers = None if message.headers is None else dict(message.headers)
                        reply = f"{self._inbox}.{name}.{index}"
                        await self._client.publish(message.subject, message.payload, reply, headers)
                    await self._all_answered(call, reconnects)
        except Unavailable as error:
            came = len(messages) - call.missing
            raise Unavailable("JetStream", f"{came} of {len(messages)} answered; {error.problem}") from error
        finally:
            del self._calls[name]
        return [answer for answer in call.answers if answer is not None]

    async def _all_answered(self, call: _Call, reconnects: int) -> None:
        while not call.done.is_set():
            try:
                async with asyncio.timeout(_LOOK_S):
                    await call.done.wait()
            except TimeoutError:
                require_connection(self._client, "JetStream")
                if self._client.stats["reconnects"] != reconnects:
                    raise Unavailable("JetStream", "the connection was lost while waiting") from None

    async def _subscribe(self) -> None:
        async with self._subscribing:
            if not self._subscribed:
                await self._client.subscribe(f"{self._inbox}.*.*", cb=self._on_answer)
                self._subscribed = True

    async def _on_answer(self, message: Msg) -> None:
        _, name, position = message.subject.rsplit(".", 2)
        call, index = self._calls.get(name), int(position)
        if call is None or call.answers[index] is not None:
            return  # its caller has given up
        call.answers[index] = message
        call.missing -= 1
        if not call.missing:
            call.done.set()


def _ack(answer: Msg) -> Ack:
    if not answer.data:  # a status: nobody stores this subject
        raise Unavailable("JetStream", "no stream takes this subject; is JetStream up, and was `topology.ensure` run?")
    said = json.loads(answer.data)
    error = said.get("error")
    if error is None:
        return Ack(said["seq"], duplicate=bool(said.get("duplicate")))
    if error.get("err_code") in _WRONG_LAST_SEQUENCE:
        return Ack(0, refused=True)
    raise Unavailable("JetStream", str(error.get("description", error)))


def _size(message: Outgoing) -> int:
    size = len(message.payload)
    if message.headers:
        # `NATS/1.0\r\n`, `Name: value\r\n` each, `\r\n`.
        size += 12 + sum(len(name) + len(value.encode()) + 4 for name, value in message.headers.items())
    return size
