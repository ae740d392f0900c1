"""`stillwatch keys`: make API keys, give a holder a new one while the old one still opens, look at what there is."""

from __future__ import annotations

import json
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from launch.settings import load_settings
from launch.telemetry import SystemClock
from serve.key_file import rotated
from serve.keys import SCOPES, ApiKey, Scope, Secret, mint, parse_key_ring
from stillwatch.errors import SettingsError

keys = typer.Typer(help="API keys.", no_args_is_help=True)
File = Annotated[Path | None, typer.Option(help="The keys file; else serve.api_keys_file of the settings.")]
_HOUR_S: Final = 3600


@keys.command("mint")
def mint_key(
    name: str,
    scope: Annotated[list[str], typer.Option(help=f"Repeat it; one of {', '.join(SCOPES)}.")],
    note: str = "",
    owner: Annotated[str, typer.Option(help="The person; two keys of one owner are one for approvals.")] = "",
    days: Annotated[int | None, typer.Option(help="Ends after so many days.", min=1)] = None,
) -> None:
    """A new API key: the key once, and the entry for the keys file, which holds only its hash."""
    scopes: list[Scope] = [known for known in SCOPES if known in scope]
    if len(scopes) != len(set(scope)):
        raise SettingsError("scope", f"unknown among {', '.join(scope)}", f"Use {', '.join(SCOPES)}")
    expires = None if days is None else datetime.fromtimestamp(int(_now_unix_s()) + days * 24 * _HOUR_S, UTC)
    key, entry = mint(name, scopes, note, expires, owner)
    print(f"key (shown once): {key}\nentry for the keys file:\n{entry}", end="")


@keys.command("rotate")
def rotate_key(
    name: str,
    file: File = None,
    overlap_hours: Annotated[float, typer.Option(help="How long the old one still opens.", min=0)] = 24.0,
) -> None:
    """A second key for a holder, and an end for the first. Writes the file; the API reads it within seconds."""
    path = _path(file)
    key, text = rotated(_read(path), name, _now_unix_s(), overlap_hours * _HOUR_S)
    _replace(path, text)
    print(f"key (shown once): {key}\nthe old one ends in {overlap_hours:g} h; {path} has both")


@keys.command("list")
def list_keys(file: File = None, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Holders, scopes, ends. When a key was used last is a metric: stillwatch_api_key_last_used_seconds."""
    now_unix_s = _now_unix_s()
    rows = [_row(key, secret, now_unix_s) for key in _ring(_path(file)) for secret in key.secrets]
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    table = Table("key", "secret (hash)", "state", "ends", "scopes", "note")
    for row in rows:
        table.add_row(row["key"], row["secret"], row["state"], row["ends"] or "–", " ".join(row["scopes"]), row["note"])
    Console().print(table)


def _row(key: ApiKey, secret: Secret, now_unix_s: float) -> dict[str, Any]:
    ends = min((end for end in (key.expires_unix_s, secret.expires_unix_s) if end is not None), default=None)
    return {
        "key": key.id, "secret": secret.name, "state": "expired" if ends is not None and ends <= now_unix_s else "valid",
        "ends": None if ends is None else datetime.fromtimestamp(ends, UTC).isoformat(),
        "scopes": sorted(key.scopes), "note": key.note,
    }  # fmt: skip


def _ring(path: Path) -> list[ApiKey]:
    return list(parse_key_ring(_read(path)).keys.values())


def _path(file: Path | None) -> Path:
    configured = load_settings().serve.api_keys_file
    if file is None and configured is None:
        raise SettingsError("--file", "no keys file is known", "Name it, or set serve.api_keys_file")
    return file or Path(str(configured))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(str(path), type(error).__name__, "Name a readable file of keys") from error


def _replace(path: Path, text: str) -> None:
    """At once: whoever reads it finds the old file or the new one."""
    descriptor, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(text)
        os.chmod(aside, path.stat().st_mode & 0o777)
        os.replace(aside, path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise


def _now_unix_s() -> float:
    return SystemClock().unix_nano() / 1e9
