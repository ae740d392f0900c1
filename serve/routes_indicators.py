"""Indicators: campaigns as other platforms can match them, given out and taken in. Checking, keeping and recording are the
aggregator's: it alone matches them, and a second copy of its rules here would drift.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, NoReturn

from fastapi import APIRouter, Path, Query, Request, Response

from serve.auth import ReadsCampaigns, WritesIndicators
from serve.bodies import JSON, decode_json, media_type, read_bytes
from serve.context import Ctx
from serve.openapi import body, problems
from serve.problems import FieldError, ProblemError
from serve.schemas_indicators import IndicatorDocument, IndicatorOut, IndicatorsOut, RemovedOut
from stillwatch.fingerprint import CELLS, VERSION
from stillwatch.indicators import FORMAT, FORMAT_VERSION, MAX_DOCUMENT_BYTES, Refused

router = APIRouter(tags=["indicators"])

# The first hundred cells alike: 100 bytes of 255 and 156 of 0.
_EVEN: Final = "/" * 133 + "w" + "A" * 208 + "=="
EXAMPLE: Final[dict[str, Any]] = {
    "format": FORMAT, "version": FORMAT_VERSION, "fingerprint": VERSION, "issuer": "first.example",
    "campaign": "x-5e929b7ebdb0e907", "first_seen_unix_s": 1_789_000_000, "last_seen_unix_s": 1_789_900_000,
    "accounts": 60, "conversations": 2_400, "mixture": _EVEN, "rest_per_mille": 12, "conduct": {"volume": 140}, "values": {},
}  # fmt: skip
assert len(_EVEN) == 344
assert CELLS == 256
IndicatorId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]


@router.get(
    "/v1/campaigns/{campaign}/indicator",
    summary="The campaign for another platform, without accounts, prompts or organisations",
    response_model_exclude_none=True,
    responses=problems(401, 403, 404, 422, 503),
)
async def get_indicator(
    ctx: Ctx,
    key: ReadsCampaigns,
    campaign: Annotated[str, Path(pattern=r"^[A-Za-z0-9_.-]{1,128}$")],
    exchange_key: Annotated[
        str | None,
        Query(
            alias="key", pattern=r"^[A-Za-z0-9._-]{1,64}$", description="Name of an exchange key: signs, adds hashes"
        ),
    ] = None,
) -> IndicatorDocument:
    """422 while fewer than 20 organisations are surely members: of so few nothing is given out."""
    found = await ctx.ports.campaigns.export_indicator(campaign, exchange_key)
    if isinstance(found, Refused):
        _refuse(found, "No indicator can be given out")
    return IndicatorDocument.model_validate(found.document())


@router.get("/v1/indicators", summary="Those that others sent, newest first", responses=problems(401, 403, 503))
async def get_indicators(ctx: Ctx, key: ReadsCampaigns) -> IndicatorsOut:
    found = await ctx.ports.campaigns.indicators()
    return IndicatorsOut(indicators=[IndicatorOut.of(one) for one in found])


@router.post(
    "/v1/indicators",
    status_code=201,
    summary="Take in what another platform sent",
    responses=problems(400, 401, 403, 413, 415, 422, 503),
    openapi_extra=body(IndicatorDocument, {"unsigned": EXAMPLE}),
)
async def post_indicator(request: Request, response: Response, ctx: Ctx, key: WritesIndicators) -> IndicatorOut:
    """It acts on nobody: groups that are like it are looked at with more weight, at the same false discovery rate. It takes
    the place of an earlier one of the same campaign, and ends by itself after 90 days."""
    if media_type(request) != JSON:
        raise ProblemError("unsupported-media-type", f"Send JSON with the header content-type: {JSON}")
    document = decode_json(await read_bytes(request, MAX_DOCUMENT_BYTES))
    found = await ctx.ports.campaigns.import_indicator(document, key.actor)
    if isinstance(found, Refused):
        _refuse(found, "This indicator is not taken")
    response.headers["location"] = f"/v1/indicators/{found.indicator.id}"
    return IndicatorOut.of(found)


@router.delete(
    "/v1/indicators/{indicator}", summary="Look for it no longer", responses=problems(401, 403, 404, 422, 503)
)
async def delete_indicator(ctx: Ctx, key: WritesIndicators, indicator: IndicatorId) -> RemovedOut:
    """Campaigns that were found meanwhile stay: they were found by their own evidence."""
    await ctx.ports.campaigns.remove_indicator(indicator, key.actor)
    return RemovedOut(removed=indicator)


def _refuse(refused: Refused, what: str) -> NoReturn:
    error = FieldError(field=refused.field, reason="refused", detail=refused.detail)
    raise ProblemError("invalid", f"{what}: {refused.field or 'the document'}: {refused.detail}", [error])
