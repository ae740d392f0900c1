"""For machines that watch machines: live, ready, metrics."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Depends, Response

from serve.auth import metrics_reader
from serve.context import Ctx
from serve.metrics import CONTENT_TYPE
from serve.openapi import problems
from serve.schemas_out import ReadyOut

router = APIRouter(tags=["operations"])
RETRY_AFTER_S: Final = "2"


@router.get("/healthz", summary="This process is alive")
async def healthz() -> dict[str, str]:
    """Says nothing about NATS or the shards: restarting this process would not mend them. See /readyz."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    summary="Every partition has an owner and the enforcer is loaded",
    responses={503: {"model": ReadyOut, "description": "Not ready; `not_ready` lists why"}},
)
async def readyz(ctx: Ctx, response: Response) -> ReadyOut:
    state = await ctx.board.state()
    if not state.ready:
        response.status_code = 503
        response.headers["retry-after"] = RETRY_AFTER_S
    return ReadyOut.of(state)


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=Response,
    dependencies=[Depends(metrics_reader)],
    responses={**problems(401, 403), 200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(ctx: Ctx) -> Response:
    """Needs `metrics:read`, unless `open_metrics` is set. Asks the shards at the scrape, at most once a second."""
    await ctx.board.state()
    return Response(ctx.metrics.text(), media_type=CONTENT_TYPE)
