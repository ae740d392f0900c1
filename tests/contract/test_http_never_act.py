"""The never-act list over HTTP, and undoing a whole decision."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from http_world import KEYS, NOW_UNIX_S, PARTITIONS, World, a_campaign
from manual_clock import ManualClock

from serve.keys import SCOPES, mint, parse_key_ring
from stillwatch.never_act import protection_id
from stillwatch.revocation import Hold, Revocation, revocation_id
from stillwatch.settings import Settings
from stillwatch.verdict import Member
from streams.hub import memory_hub
from streams.memory import MemoryNats

ENTRY = {"account": "acct-1", "reason": "a reviewer of ours", "owner": "anna", "ttl_s": 86_400}
REVOKE = {"account": "acct-1", "action": "suspend", "reason": "case 7", "ttl_s": 600}


@pytest.fixture
def world() -> World:
    world = World()
    world.book.put(a_campaign("c-1", [(f"acct-{n}", 0.95) for n in range(4)]))
    return world


async def protect(world: World, **changes: Any) -> Any:
    answer = await world.http.post("/v1/never-act", json={**ENTRY, **changes})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def authz(world: World, account: str = "acct-1") -> int:
    answer = await world.client().get("/authz/v1/chat", headers={"x-stillwatch-account": account})
    return answer.status_code


async def test_who_is_protected_can_not_be_acted_on_and_the_answer_says_whom_to_ask(world: World) -> None:
    made = await protect(world, ttl_s=7 * 86_400)
    assert (made["state"], made["owner"], made["by"]) == ("holds", "anna", "api-key:everything")
    answer = await world.http.post("/v1/revocations", json=REVOKE)
    assert answer.status_code == 409
    assert "anna" in answer.json()["detail"]
    assert made["id"] in answer.json()["detail"]
    assert await authz(world) == 200
    assert (await world.http.delete(f"/v1/never-act/{made['id']}")).status_code == 200
    assert (await world.http.post("/v1/revocations", json=REVOKE)).status_code == 201
    assert await authz(world) == 403


async def test_while_the_shards_are_away_an_account_of_a_protected_organisation_can_be_acted_on_by_hand(
    world: World,
) -> None:
    await protect(world, account=None, organisation="acme")
    await protect(world, account="acct-8")
    await world.http.post("/v1/events", json=world.event("r-1", "acct-9", stillwatch__org__id="acme"))
    assert (await world.http.post("/v1/revocations", json={**REVOKE, "account": "acct-9"})).status_code == 409
    world.shards.down = True
    assert (await world.http.post("/v1/revocations", json={**REVOKE, "account": "acct-9"})).status_code == 201
    assert (await world.http.post("/v1/revocations", json={**REVOKE, "account": "acct-8"})).status_code == 409
    assert [await authz(world, account) for account in ("acct-9", "acct-8")] == [403, 200]


async def test_of_a_campaign_the_protected_members_are_spared_and_named(world: World) -> None:
    await protect(world)
    answer = await world.http.post("/v1/revocations", json={**REVOKE, "account": None, "campaign": "c-1"})
    body = answer.json()
    assert (body["accounts"], body["spared"]) == (["acct-0", "acct-2", "acct-3"], ["acct-1"])
    assert (await authz(world), await authz(world, "acct-2")) == (200, 403)


async def test_a_protected_organisation_protects_its_accounts(world: World) -> None:
    await protect(world, account=None, organisation="acme")
    await world.http.post("/v1/events", json=world.event("r-1", "acct-9", stillwatch__org__id="acme"))
    answer = await world.http.post("/v1/revocations", json={**REVOKE, "account": "acct-9"})
    assert answer.status_code == 409
    assert (
        await world.http.post("/v1/revocations", json={**REVOKE, "account": None, "organisation": "acme"})
    ).status_code == 409
    campaign = a_campaign("c-2", [("acct-9", 0.95), ("acct-8", 0.95)])
    acme = Member("acct-9", 0.95, 300, 90_000, organisation="acme")
    object.__setattr__(campaign, "members", (acme, campaign.members[1]))
    world.book.put(campaign)
    body = (await world.http.post("/v1/revocations", json={**REVOKE, "account": None, "campaign": "c-2"})).json()
    assert (body["accounts"], body["spared"]) == (["acct-8"], ["acct-9"])


async def test_whom_the_policy_file_names_people_do_not_act_on_either_and_the_entry_can_not_be_removed() -> None:
    clock = ManualClock(NOW_UNIX_S)
    world = World(clock=clock, hub=memory_hub(MemoryNats(Settings(partitions=PARTITIONS), clock), ("acct-1",)))
    world.book.put(a_campaign("c-1", [(f"acct-{n}", 0.95) for n in range(4)]))
    answer = await world.http.post("/v1/revocations", json=REVOKE)
    assert answer.status_code == 409
    assert "policy file" in answer.json()["detail"]
    body = (await world.http.post("/v1/revocations", json={**REVOKE, "account": None, "campaign": "c-1"})).json()
    assert (body["accounts"], body["spared"]) == (["acct-0", "acct-2", "acct-3"], ["acct-1"])
    assert await authz(world) == 200
    assert (await world.http.get("/v1/never-act")).json()["entries"] == []
    answer = await world.http.delete(f"/v1/never-act/{protection_id('account', 'acct-1')}")
    assert answer.status_code == 409
    made = await protect(world)  # one of its own beside it can come and go
    assert (await world.http.delete(f"/v1/never-act/{made['id']}")).status_code == 200
    assert (await world.http.post("/v1/revocations", json=REVOKE)).status_code == 409


async def test_a_protected_account_passes_when_its_organisation_is_acted_on(world: World) -> None:
    await protect(world)
    made = await world.http.post("/v1/revocations", json={**REVOKE, "account": None, "organisation": "acme"})
    other = world.client(KEYS.by_scope["approvals:write"])
    acting = (await other.post(f"/v1/approvals/{made.json()['id']}", json={})).json()
    assert (acting["state"], acting["spared"]) == ("active", ["acct-1"])

    async def of_acme(account: str) -> int:
        headers = {"x-stillwatch-account": account, "x-stillwatch-org": "acme"}
        return (await world.client().get("/authz/v1/chat", headers=headers)).status_code

    assert [await of_acme(account) for account in ("acct-1", "acct-2")] == [200, 403]


async def test_an_entry_ends_by_itself_and_says_before_that_it_will(world: World) -> None:
    await protect(world, ttl_s=10 * 86_400)

    async def state() -> str:
        [entry] = (await world.http.get("/v1/never-act")).json()["entries"]
        return str(entry["state"])

    assert await state() == "holds"
    world.clock.advance(7 * 86_400)
    assert await state() == "ends_soon"
    world.clock.advance(3 * 86_400)
    assert await state() == "ended"
    assert (await world.http.post("/v1/revocations", json=REVOKE)).status_code == 201


async def test_what_is_in_force_stays_and_the_answer_names_it(world: World) -> None:
    revocation = (await world.http.post("/v1/revocations", json=REVOKE)).json()
    made = await protect(world)
    assert made["still_enforced"] == revocation["id"]
    assert await authz(world) == 403


async def test_without_an_owner_the_keys_owner_answers_for_it(world: World) -> None:
    assert (await protect(world, owner=""))["owner"] == "everything@example.com"


async def test_without_any_owner_the_key_answers_for_it() -> None:
    key, entry = mint("everything", SCOPES)
    world = World(keys=parse_key_ring("keys:\n" + entry))
    answer = await world.client(key).post("/v1/never-act", json={**ENTRY, "owner": ""})
    assert answer.json()["owner"] == "api-key:everything"


async def test_changes_are_audited_first_and_refused_without_an_audit_log(world: World) -> None:
    made = await protect(world)
    world.audit.down = True
    assert (await world.http.post("/v1/never-act", json={**ENTRY, "account": "acct-2"})).status_code == 503
    assert (await world.http.delete(f"/v1/never-act/{made['id']}")).status_code == 503
    assert [one.target for one in await world.hub.never_act.list()] == ["acct-1"]
    world.audit.down = False
    await world.http.delete(f"/v1/never-act/{made['id']}")
    found = [(entry.action, entry.target) for entry in await world.hub.audit.newest(5)]
    assert found == [("never_act.remove", "account acct-1"), ("never_act.add", "account acct-1")]


async def test_while_the_list_can_not_be_read_nobody_is_acted_on_and_everybody_can_be_freed(world: World) -> None:
    revocation = (await world.http.post("/v1/revocations", json=REVOKE)).json()
    world.never_act.down = True
    for target in ({"account": "acct-2"}, {"account": None, "campaign": "c-1"}):
        assert (await world.http.post("/v1/revocations", json={**REVOKE, **target})).status_code == 503
    assert (await world.http.delete(f"/v1/revocations/{revocation['id']}")).status_code == 200
    assert [await authz(world, account) for account in ("acct-1", "acct-2")] == [200, 200]


@pytest.mark.parametrize(
    "changes",
    [
        {"account": None},
        {"organisation": "acme"},
        {"reason": ""},
        {"ttl_s": 59},
        {"ttl_s": 367 * 86_400},
        {"ttl_s": None},
    ],
)
async def test_an_entry_has_one_target_a_reason_and_an_end(world: World, changes: dict[str, Any]) -> None:
    assert (await world.http.post("/v1/never-act", json={**ENTRY, **changes})).status_code == 422


async def test_an_unknown_entry_is_not_found(world: World) -> None:
    assert (await world.http.delete(f"/v1/never-act/n-{'0' * 20}")).status_code == 404


# -- undo ------------------------------------------------------------------------------------------------------------


def of_a_verdict(world: World, verdict: str, *accounts: str, campaign: str = "c-1", **changes: Any) -> Revocation:
    now_s = int(world.clock.unix_s)
    return Revocation(
        id=revocation_id("verdict", verdict), target_kind="campaign", target=campaign, accounts=accounts, action="revoke",
        reason="because", mode="enforce", dry_run=False, created_unix_s=now_s, expires_unix_s=now_s + 600, actor="policy:1/r",
        verdict=verdict, campaign=campaign, **changes,
    )  # fmt: skip


async def test_a_verdict_is_undone_as_a_whole_with_one_entry_in_the_audit_log(world: World) -> None:
    await world.revocations.put(of_a_verdict(world, "v-1a", "a", "b"))
    await world.revocations.put(of_a_verdict(world, "v-2b", "c"))
    assert [await authz(world, account) for account in "abc"] == [403, 403, 403]
    for times in range(2):
        answer = await world.http.post("/v1/undo", json={"verdict": "v-1a", "reason": "a team"})
        assert answer.status_code == 200
        assert len(answer.json()["undone"]) == 1 - times
    await world.enforcer.refresh()
    assert [await authz(world, account) for account in "abc"] == [200, 200, 403]
    [entry] = await world.hub.audit.newest(5)
    assert (entry.actor, entry.action, entry.target) == ("api-key:everything", "verdict.undo", "verdict v-1a")
    assert (entry.details["accounts"], entry.details["reason"]) == (2, "a team")


async def test_a_campaign_is_undone_with_all_its_verdicts_and_what_waits_is_rejected(world: World) -> None:
    now_s = int(world.clock.unix_s)
    await world.revocations.put(of_a_verdict(world, "v-1a", "a", "b"))
    await world.revocations.put(of_a_verdict(world, "v-2b", "b", "c", hold=Hold("too many", 2, now_s + 600)))
    await world.revocations.put(of_a_verdict(world, "v-3c", "d", campaign="c-2"))
    body = (await world.http.post("/v1/undo", json={"campaign": "c-1"})).json()
    assert sorted(one["state"] for one in body["undone"]) == ["rejected", "undone"]
    assert body["account_count"] == 3
    assert [await authz(world, account) for account in "abd"] == [200, 200, 403]
    [entry] = await world.hub.audit.newest(5)
    assert (entry.action, entry.details["verdicts"]) == ("campaign.undo", ["v-1a", "v-2b"])


async def test_undoing_a_campaign_undoes_what_was_done_under_the_names_of_those_that_became_a_part_of_it(
    world: World,
) -> None:
    world.book.put(replace(a_campaign("c-1"), absorbed=("c-2", "c-3")))
    for verdict, account, campaign in (("v-1a", "a", "c-1"), ("v-2b", "b", "c-2"), ("v-3c", "c", "c-4")):
        await world.revocations.put(of_a_verdict(world, verdict, account, campaign=campaign))
    world.campaigns.down = True
    body = (await world.http.post("/v1/undo", json={"campaign": "c-1"})).json()
    assert body["account_count"] == 1, "nobody waits for the aggregator to be freed"
    [gap] = body["incomplete"]
    assert "merged" in gap
    assert [await authz(world, account) for account in "abc"] == [200, 403, 403]
    world.campaigns.down = False
    body = (await world.http.post("/v1/undo", json={"campaign": "c-1"})).json()
    assert (body["account_count"], body["incomplete"]) == (1, [])
    assert [await authz(world, account) for account in "abc"] == [200, 200, 403]
    [entry, _] = await world.hub.audit.newest(5)
    assert (entry.action, entry.target, entry.details["verdicts"]) == ("campaign.undo", "campaign c-1", ["v-2b"])


async def test_undoing_a_part_that_was_split_off_says_under_which_name_the_rest_was_done(world: World) -> None:
    world.book.put(replace(a_campaign("c-9"), split_from=("c-1",)))
    await world.revocations.put(of_a_verdict(world, "v-1a", "a", campaign="c-1"))
    for account_count in (0, 1):
        body = (await world.http.post("/v1/undo", json={"campaign": "c-9"})).json()
        assert body["account_count"] == account_count
        assert "stands under that name" in body["incomplete"][0]
        assert "c-1" in body["incomplete"][0]
        await world.revocations.put(of_a_verdict(world, "v-9b", "b", campaign="c-9"))
    assert [await authz(world, account) for account in "ab"] == [403, 200]


async def test_what_a_person_did_to_a_campaign_is_undone_with_it(world: World) -> None:
    await world.http.post("/v1/revocations", json={**REVOKE, "account": None, "campaign": "c-1"})
    assert await authz(world) == 403
    assert (await world.http.post("/v1/undo", json={"campaign": "c-1"})).status_code == 200
    assert await authz(world) == 200


async def test_undoing_frees_everybody_also_without_an_audit_log(world: World) -> None:
    await world.revocations.put(of_a_verdict(world, "v-1a", "a"))
    world.audit.down = True
    answer = await world.http.post("/v1/undo", json={"verdict": "v-1a"})
    assert answer.status_code == 503
    assert "is undone" in answer.json()["detail"]
    assert await authz(world, "a") == 200


async def test_a_verdict_that_acted_on_nobody_is_not_found(world: World) -> None:
    assert (await world.http.post("/v1/undo", json={"verdict": "v-00"})).status_code == 404
    assert (await world.http.post("/v1/undo", json={"campaign": "c-9"})).status_code == 404
    assert (await world.http.post("/v1/undo", json={})).status_code == 422
    world.campaigns.down = True  # maybe something was done to one that became a part of it
    assert (await world.http.post("/v1/undo", json={"campaign": "c-9"})).status_code == 503


async def test_undo_needs_the_scope_of_revocations(world: World) -> None:
    answer = await world.client(KEYS.by_scope["approvals:write"]).post("/v1/undo", json={"verdict": "v-00"})
    assert answer.status_code == 403
