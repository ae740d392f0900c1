"""Campaigns as the aggregator has them now, and labels: what an operator knows better than the models."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request

from serve.auth import ReadsCampaigns, WritesLabels
from serve.bodies import read_model
from serve.context import Context, Ctx
from serve.openapi import body, problems
from serve.problems import ProblemError
from serve.schemas_in import LabelIn
from serve.schemas_out import CampaignOut, CampaignsOut, CampaignSummary, LabelsOut
from stillwatch.ports import AuditEntry, Label
from stillwatch.verdict import Member

router = APIRouter(tags=["campaigns"])

EXAMPLE: Final[dict[str, Any]] = {"account": "acct-7f3a", "kind": "team", "note": "known customer, shared tool"}
# Labels of a campaign on their way at once: enough to hide the round trip, too few to flood the stream.
LABELS_IN_FLIGHT: Final = 64


@router.get("/v1/campaigns", summary="Open campaigns, newest first", responses=problems(401, 403, 422, 503))
async def get_campaigns(
    ctx: Ctx, key: ReadsCampaigns, limit: Annotated[int, Query(ge=1, le=1_000)] = 100
) -> CampaignsOut:
    """Without members: GET a campaign for these. Those that sleep or were merged are among them."""
    found = await ctx.ports.campaigns.campaigns()
    return CampaignsOut(campaigns=[CampaignSummary(**CampaignSummary.fields_of(item)) for item in found[:limit]])


@router.get(
    "/v1/campaigns/{campaign}",
    summary="Members with their confidence, evidence, growth, history, and how much was extracted",
    responses=problems(401, 403, 404, 422, 503),
)
async def get_campaign(
    ctx: Ctx,
    key: ReadsCampaigns,
    campaign: Annotated[str, Path(pattern=r"^[A-Za-z0-9_.-]{1,128}$")],
    members: Annotated[int, Query(ge=0, le=100_000, description="How many members to list")] = 1_000,
) -> CampaignOut:
    found = await ctx.ports.campaigns.campaign(campaign)
    surest = sorted(found.members, key=lambda member: (-member.confidence, -member.requests, member.account))
    return CampaignOut.of(found, tuple(surest[:members]))


@router.post(
    "/v1/labels",
    status_code=202,
    summary="Say what an account or a campaign really is",
    responses=problems(400, 401, 403, 404, 413, 415, 422, 503),
    openapi_extra=body(LabelIn, {"account": EXAMPLE, "campaign": {"campaign": "c-1a2b", "kind": "attack"}}),
)
async def post_labels(request: Request, ctx: Ctx, key: WritesLabels) -> LabelsOut:
    """202 once the stream holds the labels; the shards' supervised models learn from them in stream order. Saying the
    same twice is harmless, and saying something else corrects it."""
    wanted = await read_model(request, LabelIn, ctx.settings.max_body_bytes)
    if wanted.account is not None:
        accounts = [wanted.account]
    else:
        assert wanted.campaign is not None
        accounts = [member.account for member in await members_of(ctx, wanted.campaign, wanted.min_confidence)]
    now = ctx.ports.clock.unix_nano()
    details = {"kind": wanted.kind, "note": wanted.note, "accounts": len(accounts)}
    target = wanted.account or f"campaign {wanted.campaign}"
    await ctx.ports.audit.append(AuditEntry(key.actor, "label.create", target, now, details))
    for start in range(0, len(accounts), LABELS_IN_FLIGHT):
        labels = [
            Label(account, wanted.kind, key.actor, now, wanted.note)
            for account in accounts[start : start + LABELS_IN_FLIGHT]
        ]
        await asyncio.gather(*(ctx.ports.events.publish_label(label) for label in labels))
    return LabelsOut(kind=wanted.kind, account_count=len(accounts), accounts=accounts)


async def members_of(ctx: Context, campaign: str, min_confidence: float) -> list[Member]:
    """Those that an action on a campaign covers: members sure enough. Never an empty list."""
    found = await ctx.ports.campaigns.campaign(campaign)
    sure = [member for member in found.members if member.confidence >= min_confidence]
    if not sure:
        surest = max((member.confidence for member in found.members), default=0.0)
        raise ProblemError(
            "invalid",
            f"No member of the campaign has a confidence of {min_confidence:g}; the surest has {surest:.3f}. Send a "
            "lower min_confidence if you mean it",
        )
    return sure
