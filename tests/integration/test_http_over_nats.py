"""The HTTP line over a real nats-server, the real enforcer and real sockets: publish, score, revoke, refuse, undo."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from http_world import KEYS, PARTITIONS, World, on_loopback
from nats.aio.client import Client

from launch.embedded import EmbeddedNats
from launch.wiring import InRam
from stillwatch.event import RequestEvent
from stillwatch.gateway import Enforcer
from stillwatch.settings import NatsSettings, Settings
from stillwatch.wire import encode_event
from streams import topology
from streams.hub import jetstream_hub


class SystemClock:
    def unix_nano(self) -> int:
        return time.time_ns()

    def monotonic_s(self) -> float:
        return time.monotonic()


@dataclass
class Line:
    world: World
    http: httpx.AsyncClient
    server: EmbeddedNats

    async def authz(self, account: str) -> int:
        answer = await self.http.post("/authz/v1/chat", headers={"x-stillwatch-account": account})
        return answer.status_code

    async def until_authz(self, account: str, status: int, within_s: float = 10.0) -> float:
        """How long it took, in s."""
        began = time.monotonic()
        while await self.authz(account) != status:
            assert time.monotonic() - began < within_s, f"/authz never answered {status}"
        return time.monotonic() - began

    async def revoke(self, **body: Any) -> Any:
        answer = await self.http.post("/v1/revocations", json={"reason": "test", "ttl_s": 600, **body})
        assert answer.status_code == 201, answer.text
        return answer.json()


@pytest.fixture
async def line(nats_server: EmbeddedNats, nats_client: Client) -> AsyncIterator[Line]:
    settings = Settings(partitions=PARTITIONS, nats=NatsSettings(urls=(nats_server.url,)))
    await topology.ensure(nats_client, settings)
    clock = SystemClock()
    async with Enforcer(nats_client) as enforcer:
        assert await enforcer.wait_loaded(10.0)
        world = World(clock=clock, hub=jetstream_hub(nats_client, settings, clock), enforcer=InRam(enforcer))
        headers = {"authorization": f"Bearer {KEYS.everything}"}
        async with on_loopback(world.app) as url, httpx.AsyncClient(base_url=url, headers=headers) as http:
            yield Line(world, http, nats_server)


async def test_published_over_http_scored_by_the_owner_revoked_refused_and_undone(line: Line) -> None:
    events = [line.world.event(f"r-{n}", "acct-1") for n in range(30)]
    published = await line.http.post("/v1/events", json=[*events, events[0]])
    assert published.json() == {"accepted": 30, "duplicates": 1, "rejected": []}
    scored = (await line.http.post("/v1/score", json=line.world.event("r-99", "acct-1"))).json()
    assert scored["events"] == 31
    assert await line.authz("acct-1") == 200
    made = await line.revoke(account="acct-1", action="revoke")
    assert await line.until_authz("acct-1", 403) < 2.0
    assert (await line.http.get("/v1/accounts/acct-1")).json()["enforced"]["revocation"] == made["id"]
    await line.http.delete(f"/v1/revocations/{made['id']}")
    assert await line.until_authz("acct-1", 200) < 2.0


async def test_an_event_of_a_client_in_another_language_is_scored(line: Line, nats_client: Client) -> None:
    event = RequestEvent("r-1", "acct-raw", time.time_ns())
    await nats_client.publish("stillwatch.requests.acct-raw", encode_event(event))
    await nats_client.flush()
    answer = await line.http.get("/v1/accounts/acct-raw")
    assert answer.json()["state"]["events"] == 1


async def test_the_kill_switch_reaches_authz(line: Line) -> None:
    await line.revoke(account="acct-1", action="suspend")
    await line.until_authz("acct-1", 403)
    await line.http.put("/v1/control/enforcement", json={"enforcement": "off"})
    await line.until_authz("acct-1", 200)
    await line.http.put("/v1/control/enforcement", json={"enforcement": "on"})
    await line.until_authz("acct-1", 403)


async def test_idempotency_holds_in_the_real_bucket(line: Line) -> None:
    body = {"account": "acct-1", "action": "suspend", "reason": "r", "ttl_s": 600}
    headers = {"idempotency-key": "k-1"}
    first = await line.http.post("/v1/revocations", json=body, headers=headers)
    second = await line.http.post("/v1/revocations", json=body, headers=headers)
    other = await line.http.post("/v1/revocations", json={**body, "ttl_s": 5}, headers=headers)
    assert [first.status_code, second.status_code, other.status_code] == [201, 200, 409]
    assert first.json()["id"] == second.json()["id"]


async def test_while_nats_is_away_the_api_lives_says_so_and_still_refuses_whom_it_knew(line: Line) -> None:
    await line.revoke(account="acct-1", action="revoke")
    await line.until_authz("acct-1", 403)
    line.server.kill()
    assert await line.authz("acct-1") == 403
    assert (await line.http.get("/healthz")).status_code == 200
    published = await line.http.post("/v1/events", json=line.world.event("r-1"), timeout=40)
    assert published.status_code == 503
    assert "retry-after" in published.headers
    status = await line.http.get("/v1/status", timeout=10)
    assert status.status_code == 200
    assert status.json()["problems"]
