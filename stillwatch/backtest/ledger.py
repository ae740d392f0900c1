"""What happened, per account: requests, actions, refusals. The facts that every figure of a report is made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from stillwatch.backtest.detector import ActedOn
from stillwatch.verdict import strength

_HOUR_NANO: Final = 3_600_000_000_000


@dataclass(slots=True)
class AccountRow:
    first_unix_nano: int
    requests: int = 0
    before_action: int = 0  # until the account was first acted on: all of them if it never was
    refused: int = 0


@dataclass(slots=True)
class Ledger:
    """Grows with accounts and hours, never with events. ``follow``: account -> campaign, for hourly counts."""

    follow: Mapping[str, str] = field(default_factory=dict)
    events: int = 0
    duplicates: int = 0
    first_unix_nano: int = 0
    last_unix_nano: int = 0
    accounts: dict[str, AccountRow] = field(default_factory=dict)
    # In the order of decision. An account may be acted on again: more strongly, or after its action has run out.
    actions: list[ActedOn] = field(default_factory=list)
    first_action: dict[str, ActedOn] = field(default_factory=dict)
    strongest: dict[str, ActedOn] = field(default_factory=dict)
    # (campaign, hour since 1970) -> requests, and those of them before their account was acted on.
    by_hour: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)

    @property
    def span_hours(self) -> float:
        return (self.last_unix_nano - self.first_unix_nano) / _HOUR_NANO

    def saw(self, account: str, time_unix_nano: int, *, refused: bool) -> None:
        if not self.events:
            self.first_unix_nano = self.last_unix_nano = time_unix_nano
        self.events += 1
        self.first_unix_nano = min(self.first_unix_nano, time_unix_nano)
        self.last_unix_nano = max(self.last_unix_nano, time_unix_nano)
        row = self.accounts.get(account)
        if row is None:
            row = self.accounts[account] = AccountRow(time_unix_nano)
        before = account not in self.first_action
        row.requests += 1
        row.before_action += before
        row.refused += refused
        campaign = self.follow.get(account)
        if campaign:
            key = (campaign, time_unix_nano // _HOUR_NANO)
            asked, leaked = self.by_hour.get(key, (0, 0))
            self.by_hour[key] = (asked + 1, leaked + before)

    def act(self, actions: Iterable[ActedOn]) -> None:
        for action in actions:
            self.actions.append(action)
            self.first_action.setdefault(action.account, action)
            known = self.strongest.get(action.account)
            if known is None or strength(action.action) > strength(known.action):
                self.strongest[action.account] = action
