"""What waits for people: look, agree, reject. A thing that waits is a revocation that does not act yet.

The proposer, a person or the policy, is never the only one who agrees: two keys of one owner are one person, and so are a key
and a token. Whoever has no owner could be anybody's second key, and agrees to nothing.
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request

from serve.auth import ReadsCampaigns, WritesApprovals
from serve.bodies import read_model
from serve.context import Context, Ctx
from serve.keys import Caller
from serve.openapi import body, problems
from serve.problems import ProblemError
from serve.schemas_out import LISTED_ACCOUNTS, RevocationOut, RevocationsOut
from serve.schemas_safety import ApprovalIn
from stillwatch.errors import Conflict, Unavailable
from stillwatch.ports import AuditEntry
from stillwatch.revocation import Revocation, State

router = APIRouter(tags=["approvals"])

_REMEDY: Final = "Have `owner` set in the key file; of a token, see serve.oidc.person_claim. Rejecting needs no owner: DELETE /v1/approvals/{id}"
RevocationId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.-]{1,128}$", description="Of the revocation that waits")]


@router.get("/v1/approvals", summary="What waits for people, newest first", responses=problems(401, 403, 422, 503))
async def get_approvals(
    ctx: Ctx, key: ReadsCampaigns, limit: Annotated[int, Query(ge=1, le=1_000)] = 100
) -> RevocationsOut:
    """Each with why it waits (`hold.because`), who has agreed, how many more must, and until when."""
    found = await ctx.ports.revocations.list(limit, state="waiting")
    now_unix_s = ctx.now_unix_s()
    return RevocationsOut(
        revocations=[RevocationOut.of(item, now_unix_s, LISTED_ACCOUNTS) for item in found], next=None
    )


@router.post(
    "/v1/approvals/{revocation}",
    summary="Agree: the last one who is needed lets it act",
    responses=problems(400, 401, 403, 404, 409, 413, 415, 422, 503),
    openapi_extra=body(ApprovalIn, {"agreed": {"note": "checked with support: no customer of ours"}}),
)
async def post_approval(request: Request, ctx: Ctx, key: WritesApprovals, revocation: RevocationId) -> RevocationOut:
    """In the name of the key's owner, or of the person whom the token names; 403 without. Agreeing twice is the same as once.
    409 for what waits no more."""
    if not key.person:
        text = f"{key.actor} has no owner, so nobody knows whether you are a second person. {_REMEDY}"
        raise ProblemError("no-person", text)
    wanted = await read_model(request, ApprovalIn, ctx.settings.max_body_bytes)
    found = await ctx.ports.revocations.get(revocation)
    if found.hold is not None and found.hold.agreed(key.person):
        return RevocationOut.of(found, ctx.now_unix_s())
    _require(ctx, found, "waiting")
    await _record(ctx, key, "approval.grant", found, wanted.note)
    return RevocationOut.of(await ctx.ports.revocations.approve(revocation, key.person), ctx.now_unix_s())


@router.delete(
    "/v1/approvals/{revocation}", summary="Reject: it never acts", responses=problems(401, 403, 404, 409, 422, 503)
)
async def delete_approval(ctx: Ctx, key: WritesApprovals, revocation: RevocationId) -> RevocationOut:
    """One person is enough to say no, also the one who proposed it. Kept on record."""
    _require(ctx, await ctx.ports.revocations.get(revocation), "waiting", "lapsed", "rejected")
    rejected = await ctx.ports.revocations.undo(revocation, key.actor)
    try:
        await _record(ctx, key, "approval.reject", rejected)
    except Unavailable as error:
        raise Unavailable("the audit log", f"{error.problem}. It is rejected; only the record is missing") from None
    return RevocationOut.of(rejected, ctx.now_unix_s())


def _require(ctx: Context, found: Revocation, *states: State) -> None:
    state = found.state(ctx.now_unix_s())
    if state not in states:
        text = f"it is {state} and waits for nobody; look at GET /v1/revocations/{found.id}"
        raise Conflict(f"revocation {found.id}", text)


async def _record(ctx: Context, key: Caller, action: str, found: Revocation, note: str = "") -> None:
    details = {
        "revocation": found.id, "verdict": found.verdict, "action": found.action, "accounts": len(found.accounts),
        "proposed_by": found.actor, "person": key.person, "note": note,
        "agreed_before": [who for who, _ in found.hold.approvals] if found.hold is not None else [],
    }  # fmt: skip
    target = f"{found.target_kind} {found.target}"
    await ctx.ports.audit.append(AuditEntry(key.actor, action, target, ctx.ports.clock.unix_nano(), details))
