"""Dead letters: what could not be processed, and once more what now can be. Bytes may hold what a customer wrote: they are
shown of one letter at a time, and only with their own scope."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from serve.auth import ReadsDeadLetters, WritesDeadLetters
from serve.bodies import read_model
from serve.context import Context, Ctx, traceparent
from serve.openapi import body, problems
from serve.routes_events import content_free
from serve.schemas_out import moment
from stillwatch.deadletters import resubmission
from stillwatch.errors import NotFound
from stillwatch.event import Rejected, RejectReason
from stillwatch.ports import AuditEntry, DeadLetter, Label

router = APIRouter(tags=["dead letters"])

MAX_LISTED: Final = 1_000
LetterId = Annotated[str, Path(pattern=r"^[0-9]{1,4}\.[0-9]{1,19}\.[0-9]{1,4}$")]
EXAMPLE: Final[dict[str, Any]] = {"ids": ["3.4711.0"]}


class LetterSummary(BaseModel):
    id: str = Field(description="partition.sequence.index: where it stood in the stream")
    reason: RejectReason
    field: str
    detail: str
    subject: str = Field(description="That it came on")
    bytes: int
    truncated_from: int = Field(description="Bytes of the original where only its beginning was kept, else 0")
    replayed: datetime | None
    replayed_by: str | None

    @classmethod
    def fields_of(cls, letter: DeadLetter) -> dict[str, Any]:
        at, _, by = letter.replayed.partition(" ")
        return {
            "id": letter.id, "reason": letter.rejected.reason, "field": letter.rejected.field,
            "detail": letter.rejected.detail, "subject": letter.subject, "bytes": len(letter.payload),
            "truncated_from": letter.truncated_from, "replayed": moment(int(at)) if at else None, "replayed_by": by or None,
        }  # fmt: skip


class LetterOut(LetterSummary):
    payload_base64: str = Field(description="Its bytes as they came")


class LettersOut(BaseModel):
    count: int = Field(description="How many are stored")
    letters: list[LetterSummary] = Field(description="Newest first")


class ReplayIn(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    ids: list[Annotated[str, Field(pattern=r"^[0-9]{1,4}\.[0-9]{1,19}\.[0-9]{1,4}$")]] = Field(
        min_length=1, max_length=100, description="At most a hundred at a time"
    )


class ReplayedOut(BaseModel):
    id: str
    result: Literal["published", "replayed before", "still rejected", "not found"]
    reason: str | None = Field(default=None, description="Why it is still rejected")
    detail: str | None = None


class ReplayOut(BaseModel):
    published: int
    results: list[ReplayedOut] = Field(description="In the order of the request")


@router.get(
    "/v1/deadletters", summary="What could not be processed, newest first", responses=problems(401, 403, 422, 503)
)
async def get_dead_letters(
    ctx: Ctx,
    key: ReadsDeadLetters,
    limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = 100,
    reason: Annotated[RejectReason | None, Query(description="Of the newest thousand, those with this reason")] = None,
) -> LettersOut:
    """Without their bytes: GET one for these."""
    found = await ctx.ports.dead_letters.newest(limit if reason is None else MAX_LISTED)
    kept = [letter for letter in found if reason in (None, letter.rejected.reason)][:limit]
    summaries = [LetterSummary(**LetterSummary.fields_of(letter)) for letter in kept]
    return LettersOut(count=await ctx.ports.dead_letters.count(), letters=summaries)


@router.get("/v1/deadletters/{letter}", summary="One with its bytes", responses=problems(401, 403, 404, 422, 503))
async def get_dead_letter(ctx: Ctx, key: ReadsDeadLetters, letter: LetterId) -> LetterOut:
    """The bytes are what a publisher sent, a prompt's text included."""
    found = await ctx.ports.dead_letters.get(letter)
    return LetterOut(**LetterSummary.fields_of(found), payload_base64=base64.b64encode(found.payload).decode())


@router.post(
    "/v1/deadletters/replay",
    summary="Publish again what is accepted now",
    responses=problems(400, 401, 403, 413, 415, 422, 503),
    openapi_extra=body(ReplayIn, {"one": EXAMPLE}),
)
async def replay_dead_letters(request: Request, ctx: Ctx, key: WritesDeadLetters) -> ReplayOut:
    """Each is published once, as a request of now, and stays on record as replayed; to ask again changes nothing. What is
    still rejected stays as it is."""
    wanted = await read_model(request, ReplayIn, ctx.settings.max_body_bytes)
    results = [await _replay(ctx, id, key.actor, traceparent(request)) for id in dict.fromkeys(wanted.ids)]
    published = [result.id for result in results if result.result == "published"]
    return ReplayOut(published=len(published), results=results)


async def _replay(ctx: Context, id: str, by: str, trace: str | None) -> ReplayedOut:
    letters, now_nano = ctx.ports.dead_letters, ctx.ports.clock.unix_nano()
    try:
        letter = await letters.get(id)
    except NotFound:
        return ReplayedOut(id=id, result="not found")
    if letter.replayed:
        return ReplayedOut(id=id, result="replayed before")
    found = resubmission(letter, now_nano)
    if isinstance(found, Rejected):
        return ReplayedOut(id=id, result="still rejected", reason=found.reason, detail=found.detail)
    details = {"reason": letter.rejected.reason, "subject": letter.subject}
    await ctx.ports.audit.append(AuditEntry(by, "deadletter.replay", id, now_nano, details))
    # Published before it is marked: a crash in between publishes twice, and the event's id makes that one.
    if isinstance(found, Label):
        await ctx.ports.events.publish_label(found)
    else:
        await ctx.ports.events.publish([content_free(found)], trace)
    await letters.mark_replayed(letter, f"{now_nano // 1_000_000_000} {by}")
    return ReplayedOut(id=id, result="published")
