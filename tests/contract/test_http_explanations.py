"""Why a verdict was given, over HTTP and at the command line: from the verdict log, the revocations and the audit."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from http_world import KEYS, World, a_campaign, a_verdict, on_loopback

from launch.settings import load_policy
from stillwatch.policy import Population, decide_campaign, revocations_of
from stillwatch.verdict import Verdict

ROOT = Path(__file__).parents[2]


async def decided(world: World) -> Verdict:
    """A verdict that was carried out by the policy and undone by a person."""
    policy = load_policy("configs/policies/demo.yaml")
    now = world.clock.unix_nano()
    (verdict,) = decide_campaign(a_campaign(), policy, Population(1_000, {}, {}), now, "ab" * 32)
    await world.hub.verdicts.publish_verdict(verdict)
    [revocation] = revocations_of(verdict, "enforce", now // 10**9, None)
    await world.hub.revocations.put(revocation)
    assert (await world.http.delete(f"/v1/revocations/{revocation.id}")).status_code == 200
    return verdict


async def test_it_has_evidence_thresholds_versions_and_who_undid_it() -> None:
    world = World()
    verdict = await decided(world)
    found = (await world.http.get(f"/v1/verdicts/{verdict.id}/explanation")).json()
    assert (found["verdict"], found["campaign"], found["incomplete"]) == (verdict.id, "c-1", [])
    assert found["evidence"][0]["normal"] == [0.8, 1.2]
    assert found["accounts"] == [{"account": "acct-1", "confidence": 0.99, "requests": 300}]
    assert any("at least 100,000; there was 250,000" in line for line in found["rule"])
    assert found["config_sha256"] == "ab" * 32
    assert set(found["versions"]) >= {"stillwatch", "river", "codebook"}
    [revocation] = found["revocations"]
    assert (revocation["state"], revocation["undone_by"]) == ("undone", "api-key:everything")
    assert [(entry["actor"], entry["action"]) for entry in found["trail"]] == [
        ("api-key:everything", "revocation.undo")
    ]


async def test_an_unknown_or_expired_verdict_says_what_to_do() -> None:
    answer = await World().http.get("/v1/verdicts/v-gone/explanation")
    assert answer.status_code == 404
    assert "kept for 90 days" in answer.json()["detail"]
    assert "GET /v1/verdicts lists those that are" in answer.json()["detail"]


@pytest.mark.parametrize("id", ["*", "a.b", ">"])
async def test_a_wildcard_is_no_verdict(id: str) -> None:
    world = World()
    await world.hub.verdicts.publish_verdict(a_verdict("v-1", "acct-1"))
    assert (await world.http.get(f"/v1/verdicts/{id}/explanation")).status_code == 422


async def test_what_did_not_answer_is_named_and_the_rest_is_explained() -> None:
    world = World()
    verdict = await decided(world)
    world.audit.down = world.revocations.down = True
    found = (await world.http.get(f"/v1/verdicts/{verdict.id}/explanation")).json()
    assert len(found["incomplete"]) == 3
    assert found["evidence"]
    world.verdicts.down = True
    assert (await world.http.get(f"/v1/verdicts/{verdict.id}/explanation")).status_code == 503


async def test_the_command_prints_it_for_a_person_and_as_json() -> None:
    world = World()
    verdict = await decided(world)
    async with on_loopback(world.app) as url:
        text = await stillwatch(url, "explain", verdict.id)
        assert "Could it be chance?" in text
        assert "acct-1: 99.0%, 300 requests" in text
        assert "undone 2026-09-21 14:13:20 UTC by api-key:everything" in text
        assert all(len(line) <= 120 for line in text.splitlines())
        assert json.loads(await stillwatch(url, "explain", verdict.id, "--json"))["verdict"] == verdict.id
        said = await stillwatch(url, "explain", "v-gone", exit_code=4)
        assert "no verdict v-gone is kept" in said


async def test_a_verdict_of_many_accounts_lists_as_many_as_asked_for() -> None:
    world = World()
    many = replace(a_verdict("v-9", "c-1", "campaign", [f"a{number}" for number in range(50)]), campaign="c-1")
    await world.hub.verdicts.publish_verdict(many)
    found = (await world.http.get("/v1/verdicts/v-9/explanation?accounts=7")).json()
    assert (found["account_count"], len(found["accounts"])) == (50, 7)


async def stillwatch(url: str, *arguments: str, exit_code: int = 0) -> str:
    environment = {"STILLWATCH_URL": url, "STILLWATCH_API_KEY": KEYS.everything, "PYTHONPATH": str(ROOT)}
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "launch", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == exit_code, done.stderr
    return done.stdout + done.stderr
