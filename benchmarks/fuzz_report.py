"""What came of the inputs at one door, and all of them as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class Door:
    name: str
    inputs: int
    outcomes: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)  # crashes, stalls, inputs without a trace
    seconds: float = 0.0

    def to_map(self) -> dict[str, Any]:
        return asdict(self)


def report(doors: Sequence[Door]) -> str:
    """
    >>> print(report([Door("decoder", 10_000, {"events": 7}, seconds=2.0)]))
    door                            inputs   failures   s in 10,000   what came of them
    decoder                         10,000          0           2.0   events 7
    in all                          10,000          0           2.0
    """
    lines = [f"{'door':<28}{'inputs':>10}{'failures':>11}{'s in 10,000':>14}   what came of them"]
    for door in doors:
        outcomes = ", ".join(f"{name} {count:,}" for name, count in sorted(door.outcomes.items()))
        lines.append(f"{_numbers(door.name, door.inputs, len(door.failures), door.seconds)}   {outcomes}")
    inputs, seconds = sum(door.inputs for door in doors), sum(door.seconds for door in doors)
    lines.append(_numbers("in all", inputs, sum(len(door.failures) for door in doors), seconds))
    lines += [f"{door.name}: {failure}" for door in doors for failure in door.failures[:20]]
    return "\n".join(lines)


def _numbers(name: str, inputs: int, failures: int, seconds: float) -> str:
    return f"{name:<28}{inputs:>10,}{failures:>11}{seconds / max(inputs, 1) * 10_000:>14.1f}"
