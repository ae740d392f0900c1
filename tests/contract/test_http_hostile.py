"""What nobody should send: it gets a clean 4xx that quotes none of it, and the server goes on."""

from __future__ import annotations

import asyncio
import json
import random
import socket
from typing import Any

import httpx
import msgpack
import pytest
from http_world import KEYS, World, on_loopback
from hypothesis import given, settings
from hypothesis import strategies as st

from stillwatch.settings import ServeSettings

JSON = {"content-type": "application/json"}
MSGPACK = {"content-type": "application/msgpack"}
SECRET = "SECRET-PROMPT"
BODIES = ["/v1/events", "/v1/score", "/v1/revocations", "/v1/labels"]


@pytest.fixture
def world() -> World:
    return World()


def problem(answer: httpx.Response) -> dict[str, Any]:
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "instance"} <= body.keys()
    assert body["status"] == answer.status_code
    assert SECRET not in answer.text
    return body


UNREADABLE = {
    "nothing": b"",
    "half": b'{"a": "' + SECRET.encode(),
    "not UTF-8": b'{"a": "\xff\xfe' + SECRET.encode() + b'"}',
    "UTF-16": f'{{"a": "{SECRET}"}}'.encode("utf-16"),
    "NaN": b'{"v": NaN}',
    "Infinity": b"[-Infinity]",
    "deep lists": b"[" * 200_000,
    "deep maps": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "long number": b"1" * 10_000,
    "key twice": b'{"account": "a", "account": "b"}',
    "secret key twice": b'{"SECRET-PROMPT x": 1, "SECRET-PROMPT x": 2}',
    "two documents": b"{}{}",
    "control characters": b'{"a": "\x00"}',
}


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("name", UNREADABLE)
async def test_a_body_that_is_not_json_is_a_400(world: World, path: str, name: str) -> None:
    answer = await world.http.post(path, content=UNREADABLE[name], headers=JSON)
    assert problem(answer)["type"] == "urn:stillwatch:problem:malformed"


UNFIT = [
    "null", "true", "7", '"text"', "[[]]", "[null]", '{"v": true}', '{"v": 1}', '{"v": 1, "id": 5, "account": [], "time_unix_nano": {}}',
    '{"v": 1, "id": "\\ud800", "account": "a", "time_unix_nano": 1790000000000000000}',
    '{"v": 1, "id": "a", "account": "a", "time_unix_nano": 1e400}',
    '{"v": 1, "id": "a", "account": "a", "time_unix_nano": 99999999999999999999999}',
    '{"v": 1, "id": "a", "account": "a\\n", "time_unix_nano": 1790000000000000000}',
    '{"v": 1, "id": "a", "account": "a", "time_unix_nano": 1790000000000000000, "attributes": {"gen_ai.usage.input_tokens": 1e999}}',
    '{"v": 1, "id": "a", "account": "a", "time_unix_nano": 1790000000000000000, "attributes": {"stillwatch.prompt.text": "\\udfff SECRET-PROMPT"}}',
    '{"v": 1, "id": "a", "account": "a", "time_unix_nano": 1790000000000000000, "attributes": {"gen_ai.response.finish_reasons": ["\\ud800"]}}',
]  # fmt: skip


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("body", UNFIT)
async def test_json_that_does_not_fit_is_a_422(world: World, path: str, body: str) -> None:
    answer = await world.http.post(path, content=body.encode(), headers=JSON)
    assert problem(answer)["type"] == "urn:stillwatch:problem:invalid"


async def test_lone_surrogates_in_a_reason_are_refused(world: World) -> None:
    body = b'{"account": "a", "action": "revoke", "ttl_s": 60, "reason": "\\ud800 SECRET-PROMPT"}'
    assert problem(await world.http.post("/v1/revocations", content=body, headers=JSON))["status"] == 422


async def test_a_mistyped_field_is_named_but_a_text_is_not_sent_back(world: World) -> None:
    fields = {"account": "a", "action": "revoke", "ttl_s": 60, "reason": "r"}
    typo = problem(await world.http.post("/v1/labels", json={**fields, "dryrun": True}))
    assert "dryrun" in typo["detail"]
    text = problem(await world.http.post("/v1/revocations", json={**fields, f"{SECRET} is my prompt": 1}))
    assert "not plain" in text["detail"]


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "nonsense",
    ],
)
async def test_another_content_type_is_a_415_that_says_which_to_send(world: World, kind: str) -> None:
    for path in BODIES:
        answer = await world.http.post(path, content=b"{}", headers={"content-type": kind})
        assert problem(answer)["status"] == 415


async def test_msgpack_is_only_for_events(world: World) -> None:
    raw = msgpack.packb({"account": "a", "kind": "attack"})
    assert problem(await world.http.post("/v1/labels", content=raw, headers=MSGPACK))["status"] == 415


async def test_a_compressed_body_is_refused_rather_than_inflated(world: World) -> None:
    answer = await world.http.post("/v1/events", content=b"x", headers={**JSON, "content-encoding": "gzip"})
    assert problem(answer)["status"] == 415


@pytest.mark.parametrize(
    "raw",
    [
        b"\xc1",
        b"\xdf\xff\xff\xff\xff",
        b"\x91" * 100_000,
        b"\x81\x91\x01\x02",
        b"\xa2\xff\xfe",
        msgpack.packb(1) * 2,
        b"\xc7\x01\x05a",
    ],
)
async def test_broken_msgpack_is_a_4xx(world: World, raw: bytes) -> None:
    problem(await world.http.post("/v1/events", content=raw, headers=MSGPACK))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_random_bytes_never_break_the_server(raw: bytes, packed: bool) -> None:
    async def send() -> None:
        world = World()
        answer = await world.http.post("/v1/events", content=raw, headers=MSGPACK if packed else JSON)
        problem(answer)

    asyncio.run(send())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
