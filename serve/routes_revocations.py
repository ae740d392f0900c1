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
from serve.board import answer
from serve.bodies import read_model
from serve.context import Context, Ctx, traceparent
from serve.keys import Caller
from serve.openapi import body, problems
from serve.routes_campaigns import members_of
from serve.schemas_in import RevocationIn
from serve.schemas_out import LISTED_ACCOUNTS, RevocationOut, RevocationsOut
from serve.schemas_safety import UndoIn, UndoOut
from stillwatch.errors import Conflict, NotFound, Unavailable
from stillwatch.never_act import NeverAct, organisations_of
from stillwatch.ports import AuditEntry
from stillwatch.revocation import Hold, Revocation, revocation_id
from stillwatch.revocation import State as RevocationState
from stillwatch.verdict import Member, strength

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
_PLACE: Final = r"^[0-9]{1,12}\.[A-Za-z0-9_-]{1,64}$"  # when it was created, and its id


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
    is off. A weaker action never replaces a stronger active one on the same account. A large one is `waiting` until others
    have agreed (`POST /v1/approvals/{id}`). Who is on the never-act list is left out; 409 when nobody else is left."""
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
    members, spared = await _covered(ctx, wanted)
    accounts = tuple(member.account for member in members)
    now_unix_s = int(ctx.now_unix_s())
    hold = _hold(ctx, wanted, len(accounts), key, now_unix_s)
    revocation = Revocation(
        id=id, target_kind=kind, target=target, accounts=accounts, action=wanted.action, reason=wanted.reason,
        mode="enforce", dry_run=wanted.dry_run, created_unix_s=now_unix_s, expires_unix_s=now_unix_s + wanted.ttl_s,
        actor=key.actor, campaign=wanted.campaign, traceparent=traceparent(request), spared=spared,
        hold=hold, organisations=() if hold is None else organisations_of(member.organisation for member in members),
    )  # fmt: skip
    details = {
        "revocation": id, "action": wanted.action, "reason": wanted.reason, "ttl_s": wanted.ttl_s,
        "dry_run": wanted.dry_run, "accounts": len(accounts), "person": key.person,
    }  # fmt: skip
    await _audit(
        ctx, key, "revocation.create" if revocation.hold is None else "revocation.propose", f"{kind} {target}", details
    )
    return _answer(ctx, response, await ctx.ports.revocations.put(revocation))


@router.get("/v1/revocations", summary="Newest first", responses=problems(401, 403, 422, 503))
async def get_revocations(
    ctx: Ctx,
    key: ReadsCampaigns,
    state: RevocationState | None = None,
    account: Annotated[
        str | None, Query(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Only those that name it")
    ] = None,
    campaign: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9_.-]{1,128}$")] = None,
    verdict: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9_.-]{1,128}$")] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    after: Annotated[str | None, Query(pattern=_PLACE, description="`next` of the page before")] = None,
) -> RevocationsOut:
    now_unix_s = ctx.now_unix_s()
    before = None
    if after is not None:
        created, _, id = after.partition(".")
        before = int(created), id
    found = await ctx.ports.revocations.list(
        limit, before=before, state=state, account=account, campaign=campaign, verdict=verdict
    )
    more = f"{found[-1].created_unix_s}.{found[-1].id}" if len(found) == limit else None
    return RevocationsOut(
        revocations=[RevocationOut.of(item, now_unix_s, LISTED_ACCOUNTS) for item in found], next=more
    )


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


@router.post(
    "/v1/undo",
    summary="Undo a whole decision: all revocations of a verdict, or of a campaign",
    responses=problems(400, 401, 403, 404, 413, 415, 422, 503),
    openapi_extra=body(UndoIn, {"campaign": {"campaign": "c-1a2b", "reason": "a team of a customer"}}),
)
async def post_undo(request: Request, ctx: Ctx, key: WritesRevocations) -> UndoOut:
    """What is in force is lifted, what waits is rejected; repeating it is harmless. Of a campaign also what was done under the
    names of those that were merged into it, as far as the aggregator says which: else `incomplete` says that it did not. The
    policy does not put back what was lifted of a campaign. When it fails half way, send it again: it goes on where it was."""
    wanted = await read_model(request, UndoIn, ctx.settings.max_body_bytes)
    target = f"verdict {wanted.verdict}" if wanted.verdict is not None else f"campaign {wanted.campaign}"
    incomplete: list[str] = []
    undone, any_found = await _undo_all(ctx, key, verdict=wanted.verdict, campaign=wanted.campaign)
    if wanted.campaign is not None:  # first what is known here: nobody waits for the aggregator to be freed
        names = await _names(ctx, wanted.campaign, incomplete)
        if names is None and not any_found:
            raise Unavailable("the aggregator", f"nothing was done under the name of {target} itself; {incomplete[0]}")
        absorbed_ones, split_from = names or ((), ())
        if split_from:
            any_found = True  # under that name, which is said and not guessed at
            incomplete.append(
                f"{wanted.campaign} was a part of {split_from[0]}: what was done before the two were split stands under that name. "
                "Undo its verdicts, or all of it"
            )
        for absorbed in absorbed_ones:
            more, found = await _undo_all(ctx, key, campaign=absorbed)
            undone, any_found = undone + more, any_found or found
    if not any_found:
        raise NotFound("revocation of", target)
    accounts = {account for one in undone for account in one.accounts}
    if undone:
        details = {
            "revocations": [one.id for one in undone], "verdicts": sorted({one.verdict for one in undone if one.verdict}),
            "accounts": len(accounts), "reason": wanted.reason, "person": key.person,
        }  # fmt: skip
        kind = "verdict" if wanted.verdict is not None else "campaign"
        try:
            await _audit(ctx, key, f"{kind}.undo", target, details)
        except Unavailable as error:
            raise Unavailable(
                "the audit log", f"{error.problem}. All of it is undone; only the record is missing"
            ) from None
    now_unix_s = ctx.now_unix_s()
    return UndoOut(
        undone=[RevocationOut.of(one, now_unix_s, LISTED_ACCOUNTS) for one in undone],
        account_count=len(accounts),
        incomplete=incomplete,
    )


async def _undo_all(
    ctx: Context, key: Caller, verdict: str | None = None, campaign: str | None = None
) -> tuple[list[Revocation], bool]:
    """Those that it undid, and whether there are any at all."""
    undone, before, any_found = list[Revocation](), None, False
    while True:
        page = await ctx.ports.revocations.list(1_000, before=before, verdict=verdict, campaign=campaign)
        any_found = any_found or bool(page)
        for found in page:
            if found.undone_unix_s is None and found.state(ctx.now_unix_s()) in ("active", "shadow", "waiting"):
                undone.append(await ctx.ports.revocations.undo(found.id, key.actor))
        if len(page) < 1_000:
            return undone, any_found
        before = page[-1].created_unix_s, page[-1].id


async def _names(ctx: Context, campaign: str, incomplete: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """The campaigns that were merged into it, and those that it was split from; ``None``: the aggregator did not answer."""

    async def ask() -> tuple[tuple[str, ...], tuple[str, ...]]:
        try:
            found = await ctx.ports.campaigns.campaign(campaign)
            return found.absorbed, found.split_from
        except NotFound:  # maybe it reads back what it knew
            incomplete.append(f"the aggregator does not know {campaign}, nor whether others were merged into it")
            return (), ()

    return await answer("the aggregator, which knows what was merged into it", ask(), incomplete)


async def _covered(ctx: Context, wanted: RevocationIn) -> tuple[list[Member], tuple[str, ...]]:
    """The accounts with their organisations, and those of them that are spared because their organisation is on the never-act list. Accounts on the
    list themselves are left out by the store, whoever writes."""
    if wanted.organisation is not None:
        return [], ()
    never_act = NeverAct(await ctx.ports.never_act.list(), ctx.now_unix_s())
    if wanted.account is not None:
        await _refuse_protected(ctx, wanted.account, never_act)
        return [Member(wanted.account, 1.0, 0, 0)], ()
    assert wanted.campaign is not None
    members = await members_of(ctx, wanted.campaign, wanted.min_confidence)
    protected = {member.account for member in members if never_act.covers(None, member.organisation) is not None}
    left = [member for member in members if member.account not in protected]
    if not left:
        raise Conflict(f"campaign {wanted.campaign}", "all members that are sure enough are on the never-act list")
    return left, tuple(member.account for member in members if member.account in protected)


async def _refuse_protected(ctx: Context, account: str, never_act: NeverAct) -> None:
    if not never_act.protects_organisations:
        return
    problems: list[str] = []
    view = await answer("the shards", ctx.ports.shards.account(account), problems)
    found = None if view is None else never_act.covers(None, view.organisation)
    if found is not None:
        text = f"its organisation is on the never-act list ({found.id}), because: {found.reason}. Ask {found.owner}"
        raise Conflict(f"account {account}", text)


def _hold(ctx: Context, wanted: RevocationIn, accounts: int, key: Caller, now_unix_s: int) -> Hold | None:
    """Whether others must agree. The proposer is one of them."""
    rules = ctx.about.approval
    if wanted.dry_run or strength(wanted.action) == 0 or rules.people < 2:
        return None
    if wanted.organisation is not None and rules.organisations:
        because = "it covers a whole organisation"
    elif wanted.campaign is not None and accounts > rules.above_accounts:
        because = f"it covers {accounts} accounts, more than {rules.above_accounts}"
    else:
        return None
    return Hold(because, rules.people, now_unix_s + rules.expires_s, ((key.person, now_unix_s),))


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
