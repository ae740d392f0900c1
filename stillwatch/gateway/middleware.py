"""ASGI middleware: refuses whom the enforcer names, lets everybody else pass untouched, reports what they did.

The application sees exactly the messages that it would see without it. Bodies are copied as they go by, up to a bound,
and read only after the response is complete, so that nothing waits. A mistake in here is counted and logged; it never
becomes an error of the platform.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from stillwatch.errors import SettingsError
from stillwatch.event import MAX_ID_CHARS, REFUSED, AttributeValue, RequestEvent
from stillwatch.gateway.calls import is_model_call, request_attributes, response_attributes, stream_attributes
from stillwatch.gateway.enforcer import Enforcer
from stillwatch.gateway.identity import Identify, Identity, bearer_identity
from stillwatch.gateway.publisher import Publisher
from stillwatch.gateway.refusal import FirstRefused, Throttle, refusal, refuses

_log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# 1 MiB holds a prompt of 200,000 tokens and takes json a few milliseconds. Beyond, the call is reported without its prompt.
MAX_REQUEST_BYTES: Final = 1_048_576
MAX_RESPONSE_BYTES: Final = 262_144
# A refused caller gets the answer when the body is in, or after this time: who sends slowly holds nothing for long.
_REFUSED_BODY_S: Final = 2.0
# Of a stream only the first and the last events tell model and usage.
_STREAM_HEAD_BYTES: Final = 4_096
_STREAM_TAIL_BYTES: Final = 8_192


@dataclass(slots=True)
class MiddlewareStats:
    requests: int = 0
    unidentified: int = 0  # passed without a check: no key, or none that `identify` knows
    refused: int = 0
    observed: int = 0  # model calls reported
    too_large: int = 0  # request bodies beyond the bound
    errors: int = 0  # mistakes of this middleware, survived


class StillwatchMiddleware:
    """``identify(scope)`` says who calls; without one, ``secret`` makes accounts of API keys (``bearer_identity``).

    Works with every ASGI server and framework, e.g. ``app.add_middleware(StillwatchMiddleware, publisher=…,
    enforcer=…, secret=…)``. WebSockets and lifespan pass.
    """

    def __init__(
        self,
        app: App,
        publisher: Publisher,
        enforcer: Enforcer,
        identify: Identify | None = None,
        *,
        secret: bytes | None = None,
        max_request_bytes: int = MAX_REQUEST_BYTES,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
        monotonic_s: Callable[[], float] = time.monotonic,
        unix_nano: Callable[[], int] = time.time_ns,
    ) -> None:
        if identify is None and secret is None:
            raise SettingsError("identify", "nothing says who calls", "Give `identify`, or `secret` to use API keys")
        self._app, self._publisher, self._enforcer = app, publisher, enforcer
        self._identify = identify if identify is not None else bearer_identity(secret or b"")
        self._max_request, self._max_response = max_request_bytes, max_response_bytes
        self._monotonic_s, self._unix_nano = monotonic_s, unix_nano
        self._throttle, self._first_refused = Throttle(), FirstRefused()
        self.stats = MiddlewareStats()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self.stats.requests += 1
        who = self._who(scope)
        if who is None:
            self.stats.unidentified += 1
            await self._app(scope, receive, send)
            return
        answer = self._refusal(who)
        if answer is not None:
            call = _Call(receive, send, self._max_request, self._max_response)
            asked = scope["method"] == "POST" and self._first_refused.reports(who.account, self._monotonic_s())
            whole = asked and await self._reads(call)
            for message in answer:
                await call.send(message)
            if whole:
                self._report(scope, who, call, REFUSED)
            return
        if scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        call = _Call(receive, send, self._max_request, self._max_response)
        failure: str | None = None
        try:
            await self._app(scope, call.receive, call.send)
        except BaseException as error:
            failure = type(error).__name__
            raise
        finally:
            self._report(scope, who, call, failure)

    def _who(self, scope: Scope) -> Identity | None:
        try:
            return self._identify(scope)
        except Exception:
            self._mistake("identify failed")
            return None

    def _refusal(self, who: Identity) -> tuple[Message, Message] | None:
        try:
            found = self._enforcer.check(who.account, who.organisation)
            if found is None or not refuses(found):
                return None
            wait_s = 1.0
            if found.action == "throttle":
                wait_s = self._throttle.wait_s(who.account, self._monotonic_s())
                if wait_s <= 0:
                    return None
            answer = refusal(found, max(1, round(wait_s)))
            self.stats.refused += 1
            self._enforcer.refused(found, who.account, who.organisation)
        except Exception:
            self._mistake("a check failed")
            return None
        return (
            {"type": "http.response.start", "status": answer.status, "headers": list(answer.headers)},
            {"type": "http.response.body", "body": answer.body},
        )

    async def _reads(self, call: _Call) -> bool:
        """The body of a refused call, if it comes soon and is not too large: what was refused here is tried elsewhere."""
        try:
            async with asyncio.timeout(_REFUSED_BODY_S):
                while not call.request.overflowed:
                    message = await call.receive()
                    if message["type"] != "http.request":
                        return False
                    if not message.get("more_body", False):
                        return True
        except TimeoutError:
            pass
        except Exception:
            self._mistake("the body of a refused call could not be read")
        return False

    def _report(self, scope: Scope, who: Identity, call: _Call, failure: str | None) -> None:
        try:
            self.stats.too_large += call.request.overflowed
            attributes = {} if call.request.overflowed else request_attributes(scope["path"], bytes(call.request.kept))
            answer = call.answer_attributes()
            if not attributes and not is_model_call(answer):
                return  # some other endpoint of the platform
            attributes |= answer
            attributes |= _client_attributes(scope)
            status = call.status if call.status is not None else 500 if failure else None
            if status is not None:
                attributes["http.response.status_code"] = status
            if failure or (status is not None and status >= 400):
                attributes["error.type"] = failure or str(status)
            if who.organisation is not None:
                attributes["stillwatch.org.id"] = who.organisation
            if who.invited_by:
                attributes["stillwatch.account.invited_by"] = who.invited_by
            attributes |= who.attributes
            # Never an id that a client can choose: the same id twice counts once.
            event = RequestEvent(uuid.uuid4().hex, who.account, self._unix_nano(), attributes)
            self.stats.observed += self._publisher.publish(event)
        except Exception:
            self._mistake("a report failed")

    def _mistake(self, what: str) -> None:
        self.stats.errors += 1
        _log.exception("%s; the request goes on", what)


class _Kept:
    """The first bytes that go by, up to a bound."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.kept = bytearray()
        self.overflowed = False

    def add(self, data: bytes) -> None:
        if len(self.kept) + len(data) > self._limit:
            self.overflowed = True
        if not self.overflowed:
            self.kept += data


