"""Dead letters over HTTP: listed, shown with their bytes, replayed once, and only to whom may."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import msgpack
import pytest
from factories import account_in
from http_world import KEYS, PARTITIONS, World

from stillwatch.event import Rejected
from stillwatch.ports import DeadLetter
from stillwatch.subjects import envelope_subject
from stillwatch.wire import encode_event, parse_event

BROKEN = Rejected("undecodable", "", "not msgpack: FormatError")
SENT_WRONG = Rejected("partition_mismatch", "account", "its account is not in partition 1")


@pytest.fixture
def world() -> World:
    return World()


def a_misplaced_letter(world: World, sequence: int = 7, **attributes: object) -> DeadLetter:
    """What a publisher that hashes wrongly leaves behind."""
    account = account_in(2, PARTITIONS)
    event = parse_event(world.event(f"r-{sequence}", account, **attributes))
    assert not isinstance(event, Rejected)
    return DeadLetter(1, sequence, 0, envelope_subject(1), encode_event(event), SENT_WRONG)


async def replay(world: World, *ids: str) -> list[dict[str, Any]]:
    answer = await world.http.post("/v1/deadletters/replay", json={"ids": list(ids)})
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


async def events_in_state(world: World) -> int:
    world.clock.advance(2)
    return int((await world.http.get("/v1/status")).json()["events"])


async def test_letters_are_listed_without_and_shown_with_their_bytes(world: World) -> None:
    await world.hub.dead_letters.put([DeadLetter(0, 3, 1, "stillwatch.partition.0.a", b"\xc1SECRET", BROKEN)])
    listed = (await world.http.get("/v1/deadletters")).json()
    assert (listed["count"], listed["letters"][0]["id"], listed["letters"][0]["reason"]) == (1, "0.3.1", "undecodable")
    assert "SECRET" not in str(listed)
    shown = (await world.http.get("/v1/deadletters/0.3.1")).json()
    assert base64.b64decode(shown["payload_base64"]) == b"\xc1SECRET"
    assert (await world.http.get("/v1/deadletters/0.3.2")).status_code == 404


async def test_letters_can_be_listed_by_reason(world: World) -> None:
    await world.hub.dead_letters.put([DeadLetter(0, 1, 0, "s", b"x", BROKEN), a_misplaced_letter(world)])
    found = (await world.http.get("/v1/deadletters", params={"reason": "partition_mismatch"})).json()
    assert [letter["id"] for letter in found["letters"]] == ["1.7.0"]
    assert (await world.http.get("/v1/deadletters", params={"reason": "nonsense"})).status_code == 422


async def test_a_replay_counts_once_however_often_it_is_asked_for(world: World) -> None:
    letter = a_misplaced_letter(world)
    await world.hub.dead_letters.put([letter])
    assert [one["result"] for one in await replay(world, letter.id)] == ["published"]
    assert [one["result"] for one in await replay(world, letter.id)] == ["replayed before"]
    assert await events_in_state(world) == 1
    (listed,) = (await world.http.get("/v1/deadletters")).json()["letters"]
    assert listed["replayed"] is not None
    assert listed["replayed_by"] == "api-key:everything"


async def test_a_replayed_letter_is_not_written_anew_when_a_shard_reads_the_stream_again(world: World) -> None:
    letter = a_misplaced_letter(world)
    await world.hub.dead_letters.put([letter])
    await replay(world, letter.id)
    await world.hub.dead_letters.put([letter])
    assert [one["result"] for one in await replay(world, letter.id)] == ["replayed before"]


async def test_what_is_still_wrong_stays_and_says_why(world: World) -> None:
    account = account_in(0, PARTITIONS)
    spoofed = DeadLetter(
        0, 2, 0, f"stillwatch.partition.0.{account}", a_misplaced_letter(world).payload,
        Rejected("account_mismatch", "account", "x"),
    )  # fmt: skip
    cut = replace(a_misplaced_letter(world, 9), truncated_from=2_000_000)
    await world.hub.dead_letters.put([DeadLetter(0, 1, 0, "s", b"\xc1", BROKEN), spoofed, cut])
    results = await replay(world, "0.1.0", "0.2.0", "1.9.0", "3.99.0")
    assert [(one["result"], one["reason"]) for one in results] == [
        ("still rejected", "undecodable"), ("still rejected", "account_mismatch"), ("still rejected", "oversize"),
        ("not found", None),
    ]  # fmt: skip
    assert await events_in_state(world) == 0


async def test_the_text_of_a_replayed_event_does_not_reach_the_stream(world: World) -> None:
    letter = a_misplaced_letter(world, stillwatch__prompt__text="xyzzy canary")
    await world.hub.dead_letters.put([letter])
    await replay(world, letter.id)
    feed = await world.hub.events.open(2, 0)
    (message,) = await feed.fetch(5, 1.0)
    assert b"xyzzy" not in message.payload
    assert "stillwatch.fp.data" in msgpack.unpackb(message.payload)["attributes"]


async def test_a_replay_is_on_record_first_and_refused_when_that_fails(world: World) -> None:
    letter = a_misplaced_letter(world)
    await world.hub.dead_letters.put([letter])
    world.audit.down = True
    answer = await world.http.post("/v1/deadletters/replay", json={"ids": [letter.id]})
    assert answer.status_code == 503
    assert await events_in_state(world) == 0
    world.audit.down = False
    await replay(world, letter.id)
    (entry,) = await world.hub.audit.newest(5)
    assert (entry.actor, entry.action, entry.target) == ("api-key:everything", "deadletter.replay", letter.id)


async def test_reading_and_replaying_need_scopes_of_their_own(world: World) -> None:
    reader, others = world.client(KEYS.by_scope["deadletters:read"]), world.client(KEYS.by_scope["campaigns:read"])
    assert (await reader.get("/v1/deadletters")).status_code == 200
    assert (await reader.post("/v1/deadletters/replay", json={"ids": ["0.1.0"]})).status_code == 403
    assert (await others.get("/v1/deadletters")).status_code == 403
