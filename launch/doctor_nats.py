"""NATS for a checkup: which server, which logins, what the monitoring port says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import yaml
from pydantic import ValidationError

from stillwatch.checkup import Check
from stillwatch.errors import SettingsError, Unavailable
from stillwatch.settings import NatsSettings, Settings
from streams import checkup as streams_checkup
from streams import permissions
from streams.connection import close, connect

_WITHIN_S: Final = 3.0


async def checks(settings: Settings, monitor: str | None, logins: Mapping[str, NatsSettings]) -> list[Check]:
    """``logins``: by role, those that are looked at beside the settings' own."""
    try:
        client = await connect(settings.nats, f"{settings.deployment}-doctor", within_s=_WITHIN_S)
    except Unavailable as error:
        return [
            Check("NATS", "failed", f"{error.what}: {error.problem}", "Is it running? Check nats.urls and the login")
        ]
    out = [Check("NATS", "ok", f"reached at {client.connected_url.hostname if client.connected_url else '?'}")]
    try:
        varz, source = (
            read_varz(monitor) if monitor is not None else (embedded_varz(settings), "its configuration file")
        )
        out += await streams_checkup.checks(client, settings, varz, source)
    except (Unavailable, SettingsError) as error:
        out.append(Check("NATS", "failed", str(error), "Try again"))
    finally:
        await close(client)
    own = {role: settings.nats for role in _role_of(settings.nats)}
    users = (_permissions(role, login) for role, login in {**own, **logins}.items())
    return [*out, *await asyncio.gather(_without_login(settings.nats), *users)]


def read_logins(file: str | None, base: NatsSettings) -> dict[str, NatsSettings]:
    """``role: url``, or ``role: {urls: […], …}`` with any of the settings under ``nats``."""
    if file is None:
        return {}
    remedy = f"Write lines of ROLE: URL; roles are {', '.join(permissions.ROLES)}"
    try:
        raw = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
        entries = {role: {"urls": [entry]} if isinstance(entry, str) else dict(entry) for role, entry in raw.items()}
        unknown = sorted(entries.keys() - permissions.ROLES.keys())
        if unknown:
            raise SettingsError(file, f"no role {', '.join(unknown)}", remedy)
        shared = base.model_dump(exclude={"urls", "credentials_file"}, exclude_defaults=True)
        return {role: NatsSettings.model_validate({**shared, **entry}) for role, entry in entries.items()}
    except (
        OSError,
        UnicodeDecodeError,
        yaml.YAMLError,
        AttributeError,
        TypeError,
        ValueError,
        ValidationError,
    ) as error:
        # Not the text: it has passwords.
        raise SettingsError(file, f"is no list of logins ({type(error).__name__})", remedy) from None


def read_varz(monitor: str) -> tuple[dict[str, Any], str]:
    url = f"{monitor.rstrip('/')}/varz"
    try:
        return dict(httpx.get(url, timeout=_WITHIN_S).raise_for_status().json()), "/varz"
    except (httpx.HTTPError, ValueError) as error:
        raise SettingsError(
            "--monitor", f"{url} does not answer: {error}", "Name nats-server's monitoring port"
        ) from error


def embedded_varz(settings: Settings) -> dict[str, Any] | None:
    """Of the server that `stillwatch up` started here: it has no monitoring port, but its configuration is ours."""
    try:
        config = json.loads((Path(settings.data_dir) / "nats" / "nats-server.conf").read_text())
        listen = str(config["listen"])
        interval = config["jetstream"].get("sync_interval", "2m")
    except (OSError, ValueError, KeyError, TypeError):
        return None
    ours = any(urlsplit(url).hostname in ("127.0.0.1", "localhost") for url in settings.nats.urls)
    if not ours or not listen:
        return None
    seconds = {"always": 0.0, "10s": 10.0}.get(interval, 120.0)
    return {"jetstream": {"config": {"sync_interval": seconds * 1e9, "sync_always": interval == "always"}}}


async def _without_login(settings: NatsSettings) -> Check:
    name = "NATS without a login"
    if not await permissions.lets_anybody_in(settings):
        return Check(name, "ok", "refused")
    hosts = {urlsplit(url).hostname or "" for url in settings.urls}
    local = hosts <= {"127.0.0.1", "localhost", "::1"}
    remedy = (
        "Give NATS users: helm/nats-users-values.yaml has what each needs. For a trial on one machine this is as it "
        "should be"
    )
    found = "accepted: whoever reaches the port can revoke and empty streams"
    return Check(name, "warning" if local else "failed", found, remedy)


async def _permissions(role: str, login: NatsSettings) -> Check:
    name = f"NATS user {role}"
    try:
        found = await permissions.may(login)
    except Unavailable as error:
        return Check(
            name,
            "failed",
            f"can not log in: {error.problem}",
            "Check its password, and whether the server has this user",
        )
    needs = permissions.ROLES[role]
    lacks = sorted(what for what, allowed in found.items() if what in needs and allowed is False)
    beyond = sorted(what for what, allowed in found.items() if what not in needs and allowed)
    dumb = sorted(what for what, allowed in found.items() if allowed is None)
    said = [
        *([f"may not {', '.join(lacks)}, which it needs"] if lacks else []),
        *([f"may {', '.join(beyond)}, which it does not need"] if beyond else []),
        *([f"neither answer nor refusal: {', '.join(dumb)}"] if dumb else []),
    ]
    if beyond == [permissions.OTHERS_ANSWERS] and not lacks:
        return Check(
            name, "warning", "; ".join(said), "Give each user an inbox prefix of its own: helm/nats-users-values.yaml"
        )
    if lacks or beyond:
        return Check(name, "failed", "; ".join(said), "Give it the permissions in helm/nats-users-values.yaml")
    if dumb:
        return Check(
            name, "unknown", "; ".join(said), "Is JetStream there, and its inbox prefix the one that it may listen to?"
        )
    return Check(name, "ok", f"may {', '.join(sorted(needs))}, and nothing else that was tried")


def _role_of(settings: NatsSettings) -> list[str]:
    """Of the settings' own login, when its user is named like a role."""
    users = {urlsplit(url).username for url in settings.urls}
    return [role for role in permissions.ROLES if role in users]
