"""Holds what partitions say until all of them are as far, so that an evaluation sees one tick and nothing behind it.

Pure: both clocks are arguments. What it lets pass depends on event time alone, except for three waits, which no
deployment can do without and which are counted where they change what is seen: silence, patience and memory
(docs/adr/0014).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from stillwatch.ports import Mark, Part

# Reports that wait for their tick, in bytes: some 800,000 accounts. Beyond it only what the next tick needs is taken;
# shards keep the rest and stop reading, and the stream waits.
MAX_WAITING_BYTES: Final = 256_000_000

_Place = tuple[int, int, int]  # partition, tick, number: the order of folding


class TickGate:
    """
    >>> gate = TickGate(partitions=2, tick_nano=900, patience_s=30)
    >>> gate.take(Part(0, 900, 0, b"a"))
    True
    >>> gate.mark([Mark(0, 900, 0, False), Mark(1, 0, 900, False)], now_s=0, wall_unix_nano=950)
    >>> gate.ready(now_s=1), gate.frontier_unix_nano  # partition 1 is not there yet
    (None, 900)
    >>> gate.mark([Mark(1, 900, 0, False)], now_s=2, wall_unix_nano=950)
    >>> gate.ready(now_s=2), gate.open(900)
    (900, [b'a'])
    """

    def __init__(
        self, partitions: int, tick_nano: int, patience_s: float, max_waiting_bytes: int = MAX_WAITING_BYTES
    ) -> None:
        self._tick_nano, self._patience_s, self._max_waiting_bytes = tick_nano, patience_s, max_waiting_bytes
        self._waiting: dict[int, dict[_Place, bytes]] = {}  # by tick
        self._waiting_bytes = 0
        self._marks = {number: Mark(number, 0, 0, silent=False) for number in range(partitions)}
        self._heard_s: dict[int, float] = {}
        self._due: tuple[int, float] | None = None  # the tick that is waited for, and since when
        self._behind: set[int] = set()
        self._all_silent_unix_nano = 0
        self._epochs: dict[int, int] = {}  # the newest owner's, of each partition
        self._told: set[int] = set()  # partitions of which it has all accounts, and every cut since
        self._begun_unix_nano = 0  # no tick up to here is ever evaluated by this memory
        self.evaluated_unix_nano = 0
        self.incomplete = 0  # ticks that were let pass without a partition
        self.fenced = 0  # parts and marks of owners that had been replaced

    @property
    def behind(self) -> int:
        """How many partitions are not waited for."""
        return len(self._behind)

    @property
    def frontier_unix_nano(self) -> int:
        """The furthest tick that any partition has closed, or all together have by their silence."""
        return max(self._all_silent_unix_nano, *(mark.closed_unix_nano for mark in self._marks.values()))

    def closed(self, partitions: Iterable[int]) -> dict[int, int]:
        return {number: self._marks[number].closed_unix_nano for number in partitions}

    def needed_from(self, stored: Mapping[int, int]) -> dict[int, int]:
        """Of each partition of ``stored`` (a tick up to which a snapshot has its cuts; 0: none) the tick behind which cuts may
        yet be asked for. Without those that have told nothing yet: they say all at once."""
        return {number: max(tick, self._begun_unix_nano) for number, tick in stored.items() if number in self._told}

    def resume_after(self, tick_unix_nano: int) -> None:
        """An earlier life has evaluated up to here. What belongs to those ticks is seen at the next."""
        self.evaluated_unix_nano = self._begun_unix_nano = tick_unix_nano // self._tick_nano * self._tick_nano
        for number in self._marks:
            self._marks[number] = Mark(number, self.evaluated_unix_nano, 0, silent=False)

    def newer(self, said: Iterable[Part | Mark]) -> dict[int, int]:
        """Of whose partitions a newer owner has been heard: his epoch."""
        known = ((one.partition, self._epochs.get(one.partition, 0), one.epoch) for one in said)
        return {partition: newest for partition, newest, epoch in known if newest > epoch}

    # -- in ----------------------------------------------------------------------------------------------------------

    def _is_owners(self, said: Part | Mark) -> bool:
        """A process that slept through the end of its lease must not be believed, or what it says would be what counts."""
        if said.epoch < self._epochs.get(said.partition, 0):
            self.fenced += 1
            return False
        self._epochs[said.partition] = said.epoch
        return True

    def take(self, part: Part) -> bool:
        """``False``: there is no room for what belongs to a later tick than the next, or it is not the owner who says it."""
        if not self._is_owners(part):
            return False
        tick = part.tick_unix_nano
        if tick <= self.evaluated_unix_nano:  # it comes too late, from a partition that was left behind
            tick = self.evaluated_unix_nano + self._tick_nano
        full = self._waiting_bytes + len(part.report) > self._max_waiting_bytes
        if full and self._waiting and tick > min(self._waiting):
            return False
        parts = self._waiting.setdefault(tick, {})
        place = part.partition, part.tick_unix_nano, part.number
        self._waiting_bytes += len(part.report) - len(parts.get(place, b""))
        parts[place] = part.report
        return True

    def mark(self, marks: Sequence[Mark], now_s: float, wall_unix_nano: int) -> None:
        """``now_s``: any clock that does not run backwards; ``wall_unix_nano``: the time of day."""
        for mark in filter(self._is_owners, marks):
            closed = max(mark.closed_unix_nano, self._marks[mark.partition].closed_unix_nano)
            self._marks[mark.partition] = Mark(mark.partition, closed, mark.open_unix_nano, mark.silent)
            self._heard_s[mark.partition] = now_s
            if mark.closed_unix_nano > 0:
                self._told.add(mark.partition)
            if closed >= self.evaluated_unix_nano:
                self._behind.discard(mark.partition)
        self._close_in_silence(wall_unix_nano)

    def _close_in_silence(self, wall_unix_nano: int) -> None:
        """Where no stream says anything, the last tick is closed when its time has come by the clock."""
        waited_for = [mark for number, mark in self._marks.items() if number not in self._behind]
        newest = max([*(mark.open_unix_nano for mark in waited_for), *self._waiting], default=0)
        if newest <= wall_unix_nano and waited_for and all(mark.silent for mark in waited_for):
            self._all_silent_unix_nano = max(self._all_silent_unix_nano, newest)

    # -- out ---------------------------------------------------------------------------------------------------------

    def ready(self, now_s: float) -> int | None:
        """The next tick to evaluate, if nothing more is to be waited for."""
        self._leave_the_dead_behind(now_s)
        if not self._waiting:
            self._due = None
            return None
        tick = min(self._waiting)
        missing = {number for number, mark in self._marks.items() if mark.closed_unix_nano < tick} - self._behind
        if not missing:
            return tick
        if self.frontier_unix_nano < tick:  # what came too late: its tick is still running for everybody
            return None
        if self._due is None or self._due[0] != tick:
            self._due = tick, now_s
        if now_s - self._due[1] < self._patience_s:
            return None
        self._behind |= missing
        return tick

    def _leave_the_dead_behind(self, now_s: float) -> None:
        """Of whom nothing is heard, nothing is waited for, or a silent stream's last tick would never be closed."""
        for number in self._marks:
            if now_s - self._heard_s.setdefault(number, now_s) >= self._patience_s:
                self._behind.add(number)

    def open(self, tick_unix_nano: int) -> list[bytes]:
        """The reports of a tick, in the order of partitions. It is evaluated from now on."""
        parts = self._waiting.pop(tick_unix_nano, {})
        self._waiting_bytes -= sum(map(len, parts.values()))
        self.evaluated_unix_nano = tick_unix_nano
        self.incomplete += any(mark.closed_unix_nano < tick_unix_nano for mark in self._marks.values())
        return [parts[place] for place in sorted(parts)]

    # -- snapshots ---------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """With what waits: shards forget a part when it is in a stored snapshot."""
        return {
            "evaluated": self.evaluated_unix_nano,
            "all_silent": self._all_silent_unix_nano,
            "incomplete": self.incomplete,
            "closed": {number: mark.closed_unix_nano for number, mark in self._marks.items()},
            "epochs": dict(self._epochs),
            "told": set(self._told),
            "begun": self._begun_unix_nano,
            "waiting": {tick: dict(parts) for tick, parts in self._waiting.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Who is behind is found out anew: nobody has been waited for yet."""
        self.evaluated_unix_nano, self.incomplete = state["evaluated"], state["incomplete"]
        self._all_silent_unix_nano = state["all_silent"]
        for number, closed in state["closed"].items():
            if number in self._marks:
                self._marks[number] = Mark(number, closed, 0, silent=False)
        self._epochs, self._waiting = state["epochs"], state["waiting"]
        self._told, self._begun_unix_nano = state["told"], state["begun"]
        self._waiting_bytes = sum(len(report) for parts in self._waiting.values() for report in parts.values())
