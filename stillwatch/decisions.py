"""Which verdicts are news, and which of them the blast radius holds back: one place for the cluster and the backtest.

The policy says what fits (``stillwatch.policy``); this remembers what was already done, so that a campaign acts on an
account once per strength and a score acts on it once. No clock: times are arguments, the cluster gives its own and the
backtest gives event time.
"""

from __future__ import annotations

from dataclasses import replace

from stillwatch.correlation.table import AccountTable
from stillwatch.policy import BlastRadius, Population, decide_account, decide_campaign
from stillwatch.revocation import Revocation
from stillwatch.settings import Policy
from stillwatch.verdict import AccountScore, Action, Campaign, Verdict, strength


class Decider:
    def __init__(self, policy: Policy, config_sha256: str) -> None:
        self._policy, self._config_sha256 = policy, config_sha256
        self._blast = BlastRadius(policy)
        # Campaign -> account -> strongest action ever taken. Verdicts on an account alone are kept under "".
        self._acted: dict[str, dict[str, Action]] = {}

    def remember(self, revocation: Revocation) -> None:
        """What an earlier life has done is not news."""
        if revocation.dry_run or revocation.verdict is None:
            return
        for account in revocation.accounts:
            self._strongest(revocation.campaign or "", account, revocation.action)

    def _strongest(self, campaign: str, account: str, action: Action) -> None:
        acted = self._acted.setdefault(campaign, {})
        if account not in acted or strength(acted[account]) < strength(action):
            acted[account] = action

    def on_campaign(self, campaign: Campaign, table: AccountTable, now_unix_nano: int) -> list[Verdict]:
        """New verdicts about a campaign's members. They stay new until :meth:`taken`."""
        for absorbed in campaign.absorbed:  # what a person has lifted under its name is not put back under this one
            for account, action in self._acted.pop(absorbed, {}).items():
                self._strongest(campaign.id, account, action)
        summaries = [found for member in campaign.members if (found := table.figures_of(member.account)) is not None]
        verification = {s.account: s.verification for s in summaries if s.verification is not None}
        # Of members that are only remembered nobody knows who stands behind them, and they send nothing.
        known = {summary.account for summary in summaries}
        campaign = replace(campaign, members=tuple(one for one in campaign.members if one.account in known))
        population = Population(len(table), verification, self._acted.setdefault(campaign.id, {}))
        return decide_campaign(campaign, self._policy, population, now_unix_nano, self._config_sha256)

    def on_score(self, score: AccountScore, now_unix_nano: int) -> Verdict | None:
        """The verdict about one account's score, if a rule applies and none was given before."""
        verdict = decide_account(score, self._policy, now_unix_nano, self._config_sha256)
        return None if score.account in self._acted.get("", {}) else verdict

    def taken(self, verdict: Verdict) -> None:
        """It was carried out, or held back: either way the same is not decided again."""
        acted = self._acted.setdefault(verdict.campaign or "", {})
        for account in verdict.members:
            acted[account] = verdict.action

    def limited(self, verdict: Verdict, active_accounts: int, now_s: float) -> tuple[Verdict, str | None]:
        """The verdict as it may be carried out, and the limit that turned it into shadow, if one did.

        ``now_s``: any clock that does not run backwards, in seconds.
        """
        if verdict.mode != "enforce" or strength(verdict.action) == 0:
            return verdict, None
        limit = self._blast.admit(verdict, active_accounts, now_s)
        if limit is None:
            return verdict, None
        return replace(verdict, mode="shadow", reason=f"held back, blast radius: {limit}. {verdict.reason}"), limit
