"""The provider's public keys, fetched and kept: seldom, with bounds, and never because a stranger wishes it.

They are fetched when they are ``MAX_AGE_S`` old, or when a token names a key that is not among them (providers rotate), but
then at most once in ``MIN_PAUSE_S``, however many such tokens come. While the provider is away the last keys serve on for
``MAX_STALE_S``.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Mapping
from typing import Any, Final

import httpx
import jwt

from stillwatch.errors import SettingsError, Unavailable
from stillwatch.ports import Clock
from stillwatch.settings import OidcSettings

log = logging.getLogger("stillwatch.serve")

MAX_AGE_S: Final = 300.0
MIN_PAUSE_S: Final = 30.0
# A provider's outage must not lock operators out at the worst time; a key that leaked is out after this at the latest.
MAX_STALE_S: Final = 24 * 3600.0
_TIMEOUT_S: Final = 3.0
_MAX_BYTES: Final = 256 * 1024
_MAX_KEYS: Final = 100
# Whatever a provider does: away, slow (`asyncio.timeout` raises the built-in TimeoutError), an address in its document that is
# none, an answer that is no JSON, too deep, or another document.
_BROKEN: Final = (
    httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError, RecursionError, KeyError, TypeError, AttributeError,
)  # fmt: skip
_WELL_KNOWN: Final = "/.well-known/openid-configuration"


class Jwks:
    """Raises ``SettingsError`` when the authority's file can not be read."""

    def __init__(self, settings: OidcSettings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._tls = _context(settings.ca_file)
        self._keys: Mapping[str | None, Mapping[str, Any]] = {}
        self._url = settings.jwks_url
        self._fetched_s = self._tried_s = float("-inf")
        self._fetching = asyncio.Lock()

    async def find(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        """The key of that name for that algorithm; without a name, the only key that there is. ``None``: the provider has
        none. Raises ``Unavailable`` while no keys are known at all."""
        age_s = self._clock.monotonic_s() - self._fetched_s
        if age_s > MAX_AGE_S or self._named(kid) is None:
            await self._refresh(kid)
        raw = self._named(kid)
        if raw is None:
            return None
        try:
            key = jwt.PyJWK.from_dict(dict(raw), None if raw.get("alg") else algorithm)
        except (jwt.PyJWTError, ValueError, TypeError):
            return None  # a key of another kind
        return key if key.algorithm_name == algorithm else None

    def _named(self, kid: str | None) -> Mapping[str, Any] | None:
        if kid is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(kid)

    async def _refresh(self, kid: str | None) -> None:
        async with self._fetching:
            now_s = self._clock.monotonic_s()
            fresh = now_s - self._fetched_s <= MAX_AGE_S and self._named(kid) is not None
            if not fresh and now_s - self._tried_s >= MIN_PAUSE_S:
                self._tried_s = now_s
                try:
                    self._keys = await self._fetch()
                    self._fetched_s = now_s
                except _BROKEN as error:
                    # By its kind: the provider's answer is not ours to log.
                    log.error("keys of %s: %s; the last ones serve on", self._settings.issuer, type(error).__name__)
            if now_s - self._fetched_s > MAX_STALE_S:
                self._keys = {}
                raise Unavailable("the OpenID provider", "its keys can not be fetched", retry_after_s=MIN_PAUSE_S)

    async def _fetch(self) -> Mapping[str | None, Mapping[str, Any]]:
        # No redirects: an address that is not configured is not asked.
        async with httpx.AsyncClient(verify=self._tls, timeout=_TIMEOUT_S, follow_redirects=False) as http:
            url = self._url
            if url is None:
                document = await _get(http, self._settings.issuer.rstrip("/") + _WELL_KNOWN)
                if document["issuer"] != self._settings.issuer:
                    raise ValueError("the document is of another issuer")
                url = str(document["jwks_uri"])
            found = (await _get(http, url))["keys"]
        signing = [key for key in found[:_MAX_KEYS] if key.get("use", "sig") == "sig" and key.get("kty") != "oct"]
        self._url = url  # only one that answered with keys is worth keeping
        return {key.get("kid"): key for key in signing}


async def _get(http: httpx.AsyncClient, url: str) -> Any:
    async with asyncio.timeout(_TIMEOUT_S), http.stream("GET", url) as answer:
        answer.raise_for_status()
        if answer.status_code != 200:
            raise ValueError(f"status {answer.status_code}")
        body = bytearray()
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > _MAX_BYTES:
                raise ValueError("the answer is too long")
    return httpx.Response(200, content=bytes(body)).json()


def _context(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise SettingsError("serve.oidc.ca_file", str(error), "Name a readable file with PEM certificates") from error
