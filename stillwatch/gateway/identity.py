"""Who a request is from, as Stillwatch may know it: an opaque token, never the key itself."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stillwatch.errors import SettingsError
from stillwatch.event import AttributeValue

# 128 bits: no two keys collide, and a subject, a span and a log line stay readable.
_DIGITS = 32
_MIN_SECRET_BYTES = 16


@dataclass(frozen=True, slots=True)
class Identity:
    """``attributes`` are the platform's own facts, in the contract's names (tier, sign-up, ASN, ...). ``invited_by``: the token
    of the account whose invitation or referral this one signed up with, made exactly as its own ``account`` is
    (:func:`hmac_account` of the same secret); else the two are strangers."""

    account: str
    organisation: str | None = None
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    invited_by: str | None = None


Identify = Callable[[Mapping[str, Any]], Identity | None]


def hmac_account(secret: bytes, key: str) -> str:
    """The account token of an API key: HMAC-SHA256, so that nobody without the secret can test a guessed key.

    >>> hmac_account(b"0123456789abcdef", "sk-live-7")
    '4f8ae68b912ac381685cf217682b5fd5'
    """
    return hmac.new(secret, key.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()[:_DIGITS]


def bearer_identity(secret: bytes) -> Identify:
    """Identifies by ``Authorization: Bearer``, or by ``x-api-key`` as Anthropic's clients send it."""
    if len(secret) < _MIN_SECRET_BYTES:
        raise SettingsError(
            "secret",
            f"{len(secret)} bytes can be guessed",
            f"Use {_MIN_SECRET_BYTES} or more random bytes, the same everywhere",
        )

    def identify(scope: Mapping[str, Any]) -> Identity | None:
        key = b""
        for name, value in scope.get("headers", ()):
            if name == b"authorization" and value[:7].lower() == b"bearer ":
                key = value[7:].strip()
                break
            if name == b"x-api-key":
                key = value.strip()
        return Identity(hmac_account(secret, key.decode("latin-1"))) if key else None

    return identify
