"""Revocations, labels and the kill switch: what they do, who may, and what the audit log says."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from http_world import KEYS, World, a_campaign

BODY = {"account": "acct-1", "action": "suspend", "reason": "case 7", "ttl_s": 600}


@pytest.fixture
def world() -> World:
    world = World()
    world.book.put(a_campaign())
    return world


async def make(world: World, **changes: Any) -> Any:
    answer = await world.http.post("/v1/revocations", json={**BODY, **changes})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def authz(world: World, account: str = "acct-1", **headers: str) -> int:
    answer = await world.client().get("/authz/v1/chat", headers={"x-stillwatch-account": account, **headers})
    return answer.status_code


async def audit(world: World) -> list[tuple[str, str, str]]:
    return [(entry.actor, entry.action, entry.target) for entry in await world.hub.audit.newest(100)]


async def test_a_revoked_account_is_refused_and_after_the_undo_it_is_not(world: World) -> None:
    made = await make(world)
    assert made["state"] == "active"
    assert made["ttl_left_s"] == 600
    assert await authz(world) == 403
    undone = await world.http.delete(f"/v1/revocations/{made['id']}")
    assert undone.json()["state"] == "undone"
    assert undone.json()["undone_by"] == "api-key:everything"
    assert await authz(world) == 200


async def test_it_ends_by_itself(world: World) -> None:
    made = await make(world)
    world.clock.advance(601)
    assert await authz(world) == 200
    found = (await world.http.get(f"/v1/revocations/{made['id']}")).json()
    assert (found["state"], found["ttl_left_s"]) == ("expired", 0)


async def test_a_dry_run_shows_whom_it_would_cover_and_touches_nobody(world: World) -> None:
    made = await make(world, account=None, campaign="c-1", dry_run=True, min_confidence=0.4)
    assert made["state"] == "dry_run"
    assert made["accounts"] == ["acct-1", "acct-2"]
    assert await authz(world) == 200


async def test_of_a_campaign_only_the_sure_members_are_covered(world: World) -> None:
    made = await make(world, account=None, campaign="c-1")
    assert made["accounts"] == ["acct-1"]
    assert await authz(world, "acct-1") == 403
    assert await authz(world, "acct-2") == 200


async def test_a_campaign_without_sure_members_is_refused_with_the_surest_one(world: World) -> None:
    world.book.put(a_campaign("c-2", [("acct-3", 0.61)]))
    answer = await world.http.post("/v1/revocations", json={**BODY, "account": None, "campaign": "c-2"})
    assert answer.status_code == 422
    assert "0.610" in answer.json()["detail"]


async def test_an_organisation_is_refused_whoever_of_it_asks(world: World) -> None:
    made = await make(world, account=None, organisation="acme:eu")
    other = world.client(KEYS.by_scope["approvals:write"])
    assert (await other.post(f"/v1/approvals/{made['id']}", json={})).json()["state"] == "active"
    assert await authz(world, "anybody", **{"x-stillwatch-org": "acme:eu"}) == 403
    assert await authz(world, "anybody", **{"x-stillwatch-org": "other"}) == 200


async def test_the_same_idempotency_key_and_body_is_one_revocation(world: World) -> None:
    first = await world.http.post("/v1/revocations", json=BODY, headers={"idempotency-key": "k-1"})
    world.clock.advance(5)
    reordered = dict(reversed(BODY.items()))
    second = await world.http.post("/v1/revocations", json=reordered, headers={"idempotency-key": "k-1"})
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    assert first.headers["location"] == f"/v1/revocations/{first.json()['id']}"
    assert len((await world.http.get("/v1/revocations")).json()["revocations"]) == 1
    assert len(await audit(world)) == 1


async def test_the_same_idempotency_key_for_another_body_is_a_conflict(world: World) -> None:
    await world.http.post("/v1/revocations", json=BODY, headers={"idempotency-key": "k-1"})
    answer = await world.http.post("/v1/revocations", json={**BODY, "ttl_s": 601}, headers={"idempotency-key": "k-1"})
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:stillwatch:problem:conflict"


async def test_two_holders_may_use_the_same_idempotency_key(world: World) -> None:
    other = world.client(KEYS.by_scope["revocations:write"], **{"idempotency-key": "1"})
    first = await world.http.post("/v1/revocations", json=BODY, headers={"idempotency-key": "1"})
    second = await other.post("/v1/revocations", json={**BODY, "account": "acct-9"})
    assert (first.status_code, second.status_code) == (201, 201)


async def test_a_retry_after_a_death_between_remembering_and_storing_finishes_the_work(world: World) -> None:
    put = world.hub.revocations.put

    async def dies(revocation: object) -> object:
        raise RuntimeError("the process ended here")

    object.__setattr__(world.hub.revocations, "put", dies)
    headers = {"idempotency-key": "k-1"}
    assert (await world.http.post("/v1/revocations", json=BODY, headers=headers)).status_code == 500
    object.__setattr__(world.hub.revocations, "put", put)
    answer = await world.http.post("/v1/revocations", json=BODY, headers=headers)
    assert answer.status_code == 201
    assert await authz(world) == 403


async def test_many_equal_requests_at_once_are_one_revocation(world: World) -> None:
    answers = await asyncio.gather(
        *(world.http.post("/v1/revocations", json=BODY, headers={"idempotency-key": "k"}) for _ in range(20))
    )
    assert {answer.status_code for answer in answers} <= {200, 201}
    assert len({answer.json()["id"] for answer in answers}) == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"account": None}, ""),
        ({"campaign": "c-1"}, ""),
        ({"account": "no token!"}, "account"),
        ({"action": "delete"}, "action"),
        ({"reason": ""}, "reason"),
        ({"reason": "x" * 1_001}, "reason"),
        ({"reason": None}, "reason"),
        ({"ttl_s": 0}, "ttl_s"),
        ({"ttl_s": 10**30}, "ttl_s"),
        ({"ttl_s": "600"}, "ttl_s"),
        ({"ttl_s": 600.5}, "ttl_s"),
        ({"ttl_s": True}, "ttl_s"),
        ({"dry_run": "yes"}, "dry_run"),
        ({"dryrun": True}, "dryrun"),
        ({"min_confidence": 0.5}, ""),
        ({"account": None, "campaign": "c-1", "min_confidence": 1.5}, "min_confidence"),
    ],
)
async def test_a_body_that_does_not_fit_names_the_field_and_changes_nothing(
    world: World, changes: dict[str, Any], field: str
) -> None:
    answer = await world.http.post("/v1/revocations", json={**BODY, **changes})
    assert answer.status_code == 422
    assert field in [error["field"] for error in answer.json()["errors"]]
    assert await world.hub.revocations.list() == []
    assert await audit(world) == []


async def test_every_change_is_in_the_audit_log_once(world: World) -> None:
    made = await make(world)
    for _ in range(2):
        await world.http.delete(f"/v1/revocations/{made['id']}")
    await world.http.post("/v1/labels", json={"account": "acct-1", "kind": "team"})
    await world.http.put("/v1/control/enforcement", json={"enforcement": "off"})
    await world.http.put("/v1/control/enforcement", json={"enforcement": "on"})
    who = "api-key:everything"
    assert (await audit(world))[::-1] == [
        (who, "revocation.create", "account acct-1"),
        (who, "revocation.undo", "account acct-1"),
        (who, "label.create", "acct-1"),
        (who, "enforcement.off", "enforcement"),
        (who, "enforcement.on", "enforcement"),
    ]


async def test_without_an_audit_log_nobody_is_revoked(world: World) -> None:
    world.audit.down = True
    assert (await world.http.post("/v1/revocations", json=BODY)).status_code == 503
    assert (await world.http.post("/v1/labels", json={"account": "acct-1", "kind": "attack"})).status_code == 503
    assert await world.hub.revocations.list() == []
    assert await authz(world) == 200


async def test_without_an_audit_log_an_undo_still_frees_the_account_and_says_what_is_missing(world: World) -> None:
    made = await make(world)
    world.audit.down = True
    answer = await world.http.delete(f"/v1/revocations/{made['id']}")
    assert answer.status_code == 503
    assert "is undone" in answer.json()["detail"]
    assert await authz(world) == 200


async def test_the_kill_switch_lets_everybody_pass_also_without_an_audit_log(world: World) -> None:
    await make(world)
    world.audit.down = True
    answer = await world.http.put("/v1/control/enforcement", json={"enforcement": "off", "reason": "incident"})
    assert answer.status_code == 503
    assert "Enforcement is off" in answer.json()["detail"]
    assert await authz(world) == 200
    assert (await world.http.put("/v1/control/enforcement", json={"enforcement": "on"})).status_code == 503
    assert (await world.http.get("/v1/control/enforcement")).json() == {"enforcement": "off"}
    world.audit.down = False
    assert (await world.http.put("/v1/control/enforcement", json={"enforcement": "on"})).status_code == 200
    assert await authz(world) == 403


async def test_revocations_are_listed_newest_first_and_filtered(world: World) -> None:
    for number in range(3):
        world.clock.advance(1)
        await make(world, account=f"acct-{number}", ttl_s=10 if number == 0 else 600)
    world.clock.advance(10)

    async def listed(query: str) -> list[str]:
        return [item["target"] for item in (await world.http.get(f"/v1/revocations{query}")).json()["revocations"]]

    assert await listed("") == ["acct-2", "acct-1", "acct-0"]
    assert await listed("?state=expired") == ["acct-0"]
    assert await listed("?state=active&limit=1") == ["acct-2"]
    assert await listed("?account=acct-1") == ["acct-1"]


async def test_pages_follow_each_other_until_there_is_none(world: World) -> None:
    for number in range(5):
        await make(world, account=f"acct-{number}")  # in the same second: the id decides
    query, seen = "?limit=2", []
    while query:
        page = (await world.http.get(f"/v1/revocations{query}")).json()
        seen += [item["target"] for item in page["revocations"]]
        query = page["next"] and f"?limit=2&after={page['next']}"
    assert sorted(seen) == [f"acct-{number}" for number in range(5)]
    assert (await world.http.get("/v1/revocations?after=nowhere")).status_code == 422


async def test_a_list_shows_some_accounts_and_how_many_there_are(world: World) -> None:
    world.book.put(a_campaign("c-3", [(f"acct-{n}", 0.95) for n in range(80)]))
    made = await make(world, account=None, campaign="c-3")
    assert len(made["accounts"]) == 80
    [listed] = (await world.http.get("/v1/revocations")).json()["revocations"]
    assert (len(listed["accounts"]), listed["account_count"]) == (50, 80)


async def test_an_unknown_revocation_is_not_found(world: World) -> None:
    for answer in (await world.http.get("/v1/revocations/r-0"), await world.http.delete("/v1/revocations/r-0")):
        assert answer.status_code == 404
        assert "r-0" in answer.json()["detail"]


async def test_a_campaigns_label_reaches_the_models_of_its_sure_members(world: World) -> None:
    await world.http.post("/v1/events", json=[world.event("r-1", "acct-1"), world.event("r-2", "acct-2")])
    answer = await world.http.post("/v1/labels", json={"campaign": "c-1", "kind": "attack", "note": "seen on a forum"})
    assert answer.status_code == 202
    assert answer.json() == {"kind": "attack", "account_count": 1, "accounts": ["acct-1"]}
    assert (await world.http.get("/v1/accounts/acct-1")).json()["state"]["label"] == "attack"
    assert (await world.http.get("/v1/accounts/acct-2")).json()["state"]["label"] is None


async def test_a_label_needs_a_known_kind_and_one_target(world: World) -> None:
    for body in (
        {"account": "a", "kind": "enemy"},
        {"kind": "attack"},
        {"account": "a", "campaign": "c-1", "kind": "user"},
    ):
        assert (await world.http.post("/v1/labels", json=body)).status_code == 422
    assert (await world.http.post("/v1/labels", json={"campaign": "c-9", "kind": "attack"})).status_code == 404
