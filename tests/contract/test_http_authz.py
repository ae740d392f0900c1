"""/authz: exactly 200 allows, from RAM, and failing open is counted."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from http_world import KEYS, World
from stream_values import a_revocation

from stillwatch.settings import ServeSettings

ME = {"x-stillwatch-account": "acct-1"}


@pytest.fixture
def world() -> World:
    return World()


async def revoke(world: World, action: str, reason: str = "case 7", **target: str) -> Any:
    body = {**(target or {"account": "acct-1"}), "action": action, "reason": reason, "ttl_s": 600}
    answer = await world.http.post("/v1/revocations", json=body)
    assert answer.status_code == 201
    return answer.json()


async def ask(world: World, method: str = "GET", **headers: str) -> httpx.Response:
    return await world.client().request(method, "/authz/v1/chat/completions?x=1", headers={**ME, **headers})


async def decisions(world: World) -> dict[str, float]:
    text = (await world.http.get("/metrics")).text
    rows = [line for line in text.splitlines() if line.startswith("stillwatch_authz_decisions_total{")]
    return {row.split('decision="')[1].split('"')[0]: float(row.rsplit(" ", 1)[1]) for row in rows}


async def test_an_account_that_nobody_revoked_passes(world: World) -> None:
    answer = await ask(world)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["x-stillwatch-decision"] == "allow"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_every_method_is_answered(world: World, method: str) -> None:
    assert (await ask(world, method)).status_code == 200
    await revoke(world, "revoke")
    assert (await ask(world, method)).status_code == 403


@pytest.mark.parametrize(
    ("action", "status"), [("observe", 200), ("throttle", 429), ("challenge", 403), ("suspend", 403), ("revoke", 403)]
)
async def test_each_action_has_its_status(world: World, action: str, status: int) -> None:
    made = await revoke(world, action)
    answer = await ask(world)
    assert answer.status_code == status
    assert answer.headers["x-stillwatch-action"] == action
    assert answer.headers["x-stillwatch-revocation"] == made["id"]
    if status != 200:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status
        assert made["id"] in answer.text
    assert ("retry-after" in answer.headers) == (status == 429)


async def test_a_throttled_account_passes_now_and_then(world: World) -> None:
    await revoke(world, "throttle")
    first = await ask(world)
    assert first.status_code == 429
    world.clock.advance(float(first.headers["retry-after"]))
    assert (await ask(world)).headers["x-stillwatch-decision"] == "throttle_pass"
    assert (await ask(world)).status_code == 429


async def test_the_reason_is_for_the_gateway_and_not_in_the_body(world: World) -> None:
    await revoke(world, "suspend", reason="shares 93 % of prompts – Günter's\r\nX-Evil: 1")
    answer = await ask(world)
    assert "prompts" in answer.headers["x-stillwatch-reason"]
    assert answer.headers["x-stillwatch-reason"].isascii()
    assert "x-evil" not in answer.headers
    assert "prompts" not in answer.text


async def test_an_organisation_alone_is_enough(world: World) -> None:
    await world.revocations.put(a_revocation(target_kind="organisation", target="acme", accounts=()))
    answer = await world.client().get("/authz/", headers={"x-stillwatch-org": "acme"})
    assert answer.status_code == 403


@pytest.mark.parametrize("account", ["", "no token!", "x" * 65, "acct-1\u00e9"])
async def test_without_a_usable_account_it_is_allowed_and_counted(world: World, account: str) -> None:
    headers = {b"x-stillwatch-account": account.encode("latin-1")}
    answer = await world.client().get("/authz/x", headers=headers)
    assert answer.status_code == 200
    assert await decisions(world) == {"open_no_account": 1}


async def test_before_the_enforcer_is_loaded_everybody_passes_and_is_counted(world: World) -> None:
    await revoke(world, "revoke")
    world.enforcer.loaded = False
    assert (await ask(world)).status_code == 200
    assert await decisions(world) == {"open_not_loaded": 1}


async def test_a_bug_of_ours_lets_pass_and_is_counted(world: World) -> None:
    world.enforcer.broken = True
    assert (await ask(world)).status_code == 200
    assert await decisions(world) == {"open_error": 1}


async def test_it_answers_while_everything_else_is_away(world: World) -> None:
    await revoke(world, "revoke")
    for part in (
        world.events,
        world.shards,
        world.campaigns,
        world.revocations,
        world.verdicts,
        world.audit,
        world.control,
    ):
        part.stuck = True
    assert (await ask(world)).status_code == 403


async def test_a_key_can_be_demanded_in_a_header_of_its_own() -> None:
    world = World(ServeSettings(authz_needs_key=True))
    customers = {"authorization": f"Bearer {KEYS.everything}"}
    assert (await ask(world, **customers)).status_code == 401
    assert (await ask(world, **{"x-stillwatch-key": KEYS.by_scope["scores:read"]})).status_code == 403
    assert (await ask(world, **{"x-stillwatch-key": KEYS.by_scope["authz:check"]})).status_code == 200
