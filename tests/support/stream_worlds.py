"""The two worlds that the contract suites of ``streams`` run over, behind one face."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from manual_clock import ManualClock
from nats.aio.client import Client

from launch.embedded import EmbeddedNats
from stillwatch.settings import NatsSettings, Settings
from streams import topology
from streams.connection import close, connect
from streams.hub import Hub, jetstream_hub, memory_hub
from streams.memory import MemoryNats

WITHIN_S = 20.0


@dataclass(frozen=True, slots=True)
class World:
    """``raw`` publishes as somebody without our code does; ``go_down`` makes NATS unreachable."""

    name: str
    hub: Hub
    settings: Settings
    clock: ManualClock
    raw: Callable[[str, bytes], Awaitable[None]]
    go_down: Callable[[], Awaitable[None]]


def memory_world(settings: Settings, clock: ManualClock) -> World:
    nats = MemoryNats(settings, clock)

    async def raw(subject: str, payload: bytes) -> None:
        nats.store(subject, payload)

    async def go_down() -> None:
        nats.down = True

    return World("memory", memory_hub(nats), settings, clock, raw, go_down)


async def jetstream_world(server: EmbeddedNats, settings: Settings, clock: ManualClock, stack: AsyncExitStack) -> World:
    settings = settings.model_copy(update={"nats": NatsSettings(urls=(server.url,))})
    client = await connect(settings.nats, "contract")
    stack.push_async_callback(close, client)
    await topology.ensure(client, settings)

    async def raw(subject: str, payload: bytes) -> None:
        await client.publish(subject, payload)
        await settled(client)

    async def go_down() -> None:
        server.kill()
        await until(lambda: not client.is_connected)

    return World("jetstream", jetstream_hub(client, settings, clock), settings, clock, raw, go_down)


async def settled(client: Client) -> None:
    """The server has seen all that was sent. (nats-py's ``flush`` does not tell: its ping overtakes what waits.)"""
    await client.jetstream().account_info()


async def until(condition: Callable[[], bool], within_s: float = WITHIN_S) -> None:
    """Waits for something that another task or process does; fails when it does not happen."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  nobody signals what happens in another process
            await asyncio.sleep(0.01)
