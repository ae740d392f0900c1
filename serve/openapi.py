"""The OpenAPI document, completed: bodies (which routes read themselves), problems, and what each key may do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.routing import compile_path

from serve.problems import KINDS, MEDIA_TYPE, Problem

_REF: Final = "#/components/schemas/{model}"
_BODIES: Final[dict[str, type[BaseModel]]] = {}
_MEANINGS: Final[dict[int, str]] = {
    400: "The body can not be read",
    401: "No API key, or one that is unknown or expired",
    403: "The key lacks the scope of this operation",
    404: "There is no such thing",
    409: "The Idempotency-Key was used for another request",
    413: "Too many bytes or events in one request",
    415: "The body has another content type",
    422: "The request does not fit; `errors` names each field",
    503: "A part that is needed did not answer; `Retry-After` says when to try again",
}


def body(
    model: type[BaseModel], examples: Mapping[str, Any], *, or_list: bool = False, msgpack: bool = False
) -> dict[str, Any]:
    """``openapi_extra`` for a route that reads its body after it has checked the key."""
    _BODIES[model.__name__] = model
    one = {"$ref": _REF.format(model=model.__name__)}
    schema = {"oneOf": [one, {"type": "array", "items": one, "minItems": 1}]} if or_list else one
    content: dict[str, Any] = {
        "application/json": {"schema": schema, "examples": {name: {"value": value} for name, value in examples.items()}}
    }
    if msgpack:
        content["application/msgpack"] = {"schema": schema}
    return {"requestBody": {"required": True, "content": content}}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """``responses`` for the errors of a route."""
    return {
        status: {
            "description": _MEANINGS[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}, "example": _example(status)}},
        }
        for status in statuses
    }


def _example(status: int) -> dict[str, Any]:
    name, title = next((name, title) for name, (code, title) in KINDS.items() if code == status)
    return {
        "type": f"urn:stillwatch:problem:{name}",
        "title": title,
        "status": status,
        "detail": _MEANINGS[status],
        "instance": "/v1/revocations",
    }


def allowed_methods(app: FastAPI, path: str) -> str | None:
    """All methods of a path. Starlette's own Allow header knows only those of one route."""
    found = {
        method.upper()
        for template, operations in app.openapi()["paths"].items()
        if compile_path(template)[0].match(path)
        for method in operations
    }
    return ", ".join(sorted(found)) or None


def install(app: FastAPI) -> None:
    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    out = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
    )
    schemas = out.setdefault("components", {}).setdefault("schemas", {})
    models: list[type[BaseModel]] = [*_BODIES.values(), Problem]
    _, definitions = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
    for name, schema in definitions.get("$defs", {}).items():
        schemas.setdefault(name, schema)
    for unused in ("HTTPValidationError", "ValidationError"):  # FastAPI's own error shape, which nothing answers with
        schemas.pop(unused, None)
    for path in out["paths"].values():
        for operation in path.values():
            if "HTTPValidationError" in str(
                operation["responses"].get("422")
            ):  # added by FastAPI wherever there is a path
                del operation["responses"]["422"]
            scopes = [scope for item in operation.get("security", ()) for values in item.values() for scope in values]
            if scopes:
                text = operation.get("description", "")
                operation["description"] = f"{text}\n\nScope: `{scopes[0]}`.".strip()
    return out
