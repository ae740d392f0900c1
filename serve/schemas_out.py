"""Answers. What the core already has as a frozen value (signals, verdicts, members) is used as it is, so that the API and
the verdict stream say the same thing in the same words.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from serve.board import State
from serve.problems import FieldError
from stillwatch.event import Rejected
from stillwatch.extraction import Extraction
from stillwatch.life import History
from stillwatch.life import State as LifeState
from stillwatch.ports import AccountView, AggregatorStatus, ShardStatus
from stillwatch.reach import Reach, reach_of
from stillwatch.revocation import Enforcement, Hold, Revocation, TargetKind
from stillwatch.revocation import State as RevocationState
from stillwatch.verdict import (
    AccountKind,
    AccountScore,
    Action,
    Band,
    Campaign,
    Member,
    Mode,
    Signal,
    Verdict,
)

# A list shows this many accounts of a revocation; the revocation itself shows all.
LISTED_ACCOUNTS = 50


# -- events and scores ---------------------------------------------------------------------------------------------


class EventsOut(BaseModel):
    """All of `accepted` are in the stream: they survive this server."""

    accepted: int = Field(description="Events that are new")
    duplicates: int = Field(description="Events whose id the stream already has")
    rejected: list[FieldError] = Field(description="Events that are not published, each with its place in the list")


class ScoreOut(BaseModel):
    account: str
    score: float | None = Field(description="0..1; null is no opinion yet, which is not zero")
    band: Band
    action: Action = Field(description="What the policy's account rules make of it; nothing is done by asking")
    signals: tuple[Signal, ...]
    campaign: str | None
    as_of: datetime
    as_of_unix_nano: int
    events: int = Field(description="How many events of the account the score rests on")
    recorded: bool = Field(description="True when this request also published the event")
    incomplete: list[str] = Field(default_factory=list, description="Parts that did not answer in time")

    @classmethod
    def of(cls, score: AccountScore, campaign: str | None, recorded: bool, incomplete: list[str]) -> ScoreOut:
        return cls(
            account=score.account, score=score.score, band=score.band, action=score.action, signals=score.signals,
            campaign=campaign or score.campaign, as_of=moment(score.as_of_unix_nano / 1e9),
            as_of_unix_nano=score.as_of_unix_nano, events=score.events, recorded=recorded, incomplete=incomplete,
        )  # fmt: skip


# -- revocations ---------------------------------------------------------------------------------------------------


class HoldOut(BaseModel):
    """Why a revocation does not act by itself, and who may let it."""

    because: str
    people: int = Field(description="How many different people must agree")
    missing: int = Field(description="How many more")
    approvals: list[str] = Field(description="Who has agreed, the proposer among them when a person proposed it")
    decide_before: datetime = Field(description="Then it lapses, and acts on nobody")
    releases_itself: bool = Field(description="Acts without people once what is known is fresh again")
    released: datetime | None

    @classmethod
    def of(cls, hold: Hold) -> HoldOut:
        return cls(
            because=hold.because, people=hold.people, missing=hold.missing, approvals=[who for who, _ in hold.approvals],
            decide_before=moment(hold.decide_before_unix_s), releases_itself=hold.releases_itself,
            released=None if hold.released_unix_s is None else moment(hold.released_unix_s),
        )  # fmt: skip


class RevocationOut(BaseModel):
    id: str
    state: RevocationState = Field(
        description="`active` is enforced; `waiting` needs people; `rejected` and `lapsed` never acted, nor do `shadow`, `dry_run`"
    )
    target_kind: TargetKind
    target: str
    action: Action
    reason: str
    mode: Mode
    dry_run: bool
    actor: str = Field(description="The API key or the policy that decided")
    created: datetime
    expires: datetime
    ttl_left_s: int
    account_count: int
    accounts: list[str] = Field(description=f"A list of revocations shows the first {LISTED_ACCOUNTS}")
    campaign: str | None
    verdict: str | None
    policy_version: str | None
    undone: datetime | None
    undone_by: str | None
    hold: HoldOut | None = Field(description="null: it never had to wait")
    spared: list[str] = Field(
        description="Accounts that it would cover, were they not on the never-act list; of an organisation: all that are on it"
    )

    @classmethod
    def of(cls, found: Revocation, now_unix_s: float, accounts: int | None = None) -> RevocationOut:
        state = found.state(now_unix_s)
        left_s = max(0, int(found.expires_unix_s - now_unix_s)) if state in {"active", "shadow", "dry_run"} else 0
        return cls(
            id=found.id, state=state, target_kind=found.target_kind, target=found.target, action=found.action,
            reason=found.reason, mode=found.mode, dry_run=found.dry_run, actor=found.actor,
            created=moment(found.created_unix_s), expires=moment(found.expires_unix_s), ttl_left_s=left_s,
            account_count=len(found.accounts), accounts=list(found.accounts[:accounts]), campaign=found.campaign,
            verdict=found.verdict, policy_version=found.policy_version,
            undone=None if found.undone_unix_s is None else moment(found.undone_unix_s), undone_by=found.undone_by,
            hold=None if found.hold is None else HoldOut.of(found.hold), spared=list(found.spared[:accounts]),
        )  # fmt: skip


class RevocationsOut(BaseModel):
    revocations: list[RevocationOut] = Field(description="Newest first")
    next: str | None = Field(description="Send it as `after` for the next page; null: this was the last")


class EnforcedOut(BaseModel):
    """What a gateway is told now: the strongest of the account's and its organisation's, none while the kill switch is
    off. It follows a revocation within the watch's delay."""

    revocation: str
    action: Action
    reason: str
    expires: datetime

    @classmethod
    def of(cls, found: Enforcement) -> EnforcedOut:
        return cls(
            revocation=found.revocation, action=found.action, reason=found.reason, expires=moment(found.expires_unix_s)
        )


