"""Why a verdict was given, rebuilt from what is stored about it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query

from serve.auth import ReadsCampaigns
from serve.board import answer
from serve.context import Ctx
from serve.openapi import problems
from serve.problems import ProblemError
from serve.schemas_explanations import ExplanationOut
from stillwatch.errors import NotFound
from stillwatch.explanation import explain
from stillwatch.revocation import MAX_TTL_S

router = APIRouter(tags=["campaigns"])

# Looked through for what others did on the same accounts, and for entries about any of it. The verdict's own revocation is asked for
# by its id, so it is found however old it is.
RECENT_REVOCATIONS: Final = 1_000
RECENT_AUDIT: Final = 10_000
_DAYS: Final = MAX_TTL_S // 86_400


@router.get(
    "/v1/verdicts/{verdict}/explanation",
    summary="Why a verdict was given, in plain words and in figures",
    responses=problems(401, 403, 404, 422, 503),
)
async def get_explanation(
    ctx: Ctx,
    key: ReadsCampaigns,
    verdict: Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")],
    accounts: Annotated[int, Query(ge=0, le=100_000, description="How many accounts to list")] = 1_000,
) -> ExplanationOut:
    """Evidence, thresholds and versions are those of the moment of the verdict; the state of revocations is that of now."""
    try:
        found = await ctx.ports.verdicts.verdict(verdict)
    except NotFound:
        raise ProblemError(
            "not-found",
            f"No verdict {verdict!r} is kept. Its id begins with v-; verdicts are kept for {_DAYS} days. GET "
            "/v1/verdicts lists those that are, GET /v1/accounts/{account} those of an account; a revocation names its verdict. "
            "Of an older one the audit stream still says who did what",
        ) from None
    gaps: list[str] = []
    own, recent, audit = await asyncio.gather(
        answer("the verdict's revocations", ctx.ports.revocations.list(verdict=verdict), gaps),
        answer("the revocations", ctx.ports.revocations.list(RECENT_REVOCATIONS), gaps),
        answer("the audit", ctx.ports.audit.newest(RECENT_AUDIT), gaps),
    )
    known = {one.id: one for one in [*(own or ()), *(recent or ())]}
    now_unix_s = ctx.now_unix_s()
    return ExplanationOut.of(explain(found, list(known.values()), audit or (), now_unix_s), accounts, now_unix_s, gaps)
