"""Health, readiness, metrics, status and the console's page."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import httpx
import pytest
from http_world import KEYS, World, a_campaign, on_loopback
from prometheus_client.parser import text_string_to_metric_families

from stillwatch.names import COUNTERS, GAUGES
from stillwatch.settings import ServeSettings

CONSOLE = Path("console")
SCRIPTS = {file.name: file.read_text() for file in CONSOLE.glob("*.js")}


@pytest.fixture
def world() -> World:
    return World()


async def metrics(world: World) -> dict[str, list[tuple[dict[str, str], float]]]:
    families = text_string_to_metric_families((await world.http.get("/metrics")).text)
    out: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in families:
        for sample in family.samples:
            out.setdefault(sample.name, []).append((sample.labels, sample.value))
    return out


async def test_alive_says_nothing_about_others(world: World) -> None:
    for part in (world.shards, world.campaigns, world.control, world.revocations):
        part.stuck = True
    assert (await world.client().get("/healthz")).json() == {"status": "ok"}


async def test_ready_when_every_partition_has_an_owner_and_the_enforcer_is_loaded(world: World) -> None:
    answer = await world.client().get("/readyz")
    assert (answer.status_code, answer.json()["not_ready"]) == (200, [])


@pytest.mark.parametrize("trouble", ["unowned", "down", "stuck", "broken", "enforcer"])
async def test_not_ready_lists_why_and_recovers(world: World, trouble: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve.board.ANSWER_WITHIN_S", 0.05)
    if trouble == "unowned":
        world.local_shards.unowned = {1, 3}
    elif trouble == "enforcer":
        world.enforcer.loaded = False
    else:
        setattr(world.shards, trouble, True)
    answer = await world.client().get("/readyz")
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    why = {"unowned": "2 of 4 partitions have no owner: 1, 3", "enforcer": "has not read"}.get(
        trouble, "did not answer"
    )
    assert any(why in reason for reason in answer.json()["not_ready"])
    world.local_shards.unowned, world.enforcer.loaded = set(), True
    world.shards.down = world.shards.stuck = world.shards.broken = False
    world.clock.advance(2)
    assert (await world.client().get("/readyz")).status_code == 200


async def test_an_aggregator_that_does_not_lead_where_no_other_does_makes_it_not_ready(world: World) -> None:
    world.book.not_leading = "the fence refused it"
    answer = await world.client().get("/readyz")
    assert (answer.status_code, answer.json()["not_ready"]) == (
        503, ["nobody leads: the aggregator does not, because the fence refused it"],
    )  # fmt: skip
    world.book.not_leading = ""
    world.clock.advance(2)
    assert (await world.client().get("/readyz")).status_code == 200


async def test_what_keeps_decisions_waiting_is_told_and_gateways_are_served_on(world: World) -> None:
    world.book.waits_because = "the never-act list is not available"
    answer = await world.client().get("/readyz")
    told = "the aggregator decides nothing more for now: the never-act list is not available"
    assert (answer.status_code, answer.json()["problems"]) == (200, [told])


async def test_many_readers_cost_one_question_a_second(world: World) -> None:
    asked = 0
    status = world.local_shards.status

    async def counted() -> object:
        nonlocal asked
        asked += 1
        return await status()

    world.local_shards.status = counted  # type: ignore[assignment,method-assign]
    await asyncio.gather(*(world.client().get("/readyz") for _ in range(50)))
    assert asked == 1
    world.clock.advance(1.5)
    await world.http.get("/v1/status")
    assert asked == 2


async def test_every_metric_has_a_name_from_the_list(world: World) -> None:
    await world.http.post("/v1/events", json=[world.event(), {"v": 2}])
    await world.client().get("/authz/x")
    found = await metrics(world)
    assert set(found) <= {*COUNTERS, *GAUGES}
    assert set(GAUGES) <= set(found)
    assert set(COUNTERS) <= set(found)


async def test_metrics_tell_what_was_taken_and_what_was_refused(world: World) -> None:
    await world.http.post("/v1/events", json=[world.event("r-1"), world.event("r-2", "acct-2"), {"v": 2}])
    found = await metrics(world)
    assert sum(value for _, value in found["stillwatch_events_total"]) == 2
    assert [(labels["reason"], value) for labels, value in found["stillwatch_http_rejected_events_total"]] == [
        ("unknown_version", 1)
    ]
    assert found["stillwatch_ready"] == [({}, 1.0)]


async def test_no_metric_has_an_account_in_it(world: World) -> None:
    await world.http.post("/v1/events", json=world.event(account="acct-visible"))
    await world.http.get("/v1/accounts/acct-visible")
    await world.http.get("/acct-visible")
    text = (await world.http.get("/metrics")).text
    assert "acct-visible" not in text
    assert 'route="/v1/accounts/{account}"' in text
    assert 'route="(none)",status="404"' in text


async def test_what_did_not_answer_has_no_series_rather_than_zero(world: World) -> None:
    world.shards.down = True
    found = await metrics(world)
    assert "stillwatch_events_total" not in found
    assert found["stillwatch_ready"] == [({}, 0.0)]


async def test_metrics_can_be_opened_by_a_setting(world: World) -> None:
    assert (await world.client().get("/metrics")).status_code == 401
    assert (await world.client(KEYS.by_scope["scores:read"]).get("/metrics")).status_code == 403
    assert (await world.client(KEYS.by_scope["metrics:read"]).get("/metrics")).status_code == 200
    assert (await World(ServeSettings(open_metrics=True)).client().get("/metrics")).status_code == 200


async def test_the_status_answers_when_nothing_else_does(world: World) -> None:
    for part in (world.shards, world.campaigns, world.control, world.revocations, world.verdicts, world.events):
        part.down = True
    answer = await world.http.get("/v1/status")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["ready"], body["enforcement"], body["shards"], body["aggregator"]) == (False, None, None, None)
    assert len(body["problems"]) == 3


async def test_the_status_adds_up(world: World) -> None:
    world.book.put(a_campaign())
    await world.http.post("/v1/events", json=[world.event(f"r-{n}", f"acct-{n}") for n in range(10)])
    body = (await world.http.get("/v1/status")).json()
    assert (body["events"], body["accounts"], body["partitions_owned"], body["partitions"]) == (10, 10, 4, 4)
    assert (body["mode"], body["enforcement"], body["ready"]) == ("shadow", "on", True)
    assert body["aggregator"]["campaigns"] == 1


async def test_the_page_loads_only_from_here_and_runs_only_its_own_script(world: World) -> None:
    page = await world.client().get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    linked = re.findall(r'(?:src|href)="([^"#]+)"', page.text)
    assert linked
    for path in linked:
        answer = await world.client().get(f"/{path}")
        assert answer.status_code == 200, path
        assert answer.headers["x-content-type-options"] == "nosniff"
        kind = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}[path.rpartition(".")[2]]
        assert answer.headers["content-type"].startswith(kind)


async def test_every_module_that_the_page_imports_is_served(world: World) -> None:
    for script in SCRIPTS.values():
        for name in re.findall(r"from '\./([^']+)'", script):
            assert (await world.client().get(f"/console/{name}")).status_code == 200


def test_the_page_makes_no_markup_from_data_and_names_no_other_host() -> None:
    files = sorted(CONSOLE.iterdir())
    assert len(files) >= 7
    for file in files:
        text = file.read_text()
        for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
            assert forbidden not in text, f"{forbidden} in {file.name}"
        hosts = set(re.findall(r"https?://([^/'\"\s]+)", text))
        assert hosts <= {"www.w3.org"}, f"{hosts} in {file.name}"  # the SVG namespace, which nobody fetches
        assert not re.search(r"<[^>]+\son\w+=", text), f"an inline handler in {file.name}"


def test_every_path_that_the_page_asks_is_a_path_of_the_api(world: World) -> None:
    paths = world.app.openapi()["paths"]
    text = "".join(SCRIPTS.values())
    asked = {f"/{path}" for path in re.findall(r"ask\(['`]([^'`?]+)", text)}
    assert len(asked) >= 6
    for path in asked:
        pattern = re.sub(r"\$\{[^}]+\}\)?\}?", "{}", path)
        assert any(re.sub(r"\{[^}]+\}", "{}", known) == pattern for known in paths), path


async def test_files_outside_the_console_are_not_served(world: World) -> None:
    for path in ("/console/../pyproject.toml", "/console/%2e%2e/pyproject.toml", "/console/", "/console/index.html"):
        assert (await world.client().get(path)).status_code == 404


async def test_a_request_that_takes_too_long_is_ended_with_a_problem() -> None:
    world = World(deadline_s=0.05)
    world.events.stuck = True
    answer = await world.http.post("/v1/events", json=world.event())
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:stillwatch:problem:unavailable"
    assert answer.headers["retry-after"]


async def test_a_bug_is_a_problem_with_a_reference_and_without_what_was_sent(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.events.broken = True
    answer = await world.http.post("/v1/events", json=world.event())
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    reference = answer.json()["detail"].rsplit(" ", 1)[1]
    assert reference in caplog.text
    assert "RuntimeError" in caplog.text
    assert "SECRET" not in answer.text + caplog.text
    assert "Traceback" not in answer.text


async def test_the_ports_are_closed_once_when_the_server_stops(world: World) -> None:
    async with on_loopback(world.app) as url, httpx.AsyncClient() as http:
        assert (await http.get(f"{url}/healthz")).status_code == 200
        assert world.closed == 0
    assert world.closed == 1
