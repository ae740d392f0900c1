"""Events in, and a score for one event. The text of a prompt is never part of an answer."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request

from serve.auth import ReadsScores, WritesEvents, require
from serve.board import answer
from serve.bodies import read_value
from serve.context import Context, Ctx, traceparent
from serve.openapi import body, problems
from serve.problems import FieldError, ProblemError
from serve.schemas_in import EventIn
from serve.schemas_out import EventsOut, ScoreOut, rejection
from stillwatch.event import Rejected, RequestEvent, check_arrival, parse_event
from stillwatch.fingerprint import event_fingerprint
from stillwatch.wire import MAX_EVENT_BYTES, encode_event

router = APIRouter(tags=["events"])

TEXTS: Final = frozenset({"stillwatch.prompt.text", "stillwatch.system.text"})
# About 5 ms of fingerprints; then /authz, on the same loop, gets its turn.
EVENTS_PER_SLICE: Final = 50

EXAMPLE: Final[dict[str, Any]] = {
    "v": 1,
    "id": "req-01J9ZK3V6Q",
    "time_unix_nano": 1_790_000_000_000_000_000,
    "account": "acct-7f3a",
    "attributes": {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "large-1",
        "gen_ai.request.temperature": 0.2,
        "gen_ai.usage.input_tokens": 412,
        "gen_ai.usage.output_tokens": 1290,
        "stillwatch.org.id": "org-22",
    },
}


@router.post(
    "/v1/events",
    status_code=202,
    summary="Publish one event or a list",
    responses=problems(400, 401, 403, 413, 415, 422, 503),
    openapi_extra=body(EventIn, {"one": EXAMPLE, "list": [EXAMPLE]}, or_list=True, msgpack=True),
)
async def post_events(request: Request, ctx: Ctx, key: WritesEvents) -> EventsOut:
    """202 once the stream holds them. A list may be mixed: what is valid is published, the rest is listed with its
    place and reason. When nothing is valid the answer is 422. Publishing an event twice is harmless: `id` is the key."""
    raw = await read_value(request, ctx.settings.max_body_bytes)
    items = raw if isinstance(raw, list) else [raw]
    if not items:
        raise ProblemError("invalid", "The list holds no event; send at least one")
    if len(items) > ctx.settings.max_events_per_request:
        most = ctx.settings.max_events_per_request
        raise ProblemError("too-large", f"{len(items)} events in one request; send at most {most} at a time")
    events: list[RequestEvent] = []
    rejected: list[FieldError] = []
    for index, item in enumerate(items):
        if index % EVENTS_PER_SLICE == EVENTS_PER_SLICE - 1:
            await asyncio.sleep(0)
        event = _event(ctx, item)
        if isinstance(event, Rejected):
            rejected.append(rejection(index, event))
        else:
            events.append(event)
    if not events:
        raise ProblemError("invalid", "No event was published: none is valid. `errors` says why", rejected)
    new = await ctx.ports.events.publish(events, traceparent(request))
    return EventsOut(accepted=new, duplicates=len(events) - new, rejected=rejected)


@router.post(
    "/v1/score",
    summary="Score one event as its account's next",
    responses=problems(400, 401, 403, 413, 415, 422, 503),
    openapi_extra=body(EventIn, {"one": EXAMPLE}, msgpack=True),
)
async def post_score(
    request: Request,
    ctx: Ctx,
    key: ReadsScores,
    record: Annotated[bool, Query(description="Also publish the event; needs `events:write` too")] = False,
) -> ScoreOut:
    """Answered by the shard that owns the account. Nothing is learned unless `record` publishes the event; the score is
    the one before it."""
    if record:
        require(key, "events:write")
    raw = await read_value(request, ctx.settings.max_body_bytes)
    event = _event(ctx, raw)
    if isinstance(event, Rejected):
        detail = "Send one event, not a list" if isinstance(raw, list) else "The event is not valid. `errors` says why"
        raise ProblemError("invalid", detail, [rejection(0, event)])
    score = await ctx.ports.shards.score(event)
    incomplete: list[str] = []
    campaign = await answer("the campaigns", ctx.ports.campaigns.campaign_of(event.account), incomplete)
    if record:
        await ctx.ports.events.publish([event], traceparent(request))
    return ScoreOut.of(score, campaign, record, incomplete)


def _event(ctx: Context, raw: object) -> RequestEvent | Rejected:
    event = parse_event(raw)
    if isinstance(event, RequestEvent):
        event = check_arrival(event, ctx.ports.clock.unix_nano()) or _fits(content_free(event))
    if isinstance(event, Rejected):
        ctx.metrics.rejected(event.reason)
    return event


def content_free(event: RequestEvent) -> RequestEvent:
    """Fingerprinted here, so that the text never reaches the stream."""
    if not TEXTS & event.attributes.keys():
        return event
    found = event_fingerprint(event)
    kept = {name: value for name, value in event.attributes.items() if name not in TEXTS}
    return replace(event, attributes=kept | (found.attributes() if found else {}))


def _fits(event: RequestEvent) -> RequestEvent | Rejected:
    """One oversized event must not fail the publishing of the others."""
    size = len(encode_event(event))
    if size > MAX_EVENT_BYTES:
        return Rejected("oversize", "attributes", f"{size} bytes as a message; at most {MAX_EVENT_BYTES}")
    return event
