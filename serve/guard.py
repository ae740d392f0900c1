"""The outermost layer: limits of what comes before the body, a deadline for every request, a count of every answer, and
no exception past it.

An unexpected error is logged with its stack but without its message, which could hold what a customer sent, and
answered with a reference that finds that log line.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import traceback
from typing import Any, Final

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.metrics import HttpMetrics
from serve.problems import problem_response

log = logging.getLogger("stillwatch.serve")

# Longer than every port's own bound and than a 4 MiB body on a slow line; shorter than a load balancer's minute.
DEADLINE_S: Final = 30.0
# Envoy passes on at most 60 KiB of a checked request's headers, in at most 100 lines; a stricter limit here would make
# /authz refuse what the gateway lets pass.
MAX_HEADER_BYTES: Final = 65_536
MAX_HEADERS: Final = 256
# The longest target of ours is a list with its filters: some hundred bytes. /authz has the platform's.
MAX_TARGET_BYTES: Final = 16_384
_LINE_BYTES: Final = 4  # colon, space and line end
_HEADERS: Final = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]


class Guard:
    def __init__(self, app: ASGIApp, metrics: HttpMetrics, deadline_s: float = DEADLINE_S) -> None:
        self._app, self._metrics, self._deadline_s = app, metrics, deadline_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                names = {name for name, _ in message["headers"]}
                extra = _HEADERS if b"cache-control" in names else [*_HEADERS, (b"cache-control", b"no-store")]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        try:
            beyond = _beyond_limits(scope)
            if beyond is not None:
                await problem_response(*beyond, scope["path"], headers={"connection": "close"})(scope, receive, counted)
                return
            async with asyncio.timeout(self._deadline_s):
                await self._app(scope, receive, counted)
        except ClientDisconnect:
            status = 499  # as nginx counts it; there is nobody to answer
        except TimeoutError:
            if not status:
                text = f"No answer within {self._deadline_s:g} s. Try again; GET /readyz says which part is slow"
                await problem_response("unavailable", text, scope["path"], headers={"retry-after": "1"})(
                    scope, receive, counted
                )
        # Everything expected became a problem further in; what is left is a bug, and still gets an answer.
        except Exception as error:
            reference = _log(error, scope)
            if not status:
                text = f"An unexpected error. It is in the log of this replica as {reference}"
                await problem_response("internal", text, scope["path"])(scope, receive, counted)
        finally:
            self._metrics.request(_route(scope), status)


def _beyond_limits(scope: Scope) -> tuple[str, str] | None:
    """The name and the words of the problem."""
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MAX_TARGET_BYTES:
        return "target-too-long", f"A path with its query has at most {MAX_TARGET_BYTES} bytes here"
    headers = scope["headers"]
    size = sum(len(name) + len(value) + _LINE_BYTES for name, value in headers)
    if len(headers) > MAX_HEADERS or size > MAX_HEADER_BYTES:
        text = f"All headers together have at most {MAX_HEADER_BYTES} bytes here, in at most {MAX_HEADERS} lines"
        return "headers-too-large", text
    return None


def _route(scope: Scope) -> str:
    """The template, not the path: paths hold account names and are without number."""
    route: Any = scope.get("route")
    return getattr(route, "path", None) or "(none)"


def _log(error: Exception, scope: Scope) -> str:
    reference = f"e-{secrets.token_hex(4)}"
    frames = "".join(traceback.format_tb(error.__traceback__))
    log.error("%s: %s in %s %s\n%s", reference, type(error).__name__, scope["method"], _route(scope), frames)
    return reference
