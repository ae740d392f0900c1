"""The enforcer's spans: where the trace of a revocation arrives at a gateway. Never an account in an attribute."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanContext, SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from stillwatch import names
from stillwatch.revocation import Enforcement

_propagator = TraceContextTextMapPropagator()


def apply_span(tracer: Tracer, enforcement: Enforcement) -> None:
    """A gateway knows of a revocation now: a span in the revocation's trace, if it has one."""
    decided = _decided(enforcement)
    if decided is not None:
        context = _in_trace_of(decided)
        tracer.start_span(
            names.SPAN_APPLY, context=context, kind=SpanKind.CONSUMER, attributes=_attributes(enforcement)
        ).end()


def refuse_span(tracer: Tracer, enforcement: Enforcement, *, closes_the_loop: bool) -> None:
    """A request was refused. The first refusal of a key closes the loop, so it stands in the revocation's trace with a
    link to the request; every other one stands in its request's trace with a link to the revocation."""
    decided, request = _decided(enforcement), trace.get_current_span().get_span_context()
    if closes_the_loop and decided is not None:
        context, links = _in_trace_of(decided), [Link(request)] if request.is_valid else []
    else:
        context, links = None, [] if decided is None else [Link(decided)]
    tracer.start_span(names.SPAN_REFUSE, context=context, attributes=_attributes(enforcement), links=links).end()


def _attributes(enforcement: Enforcement) -> dict[str, str]:
    return {"stillwatch.revocation.id": enforcement.revocation, "stillwatch.action": enforcement.action}


def _decided(enforcement: Enforcement) -> SpanContext | None:
    """The context in which the revocation was written."""
    if not enforcement.traceparent:
        return None
    context = _propagator.extract({"traceparent": enforcement.traceparent}, context=Context())
    found = trace.get_current_span(context).get_span_context()
    return found if found.is_valid else None


def _in_trace_of(remote: SpanContext) -> Context:
    return trace.set_span_in_context(trace.NonRecordingSpan(remote), Context())
