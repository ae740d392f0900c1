"""Which verdicts are news, and which of them the blast radius holds back: one place for the cluster and the backtest.

The policy says what fits (``stillwatch.policy``); this remembers what was already done, so that a campaign acts on an
account once per strength and a score acts on it once. No clock: times are event time, also those of the blast radius.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from stillwatch.blast import Admitted, BlastRadius, Limit
from stillwatch.correlation.nulls import Slots
from stillwatch.correlation.table import AccountTable
from stillwatch.never_act import NOBODY, NeverAct, Protection, of_policy
from stillwatch.policy import Population, covers, decide_account, decide_campaign
from stillwatch.revocation import Revocation
from stillwatch.settings import Policy
from stillwatch.verdict import AccountScore, Action, Campaign, Verdict, strength

_S_NANO = 1_000_000_000


class Decider:
    def __init__(self, policy: Policy, config_sha256: str) -> None:
        self._policy, self._config_sha256 = policy, config_sha256
        self._blast = BlastRadius(policy.limits)
        # Campaign -> account -> strongest action ever taken. Verdicts on an account alone are kept under "".
        self._acted: dict[str, dict[str, Action]] = {}
        self.never_act = NOBODY
        self.protect((), 0.0)
        # Of lives after the snapshot that this one began with: verdicts that were carried out, or held, and per campaign whom a
        # person freed of them.
        self._known: set[str] = set()
        self._freed: dict[str, dict[str, Action]] = {}

    def protect(self, entries: Iterable[Protection], now_unix_s: float) -> None:
        """Who may not be acted on: these, and whom the policy names, whatever list there is."""
        self.never_act = NeverAct((*entries, *of_policy(self._policy.never_act)), now_unix_s)

    def remember(self, revocation: Revocation) -> None:
        """What an earlier life has done, or asked people about, is not news."""
        if revocation.dry_run or revocation.verdict is None:
            return
        for account in revocation.accounts:
            _strongest(self._acted.setdefault(revocation.campaign or "", {}), account, revocation.action)
        by_itself = revocation.hold is None or revocation.hold.releases_itself  # people's decisions have no limit
        if revocation.mode == "enforce" and by_itself and revocation.undone_unix_s is None:
            self.acts(revocation)

    def remember_freed(self, revocation: Revocation) -> None:
        """What a life after our snapshot has done is decided again, under the same ids. Where it is not quite the same any more
        it has another id: then whom a person has freed of the first is not acted on by the second."""
        if revocation.dry_run or revocation.verdict is None:
            return
        self._known.add(revocation.verdict)
        if revocation.undone_unix_s is not None:
            for account in revocation.accounts:
                _strongest(self._freed.setdefault(revocation.campaign or "", {}), account, revocation.action)

    def acts(self, revocation: Revocation) -> None:
        """An earlier life has let it act: it counts from then on, in event time."""
        since_s = revocation.acts_from_unix_s or revocation.decided_unix_s or revocation.created_unix_s
        self._blast.remember(revocation.accounts, revocation.ttl_s, since_s)

    def on_campaign(self, campaign: Campaign, table: AccountTable, now_unix_nano: int) -> list[Verdict]:
        """New verdicts about a campaign's members. They stay new until :meth:`taken`."""
        for absorbed in campaign.absorbed:  # what a person has lifted under its name is not put back under this one
            for acted in (self._acted, self._freed):
                for account, action in acted.pop(absorbed, {}).items():
                    _strongest(acted.setdefault(campaign.id, {}), account, action)
        # What was done to its accounts before it was split off was done under the first one's name.
        for origin, one in product(campaign.split_from, campaign.members):
            for acted in (self._acted, self._freed):
                if (known := acted.get(origin, {}).get(one.account)) is not None:
                    _strongest(acted.setdefault(campaign.id, {}), one.account, known)
        campaign, verification = _known_of(campaign, table)
        acted_on = self._acted.setdefault(campaign.id, {})
        population = Population(len(table), verification, acted_on, self.never_act)
        verdicts = decide_campaign(campaign, self._policy, population, now_unix_nano, self._config_sha256)
        freed = self._freed.get(campaign.id, {})
        if all(one.id in self._known or freed.keys().isdisjoint(one.members) for one in verdicts):
            return verdicts
        acted_on = dict(acted_on)
        for account, action in freed.items():
            _strongest(acted_on, account, action)
        population = replace(population, acted_on=acted_on)
        return decide_campaign(campaign, self._policy, population, now_unix_nano, self._config_sha256)

    def on_score(self, score: AccountScore, now_unix_nano: int, organisation: str | None = None) -> Verdict | None:
        """The verdict about one account's score, if a rule applies and none was given before."""
        if score.account in self._acted.get("", {}):
            return None
        return decide_account(score, self._policy, now_unix_nano, self._config_sha256, self.never_act, organisation)

    def taken(self, verdict: Verdict) -> None:
        """It was carried out, or held back: either way the same is not decided again."""
        acted = self._acted.setdefault(verdict.campaign or "", {})
        for account in verdict.members:
            acted[account] = verdict.action

    def limited(self, verdict: Verdict, table: AccountTable, confidence: Mapping[str, float]) -> list[Admitted]:
        """The verdict as it may be carried out: whole, held back whole, or in two parts. ``confidence`` (0..1): who comes
        first."""
        if verdict.mode != "enforce" or strength(verdict.action) == 0:
            return [Admitted(verdict, None)]
        surest_first = sorted(verdict.members, key=lambda account: (-confidence.get(account, 0.0), account))
        now_s = verdict.decided_at_unix_nano / _S_NANO
        return self._blast.admit(verdict, surest_first, len(table), _Units(table), now_s)

    def release(
        self, revocation: Revocation, accounts: Sequence[str], table: AccountTable, now_unix_nano: int
    ) -> Limit | None:
        """Whether what waited may act now, on these of its accounts: ``None``, and it counts; or the limit against it."""
        now_s = now_unix_nano / _S_NANO
        return self._blast.release(accounts, revocation.ttl_s, len(table), _Units(table), now_s)

    def still_hold(self, revocation: Revocation, campaign: Campaign | None, table: AccountTable) -> tuple[str, ...]:
        """The accounts of what waited that its rule would cover today."""
        rule = next((rule for rule in self._policy.rules if revocation.actor.endswith(f"/{rule.name}")), None)
        if rule is None or campaign is None or campaign.e_value < (rule.min_e_value or 1.0):
            return ()
        campaign, verification = _known_of(campaign, table)
        # As if nobody had been acted on: what is remembered of these accounts is this very revocation.
        population = Population(len(table), verification, {}, self.never_act)
        covered = {one.account: one for one in campaign.members if covers(rule, one, population)}
        return tuple(
            account
            for account in revocation.accounts
            if account in covered and self.never_act.covers(account, covered[account].organisation) is None
        )


