"""Where arrival times come from: fitted processes, gaps of a recorded trace, or recorded windows of single clients.

All three turn the expected number of arrivals in each hour into times. What is recorded replaces what is fitted: a
trace gives its own gaps in its own order (bursts, quiet spells and their succession), recorded windows give each
account one real client's ups and downs and burstiness. An account's volume stays what the scenario says.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final, Literal, Protocol

from stillwatch.errors import SettingsError
from stillwatch.simulator.rhythm import DAY_HOURS, HOUR_S, arrivals, renewal

Family = Literal["gamma", "weibull"]
# Fewer gaps than this would repeat their pattern within a day of one account.
MIN_TRACE_TIMES: Final = 100
MAX_TRACE_TIMES: Final = 5_000_000
# A gap of a thousand mean gaps is an outage of the recorder, not a habit.
_LONGEST_GAP: Final = 1_000.0


class Arrivals(Protocol):
    def starts(self, rng: random.Random, expected_by_hour: Iterable[float], shape: float) -> Iterator[float]:
        """Seconds from the scenario's start, ascending. ``shape``: of the gamma gaps where nothing is recorded."""
        ...


class Fitted:
    """Gamma gaps in operational time, as :func:`~stillwatch.simulator.rhythm.arrivals` makes them."""

    def starts(self, rng: random.Random, expected_by_hour: Iterable[float], shape: float) -> Iterator[float]:
        return arrivals(rng, expected_by_hour, shape)


class Trace:
    """Gaps of a recorded service, in their order, from a random place on, with mean 1 in operational time.

    ``times_s`` in ascending order. A trace of at least two days also gives the hours of the day; a shorter one does not
    know them, and the scenario's hours stay.
    """

    def __init__(self, times_s: Sequence[float], key: str = "arrivals.trace") -> None:
        if not MIN_TRACE_TIMES <= len(times_s) <= MAX_TRACE_TIMES:
            raise SettingsError(
                key, f"{len(times_s)} times; {MIN_TRACE_TIMES} to {MAX_TRACE_TIMES} are useful", "Use another trace"
            )
        gaps = [after - before for before, after in pairwise(times_s)]
        if min(gaps) < 0 or not math.isfinite(times_s[-1]) or times_s[-1] <= times_s[0]:
            raise SettingsError(key, "the times are not ascending", "Sort the file by its time column")
        mean = (times_s[-1] - times_s[0]) / len(gaps)
        self._gaps: Final = tuple(min(gap / mean, _LONGEST_GAP) for gap in gaps)
        self._by_hour: Final = _hours_of_the_day(times_s)

    def starts(self, rng: random.Random, expected_by_hour: Iterable[float], shape: float) -> Iterator[float]:
        place = rng.randrange(len(self._gaps))
        gaps = (self._gaps[(place + step) % len(self._gaps)] for step in range(2**62))
        return renewal(gaps, self._shaped(expected_by_hour), first=rng.random())

    def _shaped(self, expected_by_hour: Iterable[float]) -> Iterator[float]:
        """A day's volume spread over its hours as the trace has it."""
        if self._by_hour is None:
            yield from expected_by_hour
            return
        day: list[float] = []
        for expected in expected_by_hour:
            day.append(expected)
            if len(day) == DAY_HOURS:
                yield from (sum(day) * share for share in self._by_hour)
                day.clear()
        yield from day


@dataclass(frozen=True, slots=True)
class Window:
    """A client's traffic in a stretch of time: relative rate, coefficient of variation of its gaps, their family."""

    rate: float
    cv: float
    family: Family = "gamma"


class Clients:
    """Recorded windows of real clients (as ServeGen publishes them): each account behaves like one of them.

    Rates are relative: an account keeps its own volume, the client gives the ups and downs. A day begins where the
    record begins, so that the clients' common rhythm is kept.
    """

    def __init__(self, clients: Sequence[Sequence[Window]], window_s: float, key: str = "arrivals.windows") -> None:
        busy = [tuple(windows) for windows in clients if any(window.rate > 0 for window in windows)]
        if not busy or not 1.0 <= window_s <= HOUR_S or HOUR_S % window_s:
            raise SettingsError(key, "no client with traffic, or windows that do not fill an hour", "Use another file")
        if any(
            not (math.isfinite(w.rate) and w.rate >= 0 and math.isfinite(w.cv) and w.cv >= 0) for c in busy for w in c
        ):
            raise SettingsError(
                key, "a rate or a coefficient of variation is not a number from 0 up", "Repair the file"
            )
        self._clients: Final = busy
        self._window_s: Final = window_s

    def starts(self, rng: random.Random, expected_by_hour: Iterable[float], shape: float) -> Iterator[float]:
        windows = self._clients[rng.randrange(len(self._clients))]
        expected = list(expected_by_hour)
        per_hour = int(HOUR_S // self._window_s)
        cycle = [windows[at % len(windows)] for at in range(len(expected) * per_hour)]
        total = sum(window.rate for window in cycle)
        if total == 0.0:
            return iter(())
        factor = sum(expected) / total
        at = 0  # the window that the running gap falls into

        def gaps() -> Iterator[float]:
            while True:
                yield _gap(rng, cycle[at])

        def rates() -> Iterator[float]:
            nonlocal at
            for number, window in enumerate(cycle):
                at = number
                yield window.rate * factor

        return renewal(gaps(), rates(), first=rng.random(), step_s=self._window_s)


def _gap(rng: random.Random, window: Window) -> float:
    """Mean 1. Below a coefficient of variation of 0.1 it is a clock; above 8, one burst and then silence for good."""
    cv = min(8.0, max(0.1, window.cv))
    if window.family == "gamma":
        shape = 1.0 / (cv * cv)
        return rng.gammavariate(shape, 1.0 / shape)
    shape = _weibull_shape(round(cv, 3))
    return rng.weibullvariate(1.0 / math.gamma(1.0 + 1.0 / shape), shape)


@lru_cache(maxsize=8_192)
def _weibull_shape(cv: float) -> float:
    """By bisection: the coefficient of variation falls with the shape.

    >>> round(_weibull_shape(1.0), 3)
    1.0
    """
    low, high = 0.1, 20.0
    for _ in range(60):
        shape = (low + high) / 2.0
        squared = math.gamma(1.0 + 2.0 / shape) / math.gamma(1.0 + 1.0 / shape) ** 2 - 1.0
        low, high = (shape, high) if squared > cv * cv else (low, shape)
    return shape


def _hours_of_the_day(times_s: Sequence[float]) -> tuple[float, ...] | None:
    if times_s[-1] - times_s[0] < 2 * DAY_HOURS * HOUR_S:
        return None
    counts = [0] * DAY_HOURS
    for at_s in times_s:
        counts[int(at_s // HOUR_S) % DAY_HOURS] += 1
    return tuple(count / len(times_s) for count in counts)


FITTED: Final = Fitted()
