"""What a shard has to tell the aggregator: cuts of its partitions, in order and in pieces, and what it hears back.

A cut stays until the aggregator has it in a stored snapshot. Pieces may be sent any number of times, each has its place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any, Final

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

# Parts that the aggregator has, but no stored snapshot of it: after its crash they are sent again. Beyond this a partition
# forgets them, and says all its accounts to an aggregator that had to begin with an older snapshot.
_MAX_KEPT_BYTES: Final = 16_000_000

# Sends one part; whether the aggregator has it now.
Tell = Callable[[Part], Awaitable[bool]]


class Outbox:
    """Of one partition, for as long as ``epoch`` of its lease lasts."""

    def __init__(self, core: PartitionCore, epoch: int = 0) -> None:
        self.core = core
        self._epoch = epoch
        self._cuts: deque[Cut] = deque()
        self._parts_sent = 0  # of the oldest
        self._again: deque[Part] = deque()  # to be sent before the cuts: an earlier owner's, or what a crash has lost
        self._kept: deque[Part] = deque()  # sent, and not yet in a stored snapshot
        self._kept_bytes = 0
        self._not_kept_unix_nano = 0  # parts up to this tick had to be dropped
        self._memory = ""  # which memory of the aggregator was told everything
        self.greeted = False  # whether it is known what the aggregator has of this partition
        self._turn = 0  # grows when what is to be sent has changed
        self._had_unix_nano = 0  # the aggregator has every cut up to here, from an earlier owner
        self._closed_unix_nano = 0  # every cut up to this tick was sent to this life of the aggregator
        self._said_before_unix_nano = 0  # ticks up to here were told to an earlier memory
        self._traceparents: dict[str, None] = {}

    @property
    def full(self) -> bool:
        return len(self._again) + len(self._cuts) + self.core.waiting_cuts >= _MAX_CUTS

    def trace(self, traceparent: str) -> None:
        """Of a batch that the next report comes from."""
        self._traceparents[traceparent] = None
        if len(self._traceparents) > _MAX_TRACEPARENTS:
            self._traceparents.pop(next(iter(self._traceparents)))

    def mark(self, *, silent: bool) -> Mark:
        waits = bool(self._again or self._cuts) or self.core.waiting_cuts > 0
        opened = self.core.open_unix_nano
        if self._again or self._cuts:
            opened = self._again[0].tick_unix_nano if self._again else self._cuts[0].tick_unix_nano
        return Mark(self.core.partition, self._closed_unix_nano, opened, silent and not waits, self._epoch)

    async def send(self, tell: Tell) -> bool:
        """``False`` when something is left: it is sent the next time."""
        turn, closed = self._turn, self.core.closed_unix_nano
        self._take_cuts()
        while self._again:
            if not await tell(replace(self._again[0], epoch=self._epoch)) or turn != self._turn:
                return False
            self._keep(self._again.popleft())
        sent = False
        traceparents = list(self._traceparents)  # one batch can end several ticks: each is traced back to it
        while self._cuts:
            part = self._next_part(self._cuts[0], traceparents)
            if part is None:
                self._cuts.popleft()
                self._parts_sent = 0
                continue
            if not await tell(part) or turn != self._turn:
                return False
            self._parts_sent += 1
            self._keep(part)
            sent = True
        if sent:
            for traceparent in traceparents:
                self._traceparents.pop(traceparent, None)
        if closed > self._said_before_unix_nano:
            self._closed_unix_nano = max(closed, self._closed_unix_nano)
        return True

    def _take_cuts(self) -> None:
        """What an earlier owner has said is made again by the replay, and only kept: the aggregator may yet lose it."""
        for cut in self.core.take_cuts():
            if cut.tick_unix_nano > self._had_unix_nano:
                self._cuts.append(cut)
            else:
                for part in self._parts(cut, 0):
                    self._keep(part)

    def _parts(self, cut: Cut, number: int) -> Iterator[Part]:
        while (part := self._next_part(cut, [], after=number)) is not None:
            yield part
            number += 1

    def _next_part(self, cut: Cut, traceparents: list[str], *, after: int | None = None) -> Part | None:
        number = self._parts_sent if after is None else after
        start = number * _SUMMARIES_PER_CALL
        if start and start >= len(cut.summaries):
            return None
        summaries = cut.summaries[start : start + _SUMMARIES_PER_CALL]
        report = Report(summaries, [] if start else cut.alerts, traceparents)
        return Part(self.core.partition, cut.tick_unix_nano, number, encode_report(report), self._epoch)

    # -- lives of the aggregator -------------------------------------------------------------------------------------

    def _keep(self, part: Part) -> None:
        self._kept.append(part)
        self._kept_bytes += len(part.report)
        while self._kept_bytes > _MAX_KEPT_BYTES:
            self._not_kept_unix_nano = self._kept[0].tick_unix_nano
            self._forget(self._not_kept_unix_nano)

    def _forget(self, until_unix_nano: int) -> None:
        while self._kept and self._kept[0].tick_unix_nano <= until_unix_nano:
            self._kept_bytes -= len(self._kept.popleft().report)

    def stored(self, tick_unix_nano: int) -> None:
        """Cuts up to this tick are in a stored snapshot of the aggregator."""
        self._forget(tick_unix_nano)

    def greet(self, closed_unix_nano: int, memory: str, stored_unix_nano: int | None) -> None:
        """The aggregator, which does not ask for cuts up to ``closed``, and has those up to ``stored`` in a stored snapshot
        (``None``: nobody has told it anything of this partition): at the start, and each time that it starts anew. What it
        lacks is sent again. If not all that it may lack is at hand, all accounts are said."""
        self.greeted = True
        fresh = self.core.last_sequence == 0  # it has yet to see every account there is
        told = stored_unix_nano is not None or closed_unix_nano == 0 or fresh
        if self._memory not in ("", memory) or closed_unix_nano < self._not_kept_unix_nano or not told:
            self.core.resume_after(closed_unix_nano)
            self.say_all_again()
            self._memory = memory
            return
        stored_unix_nano = closed_unix_nano if stored_unix_nano is None else stored_unix_nano
        self._turn += 1
        self._memory = memory
        self.core.resume_after(stored_unix_nano)
        self._had_unix_nano = closed_unix_nano
        self._take_cuts()
        parts, self._kept, self._kept_bytes = [*self._kept, *self._again], deque(), 0
        self._again = deque(part for part in parts if part.tick_unix_nano > closed_unix_nano)
        for part in parts:
            if stored_unix_nano < part.tick_unix_nano <= closed_unix_nano:
                self._keep(part)
        while self._cuts and self._cuts[0].tick_unix_nano <= closed_unix_nano:  # it was made before it was known
            for part in self._parts(self._cuts.popleft(), self._parts_sent):
                self._keep(part)
            self._parts_sent = 0
        self._closed_unix_nano = closed_unix_nano

    def say_all_again(self) -> None:
        """To a new memory: with the next tick, which is the first that it can see whole."""
        self._turn += 1
        self.core.say_all_again()
        self._cuts.clear()
        self._again.clear()
        self._kept.clear()
        self._parts_sent = self._kept_bytes = 0
        self._closed_unix_nano = self._not_kept_unix_nano = self._had_unix_nano = 0
        self._said_before_unix_nano = self.core.closed_unix_nano

    # -- snapshots ---------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All parts that a stored snapshot of the aggregator may lack: those that were sent, and those to be sent."""
        self._take_cuts()
        parts = [*self._kept, *self._again]
        for index, cut in enumerate(self._cuts):
            parts += self._parts(cut, 0 if index else self._parts_sent)
        return {
            "memory": self._memory,
            "not_kept": self._not_kept_unix_nano,
            "said_before": self._said_before_unix_nano,
            "parts": [[part.tick_unix_nano, part.number, part.report] for part in parts],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._memory, self._not_kept_unix_nano = state["memory"], state["not_kept"]
        self._said_before_unix_nano = state["said_before"]
        self._again = deque(
            Part(self.core.partition, tick, number, report, self._epoch) for tick, number, report in state["parts"]
        )


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
