"""Traffic with known truth: honest people, honest programs, and campaigns that hide among them.

:func:`simulate` turns a :class:`Scenario` and a :class:`TextSource` into request events in time order, :func:`labels`
says who is who. Pure: seed and times are arguments, files are read by the caller. docs/simulator.md says what is
measured, what is judged, and what such traffic can not show.
"""

from __future__ import annotations

from stillwatch.simulator.conversation import Traced
from stillwatch.simulator.grouping import by_likeness
from stillwatch.simulator.scenario import Scenario, from_map
from stillwatch.simulator.simulation import LabelRow, labels, reserves, simulate, trace
from stillwatch.simulator.texts import BuiltinTexts, PoolTexts, Prompt, TextSource

__all__ = [
    "BuiltinTexts", "LabelRow", "PoolTexts", "Prompt", "Scenario", "TextSource", "Traced", "by_likeness", "from_map",
    "labels", "reserves", "simulate", "trace",
]  # fmt: skip
