"""Whom an action on a campaign would reach, before anyone acts: how many accounts, whose, and how many of them may be honest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from stillwatch.verdict import Member

# As policies and people use them: listed, likely, sure; then the default policy's thresholds for throttling and for revocation.
THRESHOLDS: Final = (0.2, 0.5, 0.9, 0.99, 0.998)


@dataclass(frozen=True, slots=True)
class Reach:
    """``honest_share_at_most``: of these accounts, 0..1. A member's confidence is never above one minus the share of honest
    accounts among those at least as likely as it (``correlation.attribution.false_share``), so the least sure of a set bounds
    all of it."""

    min_confidence: float
    accounts: int
    organisations: int  # accounts without one count as one each
    requests: int
    honest_share_at_most: float

    @property
    def honest_at_most(self) -> float:
        return round(self.honest_share_at_most * self.accounts, 1)


def reach_of(members: Sequence[Member], thresholds: Iterable[float] = THRESHOLDS) -> tuple[Reach, ...]:
    """One for each threshold, the lowest first.

    >>> sure, likely = Member("a", 0.999, 40, 900), Member("b", 0.95, 30, 700, organisation="o")
    >>> [(r.min_confidence, r.accounts, r.honest_at_most) for r in reach_of([sure, likely], (0.9, 0.99, 0.9995))]
    [(0.9, 2, 0.1), (0.99, 1, 0.0), (0.9995, 0, 0.0)]
    """
    out = []
    for threshold in sorted(thresholds):
        mine = [member for member in members if member.confidence >= threshold]
        whose = {("o", one.organisation) if one.organisation else ("a", one.account) for one in mine}
        least = min((member.confidence for member in mine), default=1.0)
        out.append(
            Reach(threshold, len(mine), len(whose), sum(member.requests for member in mine), round(1 - least, 4))
        )  # fmt: skip
    return tuple(out)