# -- accounts and campaigns ----------------------------------------------------------------------------------------


class AccountState(BaseModel):
    partition: int
    events: int
    conversations: int
    input_tokens: int
    output_tokens: int
    first_seen: datetime
    last_seen: datetime
    organisation: str | None
    verification: str | None
    label: AccountKind | None

    @classmethod
    def of(cls, view: AccountView) -> AccountState:
        return cls(
            partition=view.partition, events=view.events, conversations=view.conversations,
            input_tokens=view.input_tokens, output_tokens=view.output_tokens,
            first_seen=moment(view.first_seen_unix_nano / 1e9), last_seen=moment(view.last_seen_unix_nano / 1e9),
            organisation=view.organisation, verification=view.verification, label=view.label,
        )  # fmt: skip


class AccountOut(BaseModel):
    account: str
    state: AccountState | None = Field(description="null when no event of the account is in state")
    score: float | None = Field(description="0..1; null is no opinion yet, which is not zero")
    band: Band
    action: Action | None
    signals: tuple[Signal, ...] = Field(description="Each number beside what is normal, and how surprising it is")
    campaign: str | None
    revocation: RevocationOut | None = Field(description="The strongest active one that is stored")
    enforced: EnforcedOut | None
    verdicts: list[Verdict] = Field(description="Its own and those of its campaign that name it, newest first")
    incomplete: list[str] = Field(description="Parts that did not answer: what they know is missing here")


class CampaignSummary(BaseModel):
    id: str
    state: LifeState = Field(
        description="`asleep`: its members have sent nothing for days; `merged`: see `merged_into`"
    )
    merged_into: str | None = Field(description="The older campaign that this one proved to be a part of")
    detected: datetime
    updated: datetime
    action: Action
    account_count: int
    requests: int = Field(description="Requests of all members: what leaked")
    tokens: int
    e_value: float | None = Field(description="Evidence against chance: 20 is 1 in 20")
    linkage: tuple[str, ...] = Field(description="What made the members a group to look at")
    signals: tuple[Signal, ...]
    growth: tuple[tuple[int, int, int], ...] = Field(description="Rows of unix seconds, members, requests")

    @classmethod
    def fields_of(cls, found: Campaign) -> dict[str, Any]:
        return {
            "id": found.id, "state": found.state, "merged_into": found.merged_into, "detected": moment(found.detected_at_unix_nano / 1e9),
            "updated": moment(found.updated_at_unix_nano / 1e9), "action": found.action,
            "account_count": len(found.members), "requests": found.requests, "tokens": found.tokens,
            "e_value": found.e_value, "linkage": found.linkage, "signals": found.signals, "growth": found.growth,
        }  # fmt: skip


class CapabilityOut(BaseModel):
    name: str
    requests: int
    share: float = Field(description="0..1 of the campaign's requests; a request can be for up to three capabilities")


