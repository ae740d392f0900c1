"""POST /v1/events and /v1/score."""

from __future__ import annotations

import msgpack
import pytest
from http_world import KEYS, World

from stillwatch.fingerprint import event_fingerprint, fingerprint
from stillwatch.settings import ServeSettings
from stillwatch.wire import decode_message

PROMPT = "Translate the SECRET sentence into French"


@pytest.fixture
def world() -> World:
    return World()


async def stored(world: World) -> list[bytes]:
    """Everything the stream holds."""
    out = []
    for partition in range(4):
        feed = await world.hub.events.open(partition, 0)
        out += [message.payload for message in await feed.fetch(1_000, 0.0)]
    return out


async def test_an_event_is_in_the_stream_when_it_is_accepted(world: World) -> None:
    answer = await world.http.post("/v1/events", json=world.event("r-1"))
    assert answer.status_code == 202
    assert answer.json() == {"accepted": 1, "duplicates": 0, "rejected": []}
    [payload] = await stored(world)
    assert decode_message(payload)[0].id == "r-1"


async def test_a_duplicate_is_counted_and_not_accepted_again(world: World) -> None:
    await world.http.post("/v1/events", json=world.event("r-1"))
    answer = await world.http.post("/v1/events", json=[world.event("r-1"), world.event("r-2")])
    assert answer.json() == {"accepted": 1, "duplicates": 1, "rejected": []}


async def test_of_a_mixed_list_the_valid_are_published_and_the_others_named(world: World) -> None:
    bad = world.event("r-2", gen_ai__usage__input_tokens="many")
    answer = await world.http.post("/v1/events", json=[world.event("r-1"), bad, {"v": 2}, world.event("r-3")])
    assert answer.status_code == 202
    body = answer.json()
    assert body["accepted"] == 2
    assert [(item["index"], item["reason"], item["field"]) for item in body["rejected"]] == [
        (1, "wrong_type", "attributes.gen_ai.usage.input_tokens"),
        (2, "unknown_version", "v"),
    ]
    assert len(await stored(world)) == 2


