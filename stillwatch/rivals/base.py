"""What the rivals have in common: a score per account, one threshold, act once.

A rival knows accounts, so its action is the same for each: suspend for a week, where the policy of ours would revoke.
Thresholds are not the rivals' own: they are set on honest traffic of another seed (`python -m benchmarks.thresholds`),
because no published one is for these scales. Without a threshold a rival scores and acts on nobody.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Final

from stillwatch.backtest.detector import ActedOn, DetectorId
from stillwatch.event import RequestEvent
from stillwatch.verdict import Action, Campaign

_ACTION: Final[Action] = "suspend"
_TTL_NANO: Final = 7 * 24 * 3_600 * 1_000_000_000
# One rival's memory: a million accounts, the longest silent one makes room. Each rival bounds what it keeps of one.
MAX_ACCOUNTS: Final = 1_000_000


class Rival(ABC):
    """Subclasses count in ``observe`` and keep ``self._score`` up to date in ``_evaluate``."""

    name: ClassVar[str]
    version: ClassVar[str] = "1"

    def __init__(self, threshold: float | None = None) -> None:
        self._threshold = threshold
        self._score: dict[str, float] = {}
        self._acted: set[str] = set()

    @property
    def id(self) -> DetectorId:
        """The numbers that decide, as one hash: name, version and threshold; a rival's constants are its version's."""
        text = f"{self.name}\x1f{self.version}\x1f{self._threshold!r}"
        return DetectorId(self.name, self.version, hashlib.sha256(text.encode()).hexdigest())

    @abstractmethod
    def observe(self, event: RequestEvent) -> None: ...

    def refused(self, event: RequestEvent) -> None:  # noqa: B027 - rivals look at what was served
        pass

    @abstractmethod
    def _evaluate(self, now_unix_nano: int) -> set[str]:
        """Brings scores up to date; the accounts whose score changed."""

    def advance(self, now_unix_nano: int) -> list[ActedOn]:
        changed = self._evaluate(now_unix_nano)
        threshold = self._threshold
        if threshold is None:
            return []
        hit = sorted(a for a in changed if a not in self._acted and self._score.get(a, threshold) > threshold)
        self._acted.update(hit)
        return [self._action(account, now_unix_nano, threshold) for account in hit]

    def _action(self, account: str, now_unix_nano: int, threshold: float) -> ActedOn:
        score = self._score[account]
        sentence = f"{self.name}: {score:.4g} is above the threshold of {threshold:.4g}"
        return ActedOn(account, _ACTION, now_unix_nano, now_unix_nano + _TTL_NANO, score, None, (self.name,), sentence)

    def scores(self) -> Mapping[str, float]:
        return self._score

    def campaigns(self) -> list[Campaign]:
        return []


def opens_conversation(event: RequestEvent) -> bool:
    """Follow-up turns are not independent choices of topic; an event that names no turn counts as a first one."""
    turn = event.number("stillwatch.prompt.turn")
    return turn is None or turn <= 1


# What accounts can share, by the name of the view it is shared in.
_SHARED: Final = (
    "stillwatch.account.payment", "stillwatch.account.signup", "stillwatch.client.ja4", "user_agent.original",
    "client.address", "stillwatch.client.asn",
)  # fmt: skip


def shared_values(event: RequestEvent) -> list[str]:
    """``name=value`` of every identity attribute that the event carries."""
    found = event.attributes
    return [f"{name}={found[name]}" for name in _SHARED if name in found]
