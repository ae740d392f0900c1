"""Under load the API turns away questions first, events next, and never what acts or undoes."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx
import pytest
from http_world import World

from stillwatch.settings import ServeSettings

PLACES = 8  # of which questions may take two and events four


@pytest.fixture
def world() -> World:
    return World(ServeSettings(max_ongoing_requests=PLACES))


async def busy(world: World, count: int, path: str) -> list[asyncio.Task[httpx.Response]]:
    """So many requests that hang in the middle of their work."""
    tasks = [asyncio.create_task(world.http.post(path, json=world.event(f"busy-{n}"))) for n in range(count)]
    for _ in range(20):
        await asyncio.sleep(0)
    return tasks


async def end(tasks: list[asyncio.Task[httpx.Response]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_questions_are_turned_away_first_and_told_when_to_ask_again(world: World) -> None:
    world.shards.stuck = True
    hanging = await busy(world, 2, "/v1/score")
    refused = await world.http.post("/v1/score", json=world.event())
    assert (refused.status_code, refused.json()["type"]) == (503, "urn:stillwatch:problem:overloaded")
    assert refused.headers["retry-after"] == "1"
    assert (await world.http.post("/v1/events", json=world.event())).status_code == 202
    await end(hanging)
    world.shards.stuck = False
    assert (await world.http.post("/v1/score", json=world.event())).status_code == 200


async def test_full_of_questions_and_events_it_still_revokes_undoes_and_switches_off(world: World) -> None:
    world.shards.stuck = world.events.stuck = True
    hanging = await busy(world, 2, "/v1/score") + await busy(world, 4, "/v1/events")
    assert (await world.http.post("/v1/events", json=world.event())).status_code == 503
    body = {"account": "acct-1", "action": "revoke", "reason": "case 7", "ttl_s": 600}
    made = await world.http.post("/v1/revocations", json=body)
    assert made.status_code == 201
    assert (await world.http.delete(f"/v1/revocations/{made.json()['id']}")).status_code == 200
    assert (await world.http.put("/v1/control/enforcement", json={"enforcement": "off"})).status_code == 200
    assert (await world.client().get("/authz/x", headers={"x-stillwatch-account": "acct-1"})).status_code == 200
    assert (await world.hub.audit.newest(1))[0].action == "enforcement.off"
    await end(hanging)


async def test_what_was_turned_away_stands_in_status_and_metrics(world: World) -> None:
    world.events.stuck = True
    hanging = await busy(world, 4, "/v1/events")
    await world.http.post("/v1/events", json=world.event())
    assert (await world.http.get("/v1/status")).json()["shed"] == 1
    assert 'stillwatch_shed_requests_total{kind="events"' in (await world.http.get("/metrics")).text
    await end(hanging)


async def test_a_partition_that_gets_nothing_and_an_enforcer_that_hears_nothing_make_it_not_ready(world: World) -> None:
    status = world.local_shards.status

    async def stuck() -> object:
        found = await status()
        first = found[0]
        partitions = (replace(first.partitions[0], problem="12 messages wait", lag_s=7.0), *first.partitions[1:])
        return [replace(first, partitions=partitions, problems=("partition 9: no stream",)), *found[1:]]

    world.local_shards.status = stuck  # type: ignore[assignment,method-assign]
    world.enforcer.silent_s = 60.0
    reasons = (await world.client().get("/readyz")).json()["not_ready"]
    assert reasons == [
        "partition 9: no stream", "partition 0: 12 messages wait",
        "the enforcer has heard nothing of the revocations for 60 s",
    ]  # fmt: skip
    assert (await world.http.get("/v1/status")).json()["lag_s"] == 7.0
