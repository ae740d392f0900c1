"""docs/signals.md shows how to add a signal: the example there runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from factories import T0

from stillwatch.account import AccountState
from stillwatch.cohort import Cohort
from stillwatch.event import RequestEvent
from stillwatch.signals.base import AccountSignal

GUIDE = Path(__file__).parents[2] / "docs" / "signals.md"
DAY = 86_400 * 10**9


def test_the_example_of_the_guide_is_a_signal() -> None:
    [code] = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, str(GUIDE), "exec"), names)  # noqa: S102 - our own documentation
    signal: AccountSignal = names["SIGNAL"]
    assert signal.fold is not None
    saturday = T0 - T0 % (7 * DAY) + 2 * DAY
    state = AccountState("a", saturday)
    for number in range(60):
        event = RequestEvent(f"r-{number}", "a", saturday + number % 2 * 2 * DAY, {})
        state.observe(event, None, {signal.name: signal.fold})
    assert signal.value(state, Cohort()) == 0.5
    assert "weekends" in signal.sentence(0.5, (0.1, 0.3))


def test_the_guide_lists_every_signal() -> None:
    from stillwatch.scoring import _READ

    listed = re.findall(r"^\| `(\w+)` \|", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    assert listed == [signal.name for signal in _READ]
