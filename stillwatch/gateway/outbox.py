"""From events to messages: admitted and encoded, then one each or in envelopes by partition, with spans and headers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final, Literal

import msgpack
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from stillwatch import names, subjects
from stillwatch.event import Rejected, RequestEvent, parse_event
from stillwatch.fingerprint import event_fingerprint
from stillwatch.partition import partition_of
from stillwatch.wire import MAX_ENVELOPE_EVENTS, encode_event

# W3C's header by name, as the contract says, whatever propagator the platform uses elsewhere.
_propagator = TraceContextTextMapPropagator()
# What the SDK keeps of links by default; more would be dropped silently.
_MAX_LINKS: Final = 128


@dataclass(slots=True)
class Queued:
    """An accepted event, encoded; its text, if it had any, is gone."""

    account: str
    id: str
    payload: bytes
    parent: Context
    queued_s: float
    settled: bool = False


@dataclass(slots=True)
class Message:
    """Formed once: a repetition has the same id, content and span."""

    subject: str
    payload: bytes
    headers: Mapping[str, str]
    items: Sequence[Queued]
    span: Span

    def failed(self, reason: str) -> None:
        self.span.set_status(Status(StatusCode.ERROR, reason))
        self.span.set_attribute("error.type", reason)
        self.span.end()


def admit(
    event: RequestEvent, here: SpanContext, *, keep_text: bool, for_envelope: bool, max_bytes: int, now_s: float
) -> Queued | Literal["invalid", "too_large"]:
    """An event as it may leave the process, or why it may not. ``here`` is the context of the current span."""
    if not keep_text:
        event = without_text(event)
    if for_envelope and event.trace_id is None and here.is_valid:
        # Many events share an envelope's headers, so each carries its own context.
        event = replace(event, trace_id=here.trace_id.to_bytes(16), span_id=here.span_id.to_bytes(8))
    checked = parse_event(event.to_map())
    if isinstance(checked, Rejected):
        return "invalid"
    payload = encode_event(checked)
    if len(payload) > max_bytes:
        return "too_large"
    parent = trace.set_span_in_context(trace.NonRecordingSpan(_parent(checked, here)), Context())
    return Queued(checked.account, checked.id, payload, parent, now_s)


def without_text(event: RequestEvent) -> RequestEvent:
    """The event with the fingerprint in place of the texts."""
    attributes = dict(event.attributes)
    had_text = attributes.pop("stillwatch.prompt.text", None) is not None
    had_text |= attributes.pop("stillwatch.system.text", None) is not None
    if not had_text:
        return event
    found = event_fingerprint(event)
    return replace(event, attributes=attributes | (found.attributes() if found else {}))


def _parent(event: RequestEvent, here: SpanContext) -> SpanContext:
    """The current span, else the one that the event names; whether that one is sampled is not known, so it is not."""
    if here.is_valid or event.trace_id is None or event.span_id is None:
        return here
    return SpanContext(int.from_bytes(event.trace_id), int.from_bytes(event.span_id), is_remote=True)


def single(tracer: Tracer, item: Queued) -> Message:
    template = names.SPAN_PUBLISH.removeprefix("publish ")
    span = _span(tracer, names.SPAN_PUBLISH, template, item.id, context=item.parent)
    return Message(subjects.request_subject(item.account), item.payload, _headers(item.id, span), (item,), span)


def envelopes(tracer: Tracer, batch: Sequence[Queued], partitions: int, max_bytes: int) -> list[Message]:
    """Each within ``max_bytes`` and the contract's number of events."""
    by_partition: dict[int, list[Queued]] = {}
    for item in batch:
        by_partition.setdefault(partition_of(item.account, partitions), []).append(item)
    out: list[Message] = []
    for partition, items in by_partition.items():
        start, size = 0, 0
        for index, item in enumerate(items):
            if index > start and (size + len(item.payload) > max_bytes - 5 or index - start == MAX_ENVELOPE_EVENTS):
                out.append(_envelope(tracer, partition, items[start:index]))
                start, size = index, 0
            size += len(item.payload)
        out.append(_envelope(tracer, partition, items[start:]))
    return out


def _envelope(tracer: Tracer, partition: int, items: Sequence[Queued]) -> Message:
    # The events are msgpack already: an array's header before them is the envelope.
    payload = msgpack.Packer().pack_array_header(len(items)) + b"".join(item.payload for item in items)
    message_id = "e-" + blake2b("\x1f".join(item.id for item in items).encode(), digest_size=16).hexdigest()
    contexts = [trace.get_current_span(item.parent).get_span_context() for item in items]
    links = [Link(context) for context in contexts if context.is_valid][:_MAX_LINKS]
    template = names.SPAN_PUBLISH_ENVELOPE.removeprefix("publish ")
    span = _span(
        tracer, names.SPAN_PUBLISH_ENVELOPE, template, message_id, context=Context(), links=links,
        more={"messaging.batch.message_count": len(items), "messaging.destination.partition.id": str(partition)},
    )  # fmt: skip
    return Message(subjects.envelope_subject(partition), payload, _headers(message_id, span), items, span)


def _span(
    tracer: Tracer,
    name: str,
    template: str,
    message_id: str,
    *,
    context: Context,
    links: Sequence[Link] = (),
    more: Mapping[str, AttributeValue] | None = None,
) -> Span:
    """No ``messaging.destination.name``: it holds the account."""
    attributes: dict[str, AttributeValue] = {
        "messaging.system": "nats",
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
        "messaging.destination.template": template,
        "messaging.message.id": message_id,
        **(more or {}),
    }
    return tracer.start_span(name, context=context, kind=SpanKind.PRODUCER, attributes=attributes, links=list(links))


def _headers(message_id: str, span: Span) -> dict[str, str]:
    headers = {subjects.H_MESSAGE_ID: message_id}
    _propagator.inject(headers, context=trace.set_span_in_context(span, Context()))
    return headers
