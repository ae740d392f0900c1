"""API keys: named, hashed, scoped. Text in, :class:`KeyRing` out; ``launch`` reads the file.

A key is shown as ``swk_<id>_<secret>``, once, when it is minted; the file holds only the secret's SHA-256. A plain
hash is enough because the secret is 256 random bits: there is no dictionary to try.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Annotated, Final, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stillwatch.errors import SettingsError

Scope = Literal[
    "events:write",
    "scores:read",
    "campaigns:read",
    "revocations:write",
    "labels:write",
    "control:write",
    "indicators:write",
    "deadletters:read",
    "deadletters:write",
    "metrics:read",
    "authz:check",
]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
PREFIX: Final = "swk"
MAX_KEY_CHARS: Final = 256
Refusal = Literal["malformed", "unknown", "expired"]
# Compared with when the id is unknown, so that an unknown id costs as much time as a wrong secret.
_NOBODY: Final = hashlib.sha256(b"nobody").digest()


@dataclass(frozen=True, slots=True)
class ApiKey:
    id: str
    sha256: bytes
    scopes: frozenset[Scope]
    note: str = ""
    expires_unix_s: int | None = None

    @property
    def actor(self) -> str:
        """How the audit log names the holder."""
        return f"api-key:{self.id}"


class KeyRing:
    """The keys of a deployment. Immutable; an empty ring refuses everybody."""

    def __init__(self, keys: Iterable[ApiKey] = ()) -> None:
        self._keys = {key.id: key for key in keys}

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, presented: str, now_unix_s: float) -> ApiKey | Refusal:
        prefix, _, rest = presented.partition("_")
        key_id, _, secret = rest.partition("_")
        if prefix != PREFIX or not key_id or not secret or len(presented) > MAX_KEY_CHARS:
            return "malformed"
        key = self._keys.get(key_id)
        digest = hashlib.sha256(secret.encode()).digest()
        same = hmac.compare_digest(digest, key.sha256 if key else _NOBODY)
        if key is None or not same:
            return "unknown"
        if key.expires_unix_s is not None and now_unix_s >= key.expires_unix_s:
            return "expired"
        return key


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    # No underscore: it separates the id from the secret.
    id: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    scopes: Annotated[list[Scope], Field(min_length=1)]
    note: Annotated[str, Field(max_length=200)] = ""
    expires: datetime | date | None = None


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    keys: Annotated[list[_Entry], Field(max_length=10_000)]


def parse_key_ring(text: str) -> KeyRing:
    """Raises :class:`SettingsError` that names the entry and what to write instead."""
    try:
        parsed = _File.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise SettingsError(
            "api keys", f"not YAML ({type(error).__name__})", "See configs/api-keys.example.yaml"
        ) from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise SettingsError(f"api keys, {where}", first["msg"], "See configs/api-keys.example.yaml") from None
    ids = [entry.id for entry in parsed.keys]
    twice = next((id for id in ids if ids.count(id) > 1), None)
    if twice is not None:
        raise SettingsError(
            f"api keys, id {twice}", "stands there twice", "Give every key its own id: the audit log names it"
        )
    return KeyRing(
        ApiKey(entry.id, bytes.fromhex(entry.sha256), frozenset(entry.scopes), entry.note, _unix_s(entry.expires))
        for entry in parsed.keys
    )


def mint(id: str, scopes: Sequence[Scope], note: str = "", expires: datetime | date | None = None) -> tuple[str, str]:
    """A new key and its entry for the file, as YAML. The key is nowhere else: show it once.

    >>> key, entry = mint("ops", ["campaigns:read"])
    >>> parse_key_ring("keys:" + chr(10) + entry).find(key, 0.0).id
    'ops'
    """
    secret = secrets.token_urlsafe(32)
    entry = _Entry(
        id=id, sha256=hashlib.sha256(secret.encode()).hexdigest(), scopes=list(scopes), note=note, expires=expires
    )
    text = yaml.safe_dump([entry.model_dump(exclude_defaults=True)], sort_keys=False, default_flow_style=None)
    return f"{PREFIX}_{id}_{secret}", text


def _unix_s(expires: datetime | date | None) -> int | None:
    """A bare date ends with the first second of that day, UTC; a time without a zone is UTC."""
    if expires is None:
        return None
    moment = expires if isinstance(expires, datetime) else datetime.combine(expires, time())
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
