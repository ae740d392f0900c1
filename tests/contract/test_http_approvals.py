"""Two people for what is large: who may agree, what happens until then, and what the audit log says."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import httpx
import pytest
from http_world import KEYS, World, a_campaign
from manual_clock import ManualClock
from oidc_provider import AUDIENCE, OidcProvider

from serve.keys import Scope, mint, parse_key_ring
from stillwatch.revocation import Hold, Revocation
from stillwatch.settings import OidcSettings, ServeSettings

MEMBERS = [(f"acct-{n}", 0.95) for n in range(150)]
CAMPAIGN = {"campaign": "c-1", "action": "revoke", "reason": "case 7", "ttl_s": 600}
ORGANISATION = {"organisation": "acme", "action": "suspend", "reason": "case 8", "ttl_s": 600}


@pytest.fixture
def world() -> World:
    world = World()
    world.book.put(a_campaign("c-1", MEMBERS))
    world.book.put(a_campaign("c-small", MEMBERS[:100]))
    return world


def other(world: World) -> httpx.AsyncClient:
    """A key with nothing but the scope, of somebody else."""
    return world.client(KEYS.by_scope["approvals:write"])


async def proposed(world: World, body: dict[str, Any]) -> Any:
    answer = await world.http.post("/v1/revocations", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def authz(world: World, account: str = "acct-1", **headers: str) -> int:
    answer = await world.client().get("/authz/v1/chat", headers={"x-stillwatch-account": account, **headers})
    return answer.status_code


async def agree(client: httpx.AsyncClient, id: str) -> tuple[int, Any]:
    answer = await client.post(f"/v1/approvals/{id}", json={"note": "seen"})
    return answer.status_code, answer.json()


@pytest.mark.parametrize("body", [CAMPAIGN, ORGANISATION])
async def test_what_is_large_waits_until_a_second_person_agrees(world: World, body: dict[str, Any]) -> None:
    made = await proposed(world, body)
    assert made["state"] == "waiting"
    assert made["ttl_left_s"] == 0
    assert (made["hold"]["approvals"], made["hold"]["missing"]) == (["everything@example.com"], 1)
    headers = {"x-stillwatch-org": "acme"}
    assert await authz(world, **headers) == 200
    world.clock.advance(3_000)
    status, agreed = await agree(other(world), made["id"])
    assert (status, agreed["state"], agreed["ttl_left_s"]) == (200, "active", 600)
    assert agreed["hold"]["approvals"] == ["everything@example.com", "approvals-write@example.com"]
    assert await authz(world, **headers) == 403


async def test_the_proposer_alone_is_not_enough_however_often_and_with_whatever_key(world: World) -> None:
    made = await proposed(world, CAMPAIGN)
    for _ in range(3):
        assert (await agree(world.http, made["id"]))[1]["state"] == "waiting"
    assert await authz(world) == 200
    assert [entry.action for entry in await world.hub.audit.newest(10)] == ["revocation.propose"]


async def test_whose_organisation_is_protected_while_it_waits_is_spared_when_people_agree(world: World) -> None:
    campaign = world.book.all["c-1"]
    acme = tuple(replace(member, organisation="acme") for member in campaign.members[:3])
    world.book.put(replace(campaign, members=(*acme, *campaign.members[3:])))
    made = await proposed(world, CAMPAIGN)
    entry = {"organisation": "acme", "reason": "contract talks", "owner": "anna", "ttl_s": 86_400}
    assert (await world.http.post("/v1/never-act", json=entry)).status_code == 201
    world.campaigns.down = world.shards.down = True
    _, agreed = await agree(other(world), made["id"])
    assert (agreed["state"], agreed["account_count"]) == ("active", 147)
    assert agreed["spared"] == [member.account for member in acme]
    assert [await authz(world, f"acct-{number}") for number in (0, 3)] == [200, 403]


async def test_two_keys_of_one_owner_are_one_person() -> None:
    keys = [mint(id, ["revocations:write", "approvals:write"], owner="anna") for id in ("laptop", "phone")]
    world = World(keys=parse_key_ring("keys:\n" + "".join(entry for _, entry in keys)))
    laptop, phone = (world.client(key) for key, _ in keys)
    made = (await laptop.post("/v1/revocations", json=ORGANISATION)).json()
    assert made["hold"]["approvals"] == ["anna"]
    assert (await agree(phone, made["id"]))[1]["state"] == "waiting"


@pytest.mark.parametrize("other", ["Anna", " anna ", "ANNA", "ａｎｎａ"])
async def test_one_owner_written_in_two_ways_is_one_person(other: str) -> None:
    scopes: list[Scope] = ["revocations:write", "approvals:write"]
    keys = [mint("laptop", scopes, owner="anna"), mint("phone", scopes, owner=other), mint("bob", scopes, owner="bob")]
    world = World(keys=parse_key_ring("keys:\n" + "".join(entry for _, entry in keys)))
    laptop, phone, bob = (world.client(key) for key, _ in keys)
    made = (await laptop.post("/v1/revocations", json=ORGANISATION)).json()
    assert (await agree(phone, made["id"]))[1]["state"] == "waiting"
    assert (await agree(bob, made["id"]))[1]["state"] == "active"


@pytest.mark.parametrize("person_claim", ["sub", "employee"])
async def test_a_token_and_a_key_of_one_person_are_one_person(person_claim: str) -> None:
    provider = OidcProvider()
    try:
        scopes: list[Scope] = ["revocations:write", "approvals:write"]
        key, entry = mint("laptop", scopes, owner="Ada@example.com")
        oidc = OidcSettings(issuer=provider.issuer, audience=AUDIENCE, person_claim=person_claim)
        clock = ManualClock(time.time())
        world = World(ServeSettings(oidc=oidc), keys=parse_key_ring("keys:\n" + entry), clock=clock)

        def token(person: str | None) -> httpx.AsyncClient:
            claims = {"sub": "7f3a", person_claim: person} if person_claim != "sub" else {"sub": person}
            return world.client(provider.token(scope=" ".join(scopes), **claims))

        made = (await world.client(key).post("/v1/revocations", json=ORGANISATION)).json()
        assert (await agree(token("ada@example.com"), made["id"]))[1]["state"] == "waiting"
        if person_claim != "sub":
            for nobody in (None, "", " ", "ada\nbob", "x" * 200):
                assert (await agree(token(nobody), made["id"]))[0] == 403
        status, agreed = await agree(token("bob@example.com"), made["id"])
        assert (status, agreed["hold"]["approvals"]) == (200, ["Ada@example.com", "bob@example.com"])
    finally:
        provider.close()


async def test_who_has_no_owner_can_propose_and_reject_but_counts_as_nobody() -> None:
    scopes: list[Scope] = ["revocations:write", "approvals:write"]
    keys = [
        mint("one", scopes),
        mint("two", scopes, owner=" "),
        mint("a", scopes, owner="anna"),
        mint("b", scopes, owner="bob"),
    ]
    world = World(keys=parse_key_ring("keys:\n" + "".join(entry for _, entry in keys)))
    one, two, anna, bob = (world.client(key) for key, _ in keys)
    made = (await one.post("/v1/revocations", json=ORGANISATION)).json()
    assert (made["hold"]["approvals"], made["hold"]["missing"]) == ([], 2)
    for nobody in (one, two):
        status, problem = await agree(nobody, made["id"])
        assert (status, problem["type"]) == (403, "urn:stillwatch:problem:no-person")
        assert "Have `owner` set" in problem["detail"]
    assert [entry.action for entry in await world.hub.audit.newest(9)] == ["revocation.propose"]
    assert (await agree(anna, made["id"]))[1]["state"] == "waiting"
    assert (await agree(bob, made["id"]))[1]["state"] == "active"
    made = (await one.post("/v1/revocations", json=ORGANISATION)).json()
    assert (await two.delete(f"/v1/approvals/{made['id']}")).json()["state"] == "rejected"


@pytest.mark.parametrize(
    "body",
    [
        {**CAMPAIGN, "campaign": "c-small"},
        {**CAMPAIGN, "action": "observe"},
        {**CAMPAIGN, "campaign": None, "account": "acct-1"},
    ],
)
async def test_what_is_small_or_acts_on_nobody_waits_for_nobody(world: World, body: dict[str, Any]) -> None:
    made = await proposed(world, body)
    assert (made["state"], made["hold"]) == ("active", None)


async def test_a_dry_run_asks_nobody(world: World) -> None:
    assert (await proposed(world, {**CAMPAIGN, "dry_run": True}))["state"] == "dry_run"


async def test_what_the_policy_proposes_needs_two_people_and_both_are_named(world: World) -> None:
    now_s = int(world.clock.unix_s)
    await world.hub.revocations.put(
        Revocation(
            "r-auto", "campaign", "c-1", ("acct-1",), "revoke", "because", "enforce", False, now_s, now_s + 60, "policy:1/r",
            verdict="v-1", hold=Hold("blast radius: too many", 2, now_s + 600),
        )
    )  # fmt: skip
    assert (await agree(world.http, "r-auto"))[1]["state"] == "waiting"
    assert (await agree(other(world), "r-auto"))[1]["state"] == "active"
    assert await authz(world) == 403
    entries = await world.hub.audit.newest(2)
    assert [(entry.actor, entry.action) for entry in entries] == [
        ("api-key:approvals-write", "approval.grant"), ("api-key:everything", "approval.grant"),
    ]  # fmt: skip
    assert entries[0].details["agreed_before"] == ["everything@example.com"]
    assert entries[0].details["note"] == "seen"
    assert entries[0].details["proposed_by"] == "policy:1/r"


async def test_what_waits_is_listed_with_why_and_until_when(world: World) -> None:
    made = await proposed(world, CAMPAIGN)
    await proposed(world, {**CAMPAIGN, "campaign": "c-small"})
    [listed] = (await world.http.get("/v1/approvals")).json()["revocations"]
    assert listed["id"] == made["id"]
    assert "150 accounts" in listed["hold"]["because"]
    assert len(listed["accounts"]) == 50
    assert listed["hold"]["decide_before"] == "2026-09-22T14:13:20Z"


async def test_one_person_is_enough_to_say_no(world: World) -> None:
    made = await proposed(world, CAMPAIGN)
    for _ in range(2):
        answer = await other(world).delete(f"/v1/approvals/{made['id']}")
        assert answer.json()["state"] == "rejected"
    assert (await agree(other(world), made["id"]))[0] == 409
    assert await authz(world) == 200
    assert (await world.http.get("/v1/approvals")).json()["revocations"] == []


async def test_what_nobody_answered_lapses(world: World) -> None:
    made = await proposed(world, CAMPAIGN)
    world.clock.advance(24 * 3_600)
    status, problem = await agree(other(world), made["id"])
    assert status == 409
    assert "lapsed" in problem["detail"]
    assert await authz(world) == 200


async def test_what_acts_can_not_be_rejected_only_undone(world: World) -> None:
    made = await proposed(world, CAMPAIGN)
    await agree(other(world), made["id"])
    assert (await other(world).delete(f"/v1/approvals/{made['id']}")).status_code == 409
    assert await authz(world) == 403


async def test_without_an_audit_log_nobody_can_agree_and_everybody_can_reject(world: World) -> None:
    made = await proposed(world, CAMPAIGN)
    world.audit.down = True
    assert (await agree(other(world), made["id"]))[0] == 503
    assert (await world.http.get(f"/v1/revocations/{made['id']}")).json()["state"] == "waiting"
    answer = await other(world).delete(f"/v1/approvals/{made['id']}")
    assert answer.status_code == 503
    assert "is rejected" in answer.json()["detail"]
    assert (await world.http.get(f"/v1/revocations/{made['id']}")).json()["state"] == "rejected"


async def test_without_aggregator_and_shards_people_can_still_agree_act_on_an_account_and_undo(world: World) -> None:
    made = await proposed(world, CAMPAIGN)
    world.campaigns.down = world.shards.down = True
    assert (await agree(other(world), made["id"]))[1]["state"] == "active"
    assert (await world.http.post("/v1/undo", json={"campaign": "c-1"})).status_code == 200
    assert (await proposed(world, {**CAMPAIGN, "campaign": None, "account": "acct-1"}))["state"] == "active"
    assert (await world.http.post("/v1/revocations", json=CAMPAIGN)).status_code == 503, "nobody knows its members"


async def test_the_same_request_again_is_the_same_proposal(world: World) -> None:
    headers = {"idempotency-key": "k-1"}
    ids = {(await world.http.post("/v1/revocations", json=CAMPAIGN, headers=headers)).json()["id"] for _ in range(3)}
    assert len(ids) == 1
    assert len((await world.http.get("/v1/approvals")).json()["revocations"]) == 1


async def test_the_status_and_the_metrics_say_what_is_held_back(world: World) -> None:
    body = (await world.http.get("/v1/status")).json()["aggregator"]
    assert (body["held_back"], body["stale"], body["waiting"]) == ({"accounts_per_minute": 1}, ["lag: old"], 2)
    text = (await world.http.get("/metrics")).text
    assert 'stillwatch_suppressed_actions_total{because="accounts_per_minute"} 1.0' in text
    assert "stillwatch_state_stale 1.0" in text
    assert "stillwatch_approvals_waiting 2.0" in text
