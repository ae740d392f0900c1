"""When people write: hours of the day, days of the week, bursts, pauses between the turns of a conversation.

Arrivals are a renewal process in operational time: gaps are gamma with mean 1, and the clock runs as fast as the
hour's expected number of arrivals. Ordered, lazy, without a list of a day's events.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

HOUR_S: Final = 3600.0
DAY_HOURS: Final = 24

# Shares of a day's conversations by local hour: the shape is judged. A service of one region was measured with a
# busiest hour of 11.7 times its quietest (BurstGPT); with users in all of the time zones below it is about two.
_OFFICE = (0.3, 0.2, 0.1, 0.1, 0.2, 0.5, 1.5, 4, 7, 9, 9.5, 9, 6.5, 8, 9, 9, 8, 6, 4, 3, 2.5, 2, 1.2, 0.6)
_EVENING = (2.5, 1.3, 0.6, 0.3, 0.2, 0.3, 1, 2.5, 3.5, 4, 4.5, 4.5, 5, 5, 5, 5.5, 6, 6.5, 7, 8, 8.5, 8, 6.5, 4.5)


@dataclass(frozen=True, slots=True)
class DayCurve:
    """Relative intensity by local hour; mean 1 over the day."""

    by_hour: tuple[float, ...]
    weekend: float  # a weekend day's volume against a weekday's


def _curve(shares: tuple[float, ...], weekend: float) -> DayCurve:
    mean = sum(shares) / len(shares)
    return DayCurve(tuple(share / mean for share in shares), weekend)


OFFICE: Final = _curve(_OFFICE, 0.25)
EVENING: Final = _curve(_EVENING, 1.15)
STEADY: Final = _curve((1.0,) * DAY_HOURS, 1.0)

# (hours from UTC, share): where the users of an English-language API live, roughly.
TIME_ZONES: Final = (
    (-8, 0.14), (-6, 0.09), (-5, 0.19), (-3, 0.06), (0, 0.11), (1, 0.18), (2, 0.06), (5, 0.08), (8, 0.05), (9, 0.04),
)  # fmt: skip

# What is left of the evenings of all zones together, as a service with users everywhere sees them.
WORLD: Final = DayCurve(
    tuple(
        sum(share * EVENING.by_hour[(hour + zone) % DAY_HOURS] for zone, share in TIME_ZONES)
        / sum(share for _, share in TIME_ZONES)
        for hour in range(DAY_HOURS)
    ),
    EVENING.weekend,
)

# Interarrival gaps of API clients are gamma; the median coefficient of variation over 80 clients of ServeGen is 1.29,
# which is a shape of 0.6. 1.0 would be a Poisson process.
BURSTY: Final = 0.6
POISSON: Final = 1.0


def hourly(
    rng: random.Random,
    per_day: float,
    curve: DayCurve,
    *,
    start_unix_s: int,
    days: int,
    utc_offset_h: int = 0,
    day_sigma: float = 0.0,
) -> Iterator[float]:
    """Expected arrivals in each hour of the scenario. ``day_sigma``: lognormal ups and downs from day to day."""
    # A weekday's share is such that the mean over a week is `per_day`.
    scale = per_day / DAY_HOURS * 7.0 / (5.0 + 2.0 * curve.weekend)
    level = 1.0
    for hour in range(days * DAY_HOURS):
        local_h = start_unix_s // 3600 + hour + utc_offset_h
        if day_sigma and (hour == 0 or local_h % DAY_HOURS == 0):
            level = rng.lognormvariate(-day_sigma * day_sigma / 2.0, day_sigma)
        # 1970-01-01 was a Thursday: day 3 of a week that starts on Monday.
        weekend = (local_h // DAY_HOURS + 3) % 7 >= 5
        yield scale * level * curve.by_hour[local_h % DAY_HOURS] * (curve.weekend if weekend else 1.0)


def arrivals(rng: random.Random, expected_by_hour: Iterable[float], shape: float) -> Iterator[float]:
    """Seconds from the scenario's start, ascending. ``shape``: see :data:`BURSTY`."""

    def gaps() -> Iterator[float]:
        while True:
            yield rng.gammavariate(shape, 1.0 / shape)

    drawn = gaps()
    # The first gap started before the scenario did.
    wait = next(drawn)
    return renewal(drawn, expected_by_hour, first=wait * rng.random())


def renewal(
    gaps: Iterator[float], expected: Iterable[float], *, first: float, step_s: float = HOUR_S
) -> Iterator[float]:
    """Gaps of mean 1 on a clock that runs as fast as the expected arrivals of each step. ``first``: the wait until the
    first arrival, in mean gaps."""
    wait = first
    for step, in_step in enumerate(expected):
        passed = 0.0
        while wait < in_step - passed:
            passed += wait
            yield (step + passed / in_step) * step_s
            wait = next(gaps)
        wait -= in_step - passed


def turns(rng: random.Random, mean: float) -> int:
    """User turns of a conversation. At a mean of 2.35 the median is 1 and the 95 % quantile 7, as in WildChat:
    six in ten are a single question, the others go on for a geometric number of turns."""
    several = min(0.4, mean - 1.0)
    if rng.random() >= several:
        return 1
    extra = (mean - 1.0) / several - 1.0
    if extra <= 0.0:
        return 2
    return 2 + int(math.log(1.0 - rng.random()) / math.log(extra / (1.0 + extra)))


def pause_s(rng: random.Random, median_s: float) -> float:
    """From the end of one call to the end of the next in the same conversation: reading, writing, generating."""
    return 2.0 + rng.lognormvariate(math.log(median_s), 1.0)
