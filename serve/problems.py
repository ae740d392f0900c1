"""Every error is an RFC 9457 problem: what happened, and what to do. Never a traceback, never submitted text.

One table turns :mod:`stillwatch.errors` into statuses. ``type`` is a URN: it names the problem and promises no page.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from stillwatch.errors import (
    Conflict,
    DeploymentMismatch,
    Fenced,
    NotFound,
    NotOwner,
    SettingsError,
    SnapshotDamaged,
    SnapshotIncompatible,
    SnapshotUntrusted,
    StillwatchError,
    StreamRewound,
    Unavailable,
)

MEDIA_TYPE: Final = "application/problem+json"
# name → (status, title). The name is the end of `type`, stable for programs; titles are for people.
KINDS: Final[Mapping[str, tuple[int, str]]] = {
    "malformed": (400, "The request can not be read"),
    "no-key": (401, "An API key is needed"),
    "missing-scope": (403, "The API key does not allow this"),
    "no-person": (403, "Nobody is known to stand behind the API key"),
    "not-found": (404, "There is no such thing"),
    "method-not-allowed": (405, "This path has other methods"),
    "conflict": (409, "The request contradicts what is stored"),
    "too-large": (413, "The request is too large"),
    "target-too-long": (414, "The path is too long"),
    "unsupported-media-type": (415, "The body has another type than this path reads"),
    "invalid": (422, "The request does not fit its schema"),
    "headers-too-large": (431, "The headers are too large"),
    "internal": (500, "Stillwatch has a bug"),
    "misconfigured": (500, "This deployment can not work as it is configured"),
    "overloaded": (503, "There is too much to do at the moment"),
    "unavailable": (503, "A part that is needed did not answer"),
}
_OF_ERROR: Final[Mapping[type[StillwatchError], str]] = {
    NotFound: "not-found",
    Conflict: "conflict",
    Unavailable: "unavailable",
    NotOwner: "unavailable",
    StreamRewound: "unavailable",
    SettingsError: "misconfigured",
    DeploymentMismatch: "misconfigured",
    SnapshotIncompatible: "misconfigured",
    SnapshotDamaged: "misconfigured",
    SnapshotUntrusted: "misconfigured",
    Fenced: "unavailable",
}
_OF_STATUS: Final[Mapping[int, tuple[str, str]]] = {
    404: ("not-found", "No such path. /openapi.json lists what there is"),
    405: ("method-not-allowed", "The Allow header lists the methods of this path"),
}
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")


class FieldError(BaseModel):
    """One thing that is wrong with a field of the request."""

    field: str = Field(
        description="Path of the field, `ttl_s` or `attributes.gen_ai.request.model`; empty for the whole"
    )
    reason: str = Field(description="A stable word for programs")
    detail: str = Field(description="A sentence for people")
    index: int | None = Field(default=None, description="Which event of a list, from 0")


class Problem(BaseModel):
    """RFC 9457 problem details."""

    model_config = ConfigDict(extra="allow")
    type: str = Field(examples=["urn:stillwatch:problem:invalid"])
    title: str
    status: int
    detail: str = Field(description="What happened and what to do next")
    instance: str | None = Field(default=None, description="The path of the request")
    errors: list[FieldError] | None = None


class ProblemError(Exception):
    """Raised anywhere below a route; becomes the answer."""

    def __init__(
        self,
        name: str,
        detail: str,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(name, detail, errors, headers)
        self.name, self.detail, self.errors, self.headers = name, detail, errors, headers

    def response(self, path: str) -> Response:
        return problem_response(self.name, self.detail, path, self.errors, self.headers)


def problem_response(
    name: str,
    detail: str,
    path: str,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
    status: int | None = None,
) -> Response:
    known_status, title = KINDS[name]
    body: dict[str, Any] = {
        "type": f"urn:stillwatch:problem:{name}",
        "title": title,
        "status": status or known_status,
        "detail": detail,
        "instance": quote(path, errors="replace")[:512],
    }
    if errors:
        body["errors"] = [error.model_dump(exclude_none=True) for error in errors]
    return Response(json.dumps(body), status or known_status, dict(headers or {}), MEDIA_TYPE)


def of_stillwatch_error(error: StillwatchError) -> ProblemError:
    name = next((name for kind, name in _OF_ERROR.items() if isinstance(error, kind)), "internal")
    headers = None
    if name == "unavailable":
        wait_s = error.retry_after_s if isinstance(error, Unavailable) else 1.0
        headers = {"retry-after": str(max(1, math.ceil(wait_s)))}
    return ProblemError(name, str(error), headers=headers)


def of_validation(error: ValidationError | RequestValidationError) -> ProblemError:
    """Names the fields, not their values."""
    raw: Sequence[Any] = (
        error.errors(include_input=False, include_url=False, include_context=False)
        if isinstance(error, ValidationError)
        else error.errors()
    )
    errors = [FieldError(field=_path(item["loc"]), reason=item["type"], detail=item["msg"]) for item in raw[:50]]
    names = ", ".join(sorted({item.field for item in errors if item.field})) or "the body"
    return ProblemError("invalid", f"Correct {names}; `errors` says what is expected", errors)


def safe_name(name: object) -> str:
    """A name that the client sent, fit to be sent back: it helps whoever mistyped it, and carries no text."""
    text = str(name)
    return text if _PLAIN.match(text) else "(a name that is not plain)"


def _path(location: Sequence[object]) -> str:
    """pydantic's location without its first word (body, query, path), which is not part of the field's name."""
    parts = location[1:] if location and location[0] in {"body", "query", "path", "header"} else location
    return ".".join(safe_name(part) for part in parts)


async def on_problem(request: Request, error: Exception) -> Response:
    """The handler of every expected exception."""
    if isinstance(error, StillwatchError):
        error = of_stillwatch_error(error)
    elif isinstance(error, RequestValidationError):
        error = of_validation(error)
    elif isinstance(error, HTTPException):
        name, detail = _OF_STATUS.get(error.status_code, ("malformed", "The request can not be read"))
        return problem_response(name, detail, request.url.path, headers=error.headers, status=error.status_code)
    assert isinstance(error, ProblemError)
    return error.response(request.url.path)
