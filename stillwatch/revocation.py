"""Revocations: an enforced action with a reason, a TTL and an undo.

One :class:`Revocation` is one decision; it can name many accounts (a campaign's members). In the KV bucket it stands
once under ``record.<id>`` and, while it is enforced, as one small :class:`Enforcement` per account or organisation
key, which is all that a gateway reads. Expiry is checked by whoever enforces: the value carries ``expires_unix_s``.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, Literal

import msgpack

from stillwatch.subjects import account_key, organisation_key
from stillwatch.verdict import ACTIONS, Action, Mode, strength

TargetKind = Literal["account", "organisation", "campaign"]
State = Literal["dry_run", "shadow", "waiting", "active", "undone", "rejected", "lapsed", "expired"]

MAX_TTL_S: Final = 90 * 24 * 3600  # a revocation nobody has looked at for a quarter is a mistake waiting for a customer
MAX_REASON_CHARS: Final = 1_000
# Of one revocation by the policy: its record is one message, and a megabyte has room for 15,000 of the longest tokens.
MAX_ACCOUNTS: Final = 10_000


def same_person(name: str) -> str:
    """What two ways to write a person's name have in common: Unicode's compatible form, case and spaces do not count.

    >>> same_person("  Anna  MÜLLER") == same_person("anna mu\u0308ller")
    True
    """
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).split())


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a revocation does not act yet, and who may let it.

    ``approvals``: (who, unix s), different people; a person who proposed it is the first. "" is nobody, and the same name
    written in another way (:func:`same_person`) is one person: both are left out. ``releases_itself``: the policy may let it
    act without people, once what held it back is over. ``released_unix_s``: since when it acts.

    >>> Hold("too many", 2, 600, (("Anna", 1), ("", 2), (" anna", 3), ("bob", 4))).approvals
    (('Anna', 1), ('bob', 4))
    """

    because: str
    people: int
    decide_before_unix_s: int
    approvals: tuple[tuple[str, int], ...] = ()
    releases_itself: bool = False
    released_unix_s: int | None = None

    def __post_init__(self) -> None:
        people: dict[str, tuple[str, int]] = {}
        for who, at in self.approvals:
            if same_person(who):
                people.setdefault(same_person(who), (who, at))
        object.__setattr__(self, "approvals", tuple(people.values()))

    def agreed(self, who: str) -> bool:
        return any(same_person(other) == same_person(who) for other, _ in self.approvals)

    @property
    def missing(self) -> int:
        """How many people more must agree."""
        return 0 if self.released_unix_s is not None else max(self.people - len(self.approvals), 0)

    @classmethod
    def from_map(cls, raw: Mapping[str, Any]) -> Hold:
        return cls(**{**raw, "approvals": tuple((str(who), int(at)) for who, at in raw["approvals"])})


