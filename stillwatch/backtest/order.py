"""Events of several files in event-time order, in bounded memory, the same on every run.

Each file is nearly in order (gateways' clocks differ by seconds): a heap of at most ``capacity`` events straightens
it, and a k-way merge joins the files. What is later than that is passed on where it comes and counted: a stream's
consumer would see it late as well.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from stillwatch.event import RequestEvent

# Memory: 2 KB an event with its text, 20 MB a file. At 100 requests/s it straightens 100 s.
DEFAULT_CAPACITY: Final = 10_000

# Time, id, file, line: no two are alike, so events themselves are never compared.
_Entry = tuple[int, str, int, int, RequestEvent]


class EventOrder:
    """
    >>> late_by_two = [RequestEvent(str(t), "a", t) for t in (1, 4, 3, 2, 5)]
    >>> order = EventOrder(capacity=2)
    >>> [event.time_unix_nano for event in order.merged([late_by_two])], order.late
    ([1, 2, 3, 4, 5], 0)
    """

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        if capacity < 1:
            raise ValueError("a reorder buffer holds at least one event")
        self._capacity = capacity
        self.late = 0  # events that came out after a newer one

    def merged(self, files: Sequence[Iterable[RequestEvent]]) -> Iterator[RequestEvent]:
        newest = 0
        straightened = (self._straightened(events, number) for number, events in enumerate(files))
        for *_, event in heapq.merge(*straightened):
            if event.time_unix_nano < newest:
                self.late += 1
            newest = max(newest, event.time_unix_nano)
            yield event

    def _straightened(self, events: Iterable[RequestEvent], file: int) -> Iterator[_Entry]:
        waiting: list[_Entry] = []
        for line, event in enumerate(events):
            entry = (event.time_unix_nano, event.id, file, line, event)
            if len(waiting) < self._capacity:
                heapq.heappush(waiting, entry)
            else:
                yield heapq.heappushpop(waiting, entry)
        while waiting:
            yield heapq.heappop(waiting)
