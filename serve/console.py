"""The operator's page: the files of ``console/``, read once. Nothing from elsewhere is loaded or allowed to run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FOLDER: Final = Path(__file__).parent.parent / "console"
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HEADERS: Final = {
    # Account names come from attackers: should one ever become markup, it still can not load, send or run anything.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "cache-control": "no-cache",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


def routes(folder: Path = FOLDER) -> list[Route]:
    """``/`` and ``/console/<file>``. Not secret: the data behind the page needs a key."""
    out = []
    for file in sorted(folder.iterdir()):
        if file.suffix in _TYPES:
            path = "/" if file.name == "index.html" else f"/console/{file.name}"
            out.append(Route(path, _serve(file.read_bytes(), _TYPES[file.suffix]), include_in_schema=False))
    return out


def _serve(content: bytes, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        return Response(content, media_type=media_type, headers=_HEADERS)

    return serve
