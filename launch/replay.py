"""`stillwatch replay`: an event file into the cluster, at a chosen speed, with a progress bar.

Event time may be moved so that the file ends now (`--rebase`), and may run faster than the clock (`--speed 3600`: an
hour a second). Every event is acknowledged by the stream before the next batch is read, so what is reported as
published is in the stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from launch.files import read_events
from launch.telemetry import SystemClock
from stillwatch.event import Rejected, RequestEvent
from stillwatch.ports import EventPublisher

_BATCH: Final = 256
_CREATED: Final = "stillwatch.account.created_unix"
# The longest wait for the next event: a file with a gap of a night goes on after it.
_MAX_PAUSE_S: Final = 5.0


@dataclass(slots=True)
class Replayed:
    published: int = 0
    duplicates: int = 0
    rejected: int = 0
    seconds: float = 0.0


def rebased(events: Iterable[RequestEvent], shift_unix_nano: int) -> Iterator[RequestEvent]:
    """The same traffic at another time: sign-up times move with it, or all accounts would be years old."""
    for event in events:
        attributes = dict(event.attributes)
        created = event.number(_CREATED)
        if created is not None:
            attributes[_CREATED] = int(created) + shift_unix_nano // 1_000_000_000
        yield replace(event, time_unix_nano=event.time_unix_nano + shift_unix_nano, attributes=attributes)


def newest_time(path: Path) -> int:
    """Of the whole file, for ``--rebase``."""
    return max((event.time_unix_nano for event in read_events(path) if isinstance(event, RequestEvent)), default=0)


async def paced(events: Iterable[RequestEvent], speed: float | None) -> AsyncIterator[list[RequestEvent]]:
    """Batches; with a speed, no event earlier than its time divided by the speed. ``None``: as fast as it goes."""
    clock = SystemClock()
    started_s: float | None = None
    first_nano = 0
    batch: list[RequestEvent] = []
    for event in events:
        if speed is not None:
            if started_s is None:
                started_s, first_nano = clock.monotonic_s(), event.time_unix_nano
            due_s = started_s + (event.time_unix_nano - first_nano) / 1e9 / speed
            wait_s = due_s - clock.monotonic_s()
            if wait_s > 0.02:
                if batch:
                    yield batch
                    batch = []
                if wait_s > _MAX_PAUSE_S:
                    started_s -= wait_s - _MAX_PAUSE_S
                await asyncio.sleep(min(wait_s, _MAX_PAUSE_S))
        batch.append(event)
        if len(batch) >= _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


async def replay(
    events: Iterable[RequestEvent | Rejected], publisher: EventPublisher, speed: float | None,
    on_progress: Callable[[Replayed], None], on_rejected: Callable[[Rejected, int], None],
) -> Replayed:  # fmt: skip
    clock = SystemClock()
    started_s = clock.monotonic_s()
    out = Replayed()

    def good() -> Iterator[RequestEvent]:
        for line, event in enumerate(events, start=1):
            if isinstance(event, Rejected):
                out.rejected += 1
                on_rejected(event, line)
            else:
                yield event

    async for batch in paced(good(), speed):
        new = await publisher.publish(batch)
        out.published += len(batch)
        out.duplicates += len(batch) - new
        out.seconds = clock.monotonic_s() - started_s
        on_progress(out)
    out.seconds = clock.monotonic_s() - started_s
    return out
