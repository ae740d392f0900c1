"""Revocations by hand: make, look, undo.

What adds force is written to the audit log before it is done, so that no account is refused without a record. What
takes force away is done first: an audit log that is down must not keep a customer locked out.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Path, Query, Request, Response

from serve.auth import ReadsCampaigns, WritesRevocations
from serve.bodies import read_model
from serve.context import Context, Ctx, traceparent
from serve.keys import Caller
from serve.openapi import body, problems
from serve.routes_campaigns import members_of
from serve.schemas_in import RevocationIn
from serve.schemas_out import LISTED_ACCOUNTS, RevocationOut, RevocationsOut
from stillwatch.errors import NotFound, Unavailable
from stillwatch.ports import AuditEntry
from stillwatch.revocation import Revocation, revocation_id
from stillwatch.revocation import State as RevocationState

router = APIRouter(tags=["revocations"])

EXAMPLE: Final[dict[str, Any]] = {
    "account": "acct-7f3a",
    "action": "suspend",
    "reason": "drains one pool of prompts with 40 others, case 1182",
    "ttl_s": 86_400,
}
EXAMPLE_CAMPAIGN: Final[dict[str, Any]] = {
    "campaign": "c-1a2b", "action": "throttle", "reason": "watching first", "ttl_s": 3_600, "dry_run": True,
}  # fmt: skip
# Visible ASCII, as the Idempotency-Key draft has it; hashed before it is stored.
_IDEMPOTENCY: Final = r"^[!-~]{1,255}$"


@router.post(
    "/v1/revocations",
    status_code=201,
    summary="Act on an account, an organisation or a campaign",
    responses={
        **problems(400, 401, 403, 404, 409, 413, 415, 422, 503),
        200: {"model": RevocationOut, "description": "The same Idempotency-Key and body were sent before"},
    },
    openapi_extra=body(RevocationIn, {"account": EXAMPLE, "campaign": EXAMPLE_CAMPAIGN}),
)
async def post_revocation(
    request: Request,
    response: Response,
    ctx: Ctx,
    key: WritesRevocations,
    idempotency_key: Annotated[
        str | None, Header(pattern=_IDEMPOTENCY, description="Send one, and a repeated request is one revocation")
    ] = None,
) -> RevocationOut:
    """Enforced also when the policy is in shadow mode (that is about automatic actions), but not while the kill switch
    is off. A weaker action never replaces a stronger active one on the same account."""
    wanted = await read_model(request, RevocationIn, ctx.settings.max_body_bytes)
    kind, target = wanted.target()
    id = revocation_id("http", secrets.token_hex(16))
    if idempotency_key is not None:
        # Of this key alone: two holders may well count from 1.
        name = hashlib.sha256(f"{key.id}\x1f{idempotency_key}".encode()).hexdigest()
        id = revocation_id("http", name)
        known = await ctx.ports.revocations.remember(name, _sha256(wanted), id)
        found = await _stored(ctx, known)
        if found is not None:
            response.status_code = 200
            return _answer(ctx, response, found)
    accounts = {"account": [target], "organisation": []}.get(kind)
    if accounts is None:
        accounts = await members_of(ctx, target, wanted.min_confidence)
    now_unix_s = int(ctx.now_unix_s())
    revocation = Revocation(
        id=id, target_kind=kind, target=target, accounts=tuple(accounts), action=wanted.action, reason=wanted.reason,
        mode="enforce", dry_run=wanted.dry_run, created_unix_s=now_unix_s, expires_unix_s=now_unix_s + wanted.ttl_s,
        actor=key.actor, campaign=wanted.campaign, traceparent=traceparent(request),
    )  # fmt: skip
    details = {
        "revocation": id, "action": wanted.action, "reason": wanted.reason, "ttl_s": wanted.ttl_s,
        "dry_run": wanted.dry_run, "accounts": len(accounts),
    }  # fmt: skip
    await _audit(ctx, key, "revocation.create", f"{kind} {target}", details)
    return _answer(ctx, response, await ctx.ports.revocations.put(revocation))


@router.get("/v1/revocations", summary="Newest first", responses=problems(401, 403, 422, 503))
async def get_revocations(
    ctx: Ctx,
    key: ReadsCampaigns,
    state: RevocationState | None = None,
    account: Annotated[
        str | None, Query(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Only those that name it")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> RevocationsOut:
    now_unix_s = ctx.now_unix_s()
    # A filter looks through more than it returns; the store bounds what it lists.
    found = await ctx.ports.revocations.list(limit if state is None and account is None else 10_000)
    wanted = [
        item
        for item in found
        if (state is None or item.state(now_unix_s) == state) and (account is None or account in item.accounts)
    ]
    return RevocationsOut(revocations=[RevocationOut.of(item, now_unix_s, LISTED_ACCOUNTS) for item in wanted[:limit]])


RevocationId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]


@router.get(
    "/v1/revocations/{revocation}", summary="One, with all its accounts", responses=problems(401, 403, 404, 422, 503)
)
async def get_revocation(ctx: Ctx, key: ReadsCampaigns, revocation: RevocationId) -> RevocationOut:
    return RevocationOut.of(await ctx.ports.revocations.get(revocation), ctx.now_unix_s())


@router.delete(
    "/v1/revocations/{revocation}",
    summary="Undo: lifted everywhere, kept on record",
    responses=problems(401, 403, 404, 422, 503),
)
async def delete_revocation(ctx: Ctx, key: WritesRevocations, revocation: RevocationId) -> RevocationOut:
    """Undoing twice is the same as once."""
    before = await ctx.ports.revocations.get(revocation)
    undone = await ctx.ports.revocations.undo(revocation, key.actor)
    if before.undone_unix_s is None:
        details = {"revocation": undone.id, "action": undone.action, "accounts": len(undone.accounts)}
        try:
            await _audit(ctx, key, "revocation.undo", f"{undone.target_kind} {undone.target}", details)
        except Unavailable as error:
            raise Unavailable(
                "the audit log", f"{error.problem}. The revocation is undone; only the record is missing"
            ) from None
    return RevocationOut.of(undone, ctx.now_unix_s())


async def _stored(ctx: Context, known: str | None) -> Revocation | None:
    """The revocation of an earlier request; ``None`` when that one died between remembering and storing."""
    if known is None:
        return None
    try:
        return await ctx.ports.revocations.get(known)
    except NotFound:
        return None


async def _audit(ctx: Context, key: Caller, action: str, target: str, details: dict[str, Any]) -> None:
    await ctx.ports.audit.append(AuditEntry(key.actor, action, target, ctx.ports.clock.unix_nano(), details))


def _answer(ctx: Context, response: Response, found: Revocation) -> RevocationOut:
    response.headers["location"] = f"/v1/revocations/{found.id}"
    return RevocationOut.of(found, ctx.now_unix_s())


def _sha256(wanted: RevocationIn) -> str:
    """Of what was asked for, however it was spelt."""
    return hashlib.sha256(json.dumps(wanted.model_dump(), sort_keys=True).encode()).hexdigest()
