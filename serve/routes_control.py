"""The kill switch, and the state of the whole as the console shows it."""

from __future__ import annotations

from typing import Any, Final, Literal

from fastapi import APIRouter, Request

from serve.auth import ReadsCampaigns, WritesControl
from serve.bodies import read_model
from serve.context import Ctx
from serve.openapi import body, problems
from serve.schemas_in import EnforcementIn
from serve.schemas_out import EnforcementOut, StatusOut, moment
from stillwatch import __version__
from stillwatch.errors import Unavailable
from stillwatch.ports import AuditEntry

router = APIRouter(tags=["control"])

EXAMPLE: Final[dict[str, Any]] = {"enforcement": "off", "reason": "refusing honest accounts, incident 77"}


@router.get("/v1/control/enforcement", summary="The kill switch", responses=problems(401, 403, 503))
async def get_enforcement(ctx: Ctx, key: ReadsCampaigns) -> EnforcementOut:
    return EnforcementOut(enforcement=_word(await ctx.ports.control.enforcement()))


@router.put(
    "/v1/control/enforcement",
    summary="Turn all enforcement off or on",
    responses=problems(400, 401, 403, 413, 415, 422, 503),
    openapi_extra=body(EnforcementIn, {"off": EXAMPLE}),
)
async def put_enforcement(request: Request, ctx: Ctx, key: WritesControl) -> EnforcementOut:
    """Off: every gateway allows everything within a second; revocations stay stored and their time runs on."""
    wanted = await read_model(request, EnforcementIn, ctx.settings.max_body_bytes)
    on = wanted.enforcement == "on"
    entry = AuditEntry(
        key.actor, f"enforcement.{wanted.enforcement}", "enforcement", ctx.ports.clock.unix_nano(),
        {"reason": wanted.reason},
    )  # fmt: skip
    # As with revocations: force needs its record first, taking it away needs nothing.
    if on:
        await ctx.ports.audit.append(entry)
    await ctx.ports.control.set_enforcement(on)
    if not on:
        try:
            await ctx.ports.audit.append(entry)
        except Unavailable as error:
            raise Unavailable(
                "the audit log", f"{error.problem}. Enforcement is off; only the record is missing"
            ) from None
    return EnforcementOut(enforcement=wanted.enforcement)


@router.get("/v1/status", summary="The whole at a glance", responses=problems(401, 403))
async def get_status(ctx: Ctx, key: ReadsCampaigns) -> StatusOut:
    """Answers also when nothing else does: what did not answer is null and listed in `problems`. At most a second
    old."""
    state, about = await ctx.board.state(), ctx.about
    partitions = list(state.partitions().values())
    return StatusOut(
        deployment=about.deployment,
        version=__version__,
        mode=about.mode,
        policy_version=about.policy_version,
        as_of=moment(state.at_unix_s),
        ready=state.ready,
        not_ready=list(state.not_ready),
        problems=list(state.problems),
        enforcement=None if state.enforcement is None else _word(state.enforcement),
        enforcer_loaded=ctx.ports.enforcer.loaded,
        revocations_active=ctx.ports.enforcer.active,
        partitions=about.partitions,
        partitions_owned=len(partitions),
        events=sum(item.events for item in partitions),
        duplicates=sum(item.duplicates for item in partitions),
        rejected=sum(item.rejected for item in partitions),
        waiting=sum(item.waiting for item in partitions),
        lag_s=max((item.lag_s for item in partitions), default=0.0),
        shed=ctx.metrics.shed_requests,
        accounts=sum(item.accounts for item in partitions),
        shards=None if state.shards is None else list(state.shards),
        aggregator=state.aggregator,
    )


def _word(on: bool) -> Literal["on", "off"]:
    return "on" if on else "off"
