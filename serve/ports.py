"""What the app is built over: the ports, and the facts of the deployment that never change while it runs.

``launch`` makes a :class:`ServePorts`; tests make one from in-memory twins. ``close`` is called once, at shutdown.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from stillwatch.ports import (
    AuditLog,
    CampaignBook,
    Clock,
    Control,
    DeadLetters,
    EventPublisher,
    NeverActStore,
    RevocationStore,
    Shards,
    VerdictLog,
)
from stillwatch.revocation import Enforcement
from stillwatch.settings import ApprovalRules
from stillwatch.verdict import Mode


class Enforcer(Protocol):
    """The revocations in RAM, kept by a watch (``stillwatch.gateway.enforcer``). Never waits, never raises."""

    @property
    def loaded(self) -> bool:
        """False until everything that is stored has been read once."""
        ...

    @property
    def silent_s(self) -> float:
        """How long ago it last heard of the revocations: a change, a list or a heartbeat."""
        ...

    @property
    def interruptions(self) -> int:
        """How often its watch had to start over."""
        ...

    @property
    def active(self) -> int:
        """How many keys are enforced now."""
        ...

    def check(self, account: str | None, organisation: str | None, now_unix_s: float) -> Enforcement | None:
        """What holds for the account and its organisation now; ``None`` allows. ``None`` while the kill switch is
        off."""
        ...


@dataclass(frozen=True, slots=True)
class ServePorts:
    clock: Clock
    events: EventPublisher
    shards: Shards
    campaigns: CampaignBook
    revocations: RevocationStore
    verdicts: VerdictLog
    audit: AuditLog
    control: Control
    never_act: NeverActStore
    dead_letters: DeadLetters
    enforcer: Enforcer
    close: Callable[[], Awaitable[None]]


Connect = Callable[[], Awaitable[ServePorts]]
"""Makes the ports inside the event loop that will use them. Picklable, so that it can travel to a replica."""


_BY_DEFAULT: Final = ApprovalRules()


@dataclass(frozen=True, slots=True)
class About:
    """The deployment, as the console and ``/v1/status`` show it."""

    deployment: str
    partitions: int
    mode: Mode
    policy_version: str
    approval: ApprovalRules = _BY_DEFAULT
    never_act: tuple[str, ...] = ()  # accounts that the policy file names
