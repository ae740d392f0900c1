"""The explanation of a verdict as an answer: the core's sentences, with times and the state of revocations beside them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from serve.schemas_out import LISTED_ACCOUNTS, RevocationOut, moment
from stillwatch.explanation import Covered, Explanation
from stillwatch.grounds import GroupTested
from stillwatch.ports import AuditEntry
from stillwatch.reasons import Evidence
from stillwatch.verdict import Action, Mode


class TestedOut(BaseModel):
    """One test of one group of the campaign, as it came out then."""

    at: datetime = Field(description="Event time")
    group: str = Field(description="The view and the opaque value that its accounts share")
    accounts: int
    opened: bool = Field(description="By this test the campaign was found; else it was known")
    f: float = Field(description="How much the accounts' shares of topics differ; 0: by chance alone")
    normal_f: tuple[float, float] | None
    p_value: float = Field(description="That an honest group's topics come out as alike")
    beside: dict[str, float] = Field(description="p-values of the tests beside content")
    e_value: float = Field(description="Evidence of all of it; 1 is none")
    weighted: float = Field(description="Times the weight of the group's kind, as it is compared with `bar`")
    bar: float = Field(description="What a discovery needed at that moment")
    tests: int = Field(description="Made until then")
    level: float = Field(description="The expected share of false ones among all groups found, at most")

    @classmethod
    def of(cls, found: GroupTested) -> TestedOut:
        return cls(
            at=moment(found.at_unix_nano / 1e9), group=found.group, accounts=found.accounts, opened=found.opened,
            f=found.f, normal_f=found.normal_f, p_value=found.p_value, beside=dict(found.beside), e_value=found.e_value,
            weighted=found.weighted, bar=found.bar, tests=found.tests, level=found.level,
        )  # fmt: skip


class AuditOut(BaseModel):
    at: datetime
    actor: str
    action: str
    target: str
    details: dict[str, Any]

    @classmethod
    def of(cls, found: AuditEntry) -> AuditOut:
        return cls(
            at=moment(found.at_unix_nano / 1e9), actor=found.actor, action=found.action, target=found.target,
            details=dict(found.details),
        )  # fmt: skip


class ExplanationOut(BaseModel):
    """From what is stored: the verdict, its revocations, the audit. Lists of sentences are for people, the rest for programs."""

    verdict: str
    kind: Literal["account", "campaign"]
    subject: str
    campaign: str | None
    action: Action
    mode: Mode
    decided: datetime = Field(description="Event time: of the evaluation that led to it")
    reason: str
    summary: tuple[str, ...]
    evidence: tuple[Evidence, ...] = Field(description="Most surprising first")
    chance: tuple[str, ...] = Field(description="Could it be chance?")
    tests: list[TestedOut] = Field(description="Oldest first; the one that found the campaign and the strongest others")
    who: tuple[str, ...] = Field(description="Whom it covers, and how many of them may be honest")
    account_count: int
    accounts: tuple[Covered, ...] = Field(description="Surest first, at most `accounts` of them")
    rule: tuple[str, ...] = Field(description="Which rule of the policy fitted, and its thresholds")
    policy_version: str
    rule_name: str
    decided_by: tuple[str, ...]
    revocations: list[RevocationOut] = Field(description="Its own first, then others on the same accounts")
    trail: list[AuditOut] = Field(description="What the audit has about any of it, oldest first")
    versions: dict[str, str]
    config_sha256: str = Field(description="Of the detection settings and the policy")
    limits: tuple[str, ...] = Field(description="What it can not say")
    incomplete: list[str] = Field(description="Parts that did not answer: what they know is missing here")

    @classmethod
    def of(cls, found: Explanation, accounts: int, now_unix_s: float, incomplete: list[str]) -> ExplanationOut:
        verdict = found.verdict
        return cls(
            verdict=verdict.id, kind=verdict.kind, subject=verdict.subject, campaign=verdict.campaign,
            action=verdict.action, mode=verdict.mode, decided=moment(verdict.decided_at_unix_nano / 1e9),
            reason=verdict.reason, summary=found.summary, evidence=found.evidence, chance=found.chance,
            tests=[TestedOut.of(one) for one in found.tests], who=found.who, account_count=len(found.covered),
            accounts=found.covered[:accounts], rule=found.rule, policy_version=verdict.policy_version,
            rule_name=verdict.rule, decided_by=found.decided_by,
            revocations=[RevocationOut.of(one, now_unix_s, LISTED_ACCOUNTS) for one in found.revocations],
            trail=[AuditOut.of(entry) for entry in found.trail], versions=dict(found.versions),
            config_sha256=verdict.config_sha256, limits=found.limits, incomplete=incomplete,
        )  # fmt: skip
