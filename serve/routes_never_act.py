"""The never-act list: who may not be acted on, why, until when, and who answers for it.

Both ways are written to the audit log first: an entry opens a way around every policy, and removing one adds force.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request

from serve.auth import ReadsCampaigns, WritesNeverAct
from serve.bodies import read_model
from serve.context import Context, Ctx
from serve.keys import Caller
from serve.openapi import body, problems
from serve.schemas_safety import NeverActIn, ProtectionOut, ProtectionsOut
from stillwatch.errors import Conflict, NotFound
from stillwatch.never_act import Protection
from stillwatch.ports import AuditEntry

router = APIRouter(tags=["never-act list"])

EXAMPLE: Final[dict[str, Any]] = {
    "organisation": "acme", "reason": "contract talks, ticket 4411", "owner": "anna", "ttl_s": 2_592_000,
}  # fmt: skip


@router.get(
    "/v1/never-act", summary="Who may not be acted on, those that end first, first", responses=problems(401, 403, 503)
)
async def get_never_act(ctx: Ctx, key: ReadsCampaigns) -> ProtectionsOut:
    """The policy file's own `never_act` accounts stand under `policy`: they have no end."""
    now_unix_s = ctx.now_unix_s()
    found = await ctx.ports.never_act.list()
    return ProtectionsOut(
        entries=[ProtectionOut.of(one, now_unix_s) for one in found if not one.endless],
        policy=list(ctx.about.never_act),
    )


@router.post(
    "/v1/never-act",
    status_code=201,
    summary="Protect an account or an organisation",
    responses=problems(400, 401, 403, 409, 413, 415, 422, 503),
    openapi_extra=body(NeverActIn, {"organisation": EXAMPLE}),
)
async def post_never_act(request: Request, ctx: Ctx, key: WritesNeverAct) -> ProtectionOut:
    """In the place of an earlier entry for the same target. What is in force stays in force: `still_enforced` names it,
    and undoing it is a decision of its own."""
    wanted = await read_model(request, NeverActIn, ctx.settings.max_body_bytes)
    kind, target = wanted.target()
    now_unix_s = int(ctx.now_unix_s())
    entry = Protection(
        kind, target, wanted.owner or key.person or key.actor, wanted.reason, now_unix_s, now_unix_s + wanted.ttl_s, key.actor
    )  # fmt: skip
    await _record(ctx, key, "never_act.add", entry)
    await ctx.ports.never_act.put(entry)
    account, organisation = (target, None) if kind == "account" else (None, target)
    enforced = ctx.ports.enforcer.check(account, organisation, now_unix_s)
    return ProtectionOut.of(entry, now_unix_s, None if enforced is None else enforced.revocation)


@router.delete(
    "/v1/never-act/{entry}", summary="It can be acted on again", responses=problems(401, 403, 404, 409, 422, 503)
)
async def delete_never_act(
    ctx: Ctx, key: WritesNeverAct, entry: Annotated[str, Path(pattern=r"^n-[0-9a-f]{20}$")]
) -> ProtectionOut:
    mine = [one for one in await ctx.ports.never_act.list() if one.id == entry]
    found = next((one for one in mine if not one.endless), None)
    if found is None:
        if mine:
            raise Conflict(f"never-act entry {entry}", mine[0].words)
        raise NotFound("never-act entry", entry)
    await _record(ctx, key, "never_act.remove", found)
    await ctx.ports.never_act.remove(entry)
    return ProtectionOut.of(found, ctx.now_unix_s())


async def _record(ctx: Context, key: Caller, action: str, entry: Protection) -> None:
    details = {
        "entry": entry.id, "owner": entry.owner, "reason": entry.reason, "expires_unix_s": entry.expires_unix_s,
    }  # fmt: skip
    target = f"{entry.kind} {entry.target}"
    await ctx.ports.audit.append(AuditEntry(key.actor, action, target, ctx.ports.clock.unix_nano(), details))
