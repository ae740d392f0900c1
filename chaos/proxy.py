"""A wire between the cluster and its nats-server that misbehaves on demand: twice, out of order, lost, cut, silent.

It reads the server's side of the NATS protocol frame by frame and touches only JetStream's deliveries to consumers
(their reply subject begins with ``$JS.ACK``): answers and acknowledgements of publishes are left alone, since there TCP
itself rules out what is done here. What it does to a delivery is what a client sees after a reconnect, a redelivery or a
second puller.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Final, Literal, Self

_CHUNK: Final = 256 * 1024
_HOLD_S: Final = 0.25  # a delivery that is held back for the next goes out alone after this

Misdeed = Literal["twice", "swapped", "lost"]


class Proxy:
    """``async with Proxy(port) as proxy``: clients connect to ``proxy.url``."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._armed: Counter[Misdeed] = Counter()
        self._asked: Counter[Misdeed] = Counter()
        self.done: Counter[Misdeed] = Counter()
        self._flows = asyncio.Event()
        self._flows.set()
        self._links: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"nats://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()

    # -- what can be asked of it -------------------------------------------------------------------------------------

    def arm(self, misdeed: Misdeed, times: int) -> Callable[[], bool]:
        """The next ``times`` deliveries, of whichever consumer. Returns the question whether one of them has met it by now."""
        before = self._asked[misdeed]
        self._asked[misdeed] += times
        self._armed[misdeed] += times
        return lambda: self.done[misdeed] > before

    def cut(self) -> int:
        """Every connection ends in the middle of whatever it was doing. How many ends there were."""
        links = list(self._links)
        for writer in links:
            writer.transport.abort()
        return len(links)

    async def silence(self, seconds: float) -> None:
        """Nothing comes from the server any more, and no connection ends: the worst kind of outage."""
        self._flows.clear()
        try:
            await asyncio.sleep(seconds)
        finally:
            self._flows.set()

    # -- one connection ----------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            writer.transport.abort()
            return
        self._links |= {writer, to_server}
        both = [
            asyncio.create_task(_copy(reader, to_server)),
            asyncio.create_task(self._deliver(from_server, writer)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            self._links -= {writer, to_server}
            writer.transport.abort()
            to_server.transport.abort()

    async def _deliver(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        rest = b""
        held: dict[bytes, bytes] = {}  # subscription -> the delivery that waits for the next one
        try:
            while True:
                try:
                    async with asyncio.timeout(_HOLD_S if held else None):
                        chunk = await reader.read(_CHUNK)
                except TimeoutError:  # no next one came: another delivery has to do
                    writer.write(b"".join(held.values()))
                    self._armed["swapped"] += len(held)
                    held.clear()
                    continue
                if not chunk:
                    return
                frames, rest = split(rest + chunk)
                out = frames if not (held or any(self._armed.values())) else self._misdo(frames, held)
                await self._flows.wait()
                writer.write(b"".join(out))
                await writer.drain()
        finally:
            self._armed["swapped"] += len(held)

    def _misdo(self, frames: list[bytes], held: dict[bytes, bytes]) -> list[bytes]:
        out: list[bytes] = []
        for frame in frames:
            subscription = delivery_to(frame)
            if subscription is None:
                out.append(frame)
            elif subscription in held:
                out += [frame, held.pop(subscription)]
                self.done["swapped"] += 1
            elif self._take("lost"):
                continue
            elif self._take("twice"):
                out += [frame, frame]
            elif self._armed["swapped"] > 0:
                self._armed["swapped"] -= 1
                held[subscription] = frame
            else:
                out.append(frame)
        return out

    def _take(self, misdeed: Misdeed) -> bool:
        if self._armed[misdeed] <= 0:
            return False
        self._armed[misdeed] -= 1
        self.done[misdeed] += 1
        return True


def split(data: bytes) -> tuple[list[bytes], bytes]:
    r"""Whole frames of the server's protocol, and what is not whole yet.

    >>> split(b"PING\r\nMSG a 1 2\r\nhi\r\nMSG a 1 5\r\nhel")
    ([b'PING\r\n', b'MSG a 1 2\r\nhi\r\n'], b'MSG a 1 5\r\nhel')
    """
    frames: list[bytes] = []
    at = 0
    while (end := data.find(b"\r\n", at)) >= 0:
        line, stop = data[at:end], end + 2
        if line[:4] in (b"MSG ", b"HMSG"):
            stop += int(line.rpartition(b" ")[2]) + 2
            if stop > len(data):
                break
        frames.append(data[at:stop])
        at = stop
    return frames, data[at:]


def delivery_to(frame: bytes) -> bytes | None:
    r"""The subscription that a JetStream delivery goes to; ``None`` for everything else.

    >>> delivery_to(b"MSG s.1 7 $JS.ACK.S.c.1.2.3.4.5 2\r\nhi\r\n")
    b'7'
    >>> delivery_to(b"MSG _INBOX.x 7 2\r\nhi\r\n")
    """
    if frame[:4] not in (b"MSG ", b"HMSG"):
        return None
    fields = frame[: frame.find(b"\r\n")].split(b" ")
    return fields[2] if len(fields) > 4 and fields[3].startswith(b"$JS.ACK.") else None


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
