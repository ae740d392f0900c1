"""A detector for tests of the driver: it acts on whom the test says, and remembers what it was asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from stillwatch.backtest import ActedOn, DetectorId
from stillwatch.event import RequestEvent
from stillwatch.verdict import Action, Campaign


class Scripted:
    """Acts on an account at the first tick after it has sent so many requests."""

    id = DetectorId("scripted", "1", "0" * 64)

    def __init__(self, act_after: Mapping[str, int], ttl_s: int = 7 * 86_400, action: Action = "revoke") -> None:
        self._act_after, self._ttl_nano, self._action = act_after, ttl_s * 1_000_000_000, action
        self.observed: list[RequestEvent] = []
        self.refusals: list[RequestEvent] = []
        self.ticks: list[int] = []
        self._acted: set[str] = set()

    def refused(self, event: RequestEvent) -> None:
        self.refusals.append(event)

    def observe(self, event: RequestEvent) -> None:
        self.observed.append(event)

    def advance(self, now_unix_nano: int) -> list[ActedOn]:
        self.ticks.append(now_unix_nano)
        counts = self.scores()
        due = [a for a, n in sorted(self._act_after.items()) if counts.get(a, 0) >= n and a not in self._acted]
        self._acted.update(due)
        until = now_unix_nano + self._ttl_nano
        return [ActedOn(a, self._action, now_unix_nano, until, counts[a], None, ("count",), "as told") for a in due]

    def scores(self) -> Mapping[str, float]:
        return Counter(event.account for event in self.observed)

    def campaigns(self) -> list[Campaign]:
        return []
