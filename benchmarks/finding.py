"""Which true campaigns are found, and when; which published ones are false. Nothing here knows how a detector works.

A published campaign counts by its *probable* members, those of a confidence of a half or more: who it is said to be. It is
true when most of them attack. A true campaign is found when most of a published one's probable members are its own: two
campaigns that are published as one are one find, of the larger.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stillwatch.backtest import Ledger
from stillwatch.verdict import Campaign

PROBABLE: Final = 0.5
PER_ACCOUNTS: Final = 20  # requests are counted per so many accounts, as a group of that size would have sent
_HOUR_NANO: Final = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class Find:
    hours: float  # since the campaign's first request
    requests_per_20: float
    members: int  # of its accounts, in what was published


class Findings:
    """``campaign_of``: account -> its true campaign, attackers only. Looked at after every evaluation."""

    def __init__(self, campaign_of: Mapping[str, str]) -> None:
        self._campaign_of = campaign_of
        self._accounts: dict[str, list[str]] = defaultdict(list)
        for account, name in sorted(campaign_of.items()):
            self._accounts[name].append(account)
        self.finds: dict[str, Find] = {}
        # Published id -> when it first had probable members, and whose accounts they were when it last had some.
        self._opened: dict[str, int] = {}
        self._last: dict[str, Counter[str]] = {}
        self._listed: set[str] = set()

    def look(self, now_unix_nano: int, published: Sequence[Campaign], ledger: Ledger) -> None:
        self._listed = set()
        for campaign in published:
            probable = [member.account for member in campaign.members if member.confidence >= PROBABLE]
            if not probable:
                continue
            whose = Counter(self._campaign_of.get(account, "") for account in probable)
            self._opened.setdefault(campaign.id, now_unix_nano)
            self._last[campaign.id] = whose
            if _is_true(whose):
                self._listed.update(probable)
            name, members = whose.most_common(1)[0]
            if name and name not in self.finds and 2 * members > len(probable):
                self.finds[name] = self._find(name, now_unix_nano, members, ledger)

    def _find(self, name: str, now_unix_nano: int, members: int, ledger: Ledger) -> Find:
        rows = [row for account in self._accounts[name] if (row := ledger.accounts.get(account)) is not None]
        begin = min(row.first_unix_nano for row in rows)
        requests = sum(row.requests for row in rows) / len(rows) * PER_ACCOUNTS
        return Find(round((now_unix_nano - begin) / _HOUR_NANO, 3), round(requests, 1), members)

    def listed_share(self, name: str, ledger: Ledger) -> float:
        """Of the campaign's accounts that sent anything: those that true campaigns list now."""
        seen = [account for account in self._accounts[name] if account in ledger.accounts]
        return len(self._listed.intersection(seen)) / max(len(seen), 1)

    def published(self, begin_unix_nano: int) -> list[dict[str, Any]]:
        """Everything that ever was published, oldest first, as it last was. Nothing is forgiven for being withdrawn."""
        return [
            {
                "hours": round((opened - begin_unix_nano) / _HOUR_NANO, 3),
                "true": _is_true(self._last[campaign]),
                "attackers": self._last[campaign].total() - self._last[campaign][""],
                "honest": self._last[campaign][""],
            }
            for campaign, opened in sorted(self._opened.items(), key=lambda one: (one[1], one[0]))
        ]


def _is_true(whose: Counter[str]) -> bool:
    return 2 * (whose.total() - whose[""]) > whose.total()


def false_share(published: Sequence[Mapping[str, Any]]) -> float:
    """The realised false discovery proportion of one stream; 0 where nothing was published, as Benjamini and Hochberg
    (1995) define it.

    >>> false_share([{"true": True}, {"true": False}]), false_share([])
    (0.5, 0.0)
    """
    return sum(not one["true"] for one in published) / max(len(published), 1)
