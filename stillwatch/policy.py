"""Verdicts: which rule of the policy applies to a campaign or an account, and what it may do.

Pure. How many accounts that may be at once is limited elsewhere (``stillwatch.blast``), before anything is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import stillwatch
from stillwatch.grounds import Grounds
from stillwatch.never_act import NOBODY, NeverAct, organisations_of
from stillwatch.revocation import MAX_ACCOUNTS, Hold, Revocation, revocation_id
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
    never_act: NeverAct = NOBODY


def decide_campaign(
    campaign: Campaign, policy: Policy, population: Population, now_unix_nano: int, config_sha256: str
) -> list[Verdict]:
    """One verdict for each rule that newly covers members of the campaign; first matching rule wins per member."""
    open_members = list(campaign.members)
    out = []
    for rule in policy.rules:
        if rule.kind != "campaign" or campaign.e_value < (rule.min_e_value or 1.0):
            continue
        covered = [
            m
            for m in open_members
            if covers(rule, m, population) and population.never_act.covers(m.account, m.organisation) is None
        ]
        if not covered:
            continue
        names = {m.account for m in covered}
        open_members = [m for m in open_members if m.account not in names]
        covered.sort(key=lambda member: member.account)
        grounds = _grounds(campaign, rule, covered, population)
        out.append(_verdict(campaign, rule, sorted(names), policy, now_unix_nano, config_sha256, grounds))
    return out


def covers(rule: PolicyRule, member: Member, population: Population) -> bool:
    """Whether the rule is about this member. Who is on the never-act list is not asked here."""
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
    strongest = max(campaign.signals, key=lambda signal: signal.surprise or 0.0)
    return Verdict(
        id=verdict_id(campaign.id, rule.name, policy.version, members),
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


def verdict_id(subject: str, rule: str, policy_version: str, members: Iterable[str] = ()) -> str:
    """The same decision has the same id, in every life and on every replay. ``members`` of a campaign: by name."""
    identity = "\x1f".join([subject, rule, policy_version, *members])
    return "v-" + hashlib.blake2b(identity.encode(), digest_size=10).hexdigest()


def decide_account(
    score: AccountScore,
    policy: Policy,
    now_unix_nano: int,
    config_sha256: str,
    never_act: NeverAct = NOBODY,
    organisation: str | None = None,
) -> Verdict | None:
    """The first account rule that applies to a score, if any."""
    if score.score is None or never_act.covers(score.account, organisation) is not None:
        return None
    for rule in policy.rules:
        if rule.kind == "account" and rule.min_score is not None and score.score >= rule.min_score:
            worst = max(score.signals, key=lambda signal: signal.surprise or 0.0)
            return Verdict(
                id=verdict_id(score.account, rule.name, policy.version),
                kind="account", subject=score.account, action=rule.action, mode=policy.mode,
                reason=f"score {score.score:.2f}: {worst.sentence}", signals=score.signals, campaign=None,
                members=(score.account,), decided_at_unix_nano=now_unix_nano, policy_version=policy.version,
                rule=rule.name, detector_version=stillwatch.__version__, config_sha256=config_sha256, ttl_s=rule.ttl_s,
                grounds=Grounds(versions(), score=score.score, asked_score=rule.min_score),
            )  # fmt: skip
    return None


def held(verdict: Verdict, because: str) -> Verdict:
    """As it is told while what it would do waits: shadow, and says why."""
    return replace(verdict, mode="shadow", reason=f"held back, {because}. {verdict.reason}")


def revocations_of(
    verdict: Verdict,
    mode: Mode,
    now_unix_s: int,
    traceparent: str | None,
    hold: Hold | None = None,
    organisations: Mapping[str, str] | None = None,
) -> list[Revocation]:
    """What carries a verdict out: one revocation for each ``MAX_ACCOUNTS`` members; none for ``observe``, which acts on
    nobody. ``hold``: they wait. ``organisations``: of accounts, where known; what waits has to know them."""
    if strength(verdict.action) == 0:
        return []
    whose = organisations or {}
    parts = [
        verdict.members[start : start + MAX_ACCOUNTS] for start in range(0, max(len(verdict.members), 1), MAX_ACCOUNTS)
    ]
    return [
        Revocation(
            # The first keeps the id that it would have alone.
            id=revocation_id("verdict", verdict.id, *([str(number * MAX_ACCOUNTS)] if number else [])),
            target_kind="campaign" if verdict.kind == "campaign" else "account",
            target=verdict.subject,
            accounts=accounts,
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
            decided_unix_s=verdict.decided_at_unix_nano // 1_000_000_000,
            hold=hold,
            organisations=() if hold is None else organisations_of(whose.get(account) for account in accounts),
        )
        for number, accounts in enumerate(parts)
    ]
