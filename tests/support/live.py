"""A running cluster as tests use it: its addresses, a key, and waiting for a condition with a deadline."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx
import msgpack
import nats
from nats.aio.client import Client

from launch.cluster import Running
from launch.telemetry import SystemClock
from stillwatch.event import RequestEvent
from streams.hub import Hub, jetstream_hub

T = TypeVar("T")


@dataclass(frozen=True)
class LiveCluster:
    running: Running
    key: str
    otlp: Any

    def api(self, key: str | None = None) -> httpx.Client:
        headers = {"authorization": f"Bearer {self.key if key is None else key}"}
        return httpx.Client(base_url=self.running.http_url, headers=headers, timeout=20)

    def status(self) -> dict[str, Any]:
        """As of now: the API asks its parts at most once a second, so an answer may be older than the question."""
        asked = datetime.now(UTC)

        def fresh() -> dict[str, Any] | None:
            answer: dict[str, Any] = api.get("/v1/status").raise_for_status().json()
            return answer if datetime.fromisoformat(answer["as_of"]) >= asked else None

        with self.api() as api:
            return until(fresh, what="a fresh status")

    async def client(self) -> Client:
        return await nats.connect(self.running.nats_url)

    def hub(self, client: Client) -> Hub:
        return jetstream_hub(client, self.running.settings, SystemClock())


def until(ask: Callable[[], T | None], within_s: float = 30.0, what: str = "the condition") -> T:
    """The first answer that is true; asks every 100 ms."""
    deadline = time.monotonic() + within_s
    pause = threading.Event()
    while True:
        found = ask()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what}: not within {within_s:g} s"
        pause.wait(0.1)


async def until_async(ask: Callable[[], Awaitable[T | None]], within_s: float = 30.0, what: str = "the condition") -> T:
    async with asyncio.timeout(within_s):
        while not (found := await ask()):  # noqa: ASYNC110 - the condition is in another process
            await asyncio.sleep(0.1)
    return found


def raw_event(account: str, number: int, prompt: str = "hello there", **more: object) -> bytes:
    """As a client in another language writes it: a plain msgpack map, no SDK."""
    return bytes(
        msgpack.packb(
            {
                "v": 1, "id": f"{account}-{number}", "time_unix_nano": time.time_ns(), "account": account,
                "attributes": {"stillwatch.prompt.text": prompt}, **more,
            }
        )
    )  # fmt: skip


def event(account: str, number: int, prompt: str) -> RequestEvent:
    return RequestEvent(f"{account}-{number}", account, time.time_ns(), {"stillwatch.prompt.text": prompt})