async def test_when_nothing_is_valid_it_is_a_problem_that_names_the_fields(world: World) -> None:
    answer = await world.http.post("/v1/events", json={**world.event(), "account": "not a token"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["field"] == "account"
    assert await stored(world) == []


async def test_msgpack_is_read_as_well_as_json(world: World) -> None:
    event = world.event("r-1") | {"trace_id": b"\x01" * 16, "span_id": b"\x02" * 8}
    raw = msgpack.packb([event, world.event("r-2")])
    answer = await world.http.post("/v1/events", content=raw, headers={"content-type": "application/msgpack"})
    assert answer.json()["accepted"] == 2
    assert {decode_message(payload)[0].trace_id for payload in await stored(world)} == {b"\x01" * 16, None}


async def test_the_text_of_a_prompt_becomes_a_fingerprint_before_the_stream_and_is_never_sent_back(
    world: World,
) -> None:
    texts = {"stillwatch.prompt.text": PROMPT, "stillwatch.system.text": "SECRET system"}
    good = {**world.event("r-1"), "attributes": texts}
    bad = {**world.event("r-2"), "attributes": texts | {"gen_ai.usage.input_tokens": PROMPT}}
    answer = await world.http.post("/v1/events", json=[good, bad])
    assert answer.json()["accepted"] == 1
    [payload] = await stored(world)
    assert b"SECRET" not in payload
    event = decode_message(payload)[0]
    assert event_fingerprint(event) == fingerprint(PROMPT, "SECRET system")
    assert "SECRET" not in answer.text


async def test_a_fingerprint_made_at_the_edge_is_kept_as_it_is(world: World) -> None:
    await world.http.post(
        "/v1/events", json=world.event("r-1", stillwatch__fp__version="other", stillwatch__fp__data="7")
    )
    [payload] = await stored(world)
    assert decode_message(payload)[0].attributes["stillwatch.fp.data"] == "7"


async def test_the_trace_of_the_caller_travels_with_the_events(world: World) -> None:
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    await world.http.post("/v1/events", json=world.event("r-1"), headers={"traceparent": trace})
    await world.http.post("/v1/events", json=world.event("r-2"), headers={"traceparent": "00-zz\t-1"})
    found = []
    for partition in range(4):
        feed = await world.hub.events.open(partition, 0)
        found += [message.traceparent for message in await feed.fetch(10, 0.0)]
    assert found == [trace, None]


async def test_an_event_from_the_future_is_rejected(world: World) -> None:
    late = world.event() | {"time_unix_nano": world.clock.unix_nano() + 2 * 86_400 * 10**9}
    answer = await world.http.post("/v1/events", json=late)
    assert answer.json()["errors"][0]["reason"] == "time_in_future"


async def test_one_event_too_large_for_a_message_does_not_fail_the_others(world: World) -> None:
    texts = ("stillwatch.account.tier", "stillwatch.account.payment", "stillwatch.account.signup", "error.type",
             "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model", "client.address")  # fmt: skip
    huge = {**world.event("r-2"), "attributes": {name: "\u4e00" * 60_000 for name in texts}}
    answer = await world.http.post("/v1/events", json=[world.event("r-1"), huge])
    assert answer.json()["accepted"] == 1
    assert answer.json()["rejected"][0]["reason"] == "oversize"


async def test_more_events_than_the_limit_are_refused_whole() -> None:
    world = World(ServeSettings(max_events_per_request=2))
    answer = await world.http.post("/v1/events", json=[world.event(f"r-{n}") for n in range(3)])
    assert answer.status_code == 413
    assert "at most 2" in answer.json()["detail"]
    assert await stored(world) == []


async def test_an_empty_list_is_a_mistake(world: World) -> None:
    assert (await world.http.post("/v1/events", json=[])).status_code == 422


async def test_while_the_stream_is_away_the_caller_is_told_when_to_come_back(world: World) -> None:
    world.events.down = True
    answer = await world.http.post("/v1/events", json=world.event())
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "3"
    assert answer.json()["type"] == "urn:stillwatch:problem:unavailable"


async def test_a_score_names_its_signals_and_teaches_nothing(world: World) -> None:
    for number in range(30):
        await world.http.post(
            "/v1/events", json=world.event(f"r-{number}", stillwatch__prompt__text=f"{PROMPT} {number}")
        )
    first = (await world.http.post("/v1/score", json=world.event("r-99"))).json()
    again = (await world.http.post("/v1/score", json=world.event("r-99"))).json()
    assert first == again
    assert first["events"] == 31
    assert {"score", "band", "action", "campaign", "as_of"} <= first.keys()
    assert all({"name", "value", "normal", "surprise", "sentence"} == item.keys() for item in first["signals"])
    assert first["signals"]
    assert first["as_of"].endswith("Z")


async def test_no_opinion_yet_is_null_and_not_zero(world: World) -> None:
    answer = (await world.http.post("/v1/score", json=world.event())).json()
    assert answer["score"] is None
    assert answer["band"] == "no_opinion"


async def test_record_publishes_the_scored_event(world: World) -> None:
    answer = await world.http.post("/v1/score?record=true", json=world.event("r-1"))
    assert answer.json()["recorded"] is True
    assert len(await stored(world)) == 1


async def test_record_needs_the_right_to_write_events(world: World) -> None:
    reader = world.client(KEYS.by_scope["scores:read"])
    assert (await reader.post("/v1/score", json=world.event())).status_code == 200
    answer = await reader.post("/v1/score?record=true", json=world.event())
    assert answer.status_code == 403
    assert "events:write" in answer.json()["detail"]
    assert await stored(world) == []


async def test_a_list_can_not_be_scored(world: World) -> None:
    answer = await world.http.post("/v1/score", json=[world.event()])
    assert answer.status_code == 422
    assert "not a list" in answer.json()["detail"]


async def test_a_score_without_the_aggregator_says_that_it_is_incomplete(world: World) -> None:
    world.campaigns.down = True
    answer = await world.http.post("/v1/score", json=world.event())
    assert answer.status_code == 200
    assert "campaigns" in answer.json()["incomplete"][0]
