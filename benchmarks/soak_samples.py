"""Memory of every process of the cluster while it runs, and how it leans."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np

from chaos.processes import below

_BLOCKS: Final = 8  # of the time behind the warm-up; what is within a block is averaged out
_MIB: Final = 1024 * 1024
_NAME_CHARS: Final = 30


@dataclass(slots=True)
class Series:
    """Of one process: pairs of seconds since the start and MiB."""

    name: str
    pid: int
    samples: list[tuple[float, float]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Lean:
    """In units an hour: the median over all pairs of blocks (Theil 1950), and where the middle half of them lies."""

    slope: float
    low: float
    high: float


def lean(samples: list[tuple[float, float]], warm_up_s: float) -> Lean | None:
    """``None`` with fewer than two samples in each of eight blocks behind the warm-up.

    >>> lean([(float(s), 100 + s / 3600) for s in range(0, 7200, 60)], 600).slope
    1.0
    """
    kept = np.array([pair for pair in samples if pair[0] >= warm_up_s])
    if len(kept) < 2 * _BLOCKS:
        return None
    middles = [np.median(block, axis=0) for block in np.array_split(kept, _BLOCKS)]
    slopes = [
        (late[1] - early[1]) / (late[0] - early[0]) * 3_600
        for n, early in enumerate(middles)
        for late in middles[n + 1 :]
    ]
    low, middle, high = (round(float(found), 3) for found in np.percentile(slopes, [25, 50, 75]))
    return Lean(middle, low, high)


def tree(root: int) -> dict[int, str]:
    """All processes of ``root``, with it, by what they call themselves. Linux."""
    return {one.pid: name for one in below(root) if (name := _name(one.title))}


def _name(title: str) -> str:
    words = title.split()
    if not words:
        return ""
    first = words[0].rpartition("/")[2]
    if first in ("python", "python3"):  # the script or the module says more
        first = f"python {Path(next((word for word in words[1:] if not word.startswith('-')), '')).name}"
    return first[:_NAME_CHARS]


def memory_mib(pid: int) -> float | None:
    """Resident memory without what is shared with files: libraries and Ray's object store are not counted twice."""
    try:
        fields = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
        )
        return int(fields["RssAnon"].split()[0]) * 1_024 / _MIB
    except (OSError, KeyError, ValueError):
        return None


def table(series: list[Series], warm_up_s: float) -> str:
    lines = [f"{'process':<32}{'pid':>8}{'MiB, start':>12}{'end':>8}{'most':>8}{'MiB/h':>9}   middle half of slopes"]
    for one in series:
        if not one.samples:
            continue
        values = [value for _, value in one.samples]
        found = lean(one.samples, warm_up_s)
        text = "        –" if found is None else f"{found.slope:>9.1f}   {found.low:.1f} to {found.high:.1f}"
        start, end = median(values[:3]), median(values[-3:])
        lines.append(f"{one.name:<32}{one.pid:>8}{start:>12.1f}{end:>8.1f}{max(values):>8.1f}{text}")
    return "\n".join(lines)
