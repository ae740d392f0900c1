"""The volume rule: requests in an account's busiest day (UTC) so far.

What rate limits and the scripts that ship as "extraction detection" watch (per-principal volume thresholds; OWASP AISVS
C11.5.1 asks for limits sized to the threat). Known property: a campaign that sends 26 requests a day and account stays
below honest heavy users, so this rule sees it last.
"""

from __future__ import annotations

from stillwatch.event import RequestEvent
from stillwatch.rivals.base import Rival

_DAY_NANO = 24 * 3_600 * 1_000_000_000


class Volume(Rival):
    name = "volume"

    def __init__(self, threshold: float | None = None) -> None:
        super().__init__(threshold)
        self._today: dict[str, tuple[int, int]] = {}  # account -> (day, requests in it)
        self._changed: set[str] = set()

    def observe(self, event: RequestEvent) -> None:
        day = event.time_unix_nano // _DAY_NANO
        known, count = self._today.get(event.account, (day, 0))
        count = count + 1 if known == day else 1
        self._today[event.account] = (day, count)
        if count > self._score.get(event.account, 0.0):
            self._score[event.account] = float(count)
            self._changed.add(event.account)

    def _evaluate(self, now_unix_nano: int) -> set[str]:
        changed, self._changed = self._changed, set()
        return changed