def _strongest(acted: dict[str, Action], account: str, action: Action) -> None:
    if account not in acted or strength(acted[account]) < strength(action):
        acted[account] = action


def _known_of(campaign: Campaign, table: AccountTable) -> tuple[Campaign, dict[str, str]]:
    """The campaign without members that are only remembered: nobody knows who stands behind them, and they send nothing. And
    how well the others are verified, where that is known."""
    summaries = [found for member in campaign.members if (found := table.figures_of(member.account)) is not None]
    known = {summary.account for summary in summaries}
    verification = {one.account: one.verification for one in summaries if one.verification is not None}
    return replace(campaign, members=tuple(one for one in campaign.members if one.account in known)), verification


class _Units:
    """``blast.Organisations`` over the table. Accounts without an organisation are one each."""

    def __init__(self, table: AccountTable) -> None:
        self._table = table
        self._counted: tuple[Slots, Slots] | None = None

    def of(self, account: str) -> int | None:
        return None if self._table.slot(account) is None else self._table.unit(account)

    def size(self, organisation: int) -> int:
        if self._counted is None:
            units = self._table.unit_hashes(self._table.with_at_least(0))
            self._counted = np.unique(units, return_counts=True)
        units, counts = self._counted
        at = int(np.searchsorted(units, organisation))
        return int(counts[at]) if at < len(units) and units[at] == organisation else 0
