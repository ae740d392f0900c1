"""A request's time against the time at which its report arrived: clamped to what can be, and counted.

Both times are in the stream, so a replay clamps alike. What is a mistake beyond doubt is not clamped but rejected
(``stillwatch.event.check_arrival``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Literal

from stillwatch.event import RequestEvent
from stillwatch.ticks import MAX_AHEAD_NANO

Clamped = Literal["future", "ancient"]

# Scores look back two eras of weeks and gateways report within seconds; as long as audits are kept, older reports can be
# somebody's replay of an old file. What is older still would only make its account look as old as it likes.
MAX_AGE_NANO: Final = 400 * 24 * 3600 * 1_000_000_000


def clamped(event: RequestEvent, received_unix_nano: int) -> tuple[RequestEvent, Clamped | None]:
    """The event with a time between 400 days before and a minute after its arrival, and whether that changed it.

    >>> clamped(RequestEvent("r", "a", 10**18), 2 * 10**18)[1]
    'ancient'
    """
    latest = received_unix_nano + MAX_AHEAD_NANO
    if event.time_unix_nano > latest:
        return replace(event, time_unix_nano=latest), "future"
    earliest = received_unix_nano - MAX_AGE_NANO
    if event.time_unix_nano < earliest:
        return replace(event, time_unix_nano=earliest), "ancient"
    return event, None
