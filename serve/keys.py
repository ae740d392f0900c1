"""API keys: named, hashed, scoped. Text in, :class:`KeyRing` out; ``launch`` reads the file.

A key is shown as ``swk_<id>_<secret>``, once, when it is minted; the file holds only the secret's SHA-256. A plain
hash is enough because the secret is 256 random bits: there is no dictionary to try. A holder can have two secrets at a
time, so that the new one is in use everywhere before the old one ends (:mod:`serve.key_file`).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Annotated, Final, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stillwatch.errors import SettingsError

Scope = Literal[
    "events:write",
    "scores:read",
    "campaigns:read",
    "revocations:write",
    "labels:write",
    "approvals:write",
    "never-act:write",
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
MAX_OWNER_CHARS: Final = 128
Refusal = Literal["malformed", "unknown", "expired"]
# Compared with when the id is unknown, so that an unknown id costs as much time as a wrong secret.
_NOBODY: Final = hashlib.sha256(b"nobody").digest()


# An old and a new one. More would be keys that nobody remembers.
MAX_SECRETS: Final = 2


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what they may. ``actor`` is how the audit log names them; ``owner`` the person behind it, "" where nobody is known."""

    id: str
    scopes: frozenset[Scope]
    actor: str
    owner: str = ""

    @property
    def person(self) -> str:
        """Who agrees when this caller does; "" agrees to nothing. All keys and tokens of one owner are one person: a caller
        without one could be a second key of anybody."""
        return self.owner.strip()


@dataclass(frozen=True, slots=True)
class Secret:
    sha256: bytes
    expires_unix_s: int | None = None

    @property
    def name(self) -> str:
        """For people and metrics: tells two secrets of a holder apart and helps nobody to guess one of 256 random bits."""
        return self.sha256.hex()[:8]


@dataclass(frozen=True, slots=True)
class ApiKey:
    """``expires_unix_s`` ends the holder with all secrets; each of them may end before."""

    id: str
    secrets: tuple[Secret, ...]
    scopes: frozenset[Scope]
    note: str = ""
    expires_unix_s: int | None = None
    owner: str = ""

    @property
    def caller(self) -> Caller:
        return Caller(self.id, self.scopes, f"api-key:{self.id}", self.owner)


@dataclass(frozen=True, slots=True)
class Found:
    key: ApiKey
    secret: Secret


class KeyRing:
    """The keys of a deployment. Immutable; an empty ring refuses everybody."""

    def __init__(self, keys: Iterable[ApiKey] = ()) -> None:
        self.keys = {key.id: key for key in keys}

    def __len__(self) -> int:
        return len(self.keys)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyRing) and self.keys == other.keys

    __hash__ = None  # type: ignore[assignment]

    def find(self, presented: str, now_unix_s: float) -> Found | Refusal:
        prefix, _, rest = presented.partition("_")
        key_id, _, text = rest.partition("_")
        if prefix != PREFIX or not key_id or not text or len(presented) > MAX_KEY_CHARS:
            return "malformed"
        key = self.keys.get(key_id)
        digest = hashlib.sha256(text.encode()).digest()
        found: Secret | None = None
        # Every time as many comparisons: how long a refusal takes tells nothing.
        for place in range(MAX_SECRETS):
            known = key.secrets[place] if key is not None and place < len(key.secrets) else None
            if hmac.compare_digest(digest, known.sha256 if known else _NOBODY) and known is not None:
                found = known
        if key is None or found is None:
            return "unknown"
        if any(end is not None and now_unix_s >= end for end in (key.expires_unix_s, found.expires_unix_s)):
            return "expired"
        return Found(key, found)


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class SecretEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    sha256: Sha256
    expires: datetime | date | None = None


class KeyEntry(BaseModel):
    """``sha256`` where there is one secret, ``secrets`` where there are two."""

    model_config = ConfigDict(extra="forbid")
    # No underscore: it separates the id from the secret.
    id: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    sha256: Sha256 | None = None
    secrets: Annotated[list[SecretEntry], Field(min_length=1, max_length=MAX_SECRETS)] | None = None
    scopes: Annotated[list[Scope], Field(min_length=1)]
    note: Annotated[str, Field(max_length=200)] = ""
    expires: datetime | date | None = None
    owner: Annotated[str, Field(max_length=MAX_OWNER_CHARS)] = ""

    @model_validator(mode="after")
    def _one_way_of_saying_it(self) -> KeyEntry:
        if (self.sha256 is None) == (self.secrets is None):
            raise ValueError("give sha256 for one secret, or secrets for up to two")
        return self

    def all_secrets(self) -> list[SecretEntry]:
        return [SecretEntry(sha256=self.sha256)] if self.sha256 is not None else list(self.secrets or ())


class KeyFile(BaseModel):
    model_config = ConfigDict(extra="forbid")
    keys: Annotated[list[KeyEntry], Field(max_length=10_000)]


def parse_key_ring(text: str) -> KeyRing:
    """Raises :class:`SettingsError` that names the entry and what to write instead."""
    return KeyRing(
        ApiKey(
            entry.id,
            tuple(Secret(bytes.fromhex(one.sha256), unix_s(one.expires)) for one in entry.all_secrets()),
            frozenset(entry.scopes), entry.note, unix_s(entry.expires), entry.owner,
        )
        for entry in parse_key_file(text).keys
    )  # fmt: skip


def parse_key_file(text: str) -> KeyFile:
    """Raises as :func:`parse_key_ring` does."""
    try:
        parsed = KeyFile.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise SettingsError(
            "api keys", f"not YAML ({type(error).__name__})", "See configs/api-keys.example.yaml"
        ) from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise SettingsError(f"api keys, {where}", first["msg"], "See configs/api-keys.example.yaml") from None
    ids = [entry.id for entry in parsed.keys]
    twice = next((id for id, count in Counter(ids).items() if count > 1), None)
    if twice is not None:
        raise SettingsError(
            f"api keys, id {twice}", "stands there twice", "Give every key its own id: the audit log names it"
        )
    return parsed


def new_secret(id: str) -> tuple[str, str]:
    """A key as its holder sends it, and the hash of its secret in hexadecimal."""
    secret = secrets.token_urlsafe(32)
    return f"{PREFIX}_{id}_{secret}", hashlib.sha256(secret.encode()).hexdigest()


def mint(
    id: str, scopes: Sequence[Scope], note: str = "", expires: datetime | date | None = None, owner: str = ""
) -> tuple[str, str]:
    """A new key and its entry for the file, as YAML. The key is nowhere else: show it once.

    >>> key, entry = mint("ops", ["campaigns:read"])
    >>> parse_key_ring("keys:" + chr(10) + entry).find(key, 0.0).key.id
    'ops'
    """
    key, sha256 = new_secret(id)
    entry = KeyEntry(id=id, sha256=sha256, scopes=list(scopes), note=note, expires=expires, owner=owner)
    text = yaml.safe_dump([entry.model_dump(exclude_defaults=True)], sort_keys=False, default_flow_style=None)
    return key, text


def unix_s(expires: datetime | date | None) -> int | None:
    """A bare date ends with the first second of that day, UTC; a time without a zone is UTC."""
    if expires is None:
        return None
    moment = expires if isinstance(expires, datetime) else datetime.combine(expires, time())
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