@dataclass(frozen=True, slots=True)
class Revocation:
    """A decision to act on ``target``. ``accounts`` are those it covers (for an organisation: none, the key covers).

    ``decided_unix_s``: event time of the verdict. ``acts_from_unix_s``: event time at which what waited for fresh state was let
    act; ``None`` for what did not. ``spared``: accounts that it would cover, were they not on the never-act
    list; of an organisation, whose accounts nobody has counted, all accounts that are on it. ``organisations``: of each account of what waits, in their order, the id that an entry for its organisation would have ("" for
    none); empty where nobody has one. Once it acts they are forgotten.
    """

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
    decided_unix_s: int | None = None
    hold: Hold | None = None
    spared: tuple[str, ...] = ()
    acts_from_unix_s: int | None = None
    organisations: tuple[str, ...] = ()

    def state(self, now_unix_s: float) -> State:
        held = self.hold is not None and self.hold.released_unix_s is None
        if self.undone_unix_s is not None:
            return "rejected" if held else "undone"
        if self.dry_run:
            return "dry_run"
        if self.hold is not None and held:
            return "waiting" if now_unix_s < self.hold.decide_before_unix_s else "lapsed"
        if now_unix_s >= self.expires_unix_s:
            return "expired"
        return "active" if self.mode == "enforce" else "shadow"

    @property
    def ttl_s(self) -> int:
        """How long it acts, from when it is let to."""
        begins = self.hold.released_unix_s if self.hold is not None else None
        return self.expires_unix_s - (self.created_unix_s if begins is None else begins)

    def keys(self) -> list[str]:
        """The KV keys that enforce it."""
        if self.target_kind == "organisation":
            return [organisation_key(self.target)]
        return [account_key(account) for account in self.accounts]

    def enforcement(self) -> Enforcement:
        spared = frozenset(self.spared) if self.target_kind == "organisation" else frozenset[str]()
        return Enforcement(self.id, self.action, self.reason, self.expires_unix_s, self.traceparent, spared)

    def undone(self, now_unix_s: int, by: str) -> Revocation:
        return self if self.undone_unix_s is not None else replace(self, undone_unix_s=now_unix_s, undone_by=by)

    def approved(self, now_unix_s: int, by: str) -> Revocation:
        """With one more person who agrees; the last one lets it act. The same person twice is one, and "" is nobody."""
        if self.hold is None or not same_person(by) or self.hold.agreed(by):
            return self
        hold = replace(self.hold, approvals=(*self.hold.approvals, (by, now_unix_s)))
        agreed = replace(self, hold=hold)
        return agreed.released(now_unix_s) if not hold.missing else agreed

    def released(self, now_unix_s: int) -> Revocation:
        """It acts from now on, for as long as it was meant to."""
        if self.hold is None or self.hold.released_unix_s is not None:
            return self
        expires = now_unix_s + self.ttl_s
        return replace(self, hold=replace(self.hold, released_unix_s=now_unix_s), expires_unix_s=expires)

    def sparing(self, accounts: Collection[str]) -> Revocation:
        """Without these accounts."""
        spared = tuple(account for account in self.accounts if account in accounts)
        if not spared:
            return self
        left = self.only([account for account in self.accounts if account not in accounts])
        return replace(left, spared=(*self.spared, *spared))

    def only(self, accounts: Collection[str]) -> Revocation:
        """On those of its accounts that are among these."""
        chosen = frozenset(accounts)
        left = [place for place, account in enumerate(self.accounts) if account in chosen]
        return replace(
            self,
            accounts=tuple(self.accounts[place] for place in left),
            organisations=tuple(self.organisations[place] for place in left) if self.organisations else (),
        )

    def to_map(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_map(cls, raw: Mapping[str, Any]) -> Revocation:
        """Of a newer version, too: what this one does not know is left out."""
        hold = raw.get("hold")
        known = {name: value for name, value in raw.items() if name in _FIELDS}
        return cls(**{
            **known, "accounts": tuple(raw["accounts"]), "spared": tuple(raw.get("spared", ())),
            "organisations": tuple(raw.get("organisations", ())),
            "hold": None if hold is None else Hold.from_map(hold),
        })  # fmt: skip


_FIELDS: Final = frozenset(field.name for field in fields(Revocation))


@dataclass(frozen=True, slots=True)
class Enforcement:
    """What a gateway needs to know about one key, and no more: the value under ``account.<token>`` or ``org.<id>``.

    ``spared``: accounts that an organisation's does not hold for.
    """

    revocation: str
    action: Action
    reason: str
    expires_unix_s: int
    traceparent: str | None = None
    spared: frozenset[str] = frozenset()

    def encode(self) -> bytes:
        value = asdict(self)
        if self.spared:
            value["spared"] = sorted(self.spared)
        else:
            del value["spared"]
        return bytes(msgpack.packb(value, use_bin_type=True))

    @classmethod
    def decode(cls, raw: bytes) -> Enforcement | None:
        """``None`` for a value that is not one: a foreign write to the bucket must not take an enforcer down."""
        try:
            value = msgpack.unpackb(raw, raw=False)
            found = cls(
                str(value["revocation"]), value["action"], str(value["reason"]), int(value["expires_unix_s"]),
                value.get("traceparent"), frozenset(map(str, value.get("spared", ()))),
            )  # fmt: skip
        except Exception:
            return None
        return found if found.action in ACTIONS else None


def stronger(
    first: Enforcement | None, second: Enforcement | None, now_unix_s: float, account: str | None = None
) -> Enforcement | None:
    """Of an account's and its organisation's enforcement, the one that holds now for the account; expired ones hold nothing."""
    holding = [
        item
        for item in (first, second)
        if item is not None and now_unix_s < item.expires_unix_s and account not in item.spared
    ]
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
