"""Verdicts: which rule of the policy applies to a campaign or an account, and what it may do.

Pure. The blast radius is limited here, before anything is written: beyond a limit an action becomes shadow, and the
verdict says which limit.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import stillwatch
from stillwatch.grounds import Grounds
from stillwatch.revocation import Revocation, revocation_id
from stillwatch.settings import Policy, PolicyRule
from stillwatch.verdict import AccountScore, Action, Campaign, Member, Mode, Verdict, strength
from stillwatch.versions import versions

_VERIFICATION: Final = ("none", "email", "payment", "business", "contract")


@dataclass(frozen=True, slots=True)
class Population:
    """What the limits need to know."""

    active_accounts: int
    verification: dict[str, str]  # of accounts, where known
    # The strongest action this campaign ever took on an account, undone ones included: what a person has lifted, the
    # same campaign does not put back. Only something stronger is news.
    acted_on: Mapping[str, Action]


def decide_campaign(
    campaign: Campaign, policy: Policy, population: Population, now_unix_nano: int, config_sha256: str
) -> list[Verdict]:
    """One verdict for each rule that newly covers members of the campaign; first matching rule wins per member."""
    open_members = list(campaign.members)
    out = []
    for rule in policy.rules:
        if rule.kind != "campaign" or campaign.e_value < (rule.min_e_value or 1.0):
            continue
        covered = [m for m in open_members if _covers(rule, m, population) and m.account not in policy.never_act]
        if not covered:
            continue
        names = {m.account for m in covered}
        open_members = [m for m in open_members if m.account not in names]
        covered.sort(key=lambda member: member.account)
        grounds = _grounds(campaign, rule, covered, population)
        out.append(_verdict(campaign, rule, sorted(names), policy, now_unix_nano, config_sha256, grounds))
    return out


def _covers(rule: PolicyRule, member: Member, population: Population) -> bool:
    if member.confidence < rule.min_member_confidence:
        return False
    already = population.acted_on.get(member.account)
    if already is not None and strength(already) >= strength(rule.action):
        return False
    if rule.below_verification is None:
        return True
    verified = population.verification.get(member.account, "none")
    return _rank(verified) < _rank(rule.below_verification)


def _grounds(campaign: Campaign, rule: PolicyRule, covered: list[Member], population: Population) -> Grounds:
    return Grounds(
        versions=versions(), e_value=campaign.e_value, asked_e_value=rule.min_e_value,
        asked_confidence=rule.min_member_confidence, spared_from=rule.below_verification,
        confidences=tuple(member.confidence for member in covered), requests=tuple(member.requests for member in covered),
        listed_members=len(campaign.members), active_accounts=population.active_accounts, linkage=campaign.linkage,
        tests=campaign.tests,
    )  # fmt: skip


def _rank(verification: str) -> int:
    return _VERIFICATION.index(verification) if verification in _VERIFICATION else 0


def _verdict(
    campaign: Campaign, rule: PolicyRule, members: list[str], policy: Policy, now_unix_nano: int, config_sha256: str,
    grounds: Grounds,
) -> Verdict:  # fmt: skip
    identity = "\x1f".join([campaign.id, rule.name, policy.version, *members])
    strongest = max(campaign.signals, key=lambda signal: signal.surprise or 0.0)
    return Verdict(
        id="v-" + hashlib.blake2b(identity.encode(), digest_size=10).hexdigest(),
        kind="campaign",
        subject=campaign.id,
        action=rule.action,
        mode=policy.mode,
        reason=f"campaign {campaign.id}: {strongest.sentence}",
        signals=campaign.signals,
        campaign=campaign.id,
        members=tuple(members),
        decided_at_unix_nano=now_unix_nano,
        policy_version=policy.version,
        rule=rule.name,
        detector_version=stillwatch.__version__,
        config_sha256=config_sha256,
        ttl_s=rule.ttl_s,
        grounds=grounds,
    )


def decide_account(score: AccountScore, policy: Policy, now_unix_nano: int, config_sha256: str) -> Verdict | None:
    """The first account rule that applies to a score, if any."""
    if score.score is None or score.account in policy.never_act:
        return None
    for rule in policy.rules:
        if rule.kind == "account" and rule.min_score is not None and score.score >= rule.min_score:
            identity = f"{score.account}\x1f{rule.name}\x1f{policy.version}"
            worst = max(score.signals, key=lambda signal: signal.surprise or 0.0)
            return Verdict(
                id="v-" + hashlib.blake2b(identity.encode(), digest_size=10).hexdigest(),
                kind="account", subject=score.account, action=rule.action, mode=policy.mode,
                reason=f"score {score.score:.2f}: {worst.sentence}", signals=score.signals, campaign=None,
                members=(score.account,), decided_at_unix_nano=now_unix_nano, policy_version=policy.version,
                rule=rule.name, detector_version=stillwatch.__version__, config_sha256=config_sha256, ttl_s=rule.ttl_s,
                grounds=Grounds(versions(), score=score.score, asked_score=rule.min_score),
            )  # fmt: skip
    return None


class BlastRadius:
    """Counts automatic actions over the last minute and over all active accounts."""

    def __init__(self, policy: Policy) -> None:
        self._limits = policy.limits
        self._recent: deque[tuple[float, int]] = deque()
        self._held: set[str] = set()

    def admit(self, verdict: Verdict, active_accounts: int, now_s: float) -> str | None:
        """``None`` when the action may be enforced, else which limit holds it back."""
        while self._recent and self._recent[0][0] <= now_s - 60:
            self._recent.popleft()
        last_minute = sum(count for _, count in self._recent)
        if last_minute + len(verdict.members) > self._limits.max_accounts_per_minute:
            return f"more than {self._limits.max_accounts_per_minute} accounts a minute"
        held = len(self._held | set(verdict.members))
        if held > self._limits.max_share_of_active_accounts * max(active_accounts, 1):
            return f"more than {self._limits.max_share_of_active_accounts:.0%} of active accounts"
        self._recent.append((now_s, len(verdict.members)))
        self._held.update(verdict.members)
        return None


def revocation_of(verdict: Verdict, mode: Mode, now_unix_s: int, traceparent: str | None) -> Revocation | None:
    """The revocation that carries a verdict out; ``None`` for ``observe``, which acts on nobody."""
    if strength(verdict.action) == 0:
        return None
    return Revocation(
        id=revocation_id("verdict", verdict.id),
        target_kind="campaign" if verdict.kind == "campaign" else "account",
        target=verdict.subject,
        accounts=verdict.members,
        action=verdict.action,
        reason=verdict.reason,
        mode=mode,
        dry_run=False,
        created_unix_s=now_unix_s,
        expires_unix_s=now_unix_s + verdict.ttl_s,
        actor=f"policy:{verdict.policy_version}/{verdict.rule}",
        verdict=verdict.id,
        campaign=verdict.campaign,
        policy_version=verdict.policy_version,
        traceparent=traceparent,
    )
