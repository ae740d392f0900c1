"""Recorded arrival times for the simulator, from CSV files (`.csv`, `.csv.gz`) that a scenario names.

``trace``: a column `TIMESTAMP`, `timestamp`, `time` or `time_s` (ISO 8601, or numbers in the scenario's unit).
``windows``: `client_id`, `window_start_s`, `rate_rps`, `cv_iat`, `pattern`, as ServeGen publishes them. Paths are
relative to where the command runs.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import IO, Final

from stillwatch.errors import SettingsError
from stillwatch.simulator import Scenario
from stillwatch.simulator.timing import FITTED, MAX_TRACE_TIMES, Arrivals, Clients, Family, Trace, Window

_TIME_COLUMNS: Final = ("TIMESTAMP", "timestamp", "time", "time_s")


def arrivals_of(scenario: Scenario) -> Arrivals:
    recorded = scenario.arrivals
    if recorded is None:
        return FITTED
    if recorded.trace is not None:
        return Trace(_times(Path(recorded.trace), 1_000.0 if recorded.unit == "ms" else 1.0))
    return _clients(Path(recorded.windows or ""))


def _times(path: Path, divisor: float) -> list[float]:
    times: list[float] = []
    for number, row in enumerate(_rows(path), start=2):
        column = next((name for name in _TIME_COLUMNS if row.get(name)), None)
        if column is None:
            raise SettingsError(f"{path}:{number}", "no time column", f"Name it one of {', '.join(_TIME_COLUMNS)}")
        times.append(_seconds(path, number, row[column]) / divisor)
        if len(times) > MAX_TRACE_TIMES:
            raise SettingsError(str(path), f"over {MAX_TRACE_TIMES} times", "Take a part of the trace")
    return sorted(times)


def _seconds(path: Path, number: int, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(value)
    except ValueError as error:
        raise SettingsError(f"{path}:{number}", f"{value!r} is no time", "Use ISO 8601, or seconds") from error
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _clients(path: Path) -> Clients:
    windows: dict[str, list[Window]] = defaultdict(list)
    starts: dict[str, list[float]] = defaultdict(list)
    for number, row in enumerate(_rows(path), start=2):
        try:
            client = f"{row.get('category', '')}/{row.get('model', '')}/{row['client_id']}"
            family: Family = "weibull" if row.get("pattern", "").lower() == "weibull" else "gamma"
            windows[client].append(Window(float(row["rate_rps"]), float(row["cv_iat"]), family))
            starts[client].append(float(row["window_start_s"]))
        except (KeyError, ValueError) as error:
            problem = f"{error!r} in this row"
            raise SettingsError(
                f"{path}:{number}", problem, "Columns: client_id, window_start_s, rate_rps, cv_iat"
            ) from error
    steps = {after - before for times in starts.values() for before, after in pairwise(times)}
    if len(steps) != 1:
        raise SettingsError(str(path), "windows are not of one length, or not in order", "Sort by client and time")
    return Clients(list(windows.values()), steps.pop())


def _rows(path: Path) -> Iterator[dict[str, str]]:
    if not path.is_file():
        raise SettingsError(str(path), "there is no such file", "Paths are relative to where the command runs")
    with _opened(path) as lines:
        yield from csv.DictReader(lines)


def _opened(path: Path) -> IO[str]:
    if path.name.endswith(".gz"):
        return io.TextIOWrapper(gzip.GzipFile(path), encoding="utf-8", errors="replace")
    return path.open(encoding="utf-8", errors="replace")