class _Call:
    """One exchange between the server and the application, overheard."""

    def __init__(self, receive: Receive, send: Send, max_request: int, max_response: int) -> None:
        self._receive, self._send = receive, send
        self.request, self._response = _Kept(max_request), _Kept(max_response)
        self._tail = bytearray()
        self._readable = self._stream = False
        self.status: int | None = None

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self.request.add(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = {bytes(name).lower(): bytes(value).lower() for name, value in message.get("headers", ())}
            kind = headers.get(b"content-type", b"")
            self._stream = kind.startswith(b"text/event-stream")
            self._readable = b"content-encoding" not in headers and (self._stream or b"json" in kind)
        elif message["type"] == "http.response.body" and self._readable:
            body = message.get("body", b"")
            if not self._stream or len(self._response.kept) < _STREAM_HEAD_BYTES:
                self._response.add(body)
            else:
                self._tail += body
                if len(self._tail) > 2 * _STREAM_TAIL_BYTES:
                    # The line feed keeps the cut from joining two halves of different events.
                    self._tail = bytearray(b"\n") + self._tail[-_STREAM_TAIL_BYTES:]
        await self._send(message)

    def answer_attributes(self) -> dict[str, AttributeValue]:
        if not self._readable or (self._response.overflowed and not self._stream):
            return {}
        if self._stream:
            return stream_attributes(bytes(self._response.kept + self._tail))
        return response_attributes(bytes(self._response.kept))


def _client_attributes(scope: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """The peer of this connection. Behind a proxy that is the proxy: give ``client.address`` by the identity then,
    from a header that clients can not set."""
    out: dict[str, AttributeValue] = {}
    if scope.get("client"):
        out["client.address"] = str(scope["client"][0])[:MAX_ID_CHARS]
    for name, value in scope.get("headers", ()):
        if name == b"user-agent":
            out["user_agent.original"] = value.decode("latin-1")[:512]
    return out
