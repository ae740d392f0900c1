"""A ledger against the truth: how soon each campaign was stopped, what it got, who among the honest was hit.

Accounts count once they have sent a request; a labelled account that stays silent can neither leak nor be hit.
"Acted on" is throttle or stronger.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stillwatch.backtest.ledger import Ledger

ATTACK: Final = "attack"
UNLABELLED: Final = "unlabelled"  # in the events, not in the labels: counted as honest, and shown as what it is
_HOUR_NANO: Final = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class Truth:
    """One labelled account. ``campaign`` is empty for honest ones."""

    kind: str
    campaign: str = ""

    @property
    def is_attack(self) -> bool:
        return self.kind == ATTACK


Labels = Mapping[str, Truth]


def campaigns_of(labels: Labels) -> dict[str, str]:
    """Account -> campaign, of the attackers. One without a campaign's name stands under ``unnamed``."""
    return {account: truth.campaign or "unnamed" for account, truth in labels.items() if truth.is_attack}


def kind_of(labels: Labels, account: str) -> str:
    truth = labels.get(account)
    return truth.kind if truth is not None else UNLABELLED


def evaluate(ledger: Ledger, labels: Labels) -> dict[str, Any]:
    """The contract's ``evaluation`` map. Times are hours since the campaign's first request; ``None``: never."""
    campaigns = campaigns_of(labels)
    attackers: dict[str, list[str]] = defaultdict(list)
    honest: dict[str, list[str]] = defaultdict(list)
    for account in sorted(ledger.accounts):
        if account in campaigns:
            attackers[campaigns[account]].append(account)
        else:
            honest[kind_of(labels, account)].append(account)
    return {
        "attack": {name: _attack(ledger, accounts) for name, accounts in sorted(attackers.items())},
        "benign": {kind: _benign(ledger, accounts) for kind, accounts in sorted(honest.items())},
    }


def _attack(ledger: Ledger, accounts: Sequence[str]) -> dict[str, Any]:
    rows = [ledger.accounts[account] for account in accounts]
    begin = min(row.first_unix_nano for row in rows)
    acted = sorted(action.at_unix_nano for a in accounts if (action := ledger.first_action.get(a)) is not None)
    return {
        "accounts": len(accounts),
        "acted_on": len(acted),
        "hours_to_half": hours_to_share(acted, begin, len(accounts), 0.5),
        "hours_to_90": hours_to_share(acted, begin, len(accounts), 0.9),
        "requests": sum(row.requests for row in rows),
        "requests_before_action": sum(row.before_action for row in rows),
    }


def hours_to_share(acted_unix_nano: Sequence[int], begin_unix_nano: int, accounts: int, share: float) -> float | None:
    """When so large a share of the accounts had been acted on; ``acted_unix_nano`` ascending.

    >>> hour = 3_600_000_000_000
    >>> hours_to_share([2 * hour, 5 * hour], 0, accounts=4, share=0.5)
    5.0
    >>> hours_to_share([2 * hour], 0, accounts=4, share=0.5) is None
    True
    """
    needed = max(1, math.ceil(share * accounts - 1e-9))
    if len(acted_unix_nano) < needed:
        return None
    return round((acted_unix_nano[needed - 1] - begin_unix_nano) / _HOUR_NANO, 3)


def _benign(ledger: Ledger, accounts: Sequence[str]) -> dict[str, int]:
    hit = [ledger.strongest[account].action for account in accounts if account in ledger.strongest]
    return {"accounts": len(accounts), "acted_on": len(hit), "revoked": hit.count("revoke")}
