"""What is said about accounts and campaigns: signals, scores, members, verdicts. Plain frozen values.

``to_map`` gives JSON-ready maps for the API, the verdict stream and snapshots; ``from_map`` reads them back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, get_args

from stillwatch.extraction import Extraction
from stillwatch.grounds import Grounds, GroupTested
from stillwatch.life import History, State
from stillwatch.signature import Signature

Action = Literal["observe", "throttle", "challenge", "suspend", "revoke"]
Mode = Literal["enforce", "shadow"]
Band = Literal["no_opinion", "normal", "elevated", "high", "severe"]
AccountKind = Literal[
    "attack", "user", "team", "agent", "classroom", "saas", "gateway", "reseller", "evaluation", "batch", "ci", "other"
]

ACTIONS: Final[tuple[Action, ...]] = get_args(Action)  # weakest first
ACCOUNT_KINDS: Final[tuple[AccountKind, ...]] = get_args(AccountKind)


def strength(action: Action) -> int:
    """0 for ``observe`` to 4 for ``revoke``. "Acted on" means 1 or more."""
    return ACTIONS.index(action)


@dataclass(frozen=True, slots=True)
class Signal:
    """One piece of evidence.

    ``normal`` is the 5 % and 95 % quantile among comparable honest accounts or groups; ``surprise`` is -log10 of the
    p-value (3 = one in a thousand). Either is ``None`` while there is no opinion yet; that is not zero.
    """

    name: str
    value: float
    normal: tuple[float, float] | None
    surprise: float | None
    sentence: str


@dataclass(frozen=True, slots=True)
class AccountScore:
    """The answer to "how suspicious is this account now": ``score`` 0..1, ``None`` = no opinion yet."""

    account: str
    score: float | None
    band: Band
    action: Action
    signals: tuple[Signal, ...]
    campaign: str | None
    as_of_unix_nano: int
    events: int

    def to_map(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_map(cls, raw: Mapping[str, Any]) -> AccountScore:
        return cls(**{**raw, "signals": tuple(signal_from_map(signal) for signal in raw["signals"])})


@dataclass(frozen=True, slots=True)
class Member:
    """An account of a campaign. ``confidence`` 0..1 is the posterior that it draws from the campaign's pool."""

    account: str
    confidence: float
    requests: int
    tokens: int
    organisation: str | None = None


@dataclass(frozen=True, slots=True)
class Campaign:
    """A group of accounts judged to act as one. ``growth`` rows are (event time in unix s, members, requests).

    ``extraction``: how much it took. ``signature``: what it is recognised by. ``history``: (event time in unix s, what,
    detail). ``merged_into``: the older campaign that this one proved to be a part of; ``absorbed``: those that became a part
    of this one. ``split_from``: the campaign that it was a part of, and those that one had absorbed by then. ``tests``: those of its
    groups that count most. What was published before there was any of this lacks it.
    """

    id: str
    detected_at_unix_nano: int
    updated_at_unix_nano: int
    members: tuple[Member, ...]
    signals: tuple[Signal, ...]
    e_value: float
    linkage: tuple[str, ...]
    requests: int
    tokens: int
    growth: tuple[tuple[int, int, int], ...] = ()
    action: Action = "observe"
    extraction: Extraction | None = None
    signature: Signature | None = None
    state: State = "awake"
    history: History = ()
    merged_into: str | None = None
    absorbed: tuple[str, ...] = ()
    tests: tuple[GroupTested, ...] = ()
    split_from: tuple[str, ...] = ()

    def to_map(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_map(cls, raw: Mapping[str, Any]) -> Campaign:
        extraction, signature = raw.get("extraction"), raw.get("signature")
        return cls(
            **{
                **raw,
                "members": tuple(Member(**member) for member in raw["members"]),
                "signals": tuple(signal_from_map(signal) for signal in raw["signals"]),
                "linkage": tuple(raw["linkage"]),
                "growth": tuple((int(t), int(m), int(r)) for t, m, r in raw["growth"]),
                "extraction": None if extraction is None else Extraction.from_map(extraction),
                "signature": None if signature is None else Signature.from_map(signature),
                "history": tuple((int(t), str(what), str(detail)) for t, what, detail in raw.get("history", ())),
                "absorbed": tuple(raw.get("absorbed", ())),
                "split_from": tuple(raw.get("split_from", ())),
                "tests": tuple(GroupTested.from_map(one) for one in raw.get("tests", ())),
            }
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided, about whom, on which evidence, by which version. The id is a function of the decision, so a
    replay of the same events decides the same verdict under the same id. ``grounds``: what else it rested on; one of an older
    version has none."""

    id: str
    kind: Literal["account", "campaign"]
    subject: str
    action: Action
    mode: Mode
    reason: str
    signals: tuple[Signal, ...]
    campaign: str | None
    members: tuple[str, ...]
    decided_at_unix_nano: int
    policy_version: str
    rule: str
    detector_version: str
    config_sha256: str
    ttl_s: int
    grounds: Grounds | None = None

    def to_map(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_map(cls, raw: Mapping[str, Any]) -> Verdict:
        signals = tuple(signal_from_map(signal) for signal in raw["signals"])
        grounds = raw.get("grounds")
        return cls(
            **{
                **raw,
                "signals": signals,
                "members": tuple(raw["members"]),
                "grounds": None if grounds is None else Grounds.from_map(grounds),
            }
        )


def signal_from_map(raw: Mapping[str, Any]) -> Signal:
    normal = raw["normal"]
    return Signal(
        raw["name"], raw["value"], None if normal is None else (normal[0], normal[1]), raw["surprise"], raw["sentence"]
    )
