"""One NATS connection that never gives up, and what its failures mean to the callers.

A connection reconnects for ever, with exponential backoff and jitter: after a server restart a thousand clients must not
knock at the same instant. Errors of the client library become :class:`~stillwatch.errors.Unavailable` in one place.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import random
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import nats.errors
import nats.js.errors
from nats.aio.client import Client, Server

from stillwatch.errors import SettingsError, StillwatchError, Unavailable
from stillwatch.settings import NatsSettings

_log = logging.getLogger(__name__)

# A restarted server is back within a second or two; a lost one for minutes. The cap bounds how long a returning server
# goes unnoticed, the base how hard a thousand clients knock.
_RECONNECT_BASE_S = 0.1
_RECONNECT_MAX_S = 5.0
# What may wait for the socket while disconnected; beyond it a publish fails instead of growing memory.
_PENDING_BYTES = 8 * 1024 * 1024

_LOST = (ConnectionError, nats.errors.StaleConnectionError)
# Mistakes of ours, not of the network: these must be seen, not retried.
_BUGS = (nats.errors.BadSubjectError, nats.errors.BadHeaderError, nats.js.errors.InvalidKeyError)


async def connect(
    settings: NatsSettings, name: str, *, within_s: float = 10.0, heard: Callable[[Exception], None] | None = None
) -> Client:
    """A connected client. Raises ``Unavailable`` when no server answers in ``within_s``, ``SettingsError`` when the
    settings can not work. ``heard``: is told of what the server complains about later, such as a forbidden publish."""
    if not settings.urls:
        raise SettingsError("nats.urls", "no server to connect to", "Name one, or start the embedded server first")
    client = Client()
    seen: dict[type[Exception], Exception] = {}

    async def on_error(error: Exception) -> None:
        seen[type(error)] = error
        if heard is not None:
            return heard(error)
        _log.warning("nats %s: %s: %s", name, type(error).__name__, error)

    async def on_disconnect() -> None:
        if not client.is_closed:
            _log.warning("nats %s: disconnected, reconnecting", name)

    async def on_reconnect() -> None:
        _log.info("nats %s: connected again to %s", name, client.connected_url and client.connected_url.hostname)

    async def on_closed() -> None:
        _log.info("nats %s: closed", name)

    async def on_lame_duck() -> None:
        _log.warning("nats %s: the server is about to stop (lame duck)", name)

    try:
        async with asyncio.timeout(within_s):
            await client.connect(
                servers=list(settings.urls),
                name=name,
                error_cb=on_error,
                disconnected_cb=on_disconnect,
                reconnected_cb=on_reconnect,
                closed_cb=on_closed,
                lame_duck_mode_cb=on_lame_duck,
                max_reconnect_attempts=-1,
                reconnect_time_wait=1,  # between first attempts only; later ones are timed by the handler
                reconnect_to_server_handler=_next_server,
                ping_interval=20,  # a half-open connection is noticed within a minute
                inbox_prefix=settings.inbox_prefix,
                pending_size=_PENDING_BYTES,
                flush_timeout=5.0,
                **security(settings),
            )
    except (TimeoutError, nats.errors.Error, OSError) as error:
        await close(client)
        # A refused login often ends in a reset connection; the refusal is what a person needs to read.
        why = next((e for kind, e in seen.items() if not issubclass(kind, _LOST)), next(iter(seen.values()), error))
        hosts = ", ".join(_without_secrets(url) for url in settings.urls)
        raise Unavailable(f"NATS at {hosts}", f"{type(why).__name__}: {why}") from why
    return client


async def close(client: Client, within_s: float = 5.0) -> None:
    """Sends what is still to be sent, if the server is there, and closes. Never raises: there is nobody left to care.

    No ``drain``: it waits for subscribers to read what nobody will read any more; every write of ours is acknowledged."""
    try:
        async with asyncio.timeout(within_s):
            await client.close()
    except (nats.errors.Error, OSError) as error:  # closing while disconnected trips over the lost socket
        _log.debug("closing the NATS connection: %s: %s", type(error).__name__, error)


@contextmanager
def reaching(what: str) -> Iterator[None]:
    """Turns what the client library raises inside into ``Unavailable(what)``."""
    try:
        yield
    except (StillwatchError, *_BUGS):
        raise
    except (nats.errors.Error, OSError) as error:  # asyncio's TimeoutError is an OSError
        raise Unavailable(what, f"{type(error).__name__}: {error}") from error


def require_connection(client: Client, what: str) -> None:
    """Fail at once instead of waiting for a timeout that is certain."""
    if not client.is_connected:
        raise Unavailable(what, "the NATS connection is closed" if client.is_closed else "NATS is reconnecting")


def _next_server(pool: list[Server], _info: dict[str, Any]) -> tuple[Server, float]:
    chosen = min(pool, key=lambda server: server.reconnects)
    ceiling = min(_RECONNECT_MAX_S, _RECONNECT_BASE_S * 2 ** min(chosen.reconnects, 10))
    return chosen, random.uniform(ceiling / 2, ceiling)


def security(settings: NatsSettings) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if settings.credentials_file is not None:
        if importlib.util.find_spec("nkeys") is None:
            raise SettingsError(
                "nats.credentials_file", "the package nkeys is not installed", "Install nats-py[nkeys], or use TLS only"
            )
        options["user_credentials"] = settings.credentials_file
    if settings.tls_ca_file is not None or settings.tls_cert_file is not None:
        options["tls"] = _tls(settings)
    return options


def _tls(settings: NatsSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.tls_ca_file)
    except OSError as error:
        raise SettingsError("nats.tls_ca_file", str(error), "Name a readable file with PEM certificates") from error
    if settings.tls_cert_file is not None:
        try:
            # Keys under a passphrase would be asked for at a terminal that nobody sees; an empty one fails at once.
            context.load_cert_chain(settings.tls_cert_file, settings.tls_key_file, password="")
        except OSError as error:
            raise SettingsError(
                "nats.tls_cert_file",
                str(error),
                "Name a PEM certificate, and in nats.tls_key_file its key, unencrypted",
            ) from error
    return context


def _without_secrets(url: str) -> str:
    """A URL can hold a user and password; neither belongs into an error message."""
    scheme, separator, rest = url.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
