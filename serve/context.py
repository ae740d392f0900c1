"""What every route gets: the ports, the settings, the keys, and what this replica counts. One per app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from serve.board import Board
from serve.key_watch import KeyWatch
from serve.metrics import HttpMetrics
from serve.oidc import Tokens
from serve.ports import About, ServePorts
from stillwatch.gateway.refusal import Throttle
from stillwatch.settings import ServeSettings

# The W3C header is 55 characters in version 00; anything else is left out rather than passed on.
_TRACEPARENT_CHARS = 55


@dataclass(frozen=True, slots=True)
class Context:
    ports: ServePorts
    settings: ServeSettings
    keys: KeyWatch
    tokens: Tokens | None
    about: About
    board: Board
    metrics: HttpMetrics
    throttle: Throttle

    def now_unix_s(self) -> float:
        return self.ports.clock.unix_nano() / 1e9


async def _context(request: Request) -> Context:
    return cast(Context, request.app.state.context)


Ctx = Annotated[Context, Depends(_context)]


def traceparent(request: Request) -> str | None:
    """The caller's trace, when it is one: it travels to the stream and into revocations."""
    value = request.headers.get("traceparent", "")
    parts = value.split("-")
    lengths = [len(part) for part in parts]
    if len(value) != _TRACEPARENT_CHARS or lengths != [2, 32, 16, 2] or parts[0] != "00":
        return None
    plain = all(character in "0123456789abcdef-" for character in value)
    return value if plain and any(c != "0" for c in parts[1]) and any(c != "0" for c in parts[2]) else None
