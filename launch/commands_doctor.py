"""`stillwatch doctor`: is this deployment as it should be, and what is to be done where it is not."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from launch import doctor_api, doctor_nats
from launch.keys import read_keys
from launch.running import Address, find
from launch.settings import load_settings
from serve.keys import KeyRing
from stillwatch.checkup import Check, exit_code
from stillwatch.errors import SettingsError
from stillwatch.settings import Settings

_MARKS = {"ok": "ok      ", "warning": "WARNING ", "failed": "FAILED  ", "unknown": "?       "}


def doctor(
    config: Annotated[
        str | None, typer.Option(help="The settings of the deployment; else STILLWATCH_CONFIG, else defaults.")
    ] = None,
    monitor: Annotated[str | None, typer.Option(help="nats-server's monitoring port: http://nats:8222")] = None,
    logins: Annotated[str | None, typer.Option(help="A file of ROLE: URL, for the permissions of NATS users.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False,
    data_dir: Annotated[str, typer.Option(help="Where `stillwatch up` left its address.")] = ".stillwatch",
) -> None:
    """Check a deployment: NATS, permissions, clocks, keys, policy, lag. Changes nothing. Ends with 0, 1 (warnings) or 2 (failed)."""
    logging.getLogger("streams").setLevel(logging.CRITICAL)  # what is wrong stands in the checks
    settings = load_settings(config)
    address, missing = _address(data_dir)
    if address is not None and address.nats_url and not settings.nats.urls:
        settings = settings.model_copy(update={"nats": settings.nats.model_copy(update={"urls": (address.nats_url,)})})
    checks = list(missing)
    if settings.nats.urls:
        checks += asyncio.run(doctor_nats.checks(settings, monitor, doctor_nats.read_logins(logins, settings.nats)))
    else:
        remedy = "Name it: --config, or STILLWATCH_NATS__URLS"
        checks.append(Check("NATS", "unknown", "no server is named in the settings", remedy))
    if address is not None:
        checks += doctor_api.checks(address, settings, _keys(settings))
    if as_json:
        print(json.dumps({"exit_code": exit_code(checks), "checks": [asdict(check) for check in checks]}, indent=2))
    else:
        print(shown(checks), end="")
    raise typer.Exit(exit_code(checks))


def shown(checks: list[Check]) -> str:
    lines = []
    for check in checks:
        lines.append(f"{_MARKS[check.state]}{check.name}: {check.found}")
        if check.remedy and check.state != "ok":
            lines.append(f"        → {check.remedy}")
    count = {state: sum(check.state == state for check in checks) for state in _MARKS}
    total = (
        f"{count['ok']} ok, {count['warning']} to look at, {count['failed']} failed, {count['unknown']} could not be "
        "looked at"
    )
    return "\n".join([*lines, "", total, ""])


def _address(data_dir: str) -> tuple[Address | None, list[Check]]:
    try:
        return find(data_dir), []
    except SettingsError as error:
        return None, [Check("API", "unknown", error.problem, error.remedy)]


def _keys(settings: Settings) -> KeyRing:
    """Of the key file, or of the one that `stillwatch up` made; empty where it is on another machine."""
    made = Path(settings.data_dir) / "api-keys.yaml"
    if settings.serve.api_keys_file is None and made.is_file():
        settings = settings.model_copy(update={"serve": settings.serve.model_copy(update={"api_keys_file": str(made)})})
    try:
        return read_keys(settings)
    except SettingsError:
        return KeyRing()
