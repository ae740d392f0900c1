"""Indicators over HTTP: given out, taken in, removed; who may, and what becomes of a hostile body."""

from __future__ import annotations

import json
from typing import Any

import pytest
from http_world import KEYS, World, a_campaign
from indicator_values import an_indicator

from stillwatch.indicators import MAX_DOCUMENT_BYTES, Indicator, read


@pytest.fixture
def world() -> World:
    return World()


async def test_a_campaign_is_given_out_as_a_document_that_another_platform_reads(world: World) -> None:
    world.book.put(a_campaign())
    answer = await world.http.get("/v1/campaigns/c-1/indicator")
    assert answer.status_code == 200
    found = read(answer.json())
    assert isinstance(found, Indicator)
    taken = await world.http.post("/v1/indicators", json=answer.json())
    assert taken.status_code == 201


async def test_a_campaign_of_too_few_is_not_given_out_and_the_answer_says_why(world: World) -> None:
    world.book.put(a_campaign("c-2", [("acct-1", 0.99)]))
    answer = await world.http.get("/v1/campaigns/c-2/indicator")
    assert answer.status_code == 422
    assert "wait for more" in answer.json()["detail"]
    assert (await world.http.get("/v1/campaigns/c-none/indicator")).status_code == 404


async def test_an_indicator_is_taken_in_listed_and_removed_and_each_is_on_record(world: World) -> None:
    made = await world.http.post("/v1/indicators", json=an_indicator().document())
    assert made.status_code == 201, made.text
    body = made.json()
    assert made.headers["location"] == f"/v1/indicators/{body['id']}"
    assert (body["signed_with"], body["issuer"], body["by"]) == (None, "first.example", "api-key:everything")
    assert [one["id"] for one in (await world.http.get("/v1/indicators")).json()["indicators"]] == [body["id"]]
    gone = await world.http.delete(f"/v1/indicators/{body['id']}")
    assert gone.json() == {"removed": body["id"]}
    assert (await world.http.get("/v1/indicators")).json() == {"indicators": []}
    assert (await world.http.delete(f"/v1/indicators/{body['id']}")).status_code == 404
    actions = [(entry.action, entry.actor) for entry in await world.hub.audit.newest(10)]
    assert actions == [("indicator.remove", "api-key:everything"), ("indicator.import", "api-key:everything")]


async def test_reading_campaigns_is_enough_to_look_and_not_to_change(world: World) -> None:
    reader = world.client(KEYS.by_scope["campaigns:read"])
    assert (await reader.get("/v1/indicators")).status_code == 200
    assert (await reader.post("/v1/indicators", json=an_indicator().document())).status_code == 403
    assert (await reader.delete("/v1/indicators/i-1")).status_code == 403


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"accounts": 3}, "accounts"),
        ({"mixture": "SECRET PROMPT"}, "mixture"),
        ({"values": {"payment": ["ab" * 16]}}, "values"),
        ({"last_seen_unix_s": 1_700_000_000, "first_seen_unix_s": 0}, "last_seen_unix_s"),
        ({"key": "alliance", "signature": "0" * 64}, "key"),
        ({"accounts_list": ["acct-1"]}, ""),
    ],
)
async def test_a_wrong_document_is_refused_with_the_field_and_without_a_quotation(
    world: World, changes: dict[str, Any], field: str
) -> None:
    answer = await world.http.post("/v1/indicators", json={**an_indicator().document(), **changes})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert "SECRET" not in answer.text
    assert (await world.http.get("/v1/indicators")).json() == {"indicators": []}


async def test_bodies_that_are_no_document_are_refused_before_they_are_looked_at(world: World) -> None:
    headers = {"content-type": "application/json"}
    twice = json.dumps(an_indicator().document())[:-1] + ', "accounts": 90}'
    for content, status in (
        (b"", 400), (b"{", 400), (twice.encode(), 400), (b"[" * 10_000, 400), (b'{"a": NaN}', 400), (b"null", 422),
        (b" " * (MAX_DOCUMENT_BYTES + 1), 413),
    ):  # fmt: skip
        answer = await world.http.post("/v1/indicators", content=content, headers=headers)
        assert answer.status_code == status, content[:20]
    packed = await world.http.post("/v1/indicators", content=b"\x80", headers={"content-type": "application/msgpack"})
    assert packed.status_code == 415


async def test_an_audit_log_that_is_down_lets_no_indicator_in_and_keeps_none_in(world: World) -> None:
    made = (await world.http.post("/v1/indicators", json=an_indicator().document())).json()
    world.book.audit.down = True
    assert (await world.http.post("/v1/indicators", json=an_indicator("x-2").document())).status_code == 503
    assert [one["id"] for one in (await world.http.get("/v1/indicators")).json()["indicators"]] == [made["id"]]
    removed = await world.http.delete(f"/v1/indicators/{made['id']}")
    assert removed.status_code == 503
    assert "only the record is missing" in removed.json()["detail"]
    assert (await world.http.get("/v1/indicators")).json() == {"indicators": []}
    assert await world.hub.indicators.list() == []


async def test_an_aggregator_that_does_not_answer_is_a_503_that_says_when_to_retry(world: World) -> None:
    world.campaigns.down = True
    for method, path in (("GET", "/v1/indicators"), ("POST", "/v1/indicators"), ("GET", "/v1/campaigns/c-1/indicator")):
        answer = await world.http.request(method, path, json=an_indicator().document() if method == "POST" else None)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
