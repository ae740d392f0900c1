"""Accounts, campaigns and verdicts, also when half of the cluster is away."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from http_world import World, a_campaign, a_verdict
from stream_values import a_revocation

from stillwatch.extraction import Extraction


@pytest.fixture
async def world() -> World:
    world = World()
    world.book.put(a_campaign())
    body = [world.event(f"r-{n}", "acct-1", stillwatch__org__id="acme") for n in range(3)]
    assert (await world.http.post("/v1/events", json=body)).status_code == 202
    return world


async def test_an_account_is_shown_with_its_campaign_its_revocation_and_its_verdicts(world: World) -> None:
    await world.hub.verdicts.publish_verdict(a_verdict("v-1", "acct-1", at_s=-10))
    await world.hub.verdicts.publish_verdict(a_verdict("v-2", "c-1", "campaign", ["acct-1"], at_s=-5))
    await world.hub.verdicts.publish_verdict(a_verdict("v-3", "c-1", "campaign", ["acct-2"], at_s=-1))
    body = {"account": "acct-1", "action": "throttle", "reason": "case 7", "ttl_s": 600}
    await world.http.post("/v1/revocations", json=body)
    found = (await world.http.get("/v1/accounts/acct-1")).json()
    assert found["state"]["events"] == 3
    assert found["state"]["organisation"] == "acme"
    assert found["campaign"] == "c-1"
    assert found["revocation"]["action"] == found["enforced"]["action"] == "throttle"
    assert [item["id"] for item in found["verdicts"]] == ["v-2", "v-1"]
    assert found["incomplete"] == []


async def test_an_organisations_revocation_shows_on_its_accounts(world: World) -> None:
    await world.revocations.put(a_revocation(target_kind="organisation", target="acme", accounts=()))
    found = (await world.http.get("/v1/accounts/acct-1")).json()
    assert found["revocation"]["target"] == "acme"
    assert found["enforced"]["action"] == "suspend"


async def test_while_the_kill_switch_is_off_the_record_stays_and_nothing_is_enforced(world: World) -> None:
    body = {"account": "acct-1", "action": "revoke", "reason": "case 9", "ttl_s": 600}
    await world.http.post("/v1/revocations", json=body)
    await world.http.put("/v1/control/enforcement", json={"enforcement": "off"})
    found = (await world.http.get("/v1/accounts/acct-1")).json()
    assert found["revocation"]["state"] == "active"
    assert found["enforced"] is None


async def test_an_account_nobody_knows_is_not_found(world: World) -> None:
    answer = await world.http.get("/v1/accounts/acct-unknown")
    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:stillwatch:problem:not-found"


async def test_an_account_that_was_revoked_before_its_first_event_is_known(world: World) -> None:
    body = {"account": "acct-new", "action": "revoke", "reason": "leaked list", "ttl_s": 600}
    await world.http.post("/v1/revocations", json=body)
    found = (await world.http.get("/v1/accounts/acct-new")).json()
    assert found["state"] is None
    assert found["band"] == "no_opinion"
    assert found["revocation"]["reason"] == "leaked list"


@pytest.mark.parametrize("part", ["shards", "campaigns", "revocations", "verdicts"])
@pytest.mark.parametrize("trouble", ["down", "stuck", "broken"])
async def test_what_did_not_answer_is_named_and_the_rest_is_shown(
    world: World, part: str, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.board.ANSWER_WITHIN_S", 0.05)
    setattr(getattr(world, part), trouble, True)
    answer = await world.http.get("/v1/accounts/acct-1")
    assert answer.status_code == 200
    assert answer.json()["incomplete"]
    assert "SECRET" not in answer.text
    assert (answer.json()["state"] is None) == (part == "shards")


async def test_when_nothing_answers_it_is_unavailable_and_not_unknown(world: World) -> None:
    for part in (world.shards, world.campaigns, world.revocations, world.verdicts):
        part.down = True
    answer = await world.http.get("/v1/accounts/acct-1")
    assert answer.status_code == 503
    assert "retry-after" in answer.headers


async def test_campaigns_are_listed_newest_first_without_members_and_shown_with_them(world: World) -> None:
    world.book.put(replace(a_campaign("c-2"), detected_at_unix_nano=world.clock.unix_nano()))
    listed = (await world.http.get("/v1/campaigns")).json()["campaigns"]
    assert [item["id"] for item in listed] == ["c-2", "c-1"]
    assert "members" not in listed[0]
    assert listed[0]["account_count"] == 2
    shown = (await world.http.get("/v1/campaigns/c-1")).json()
    assert [(item["account"], item["confidence"]) for item in shown["members"]] == [("acct-1", 0.99), ("acct-2", 0.5)]
    reach = {row["min_confidence"]: (row["accounts"], row["honest_at_most"]) for row in shown["reach"]}
    assert reach == {0.2: (2, 1.0), 0.5: (2, 1.0), 0.9: (1, 0.0), 0.99: (1, 0.0), 0.998: (0, 0.0)}
    assert shown["signals"][0]["normal"] == [0.8, 1.2]
    assert shown["growth"][-1][1] == 2
    assert (shown["requests"], shown["tokens"]) == (600, 180_000)
    assert len((await world.http.get("/v1/campaigns/c-1?members=1")).json()["members"]) == 1
    assert len((await world.http.get("/v1/campaigns?limit=1")).json()["campaigns"]) == 1


async def test_a_campaign_says_how_much_it_took_and_what_happened_to_it(world: World) -> None:
    taken = Extraction(
        requests=900, tokens=10**6, requests_last_day=40, tokens_last_day=5_000, asked=600,
        capabilities=(("code", 60), ("math", 300)), topics_covered=0.8, completeness=0.99, conversations=400,
    )  # fmt: skip
    history = ((1_790_000_000, "found", "under signup=x"), (1_790_300_000, "asleep", "none of 2 members has sent"))
    world.book.put(replace(a_campaign("c-2"), extraction=taken, state="asleep", history=history, absorbed=("c-0",)))
    shown = (await world.http.get("/v1/campaigns/c-2")).json()
    assert shown["extraction"]["capabilities"] == [
        {"name": "math", "requests": 300, "share": 0.5}, {"name": "code", "requests": 60, "share": 0.1},
    ]  # fmt: skip
    assert (shown["extraction"]["requests"], shown["extraction"]["requests_last_day"]) == (900, 40)
    assert (shown["extraction"]["topics_covered"], shown["extraction"]["completeness"]) == (0.8, 0.99)
    assert "coarse cells" in shown["extraction"]["limits"]
    assert [tuple(row) for row in shown["history"]] == list(history)
    assert (shown["state"], shown["absorbed"], shown["merged_into"]) == ("asleep", ["c-0"], None)


async def test_a_campaign_of_an_older_version_has_no_meter_and_is_shown(world: World) -> None:
    shown = (await world.http.get("/v1/campaigns/c-1")).json()
    assert (shown["extraction"], shown["history"], shown["state"]) == (None, [], "awake")


async def test_a_campaign_that_was_merged_says_into_which_and_covers_nobody(world: World) -> None:
    world.book.put(replace(a_campaign("c-2"), state="merged", merged_into="c-1", members=()))
    listed = (await world.http.get("/v1/campaigns")).json()["campaigns"]
    assert {item["id"]: item["merged_into"] for item in listed} == {"c-1": None, "c-2": "c-1"}
    answer = await world.http.post("/v1/labels", json={"campaign": "c-2", "kind": "attack"})
    assert answer.status_code == 422


async def test_evidence_beyond_measure_is_null_and_the_answer_stays_json(world: World) -> None:
    world.book.put(replace(a_campaign("c-2"), e_value=math.inf))
    answer = await world.http.get("/v1/campaigns/c-2")
    assert answer.json()["e_value"] is None
    assert "Infinity" not in answer.text


async def test_an_unknown_campaign_is_not_found_and_a_lost_aggregator_is_not(world: World) -> None:
    assert (await world.http.get("/v1/campaigns/c-9")).status_code == 404
    world.campaigns.down = True
    assert (await world.http.get("/v1/campaigns/c-9")).status_code == 503
    assert (await world.http.get("/v1/campaigns")).status_code == 503


async def test_verdicts_are_found_by_subject(world: World) -> None:
    await world.hub.verdicts.publish_verdict(a_verdict("v-1", "acct-1"))
    await world.hub.verdicts.publish_verdict(a_verdict("v-2", "c-1", "campaign", ["acct-1"]))
    every = (await world.http.get("/v1/verdicts")).json()["verdicts"]
    assert [item["id"] for item in every] == ["v-2", "v-1"]
    of_one = (await world.http.get("/v1/verdicts?subject=acct-1")).json()["verdicts"]
    assert [item["id"] for item in of_one] == ["v-1"]
    assert (await world.http.get("/v1/verdicts?subject=*")).status_code == 422