class ExtractionOut(BaseModel):
    """How much was taken, so that the response can be in proportion."""

    requests: int = Field(description="In all, at least: also what the accounts' own states have forgotten since")
    tokens: int
    requests_last_day: int = Field(description="In the last 24 hours of event time, the running hour included")
    tokens_last_day: int
    capabilities: list[CapabilityOut] = Field(description="Most asked for first")
    topics_covered: float = Field(
        description="0..1: share of what honest people ask, weighted by demand, that it has asked about at least once"
    )
    completeness: float | None = Field(
        description="0..1: the chance that its next conversation is on a topic it has had before (Good-Turing)"
    )
    conversations: int = Field(description="That `topics_covered` and `completeness` rest on")
    limits: str = Field(description="What these figures can not say")

    @classmethod
    def of(cls, found: Extraction) -> ExtractionOut:
        most = sorted(found.capabilities, key=lambda item: (-item[1], item[0]))
        return cls(
            requests=found.requests, tokens=found.tokens, requests_last_day=found.requests_last_day,
            tokens_last_day=found.tokens_last_day, topics_covered=found.topics_covered,
            completeness=found.completeness, conversations=found.conversations, limits=found.limits,
            capabilities=[
                CapabilityOut(name=name, requests=count, share=round(count / max(found.asked, 1), 4))
                for name, count in most
            ],
        )  # fmt: skip


class ReachOut(BaseModel):
    """Whom an action with this `min_confidence` would reach."""

    min_confidence: float
    accounts: int
    organisations: int = Field(description="Accounts without one count as one each")
    requests: int
    honest_share_at_most: float = Field(description="0..1 of these accounts, as an expectation")
    honest_at_most: float = Field(description="The same in accounts")

    @classmethod
    def of(cls, found: Reach) -> ReachOut:
        return cls(
            min_confidence=found.min_confidence, accounts=found.accounts, organisations=found.organisations,
            requests=found.requests, honest_share_at_most=found.honest_share_at_most, honest_at_most=found.honest_at_most,
        )  # fmt: skip


class CampaignOut(CampaignSummary):
    members: tuple[Member, ...] = Field(description="Surest first, at most `members` of them")
    reach: tuple[ReachOut, ...] = Field(description="Before you act: whom each threshold would reach, of all members")
    extraction: ExtractionOut | None = Field(description="null for a campaign of a version that had no such meter")
    history: History = Field(description="Rows of unix seconds, what happened, detail; oldest first, at most 100")
    absorbed: tuple[str, ...] = Field(description="Younger campaigns that proved to be parts of this one")
    split_from: tuple[str, ...] = Field(
        description="The campaign that it was a part of until they proved to be two, and those which that one had absorbed by then"
    )

    @classmethod
    def of(cls, found: Campaign, members: tuple[Member, ...]) -> CampaignOut:
        extraction = None if found.extraction is None else ExtractionOut.of(found.extraction)
        return cls(
            **cls.fields_of(found), members=members, reach=tuple(map(ReachOut.of, reach_of(found.members))),
            extraction=extraction, history=found.history, absorbed=found.absorbed,
            split_from=found.split_from,
        )  # fmt: skip


class CampaignsOut(BaseModel):
    campaigns: list[CampaignSummary] = Field(description="Newest first")


class VerdictsOut(BaseModel):
    verdicts: list[Verdict] = Field(description="Newest first")


# -- labels and control --------------------------------------------------------------------------------------------


class LabelsOut(BaseModel):
    kind: AccountKind
    account_count: int
    accounts: list[str]


class EnforcementOut(BaseModel):
    enforcement: Literal["on", "off"]


class StatusOut(BaseModel):
    """What the console's first line shows."""

    deployment: str
    version: str
    mode: Mode = Field(description="`shadow`: the policy records what it would do. Manual revocations always act")
    policy_version: str
    as_of: datetime
    ready: bool
    not_ready: list[str]
    problems: list[str] = Field(description="Parts that did not answer within their time")
    enforcement: Literal["on", "off"] | None = Field(description="The kill switch; null when it could not be read")
    enforcer_loaded: bool
    revocations_active: int = Field(description="Keys that this replica's enforcer enforces")
    partitions: int
    partitions_owned: int
    events: int
    duplicates: int
    rejected: int
    waiting: int = Field(description="Messages in the stream that no shard has taken yet")
    lag_s: float = Field(
        description="Scores are this old at worst: age of the newest message in state while others wait"
    )
    shed: int = Field(description="Requests that this replica has turned away under load since its start")
    accounts: int
    shards: list[ShardStatus] | None
    aggregator: AggregatorStatus | None


class ReadyOut(BaseModel):
    ready: bool
    not_ready: list[str]
    problems: list[str]

    @classmethod
    def of(cls, state: State) -> ReadyOut:
        return cls(ready=state.ready, not_ready=list(state.not_ready), problems=list(state.problems))


def moment(unix_s: float) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC)


def rejection(index: int, rejected: Rejected) -> FieldError:
    return FieldError(index=index, field=rejected.field, reason=rejected.reason, detail=rejected.detail)
