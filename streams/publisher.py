"""Events and labels into the stream. Implements ``ports.EventPublisher``.

One message per event, on the account's own subject: the server picks the partition, and its deduplication by
``Nats-Msg-Id`` makes a retry after ``Unavailable`` safe.
"""

from __future__ import annotations

from collections.abc import Sequence

from stillwatch import subjects
from stillwatch.event import RequestEvent
from stillwatch.partition import partition_of
from stillwatch.ports import Label
from stillwatch.wire import encode_event, encode_label
from streams.pipeline import Outgoing, Pipeline


class JetStreamPublisher:
    def __init__(self, pipeline: Pipeline, partitions: int) -> None:
        self._pipeline, self._partitions = pipeline, partitions

    async def publish(self, events: Sequence[RequestEvent], traceparent: str | None = None) -> int:
        """Raises ``ValueError`` for an event that the server would not take (see ``wire.MAX_EVENT_BYTES``); then
        none of the batch is published."""
        trace = {} if traceparent is None else {subjects.H_TRACEPARENT: traceparent}
        messages = [
            Outgoing(
                subjects.request_subject(event.account), encode_event(event), {subjects.H_MESSAGE_ID: event.id, **trace}
            )
            for event in events
        ]
        return sum(not ack.duplicate for ack in await self._pipeline.send(messages))

    async def publish_label(self, label: Label) -> None:
        subject = subjects.label_subject(partition_of(label.account, self._partitions))
        await self._pipeline.send([Outgoing(subject, encode_label(label))])