events = st.fixed_dictionaries(
    {"v": st.just(1) | json_values, "id": st.text(max_size=5) | json_values, "account": st.just("a") | json_values},
    optional={
        "time_unix_nano": st.just(1_789_999_999_000_000_000) | json_values,
        "trace_id": json_values,
        "attributes": st.dictionaries(
            st.sampled_from(["gen_ai.usage.input_tokens", "stillwatch.prompt.text", "gen_ai.request.stream", "x"]),
            json_values,
        ),
    },
)


@settings(max_examples=150, deadline=None)
@given(st.lists(events | json_values, max_size=5))
def test_any_list_of_near_events_is_taken_apart_exactly(items: list[Any]) -> None:
    async def send() -> None:
        world = World()
        raw = json.dumps(items).encode()
        answer = await world.http.post("/v1/events", content=raw, headers=JSON)
        if answer.status_code == 202:
            body = answer.json()
            assert body["accepted"] + body["duplicates"] + len(body["rejected"]) == len(items)
        else:
            problem(answer)

    asyncio.run(send())


async def test_a_body_over_the_limit_is_refused_by_its_declared_length() -> None:
    world = World(ServeSettings(max_body_bytes=1_024))

    async def body() -> Any:
        raise AssertionError("the body was read")
        yield b""

    for length in ("1025", "9" * 5_000):
        answer = await world.http.post("/v1/events", content=body(), headers={**JSON, "content-length": length})
        assert problem(answer)["status"] == 413


async def test_a_body_over_the_limit_is_cut_off_while_it_arrives() -> None:
    world = World(ServeSettings(max_body_bytes=1_024))
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while True:
            sent += 512
            yield b" " * 512

    answer = await world.http.post("/v1/events", content=endless(), headers=JSON)
    assert problem(answer)["status"] == 413
    assert sent <= 2_048


TOO_MUCH: dict[str, tuple[int, str, dict[str, str]]] = {
    "one long header": (431, "/healthz", {"x-long": "a" * 70_000}),
    "many headers": (431, "/healthz", {f"x-{number}": "a" for number in range(300)}),
    "a long query": (414, f"/v1/campaigns?state={'a' * 20_000}", {}),
    "a long path": (414, f"/authz/{'a' * 20_000}", {}),
}


@pytest.mark.parametrize("name", TOO_MUCH)
async def test_what_comes_before_the_body_has_limits_too(world: World, name: str) -> None:
    status, path, headers = TOO_MUCH[name]
    assert problem(await world.http.get(path, headers=headers))["status"] == status
    async with on_loopback(world.app) as url, httpx.AsyncClient() as over_a_socket:
        assert problem(await over_a_socket.get(url + path, headers=headers))["status"] == status
        assert (await over_a_socket.get(f"{url}/healthz")).status_code == 200


async def test_as_much_as_a_gateway_passes_on_is_taken(world: World) -> None:
    headers = {f"x-{number}": "a" * 550 for number in range(100)}
    assert (await world.http.get("/authz/chat", headers=headers)).status_code == 200


async def test_a_request_has_at_most_so_many_events() -> None:
    world = World(ServeSettings(max_events_per_request=3))
    events = [world.event(f"r-{number}") for number in range(4)]
    assert problem(await world.http.post("/v1/events", json=events))["status"] == 413
    assert (await world.http.post("/v1/events", json=events[:3])).status_code == 202


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", "\u00b2", "abc"])
async def test_a_length_that_is_no_length_is_refused(world: World, length: str) -> None:
    headers = {**{k.encode(): v.encode() for k, v in JSON.items()}, b"content-length": length.encode("latin-1")}
    answer = await world.http.post("/v1/events", content=b"{}", headers=headers)
    assert problem(answer)["status"] == 400


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=-1", "limit=1e3", "limit=99999999999999999999", "limit=abc", "state=nonsense", "account=%00"],
)
async def test_queries_out_of_range_are_422(world: World, query: str) -> None:
    assert problem(await world.http.get(f"/v1/revocations?{query}"))["status"] == 422


@pytest.mark.parametrize("token", ["a b", "%00", "a%2Fb", "..%2f..", "x" * 65, "%F0%9F%94%91", "a%0d%0ab"])
async def test_accounts_that_are_no_tokens_are_refused(world: World, token: str) -> None:
    assert problem(await world.http.get(f"/v1/accounts/{token}"))["status"] in {404, 422}


async def test_an_idempotency_key_that_is_not_one_is_refused(world: World) -> None:
    body = {"account": "a", "action": "revoke", "ttl_s": 60, "reason": "r"}
    for value in ("", "x" * 256, "with space"):
        answer = await world.http.post("/v1/revocations", json=body, headers={"idempotency-key": value})
        assert problem(answer)["status"] == 422


async def test_raw_bytes_on_the_socket_leave_the_server_answering(world: World) -> None:
    rng = random.Random(7)
    head = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + KEYS.everything.encode() + b"\r\n"
    attacks = [
        rng.randbytes(300),
        head + b"Content-Length: 5\r\nContent-Length: 50\r\n\r\nhello",
        head + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nzzz\r\n",
        head + b"X-Long: " + b"a" * 100_000 + b"\r\n\r\n",
        head + b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
        b"GET /v1/accounts/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    ]
    async with on_loopback(world.app) as url, httpx.AsyncClient() as http:
        port = int(url.rpartition(":")[2])
        for attack in attacks:
            with socket.create_connection(("127.0.0.1", port), 5) as raw:
                raw.sendall(attack)
        good = await http.post(
            f"{url}/v1/events", json=world.event(), headers={"authorization": f"Bearer {KEYS.everything}"}
        )
        assert good.status_code == 202
