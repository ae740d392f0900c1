"""The OpenAPI document is complete and true, and who may do what is discovered from it."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest
from fastapi.routing import APIRoute
from http_world import KEYS, World, a_campaign, a_verdict
from stream_values import a_letter, a_revocation

from serve.keys import SCOPES
from serve.problems import _OF_ERROR, KINDS, of_stillwatch_error
from stillwatch.errors import Conflict, NotFound, NotOwner, StillwatchError, Unavailable
from stillwatch.revocation import Hold

DOCUMENT: dict[str, Any] = World().app.openapi()
OPERATIONS = [
    (method.upper(), path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]
MUTATING = {"POST", "PUT", "PATCH", "DELETE"}
# What may be asked without a key, each for a reason: probes, and the gateways' question, whose answer changes nothing.
OPEN = {"/healthz", "/readyz", "/authz/{path}"}
NAMES = [f"{method} {path}" for method, path, _ in OPERATIONS]


def concrete(path: str) -> str:
    return re.sub(r"\{[^}]+\}", "x-1", path)


def scope_of(operation: dict[str, Any]) -> str:
    [scope] = {scope for item in operation["security"] for values in item.values() for scope in values}
    return scope


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=NAMES)
async def test_every_operation_demands_a_key_unless_it_is_open_for_a_reason(
    world: World, method: str, path: str, operation: dict[str, Any]
) -> None:
    answer = await world.client().request(method, concrete(path), json={})
    if path in OPEN:
        assert method not in MUTATING
        assert answer.status_code in {200, 503}
        return
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"


def test_every_route_that_can_change_something_is_in_the_document_or_open_for_a_reason(world: World) -> None:
    documented = {(method, path) for method, path, _ in OPERATIONS}
    mutating = {
        (method, re.sub(r":path\}", "}", route.path))
        for route in _api_routes(world.app.router)
        for method in route.methods & MUTATING
    }
    assert len(mutating) >= 6
    assert {(method, path) for method, path in mutating - documented if path not in OPEN} == set()


def _api_routes(router: Any) -> list[APIRoute]:
    """Through included routers, however this FastAPI keeps them."""
    found = []
    for route in router.routes:
        inner = getattr(route, "original_router", None) or getattr(route, "router", None)
        if isinstance(route, APIRoute):
            found.append(route)
        elif inner is not None:
            found += _api_routes(inner)
    return found


GUARDED = [item for item in OPERATIONS if item[1] not in OPEN and item[1] != "/metrics"]


@pytest.mark.parametrize(("method", "path", "operation"), GUARDED, ids=[f"{m} {p}" for m, p, _ in GUARDED])
async def test_only_the_scope_that_the_document_names_opens_an_operation(
    world: World, method: str, path: str, operation: dict[str, Any]
) -> None:
    needed = scope_of(operation)
    assert f"`{needed}`" in operation["description"]
    for scope in SCOPES:
        answer = await world.client(KEYS.by_scope[scope]).request(method, concrete(path), json={})
        if scope == needed:
            assert answer.status_code not in {401, 403}
        else:
            assert answer.status_code == 403
            assert needed in answer.json()["detail"]


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
async def test_a_key_is_taken_from_either_header(world: World, header: str) -> None:
    value = f"Bearer {KEYS.everything}" if header == "authorization" else KEYS.everything
    assert (await world.client(**{header: value}).get("/v1/campaigns")).status_code == 200
    assert (await world.client(**{header: value[:-1]}).get("/v1/campaigns")).status_code == 401
    assert (await world.client(**{header: "Basic eDp5"}).get("/v1/campaigns")).status_code == 401


async def test_the_key_is_asked_for_before_a_byte_of_the_body_is_read(world: World) -> None:
    async def body() -> Any:
        yield b"{"
        raise AssertionError("the body of a stranger was read")

    assert (await world.client().post("/v1/events", content=body())).status_code == 401


async def test_every_example_in_the_document_is_accepted(world: World) -> None:
    world.book.put(a_campaign("c-1a2b"))
    await world.hub.revocations.put(a_revocation("x-1", hold=Hold("too many", 2, int(world.clock.unix_s) + 60)))
    tried = 0
    for method, path, operation in OPERATIONS:
        for content in operation.get("requestBody", {}).get("content", {}).values():
            for example in content.get("examples", {}).values():
                answer = await world.http.request(method, concrete(path), json=example["value"])
                assert answer.is_success, f"{method} {path}: {answer.text}"
                tried += 1
    assert tried >= 7


def test_every_reference_in_the_document_leads_somewhere() -> None:
    references = set(re.findall(r"#/components/schemas/([A-Za-z0-9_-]+)", str(DOCUMENT)))
    assert references
    assert references <= DOCUMENT["components"]["schemas"].keys()
    assert {"Problem", "FieldError", "EventIn", "RevocationIn"} <= DOCUMENT["components"]["schemas"].keys()


def test_every_operation_says_what_it_does_and_how_it_fails() -> None:
    for method, path, operation in OPERATIONS:
        name = f"{method} {path}"
        assert operation["summary"], name
        for status, response in operation["responses"].items():
            assert response["description"], name
            if path not in OPEN and status.startswith(("4", "5")):
                assert "application/problem+json" in response["content"], name
        if method in MUTATING - {"DELETE"}:
            assert operation["requestBody"]["content"]["application/json"]["examples"], name
        if path not in OPEN:
            assert {"401", "403"} <= operation["responses"].keys(), name


async def test_answers_fit_the_schemas_of_the_document(world: World) -> None:
    world.book.put(a_campaign())
    await world.http.post("/v1/events", json=[world.event(f"r-{n}") for n in range(30)])
    body = {"account": "acct-1", "action": "throttle", "reason": "case 7", "ttl_s": 600}
    made = (await world.http.post("/v1/revocations", json=body)).json()
    await world.hub.verdicts.publish_verdict(a_verdict("v-1", "acct-1"))
    await world.hub.dead_letters.put([a_letter(5)])
    concretely = {
        "{account}": "acct-1", "{campaign}": "c-1", "{revocation}": made["id"], "{verdict}": "v-1", "{letter}": "2.5.0",
    }  # fmt: skip
    checked = 0
    for method, path, operation in OPERATIONS:
        if method != "GET" or path in {"/metrics", "/authz/{path}"}:
            continue
        for placeholder, value in concretely.items():
            path = path.replace(placeholder, value)
        answer = await world.http.get(path)
        assert answer.status_code == 200, path
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.validate(answer.json(), {**schema, "components": DOCUMENT["components"]})
        checked += 1
    assert checked >= 9


def test_every_error_of_the_core_has_a_status() -> None:
    def every(kind: type[StillwatchError]) -> set[type[StillwatchError]]:
        return {kind}.union(*(every(child) for child in kind.__subclasses__()))

    assert every(StillwatchError) - {StillwatchError} == set(_OF_ERROR)
    assert set(_OF_ERROR.values()) <= set(KINDS)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFound("campaign", "c-1"), 404),
        (Conflict("Idempotency-Key", "used"), 409),
        (Unavailable("NATS", "away", 0.2), 503),
        (NotOwner("shard-1", 3), 503),
        (StillwatchError("new"), 500),
    ],
)
def test_an_error_of_the_core_becomes_a_problem_that_says_when_to_retry(error: StillwatchError, status: int) -> None:
    response = of_stillwatch_error(error).response("/v1/x")
    assert response.status_code == status
    assert ("retry-after" in response.headers) == (status == 503)
    if status == 503:
        assert int(response.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nope", 404), ("PATCH", "/v1/events", 405), ("GET", "/v1/events/", 404)]
)
async def test_wrong_paths_and_methods_are_problems_too(world: World, method: str, path: str, status: int) -> None:
    answer = await world.http.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["instance"] == path
    assert ("allow" in answer.headers) == (status == 405)


async def test_allow_lists_all_methods_of_a_path(world: World) -> None:
    answer = await world.http.put("/v1/revocations/r-1")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "DELETE, GET"
