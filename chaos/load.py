"""The publisher: every event until the stream has acknowledged it, at a pace that lasts as long as the faults do."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from nats.aio.client import Client

from stillwatch import subjects
from stillwatch.errors import Unavailable
from stillwatch.event import RequestEvent
from stillwatch.partition import partition_of
from stillwatch.wire import encode_event
from streams.pipeline import Outgoing, Pipeline

_BATCH_S: Final = 0.2
_LAST_BATCH: Final = 256
_RETRY_S: Final = 0.1
TRICKLE_PER_S: Final = 10.0  # each partition has some within a second or two


@dataclass(slots=True)
class Load:
    """``acknowledged_s``: when each event was, by the clock that does not run backwards; in the order of publishing."""

    client: Client
    events: Sequence[RequestEvent]
    partitions: int
    events_per_s: float = 50.0
    limit: int = 0  # from this event on only a trickle: the rest is for the faults to come
    hurry: bool = False  # no more faults: the rest as fast as it goes
    acknowledged_s: list[float] = field(default_factory=list)
    acknowledged_unix_nano: list[int] = field(default_factory=list)
    retries: int = 0
    # By partition: (acknowledged, its place in the stream), newest last; the probes wait for what came after a fault.
    newest: dict[int, tuple[float, int]] = field(default_factory=dict)
    shuffle: int = 0  # so many of the next events are published out of order
    shuffled: int = 0  # times that they were
    _pipeline: Pipeline | None = None

    async def run(self, rng: random.Random) -> None:
        self._pipeline = Pipeline(self.client)
        at = 0
        while at < len(self.events):
            started_s = time.monotonic()
            size = self._batch_size(at)
            batch = list(self.events[at : at + size])
            if self.shuffle:
                rng.shuffle(batch)
                self.shuffle = 0
                self.shuffled += 1
            await self._until_acknowledged(batch)
            at += len(batch)
            if not self.hurry:
                await asyncio.sleep(max(0.0, started_s + _BATCH_S - time.monotonic()))

    def _batch_size(self, at: int) -> int:
        per_s = self.events_per_s if at < self.limit else TRICKLE_PER_S
        return max(_LAST_BATCH if self.hurry else 1, round(per_s * _BATCH_S), self.shuffle)

    async def _until_acknowledged(self, batch: Sequence[RequestEvent]) -> None:
        while True:
            try:
                await self.publish(batch, with_ids=True)
                break
            except Unavailable:
                self.retries += 1
                await asyncio.sleep(_RETRY_S)
        self.acknowledged_s += [time.monotonic()] * len(batch)
        self.acknowledged_unix_nano += [time.time_ns()] * len(batch)

    async def publish(self, batch: Sequence[RequestEvent], *, with_ids: bool) -> None:
        """``with_ids=False``: the stream can not know a duplicate, only the partition can. Raises ``Unavailable``."""
        assert self._pipeline is not None
        sent = [
            Outgoing(
                subjects.request_subject(event.account), encode_event(event),
                {subjects.H_MESSAGE_ID: event.id} if with_ids else None,
            )
            for event in batch
        ]  # fmt: skip
        acks = await self._pipeline.send(sent)
        now_s = time.monotonic()
        for event, ack in zip(batch, acks, strict=True):
            if not ack.duplicate:
                self.newest[partition_of(event.account, self.partitions)] = now_s, ack.sequence

    def some_of_before(self, rng: random.Random, count: int) -> list[RequestEvent]:
        """Events that were acknowledged, from the last few and from long ago."""
        known = len(self.acknowledged_s)
        if not known:
            return []
        recent = [rng.randrange(max(0, known - 200), known) for _ in range(count // 2)]
        return [self.events[place] for place in recent + [rng.randrange(known) for _ in range(count - len(recent))]]
