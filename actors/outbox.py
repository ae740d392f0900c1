"""What a shard has to tell the aggregator: cuts of its partitions, in order and in pieces, and what it hears back.

A cut stays until the aggregator has it. Pieces may be sent any number of times, each has its place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from stillwatch.ports import Folded, Mark, Part
from stillwatch.shard import PartitionCore
from stillwatch.summary import Report, encode_report
from stillwatch.ticks import Cut

# Summaries in one call to the aggregator: about 300 KB.
_SUMMARIES_PER_CALL: Final = 1_000
# Ticks of one partition that wait for the aggregator. Then the partition stops reading, and the stream keeps the rest: a
# live one has been waiting for four hours by then, a replay for a moment.
_MAX_CUTS: Final = 16
_MAX_TRACEPARENTS: Final = 32
_HEARD_AT_ONCE: Final = 1 / 16  # of the time of silence: what is heard closer together is remembered as one

# Sends one part; whether the aggregator has it now.
Tell = Callable[[Part], Awaitable[bool]]


class Outbox:
    """Of one partition."""

    def __init__(self, core: PartitionCore) -> None:
        self.core = core
        self._cuts: deque[Cut] = deque()
        self._parts_sent = 0  # of the oldest
        self._closed_unix_nano = 0  # every cut up to this tick was sent to this life of the aggregator
        self._said_before_unix_nano = 0  # ticks up to here were told to an earlier life
        self._traceparents: dict[str, None] = {}

    @property
    def full(self) -> bool:
        return len(self._cuts) + self.core.waiting_cuts >= _MAX_CUTS

    def trace(self, traceparent: str) -> None:
        """Of a batch that the next report comes from."""
        self._traceparents[traceparent] = None
        if len(self._traceparents) > _MAX_TRACEPARENTS:
            self._traceparents.pop(next(iter(self._traceparents)))

    def mark(self, *, silent: bool) -> Mark:
        waits = bool(self._cuts) or self.core.waiting_cuts > 0
        opened = self._cuts[0].tick_unix_nano if self._cuts else self.core.open_unix_nano
        return Mark(self.core.partition, self._closed_unix_nano, opened, silent and not waits)

    async def send(self, tell: Tell) -> bool:
        """``False`` when something is left: it is sent the next time."""
        closed = self.core.closed_unix_nano
        self._cuts += self.core.take_cuts()
        sent = False
        traceparents = list(self._traceparents)  # one batch can end several ticks: each is traced back to it
        while self._cuts:
            part = self._next_part(self._cuts[0], traceparents)
            if part is None:
                self._cuts.popleft()
                self._parts_sent = 0
                continue
            if not await tell(part):
                return False
            self._parts_sent += 1
            sent = True
        if sent:
            for traceparent in traceparents:
                self._traceparents.pop(traceparent, None)
        if closed > self._said_before_unix_nano:
            self._closed_unix_nano = closed
        return True

    def _next_part(self, cut: Cut, traceparents: list[str]) -> Part | None:
        start = self._parts_sent * _SUMMARIES_PER_CALL
        if start and start >= len(cut.summaries):
            return None
        summaries = cut.summaries[start : start + _SUMMARIES_PER_CALL]
        report = Report(summaries, [] if start else cut.alerts, traceparents)
        return Part(self.core.partition, cut.tick_unix_nano, self._parts_sent, encode_report(report))

    def say_all_again(self) -> None:
        """To a new life of the aggregator: with the next tick, which is the first that it can see whole."""
        self.core.say_all_again()
        self._cuts.clear()
        self._parts_sent = self._closed_unix_nano = 0
        self._said_before_unix_nano = self.core.closed_unix_nano


class Horizon:
    """Which life of the aggregator answers, and how far it says that others are."""

    def __init__(self, silence_s: float) -> None:
        self._silence_s = silence_s
        self.life = ""
        self._frontier_unix_nano = 0
        self._heard: deque[tuple[float, int]] = deque()  # (monotonic, tick), both growing

    def hear(self, answer: Folded, now_s: float) -> bool:
        """Whether another life has answered than the one that was spoken to."""
        if self.life not in ("", answer.life):
            self.life, self._frontier_unix_nano = answer.life, 0
            self._heard.clear()
            return True
        self.life = answer.life
        self._frontier_unix_nano = max(self._frontier_unix_nano, answer.frontier_unix_nano)
        while len(self._heard) > 1 and self._heard[1][0] <= now_s - self._silence_s:
            self._heard.popleft()
        last_s, last = self._heard[-1] if self._heard else (now_s - self._silence_s, 0)
        if self._frontier_unix_nano > last and now_s - last_s >= self._silence_s * _HEARD_AT_ONCE:
            self._heard.append((now_s, self._frontier_unix_nano))
        return False

    def known_for_a_while(self, now_s: float) -> int:
        """The furthest tick that was known to be over when the time of silence began; 0: none."""
        return max((tick for heard_s, tick in self._heard if heard_s <= now_s - self._silence_s), default=0)
