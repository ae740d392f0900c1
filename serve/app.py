"""The app, put together: ``build`` is all that the outside needs. No Ray here; any ASGI server runs it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from serve import (
    authz,
    console,
    openapi,
    routes_accounts,
    routes_approvals,
    routes_campaigns,
    routes_control,
    routes_deadletters,
    routes_events,
    routes_explanations,
    routes_indicators,
    routes_never_act,
    routes_operations,
    routes_revocations,
)
from serve.admission import Admission
from serve.board import Board
from serve.context import Context
from serve.guard import DEADLINE_S, Guard
from serve.key_watch import KeyWatch, Load
from serve.keys import KeyRing
from serve.metrics import HttpMetrics
from serve.oidc import Tokens
from serve.ports import About, ServePorts
from serve.problems import ProblemError, on_problem
from stillwatch import __version__
from stillwatch.errors import StillwatchError
from stillwatch.gateway.refusal import Throttle
from stillwatch.settings import ServeSettings

_DESCRIPTION: Final = (
    "Finds model distillation campaigns in the traffic of an inference API and cuts them off.\n\n"
    "Errors are RFC 9457 problems. Keys go into `Authorization: Bearer` or `x-api-key`; each operation names its scope."
)
_ROUTERS: Final = (
    routes_events.router,
    routes_accounts.router,
    routes_campaigns.router,
    routes_explanations.router,
    routes_indicators.router,
    routes_revocations.router,
    routes_approvals.router,
    routes_never_act.router,
    routes_control.router,
    routes_deadletters.router,
    authz.router,
    routes_operations.router,
)


async def on_wrong_method(request: Request, error: Exception) -> Response:
    answer = await on_problem(request, error)
    answer.headers["allow"] = openapi.allowed_methods(request.app, request.url.path) or answer.headers.get("allow", "")
    return answer


def build(
    ports: ServePorts,
    settings: ServeSettings,
    keys: KeyRing,
    about: About,
    *,
    reread_keys: Load | None = None,
    deadline_s: float = DEADLINE_S,
) -> FastAPI:
    """The whole HTTP contract over ``ports``. Closes them when the server shuts the app down. ``reread_keys`` gives the
    keys as they are now."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await ports.close()

    app = FastAPI(
        title="Stillwatch", version=__version__, description=_DESCRIPTION, lifespan=lifespan,
        docs_url=None, redoc_url=None,  # both load scripts from a CDN
        redirect_slashes=False,
    )  # fmt: skip
    board = Board(ports, about.partitions)
    watch = KeyWatch(keys, ports.clock, reread_keys)
    tokens = Tokens(settings.oidc, ports.clock) if settings.oidc is not None else None
    metrics = HttpMetrics(board, ports.enforcer, watch, replica=secrets.token_hex(3))
    app.state.context = Context(ports, settings, watch, tokens, about, board, metrics, Throttle())
    app.add_middleware(Admission, metrics=metrics, places=settings.max_ongoing_requests)
    app.add_middleware(Guard, metrics=metrics, deadline_s=deadline_s)
    for kind in (ProblemError, StillwatchError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, on_problem)
    app.add_exception_handler(405, on_wrong_method)
    for router in _ROUTERS:
        app.include_router(router)
    app.router.routes.extend(console.routes())
    openapi.install(app)
    return app
