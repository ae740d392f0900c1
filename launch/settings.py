"""Configuration from files and the environment into frozen Settings. Nothing else reads either.

Order, later wins: the defaults in the code, the YAML file, ``STILLWATCH_<KEY>`` and ``STILLWATCH_<GROUP>__<KEY>``
variables, explicit overrides (command line). Values of variables are YAML, so ``STILLWATCH_NATS__URLS='[nats://n:4222]'``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from stillwatch.errors import SettingsError
from stillwatch.settings import Policy, Settings

_PREFIX = "STILLWATCH_"
# Variables of ours that are not settings.
_NOT_SETTINGS = {"STILLWATCH_CONFIG", "STILLWATCH_API_KEY", "STILLWATCH_URL"}
_PASSWORD = re.compile(r"^([a-z]+://[^/:@]*:).*@")

M = TypeVar("M", bound=BaseModel)


def load_settings(
    file: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    environment = os.environ if environment is None else environment
    file = file or environment.get("STILLWATCH_CONFIG")
    values: dict[str, Any] = _read_yaml(file) if file else {}
    _merge(values, _from_environment(environment))
    _merge(values, dict(overrides or {}))
    return _checked(Settings, values, file or "the configuration")


def load_policy(file: str) -> Policy:
    return _checked(Policy, _read_yaml(file), file)


def printable(settings: Settings) -> dict[str, Any]:
    """The settings as a map for people: the passwords in URLs are hidden, everything else is as it is."""
    values = settings.model_dump(mode="json")
    for login in filter(None, (values["nats"], values["nats"]["api"])):
        login["urls"] = [_PASSWORD.sub(r"\1…@", url) for url in login["urls"]]
    return values


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, text in sorted(environment.items()):
        if not name.startswith(_PREFIX) or name in _NOT_SETTINGS:
            continue
        path = name.removeprefix(_PREFIX).lower().split("__")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise SettingsError(name, "its value is not YAML", "Quote it, or write a plain number or text") from error
        group = out
        for part in path[:-1]:
            group = group.setdefault(part, {})
        group[path[-1]] = value
    return out


def _read_yaml(file: str) -> dict[str, Any]:
    path = Path(file)
    if not path.is_file():
        raise SettingsError(file, "there is no such file", "Check the path; configs/default.yaml is a complete example")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        # Where, and not what: the message of the parser quotes the line, and a line can hold a password.
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        raise SettingsError(file, f"not YAML{where}", "Compare it with configs/default.yaml") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise SettingsError(file, "not a map of settings", "Compare it with configs/default.yaml")
    return values


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        known = into.get(key)
        if isinstance(value, Mapping) and isinstance(known, dict):
            _merge(known, value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value


def _checked(model: type[M], values: Mapping[str, Any], source: str) -> M:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or model.__name__
        remedy = f"Change it in {source} ({error.error_count()} problem(s) in all)"
        raise SettingsError(key, first["msg"], remedy) from error
