"""The blast radius: how many accounts automatic verdicts may act on before people are asked.

Pure, and in event time: a replay of the same verdicts is limited in the same way. A minute of event time is at most one
evaluation, as these are further apart; that many evaluations of a catch-up do not add up to a flood of actions is what
``stillwatch.freshness`` sees to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol

from stillwatch.grounds import Grounds
from stillwatch.policy import verdict_id
from stillwatch.settings import PolicyLimits
from stillwatch.verdict import Verdict

LimitName = Literal["accounts_per_minute", "share_of_active_accounts", "share_of_organisation", "verdict_size"]
_WINDOW_S: Final = 60.0


class Organisations(Protocol):
    """Whose an account is, as a number, and how many active accounts that one has."""

    def of(self, account: str) -> int | None:
        """``None``: nobody knows the account any more."""
        ...

    def size(self, organisation: int) -> int: ...


@dataclass(frozen=True, slots=True)
class Limit:
    """What held a verdict back: its name for metrics, and in words for people."""

    name: LimitName
    words: str


@dataclass(frozen=True, slots=True)
class Admitted:
    """A verdict as it may be carried out. ``held``: it may not, until people have agreed."""

    verdict: Verdict
    held: Limit | None


class BlastRadius:
    """Counts automatic actions over the last minute, over all active accounts, and over each organisation's.

    What is undone meanwhile counts until it would have expired: too careful rather than too bold. It holds the accounts
    acted on, each until its action expires.
    """

    def __init__(self, limits: PolicyLimits) -> None:
        self._limits = limits
        self._recent: list[tuple[float, int]] = []
        self._expires_s: dict[str, float] = {}  # of each account that is acted on

    def admit(
        self, verdict: Verdict, surest_first: Sequence[str], active_accounts: int, whose: Organisations, now_s: float
    ) -> list[Admitted]:
        """The verdict in one piece, or, with ``beyond: partly``, the members that fit and the rest, which is held.

        ``surest_first``: its members, those that come first where not all fit. ``now_s``: event time.
        """
        self._forget(now_s)
        fit, limit = self._fitting(surest_first, active_accounts, whose)
        if limit is None:
            self.remember(verdict.members, verdict.ttl_s, now_s)
            return [Admitted(verdict, None)]
        if self._limits.beyond == "wait" or not fit:
            return [Admitted(verdict, limit)]
        self.remember(fit, verdict.ttl_s, now_s)
        rest = set(verdict.members).difference(fit)
        return [Admitted(_of(verdict, fit), None), Admitted(_of(verdict, rest), limit)]

    def release(
        self, accounts: Sequence[str], ttl_s: float, active_accounts: int, whose: Organisations, now_s: float
    ) -> Limit | None:
        """What was admitted and had to wait acts now, on these accounts: counted from now on, when its time begins. Or the
        limit that not all of them fit, and nothing is counted: what waited at many ticks comes at one."""
        self._forget(now_s)
        _, limit = self._fitting(accounts, active_accounts, whose)
        if limit is None:
            self.remember(accounts, ttl_s, now_s)
        return limit

    def remember(self, accounts: Collection[str], ttl_s: float, decided_s: float) -> None:
        """They are acted on, from ``decided_s`` on."""
        self._recent.append((decided_s, len(accounts)))
        for account in accounts:
            self._expires_s[account] = max(decided_s + ttl_s, self._expires_s.get(account, 0.0))

    def _fitting(self, members: Sequence[str], active: int, whose: Organisations) -> tuple[list[str], Limit | None]:
        """The members that fit, and the first limit that one of them did not fit."""
        limits = self._limits
        if limits.max_accounts_per_verdict is not None and len(members) > limits.max_accounts_per_verdict:
            words = f"{len(members)} accounts at once, more than {limits.max_accounts_per_verdict}"
            return [], Limit("verdict_size", words)
        minute = sum(count for _, count in self._recent)
        in_force = len(self._expires_s)
        acted_on = Counter(map(whose.of, self._expires_s))
        fit: list[str] = []
        first: Limit | None = None
        for account in members:
            new = account not in self._expires_s
            organisation = whose.of(account)
            limit: Limit | None = None
            if minute + len(fit) >= limits.max_accounts_per_minute:
                limit = Limit("accounts_per_minute", f"more than {limits.max_accounts_per_minute} accounts a minute")
            elif new and in_force + 1 > limits.max_share_of_active_accounts * max(active, 1):
                share = f"{limits.max_share_of_active_accounts:.0%}"
                limit = Limit("share_of_active_accounts", f"more than {share} of active accounts")
            elif new and organisation is not None:
                size = whose.size(organisation)
                too_many = acted_on[organisation] + 1 > limits.max_share_of_organisation * size
                if too_many and size >= limits.min_organisation_accounts:
                    share = f"{limits.max_share_of_organisation:.0%}"
                    limit = Limit("share_of_organisation", f"more than {share} of one organisation's active accounts")
            if limit is not None:
                first = first or limit
                continue
            fit.append(account)
            in_force += new
            acted_on[organisation] += new
        return fit, first

    def _forget(self, now_s: float) -> None:
        self._recent = [one for one in self._recent if one[0] > now_s - _WINDOW_S]
        self._expires_s = {account: expires_s for account, expires_s in self._expires_s.items() if expires_s > now_s}


def _of(verdict: Verdict, members: Iterable[str]) -> Verdict:
    """A part of a verdict is a decision of its own, with the id that deciding just that would have."""
    names = tuple(sorted(members))
    id = verdict_id(verdict.subject, verdict.rule, verdict.policy_version, names)
    return replace(verdict, members=names, id=id, grounds=_grounds_of(verdict, set(names)))


def _grounds_of(verdict: Verdict, members: Collection[str]) -> Grounds | None:
    """Confidences and requests stand in the order of the members: the part keeps its own."""
    grounds = verdict.grounds
    if grounds is None or not len(grounds.confidences) == len(grounds.requests) == len(verdict.members):
        return grounds
    mine = [place for place, account in enumerate(verdict.members) if account in members]
    return replace(
        grounds,
        confidences=tuple(grounds.confidences[place] for place in mine),
        requests=tuple(grounds.requests[place] for place in mine),
    )
