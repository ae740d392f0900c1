"""The never-act list: accounts and organisations that no revocation may touch, each with an owner, a reason and an end.

Policy leaves them out of verdicts, and the revocation store leaves them out of what it writes, whoever asks. What was in
force before an entry was made stays in force: lifting is a decision of its own (``stillwatch undo``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

ProtectedKind = Literal["account", "organisation"]

# Each is looked at for every verdict and every write. More than this is a tier of customers, which a rule's
# `below_verification` is for.
MAX_ENTRIES: Final = 1_000
# Somebody has to look at an exception once a year.
MAX_PROTECTION_S: Final = 366 * 24 * 3600
# Said before it happens, so that its owner can renew it.
ENDS_SOON_S: Final = 3 * 24 * 3600
# Of what the policy file names: the last second that a date of four digits can say.
ENDLESS_UNIX_S: Final = 253_402_300_799


@dataclass(frozen=True, slots=True)
class Protection:
    """One entry. ``owner``: who answers for it; ``by``: who wrote it."""

    kind: ProtectedKind
    target: str
    owner: str
    reason: str
    created_unix_s: int
    expires_unix_s: int
    by: str

    @property
    def id(self) -> str:
        return protection_id(self.kind, self.target)

    @property
    def endless(self) -> bool:
        """It is the policy file's."""
        return self.expires_unix_s == ENDLESS_UNIX_S

    @property
    def words(self) -> str:
        """Why nobody may act, and what to do about it."""
        if self.endless:
            return f"the policy file names {self.kind} {self.target} under never_act; change it there"
        return (
            f"{self.kind} {self.target} is on the never-act list until unix second {self.expires_unix_s}, because: "
            f"{self.reason}. Ask {self.owner}, or remove the entry {self.id} first"
        )

    def holds(self, now_unix_s: float) -> bool:
        return now_unix_s < self.expires_unix_s

    def ends_soon(self, now_unix_s: float) -> bool:
        return self.holds(now_unix_s) and now_unix_s >= self.expires_unix_s - ENDS_SOON_S

    def to_map(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_map(cls, raw: Mapping[str, Any]) -> Protection:
        """Raises ``KeyError``, ``TypeError`` or ``ValueError`` for what is none."""
        if raw["kind"] not in ("account", "organisation"):
            raise ValueError("kind")
        return cls(
            raw["kind"], str(raw["target"]), str(raw["owner"]), str(raw["reason"]),
            int(raw["created_unix_s"]), int(raw["expires_unix_s"]), str(raw["by"]),
        )  # fmt: skip


def protection_id(kind: ProtectedKind, target: str) -> str:
    """One entry for each account and organisation: the same target again replaces it.

    >>> protection_id("account", "a") != protection_id("organisation", "a")
    True
    """
    return "n-" + hashlib.blake2b(f"{kind}\x1f{target}".encode(), digest_size=10).hexdigest()


def organisations_of(organisations: Iterable[str | None]) -> tuple[str, ...]:
    """What ``Revocation.organisations`` is for accounts of these.

    >>> organisations_of([None, "acme"]) == ("", protection_id("organisation", "acme")), organisations_of([None, None])
    (True, ())
    """
    ids = tuple(protection_id("organisation", one) if one else "" for one in organisations)
    return ids if any(ids) else ()


def of_policy(accounts: Iterable[str]) -> tuple[Protection, ...]:
    """What the policy file names under ``never_act``, as entries that never end."""
    return tuple(
        Protection("account", one, "the policy", "the policy file names it", 0, ENDLESS_UNIX_S, "policy")
        for one in accounts
    )


class NeverAct:
    """The entries that hold at a moment."""

    def __init__(self, entries: Iterable[Protection] = (), now_unix_s: float = 0.0) -> None:
        self._holding = {(one.kind, one.target): one for one in entries if one.holds(now_unix_s)}
        self._by_id = {one.id: one for one in self._holding.values()}

    def __len__(self) -> int:
        return len(self._holding)

    @property
    def protects_organisations(self) -> bool:
        return any(kind == "organisation" for kind, _ in self._holding)

    @property
    def accounts(self) -> tuple[str, ...]:
        """Those that have an entry of their own, by name."""
        return tuple(sorted(target for kind, target in self._holding if kind == "account"))

    def covers(self, account: str | None, organisation: str | None = None) -> Protection | None:
        """
        >>> entry = Protection("organisation", "acme", "anna", "contract talks", 0, 100, "anna")
        >>> NeverAct([entry], 99).covers("a", "acme") == entry, NeverAct([entry], 100).covers("a", "acme")
        (True, None)
        """
        found = self._holding.get(("account", account)) if account else None
        if found is None and organisation:
            found = self._holding.get(("organisation", organisation))
        return found

    def entry(self, id: str) -> Protection | None:
        """The one with this id, if it holds."""
        return self._by_id.get(id)


NOBODY: Final = NeverAct()
