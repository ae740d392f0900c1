"""What is turned away under load, in a stated order, so that what must not wait does not.

A replica works on a bounded number of requests at a time. Questions may take a quarter of these places, events a half; the
rest belongs to revocations, undo, the kill switch, labels, health and /authz, which are never turned away here. So of what
load makes worse:

1. how fresh scores are: events wait in the stream, and nothing is lost (``stillwatch_partition_lag_seconds``);
2. questions (a score, an account, a campaign): 503, ask again;
3. events over HTTP: 503 before the stream has them, send them again;
4. revocations and the audit: never.
"""

from __future__ import annotations

from typing import Final, Literal

from starlette.types import ASGIApp, Receive, Scope, Send

from serve.metrics import HttpMetrics
from serve.problems import problem_response

Kind = Literal["question", "events"]

_SHARE: Final[dict[Kind, float]] = {"question": 1 / 4, "events": 1 / 2}
_EVENTS: Final = ("/v1/events", "/v1/logs")
_QUESTIONS: Final = ("/v1/accounts", "/v1/campaigns", "/v1/verdicts", "/v1/indicators", "/v1/deadletters")


def kind_of(method: str, path: str) -> Kind | None:
    """``None``: never turned away.

    >>> kind_of("POST", "/v1/score"), kind_of("POST", "/v1/events"), kind_of("POST", "/v1/revocations")
    ('question', 'events', None)
    """
    if path.startswith(_EVENTS):
        return "events"
    if path.startswith("/v1/score") or (method == "GET" and path.startswith(_QUESTIONS)):
        return "question"
    return None


class Admission:
    def __init__(self, app: ASGIApp, metrics: HttpMetrics, places: int) -> None:
        self._app, self._metrics = app, metrics
        self._most = {kind: max(1, int(places * share)) for kind, share in _SHARE.items()}
        self._ongoing: dict[Kind, int] = dict.fromkeys(_SHARE, 0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = kind_of(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if kind is None:
            await self._app(scope, receive, send)
            return
        if self._ongoing[kind] >= self._most[kind]:
            self._metrics.shed(kind)
            text = (
                f"This replica is busy with {self._most[kind]} requests of this kind. Nothing was done; send it again"
            )
            await problem_response("overloaded", text, scope["path"], headers={"retry-after": "1"})(
                scope, receive, send
            )
            return
        self._ongoing[kind] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._ongoing[kind] -= 1
