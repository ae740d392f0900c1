"""Everything that a run starts, and how each part is killed: nats-server, the wire before it, the cluster behind it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Self

import httpx
from nats.aio.client import Client

from chaos.processes import Process, below
from chaos.proxy import Proxy
from chaos.world import settings_for
from launch.embedded import EmbeddedNats
from launch.telemetry import SystemClock
from stillwatch.settings import NatsSettings, Settings
from streams.connection import close, connect
from streams.hub import Hub, jetstream_hub

_ROOT: Final = Path(__file__).resolve().parents[1]
_READY_S: Final = 120.0
_END_S: Final = 40.0


class Site:
    """``async with Site(directory) as site``. ``client`` and ``hub`` speak to the server itself, past the wire."""

    settings: Settings
    key: str
    proxy: Proxy
    client: Client
    hub: Hub
    api: httpx.AsyncClient

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.nats = EmbeddedNats(directory / "nats")
        # The server ends with the thread that started it.
        self._nats_thread = ThreadPoolExecutor(1, thread_name_prefix="nats")
        self._line: asyncio.subprocess.Process | None = None
        self._known: dict[tuple[int, int], Process] = {}
        self.stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self.on_nats(self.nats.start)
        self.stack.callback(self._nats_thread.shutdown)
        self.stack.push_async_callback(self.on_nats, self.nats.stop)
        self.proxy = await self.stack.enter_async_context(Proxy(int(self.nats.url.rpartition(":")[2])))
        self.settings, self.key = settings_for(self._directory, self.proxy.url)
        self.client = await connect(NatsSettings(urls=(self.nats.url,)), "chaos")
        self.stack.push_async_callback(close, self.client)
        self.hub = jetstream_hub(self.client, self.settings, SystemClock())
        url = f"http://{self.settings.serve.host}:{self.settings.serve.port}"
        headers = {"authorization": f"Bearer {self.key}"}
        self.api = await self.stack.enter_async_context(httpx.AsyncClient(base_url=url, headers=headers, timeout=5))
        self.stack.push_async_callback(self.stop_line)
        await self.start_line()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stack.aclose()

    async def on_nats(self, do: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._nats_thread, do)

    # -- the cluster -------------------------------------------------------------------------------------------------

    async def start_line(self) -> None:
        """Again and again, as whatever supervises a cluster does: it may meet a broker that is away."""
        path = self._directory / "settings.json"
        path.write_text(self.settings.model_dump_json())
        log = await asyncio.to_thread(open, self._directory / "line.log", "ab")
        with log:
            async with asyncio.timeout(_READY_S):
                while True:
                    self._line = await asyncio.create_subprocess_exec(
                        sys.executable, "-m", "chaos.line", str(path), stdin=asyncio.subprocess.PIPE,
                        stdout=asyncio.subprocess.PIPE, stderr=log, start_new_session=True,
                        cwd=_ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"},
                    )  # fmt: skip
                    assert self._line.stdout is not None
                    async for line in self._line.stdout:
                        if line == b"ready\n":
                            return
                    await self.kill_line()

    def processes(self) -> list[Process]:
        """Of the cluster, its driver first. What was seen once is remembered: orphans are found, too."""
        if self._line is None:
            return []
        found = below(self._line.pid)
        self._known.update({(one.pid, one.started_ticks): one for one in found})
        return found

    async def kill_line(self) -> None:
        """kill -9 of the driver, of Ray's own processes and of every actor at once."""
        self.processes()
        line, self._line = self._line, None
        for one in self._known.values():
            one.send(signal.SIGKILL)
        self._known.clear()
        if line is not None:
            await line.wait()

    async def stop_line(self) -> None:
        if self._line is not None and self._line.stdin is not None:
            self._line.stdin.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_END_S):
                    await self._line.wait()
        await self.kill_line()

    # -- questions ---------------------------------------------------------------------------------------------------

    async def ask(self, path: str) -> dict[str, Any] | None:
        """``None`` while the API does not answer."""
        with contextlib.suppress(httpx.HTTPError, ValueError):
            answer = await self.api.get(path)
            if answer.status_code == 200:
                found: dict[str, Any] = answer.json()
                return found
        return None

    @functools.cached_property
    def partitions(self) -> range:
        return range(self.settings.partitions)
