"""The middleware never becomes the platform's problem: other protocols pass, its own mistakes are counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from nats.aio.client import Client

from stillwatch.errors import SettingsError
from stillwatch.gateway import Enforcer, Identity, Publisher, StillwatchMiddleware, hmac_account

BODY = b'{"messages": [{"role": "user", "content": "hello"}]}'


class Application:
    """Remembers what it was called with, and answers."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls.append((scope, receive, send))
        if scope["type"] == "http":
            await receive()
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})


async def receive() -> dict[str, object]:
    return {"type": "http.request", "body": BODY}


async def run(middleware: StillwatchMiddleware, scope: Mapping[str, Any]) -> list[Any]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await middleware(dict(scope), receive, send)
    return sent


def http(**changes: object) -> dict[str, object]:
    return {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": [], "client": None, **changes}


def a_publisher() -> Publisher:
    return Publisher(Client())


async def test_other_protocols_pass_with_the_very_same_channels() -> None:
    application = Application()
    middleware = StillwatchMiddleware(application, a_publisher(), Enforcer(Client()), lambda _: Identity("acct-1"))

    async def send(_: Any) -> None: ...

    for kind in ("websocket", "lifespan"):
        await middleware({"type": kind}, receive, send)
    assert [(scope["type"], r is receive, s is send) for scope, r, s in application.calls] == [
        ("websocket", True, True),
        ("lifespan", True, True),
    ]
    assert middleware.stats.requests == 0


async def test_a_broken_identify_lets_the_request_pass_and_is_counted() -> None:
    def broken(_: Mapping[str, Any]) -> Identity:
        raise KeyError("tenant")

    middleware = StillwatchMiddleware(Application(), a_publisher(), Enforcer(Client()), broken)
    sent = await run(middleware, http())
    assert sent[0]["status"] == 204
    assert (middleware.stats.errors, middleware.stats.unidentified) == (1, 1)


async def test_a_broken_enforcer_or_publisher_lets_the_request_pass_and_is_counted() -> None:
    middleware = StillwatchMiddleware(Application(), None, None, lambda _: Identity("acct-1"))  # type: ignore[arg-type]
    sent = await run(middleware, http())
    assert sent[0]["status"] == 204
    assert middleware.stats.errors == 2


async def test_an_identity_that_is_no_token_loses_the_report_and_not_the_request() -> None:
    publisher = a_publisher()
    middleware = StillwatchMiddleware(Application(), publisher, Enforcer(Client()), lambda _: Identity("no token!"))
    sent = await run(middleware, http())
    assert sent[0]["status"] == 204
    assert publisher.stats.dropped["invalid"] == 1
    assert middleware.stats.errors == 0
    await publisher.drain(0)


async def test_what_the_platform_says_of_a_caller_is_reported() -> None:
    publisher = a_publisher()
    facts = {"stillwatch.account.tier": "free", "client.address": "198.51.100.7"}
    who = Identity("acct-1", "org-9", facts, invited_by=hmac_account(b"0123456789abcdef", "sk-inviter"))  # type: ignore[arg-type]
    middleware = StillwatchMiddleware(Application(), publisher, Enforcer(Client()), lambda _: who)
    await run(middleware, http(client=("10.0.0.1", 4711)))
    [queued] = publisher._queue
    inviter = b"\xd9 " + hmac_account(b"0123456789abcdef", "sk-inviter").encode()  # its own token, as msgpack writes it
    for told in (b"free", b"198.51.100.7", b"org-9", b"stillwatch.account.invited_by" + inviter):
        assert told in queued.payload
    assert b"10.0.0.1" not in queued.payload
    await publisher.drain(0)


async def test_an_id_that_the_client_chose_is_not_the_events() -> None:
    publisher = a_publisher()
    middleware = StillwatchMiddleware(Application(), publisher, Enforcer(Client()), lambda _: Identity("acct-1"))
    for _ in range(2):
        await run(middleware, http(headers=[(b"x-request-id", b"same")]))
    assert len({queued.id for queued in publisher._queue}) == 2
    await publisher.drain(0)


def test_it_must_be_told_who_calls() -> None:
    with pytest.raises(SettingsError, match="nothing says who calls"):
        StillwatchMiddleware(Application(), a_publisher(), Enforcer(Client()))
