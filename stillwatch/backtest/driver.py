"""Events through a detector in event time: deduplicate, refuse, observe, evaluate at ticks.

Ticks stand where the cluster's do, at multiples of their distance since 1970 (docs/adr/0014). A tick is evaluated when an
event at or after it arrives and something was observed since the last evaluation, so silent weeks cost nothing and a
wrong date far in the future costs one evaluation. What is acted on at a tick is refused from that tick on, as a gateway would, until the action expires.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from stillwatch.backtest.detector import Detector
from stillwatch.backtest.ledger import Ledger
from stillwatch.event import REFUSED, RequestEvent
from stillwatch.recent import RecentIds
from stillwatch.settings import DetectionSettings
from stillwatch.ticks import nano_of, tick_after

DEFAULT_TICK_S: Final = DetectionSettings().evaluation_tick_s
_DEDUP_IDS: Final = 262_144  # 16 partitions' worth of the cluster's own memory


class Backtest:
    """``on_tick`` is told each evaluated tick's time after its actions were taken, for curves over time."""

    def __init__(
        self,
        detector: Detector,
        *,
        tick_s: float = DEFAULT_TICK_S,
        enforce: bool = True,
        follow: Mapping[str, str] | None = None,
        on_tick: Callable[[int], None] = lambda _now: None,
    ) -> None:
        if not 1 <= tick_s <= 30 * 24 * 3_600:
            raise ValueError(f"a tick of {tick_s:g} s: use 1 s to 30 days of event time")
        self.detector = detector
        self.enforce = enforce
        self.tick_s = tick_s
        self.ledger = Ledger(follow or {})
        self._tick_nano = nano_of(tick_s)
        self._on_tick = on_tick
        self._recent = RecentIds(_DEDUP_IDS)
        self._next_tick = 0
        self._observed = False
        self._refused_until: dict[str, int] = {}

    def feed(self, event: RequestEvent) -> None:
        time, account = event.time_unix_nano, event.account
        if not self._recent.add(event.id):
            self.ledger.duplicates += 1
            return
        if time >= self._next_tick:
            self._advance_to(time)
        refused = self.refuses(account, time)
        self.ledger.saw(account, time, refused=refused)
        self._observed = True
        if refused:
            self.detector.refused(replace(event, attributes={**event.attributes, "error.type": REFUSED}))
        else:
            self.detector.observe(event)

    def refuses(self, account: str, time_unix_nano: int) -> bool:
        """What a gateway would say then, by what has been decided so far: the simulator's ``banned`` in a closed loop."""
        return self.enforce and time_unix_nano < self._refused_until.get(account, 0)

    def finish(self) -> None:
        """The tick that closes the last interval."""
        self._evaluate()

    def _advance_to(self, time: int) -> None:
        self._evaluate()
        self._next_tick = tick_after(time, self._tick_nano)

    def _evaluate(self) -> None:
        if not self._observed:
            return
        self._observed = False
        now = self._next_tick
        acted = self.detector.advance(now)
        self.ledger.act(acted)
        for action in acted:
            until = self._refused_until.get(action.account, 0)
            self._refused_until[action.account] = max(until, action.expires_unix_nano)
        self._on_tick(now)
