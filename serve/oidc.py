"""Tokens of an OpenID provider (JWT, RFC 7519) in place of an API key: PyJWT checks them, this maps what they allow.

Signature by a key of the provider and an algorithm of the list, issuer, audience, expiry and not-before are all required
to fit; ``exp``, ``iat``, ``iss``, ``aud`` and ``sub`` to be there (RFC 8725 says why). Nothing in a token is followed: a
``jku`` or ``x5u`` of the header is never looked at.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal

import jwt

from serve.jwks import Jwks
from serve.keys import MAX_OWNER_CHARS, PREFIX, SCOPES, Caller, Scope
from stillwatch.errors import SettingsError
from stillwatch.ports import Clock
from stillwatch.settings import OidcSettings

# A provider that puts all groups of a person into the token makes a few KiB.
MAX_TOKEN_CHARS: Final = 8_192
TokenRefusal = Literal["token-malformed", "token-key", "token-expired", "token-foreign", "token-invalid"]
_REQUIRED: Final = ["exp", "iat", "iss", "aud", "sub"]
# What may stand in the audit as it is. Another subject could forge lines in what people read.
_PLAIN_SUBJECT: Final = re.compile(r"[A-Za-z0-9@._:|/+=-]{1,128}\Z")


class Tokens:
    def __init__(self, settings: OidcSettings, clock: Clock) -> None:
        self._settings = settings
        self._scopes = _mapping(settings)
        self._keys = Jwks(settings, clock)

    async def find(self, token: str) -> Caller | TokenRefusal:
        """Raises ``Unavailable`` while the provider's keys are not known."""
        if len(token) > MAX_TOKEN_CHARS:
            return "token-malformed"
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            return "token-malformed"
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in self._settings.algorithms:
            return "token-key"
        key = await self._keys.find(kid if isinstance(kid, str) else None, algorithm)
        if key is None:
            return "token-key"
        try:
            claims = jwt.decode(
                token, key, algorithms=list(self._settings.algorithms), audience=self._settings.audience,
                issuer=self._settings.issuer, leeway=self._settings.leeway_s, options={"require": _REQUIRED},
            )  # fmt: skip
        except jwt.ExpiredSignatureError:
            return "token-expired"
        except (jwt.InvalidAudienceError, jwt.InvalidIssuerError):
            return "token-foreign"
        except jwt.InvalidSignatureError:
            return "token-key"
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
            return "token-invalid"
        subject = claims["sub"]
        if not _PLAIN_SUBJECT.match(subject):
            return "token-invalid"
        return Caller(subject, self._allowed(claims), f"oidc:{subject}", self._person(claims))

    def _person(self, claims: dict[str, Any]) -> str:
        """The token opens without it, too, but approves nothing."""
        said = claims.get(self._settings.person_claim)
        return said.strip() if isinstance(said, str) and len(said) <= MAX_OWNER_CHARS and said.isprintable() else ""

    def _allowed(self, claims: dict[str, Any]) -> frozenset[Scope]:
        said = claims.get(self._settings.scopes_claim)
        words = said.split() if isinstance(said, str) else said if isinstance(said, list) else []
        return frozenset().union(*(self._scopes.get(word, ()) for word in words if isinstance(word, str)))


def check(settings: OidcSettings | None) -> None:
    """Raises ``SettingsError`` for what can not work, where somebody reads it: before replicas start."""
    if settings is not None:
        _mapping(settings)


def is_token(presented: str) -> bool:
    """Three parts with points between; an API key has none."""
    return presented.count(".") == 2 and not presented.startswith(f"{PREFIX}_")


def _mapping(settings: OidcSettings) -> dict[str, frozenset[Scope]]:
    if not settings.scopes:
        return {scope: frozenset([scope]) for scope in SCOPES}
    found: dict[str, frozenset[Scope]] = {}
    for word, given in settings.scopes.items():
        known: list[Scope] = [scope for scope in SCOPES if scope in given]
        if len(known) != len(set(given)):
            raise SettingsError(f"serve.oidc.scopes, {word}", "unknown scope", f"Use {', '.join(SCOPES)}")
        found[word] = frozenset(known)
    return found
