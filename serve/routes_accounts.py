"""What is known of one account, from everybody who knows something; and the verdicts.

A part that does not answer leaves a gap that the answer names: at 3 a.m. half of the truth is worth having, as long
as it says that it is half.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query

from serve.auth import ReadsCampaigns, ReadsScores
from serve.board import answer
from serve.context import Ctx
from serve.openapi import problems
from serve.schemas_out import AccountOut, AccountState, EnforcedOut, RevocationOut, VerdictsOut
from stillwatch.errors import NotFound, Unavailable
from stillwatch.revocation import Revocation
from stillwatch.verdict import Verdict, strength

router = APIRouter(tags=["accounts"])

HISTORY: Final = 50
# Revocations looked through for an account. Enforcement itself does not depend on it: the enforcer knows every key.
RECENT_REVOCATIONS: Final = 1_000
_PARTS: Final = 4


@router.get(
    "/v1/accounts/{account}",
    summary="State, signals against normal, campaign, revocation, history",
    responses=problems(401, 403, 404, 422, 503),
)
async def get_account(
    ctx: Ctx, key: ReadsScores, account: Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
) -> AccountOut:
    ports, gaps = ctx.ports, list[str]()
    view, campaign, revocations, verdicts = await asyncio.gather(
        answer("the owning shard", ports.shards.account(account), gaps),
        answer("the campaigns", ports.campaigns.campaign_of(account), gaps),
        answer("the revocations", ports.revocations.list(RECENT_REVOCATIONS, state="active"), gaps),
        answer("the verdicts", ports.verdicts.verdicts(account, HISTORY), gaps),
    )
    if len(gaps) == _PARTS:
        raise Unavailable("everything that knows accounts", gaps[0])
    campaign = campaign or (view.score.campaign if view else None)
    if campaign:
        of_campaign = await answer("the campaign's verdicts", ports.verdicts.verdicts(campaign, HISTORY), gaps)
        verdicts = [*(verdicts or ()), *(v for v in of_campaign or () if account in v.members)]
    organisation = view.organisation if view else None
    now_unix_s = ctx.now_unix_s()
    revocation = strongest(revocations or [], account, organisation, now_unix_s)
    enforced = ports.enforcer.check(account, organisation, now_unix_s) if ports.enforcer.loaded else None
    if not ports.enforcer.loaded:
        gaps.append("the enforcer: it has not read the revocations yet")
    if not (view or campaign or revocation or enforced or verdicts or gaps):
        raise NotFound("account with an event in state, a verdict or a revocation", account)
    return AccountOut(
        account=account,
        state=AccountState.of(view) if view else None,
        score=view.score.score if view else None,
        band=view.score.band if view else "no_opinion",
        action=view.score.action if view else None,
        signals=view.signals if view else (),
        campaign=campaign,
        revocation=RevocationOut.of(revocation, now_unix_s) if revocation else None,
        enforced=EnforcedOut.of(enforced) if enforced else None,
        verdicts=newest(verdicts or []),
        incomplete=gaps,
    )


@router.get("/v1/verdicts", summary="What was decided, and why", responses=problems(401, 403, 422, 503))
async def get_verdicts(
    ctx: Ctx,
    key: ReadsCampaigns,
    subject: Annotated[
        str | None, Query(pattern=r"^[A-Za-z0-9_.-]{1,128}$", description="An account or a campaign; all without it")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> VerdictsOut:
    return VerdictsOut(verdicts=await ctx.ports.verdicts.verdicts(subject, limit))


def strongest(
    revocations: list[Revocation], account: str, organisation: str | None, now_unix_s: float
) -> Revocation | None:
    """The strongest active one on the account or its organisation."""
    holding = [
        item
        for item in revocations
        if item.state(now_unix_s) == "active"
        and (account in item.accounts or (item.target_kind == "organisation" and item.target == organisation))
    ]
    return max(holding, key=lambda item: strength(item.action), default=None)


def newest(verdicts: list[Verdict]) -> list[Verdict]:
    by_id = {verdict.id: verdict for verdict in verdicts}
    return sorted(by_id.values(), key=lambda verdict: -verdict.decided_at_unix_nano)[:HISTORY]
