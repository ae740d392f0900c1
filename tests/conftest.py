"""Fixtures that every kind of test may use: a real nats-server of the test's own, and a clock that obeys."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings
from manual_clock import ManualClock
from nats.aio.client import Client
from stream_worlds import World, jetstream_world, memory_world

from launch.embedded import EmbeddedNats, server_binary
from stillwatch.errors import SettingsError
from stillwatch.settings import NatsSettings, Settings
from streams.connection import close, connect

# Everybody's run tries the same examples, so a change is judged by what it changed. Others are tried on purpose:
# `pytest tests --hypothesis-profile=explore`.
hypothesis_settings.register_profile("repeatable", derandomize=True)
hypothesis_settings.register_profile("explore", print_blob=True)
hypothesis_settings.load_profile("repeatable")


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[EmbeddedNats]:
    """A nats-server on a port of its own, with an empty store. It starts in milliseconds, so no test shares one."""
    try:
        server_binary()
    except SettingsError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must have a nats-server: {error}")
        pytest.skip(str(error))
    with EmbeddedNats(tmp_path / "nats") as server:
        yield server


@pytest.fixture
async def nats_client(nats_server: EmbeddedNats) -> AsyncIterator[Client]:
    client = await connect(NatsSettings(urls=(nats_server.url,)), "tests")
    yield client
    await close(client)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["memory", "jetstream"])
async def world(request: pytest.FixtureRequest, clock: ManualClock) -> AsyncIterator[World]:
    """All ports over NATS, once in memory and once real: the contract suites run over both."""
    settings = Settings(partitions=4)
    if request.param == "memory":
        yield memory_world(settings, clock)
        return
    server = request.getfixturevalue("nats_server")
    async with AsyncExitStack() as stack:
        yield await jetstream_world(server, settings, clock, stack)
