"""The processes of a line, found below the one that was started: who is a shard, who the aggregator, who a replica."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# As Ray names its processes.
SHARD: Final = "ray::ShardHost"
AGGREGATOR: Final = "ray::AggregatorHost"
REPLICA: Final = "ray::ServeReplica"


@dataclass(frozen=True, slots=True)
class Process:
    pid: int
    started_ticks: int  # since boot: with the pid it names one process for ever
    title: str

    def send(self, number: signal.Signals) -> bool:
        """``False`` when it is gone; another process that has its pid by now is left alone."""
        if _started(self.pid) != self.started_ticks:
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True


def below(root: int) -> list[Process]:
    """``root`` and everything that it started, as far as the kernel still knows."""
    parents: dict[int, int] = {}
    sessions: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        fields = _stat(int(entry.name)) if entry.name.isdigit() else None
        if fields is not None:
            parents[int(entry.name)], sessions[int(entry.name)] = int(fields[1]), int(fields[3])
    found = {root} & parents.keys() | {pid for pid, session in sessions.items() if session == root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return [one for pid in sorted(found) if (one := _process(pid)) is not None]


def titled(processes: list[Process], title: str) -> list[Process]:
    return [one for one in processes if one.title.startswith(title)]


def _process(pid: int) -> Process | None:
    started = _started(pid)
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return None
    return None if started is None else Process(pid, started, b" ".join(words).decode(errors="replace").strip())


def _started(pid: int) -> int | None:
    fields = _stat(pid)
    return None if fields is None or fields[0] == "Z" else int(fields[19])


def _stat(pid: int) -> list[str] | None:
    """From the third field on: state, parent, group, session, …; the name before them may hold anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return None
