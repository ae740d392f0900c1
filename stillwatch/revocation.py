"""Revocations: an enforced action with a reason, a TTL and an undo.

One :class:`Revocation` is one decision; it can name many accounts (a campaign's members). In the KV bucket it stands
once under ``record.<id>`` and, while it is enforced, as one small :class:`Enforcement` per account or organisation
key, which is all that a gateway reads. Expiry is checked by whoever enforces: the value carries ``expires_unix_s``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

import msgpack

from stillwatch.subjects import account_key, organisation_key
from stillwatch.verdict import ACTIONS, Action, Mode, strength

TargetKind = Literal["account", "organisation", "campaign"]
State = Literal["dry_run", "shadow", "active", "undone", "expired"]

MAX_TTL_S: Final = 90 * 24 * 3600  # a revocation nobody has looked at for a quarter is a mistake waiting for a customer
MAX_REASON_CHARS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Revocation:
    """A decision to act on ``target``. ``accounts`` are those it covers (for an organisation: none, the key covers)."""

    id: str
    target_kind: TargetKind
    target: str
    accounts: tuple[str, ...]
    action: Action
    reason: str
    mode: Mode
    dry_run: bool
    created_unix_s: int
    expires_unix_s: int
    actor: str
    verdict: str | None = None
    campaign: str | None = None
    policy_version: str | None = None
    traceparent: str | None = None
    undone_unix_s: int | None = None
    undone_by: str | None = None

    def state(self, now_unix_s: float) -> State:
        if self.undone_unix_s is not None:
            return "undone"
        if self.dry_run:
            return "dry_run"
        if now_unix_s >= self.expires_unix_s:
            return "expired"
        return "active" if self.mode == "enforce" else "shadow"

    def keys(self) -> list[str]:
        """The KV keys that enforce it."""
        if self.target_kind == "organisation":
            return [organisation_key(self.target)]
        return [account_key(account) for account in self.accounts]

    def enforcement(self) -> Enforcement:
        return Enforcement(self.id, self.action, self.reason, self.expires_unix_s, self.traceparent)

    def undone(self, now_unix_s: int, by: str) -> Revocation:
        return self if self.undone_unix_s is not None else replace(self, undone_unix_s=now_unix_s, undone_by=by)

    def to_map(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_map(cls, raw: Mapping[str, Any]) -> Revocation:
        return cls(**{**raw, "accounts": tuple(raw["accounts"])})


@dataclass(frozen=True, slots=True)
class Enforcement:
    """What a gateway needs to know about one key, and no more: the value under ``account.<token>`` or ``org.<id>``."""

    revocation: str
    action: Action
    reason: str
    expires_unix_s: int
    traceparent: str | None = None

    def encode(self) -> bytes:
        return bytes(msgpack.packb(asdict(self), use_bin_type=True))

    @classmethod
    def decode(cls, raw: bytes) -> Enforcement | None:
        """``None`` for a value that is not one: a foreign write to the bucket must not take an enforcer down."""
        try:
            value = msgpack.unpackb(raw, raw=False)
            found = cls(
                str(value["revocation"]), value["action"], str(value["reason"]), int(value["expires_unix_s"]),
                value.get("traceparent"),
            )  # fmt: skip
        except Exception:
            return None
        return found if found.action in ACTIONS else None


def stronger(first: Enforcement | None, second: Enforcement | None, now_unix_s: float) -> Enforcement | None:
    """Of an account's and its organisation's enforcement, the one that holds now; expired ones hold nothing."""
    holding = [item for item in (first, second) if item is not None and now_unix_s < item.expires_unix_s]
    return max(holding, key=lambda item: strength(item.action), default=None)


def revocation_id(*parts: str) -> str:
    """Deterministic: the same decision, replayed, is the same revocation.

    >>> revocation_id("verdict", "v-1") == revocation_id("verdict", "v-1")
    True
    """
    return "r-" + hashlib.blake2b("\x1f".join(parts).encode(), digest_size=10).hexdigest()


def covers(revocations: Sequence[Revocation], account: str, now_unix_s: float) -> Revocation | None:
    """The strongest active one among ``revocations`` that names the account."""
    active = [r for r in revocations if account in r.accounts and r.state(now_unix_s) == "active"]
    return max(active, key=lambda r: strength(r.action), default=None)
