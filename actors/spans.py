"""Trace contexts between processes: W3C traceparent in, span contexts out. OpenTelemetry API only."""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PROPAGATOR = TraceContextTextMapPropagator()
MAX_LINKS = 128  # the SDK drops more; a batch is represented, not listed


def remote_context(traceparent: str | None) -> SpanContext | None:
    """The sampled span context behind a ``traceparent``, or ``None``: unsampled ones would link to nothing."""
    if not traceparent:
        return None
    found = get_current_span(_PROPAGATOR.extract({"traceparent": traceparent})).get_span_context()
    return found if found.is_valid and found.trace_flags.sampled else None


def of_ids(trace_id: bytes, span_id: bytes) -> SpanContext:
    """A context carried inside an event's body (its publisher decided to sample it, else it would not be there)."""
    return SpanContext(
        int.from_bytes(trace_id), int.from_bytes(span_id), is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)
    )


def traceparent_of(span: Span) -> str | None:
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, context=set_span_in_context(span))
    return carrier.get("traceparent") if span.get_span_context().trace_flags.sampled else None


def parent_and_links(contexts: Iterable[SpanContext]) -> tuple[Context | None, list[Link]]:
    """A batch span continues the trace of its first sampled message and links to every other one."""
    unique: dict[tuple[int, int], SpanContext] = {}
    for context in contexts:
        unique.setdefault((context.trace_id, context.span_id), context)
        if len(unique) > MAX_LINKS:
            break
    if not unique:
        return None, []
    first, *others = unique.values()
    return set_span_in_context(NonRecordingSpan(first)), [Link(other) for other in others]
