"""The kill switch at every gateway, and undo of a verdict, end to end: HTTP, a real nats-server, twenty enforcers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx
import nats
import pytest
from gateway_worlds import eventually
from http_world import KEYS, PARTITIONS, World, on_loopback
from nats.aio.client import Client

from launch.embedded import EmbeddedNats
from launch.telemetry import SystemClock
from launch.wiring import InRam
from stillwatch.gateway import Enforcer, refuses
from stillwatch.revocation import Revocation, revocation_id
from stillwatch.settings import NatsSettings, Settings
from streams.hub import jetstream_hub
from streams.topology import ensure

ENFORCERS = 20
WITHIN_S = 1.0
ACCOUNTS = tuple(f"acct-{number}" for number in range(200))


@dataclass
class Platform:
    world: World
    http: httpx.AsyncClient
    enforcers: list[Enforcer]

    async def switch(self, word: str) -> None:
        answer = await self.http.put("/v1/control/enforcement", json={"enforcement": word, "reason": "a test"})
        assert answer.status_code == 200, answer.text

    async def revoke(self) -> str:
        """As the policy does it: a verdict about many accounts. Its id."""
        now_s = int(time.time())
        await self.world.hub.revocations.put(
            Revocation(
                id=revocation_id("verdict", "v-01"), target_kind="campaign", target="c-1", accounts=ACCOUNTS,
                action="revoke", reason="because", mode="enforce", dry_run=False, created_unix_s=now_s,
                expires_unix_s=now_s + 600, actor="policy:1/r", verdict="v-01", campaign="c-1",
            )
        )  # fmt: skip
        await eventually(lambda: self.refusing == ENFORCERS)
        return "v-01"

    @property
    def refusing(self) -> int:
        """How many of the gateways refuse every one of the accounts."""
        return sum(all(refuses(one.check(account)) for account in ACCOUNTS) for one in self.enforcers)

    @property
    def open(self) -> int:
        """How many let every one of them pass."""
        return sum(not any(refuses(one.check(account)) for account in ACCOUNTS) for one in self.enforcers)


@pytest.fixture
async def platform(nats_server: EmbeddedNats, nats_client: Client) -> AsyncIterator[Platform]:
    settings = Settings(partitions=PARTITIONS, nats=NatsSettings(urls=(nats_server.url,)))
    await ensure(nats_client, settings)
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        enforcers = []
        for _ in range(ENFORCERS + 1):  # one is the API's own
            client = await nats.connect(nats_server.url, max_reconnect_attempts=-1, reconnect_time_wait=0.1)
            stack.push_async_callback(client.close)
            enforcers.append(await stack.enter_async_context(Enforcer(client)))
        world = World(clock=clock, hub=jetstream_hub(nats_client, settings, clock), enforcer=InRam(enforcers[-1]))
        url = await stack.enter_async_context(on_loopback(world.app))
        headers = {"authorization": f"Bearer {KEYS.everything}"}
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, headers=headers))
        await asyncio.gather(*(one.wait_loaded(10) for one in enforcers))
        yield Platform(world, http, enforcers[:-1])


async def test_every_gateway_and_authz_honour_the_kill_switch_within_a_second(platform: Platform) -> None:
    await platform.revoke()
    for word, count in (("off", lambda: platform.open), ("on", lambda: platform.refusing)) * 3:
        started = time.perf_counter()
        await platform.switch(word)
        await eventually(lambda count=count: count() == ENFORCERS)
        assert time.perf_counter() - started < WITHIN_S
        answer = await platform.http.get("/authz/", headers={"x-stillwatch-account": ACCOUNTS[0]})
        assert answer.status_code == (200 if word == "off" else 403)


async def test_off_reaches_gateways_that_were_cut_off_when_it_was_switched(
    platform: Platform, nats_server: EmbeddedNats
) -> None:
    await platform.revoke()
    await asyncio.to_thread(nats_server.kill)
    await asyncio.to_thread(nats_server.start)
    deadline = time.monotonic() + 20
    while (await platform.http.put("/v1/control/enforcement", json={"enforcement": "off"})).status_code != 200:
        assert time.monotonic() < deadline
    await eventually(lambda: platform.open == ENFORCERS, within_s=20)


async def test_one_request_undoes_a_verdict_at_every_gateway(platform: Platform) -> None:
    verdict = await platform.revoke()
    started = time.perf_counter()
    answer = await platform.http.post("/v1/undo", json={"verdict": verdict})
    assert answer.json()["account_count"] == len(ACCOUNTS)
    await eventually(lambda: platform.open == ENFORCERS)
    assert time.perf_counter() - started < 2 * WITHIN_S
    entry = next(one for one in await platform.world.hub.audit.newest(5) if one.action == "verdict.undo")
    assert (entry.actor, entry.details["accounts"]) == ("api-key:everything", len(ACCOUNTS))
