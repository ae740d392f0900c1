"""What one test says of one group: a figure, what is normal, how likely by chance, and the sentence for a person."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stillwatch.verdict import Signal


@dataclass(frozen=True, slots=True)
class Finding:
    """``normal``: 5 % and 95 % among honest groups, ``None`` where it is not known. ``p_value``: that an honest group shows as much.
    ``counts``: as evidence; what does not is only shown.

    >>> Finding("handoff", 4.0, (0.0, 1.0), 1e-5, "…").signal().surprise
    5.0
    """

    name: str
    value: float
    normal: tuple[float, float] | None
    p_value: float
    sentence: str
    counts: bool = True

    def signal(self) -> Signal:
        return Signal(self.name, self.value, self.normal, -math.log10(max(self.p_value, 1e-300)), self.sentence)
