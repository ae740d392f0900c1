"""Recorded arrivals replace fitted ones and leave the volume alone."""

from __future__ import annotations

import random
from itertools import pairwise
from statistics import mean, pstdev

import pytest

from stillwatch.errors import SettingsError
from stillwatch.simulator import BuiltinTexts, from_map, simulate
from stillwatch.simulator.timing import Clients, Trace, Window

HOURS = [30.0] * 48


def bursts(count: int = 2_000) -> list[float]:
    """Ten arrivals a second apart, then ten minutes of silence."""
    return [burst * 600.0 + step for burst in range(count // 10) for step in range(10)]


def variation(times: list[float]) -> float:
    gaps = [after - before for before, after in pairwise(times)]
    return pstdev(gaps) / mean(gaps)


def test_a_trace_gives_its_gaps_and_the_scenario_the_volume() -> None:
    times = list(Trace(bursts()).starts(random.Random(1), HOURS, 1.0))
    assert times == sorted(times)
    assert len(times) == pytest.approx(sum(HOURS), rel=0.03)
    assert variation(times) == pytest.approx(variation(bursts()), rel=0.1)
    assert variation(times) > 2.5


def test_a_trace_of_days_gives_its_hours_as_well() -> None:
    at_noon = [day * 86_400 + 12 * 3_600 + step * 30.0 for day in range(3) for step in range(100)]
    times = list(Trace(at_noon).starts(random.Random(1), HOURS, 1.0))
    assert len(times) == pytest.approx(sum(HOURS), rel=0.1)
    assert {int(at // 3_600) % 24 for at in times} == {12}


def test_two_accounts_begin_at_different_places_of_a_trace() -> None:
    recorded = Trace(bursts())
    one = list(recorded.starts(random.Random(1), HOURS, 1.0))
    assert one != list(recorded.starts(random.Random(2), HOURS, 1.0))
    assert one == list(recorded.starts(random.Random(1), HOURS, 1.0))


@pytest.mark.parametrize("family", ["gamma", "weibull"])
@pytest.mark.parametrize("cv", [0.5, 1.0, 2.0])
def test_a_client_gives_its_burstiness(family: str, cv: float) -> None:
    windows = [Window(1.0, cv, family)] * 12  # type: ignore[arg-type]
    times = list(Clients([windows], 600.0).starts(random.Random(3), [200.0] * 48, 1.0))
    assert len(times) == pytest.approx(9_600, rel=0.05)
    assert variation(times) == pytest.approx(cv, rel=0.12)


def test_a_client_is_silent_where_its_record_is() -> None:
    windows = [Window(1.0, 1.0)] * 6 + [Window(0.0, 0.0)] * 6  # an hour on, an hour off
    times = list(Clients([windows], 600.0).starts(random.Random(3), HOURS, 1.0))
    assert len(times) == pytest.approx(sum(HOURS), rel=0.1)
    assert {int(at // 3_600) % 2 for at in times} == {0}


@pytest.mark.parametrize(
    "times", [[1.0] * 500, [5.0, 1.0] * 100, [1.0, 2.0]], ids=["no time passes", "not in order", "too few"]
)
def test_a_trace_that_can_not_work_says_so(times: list[float]) -> None:
    with pytest.raises(SettingsError) as caught:
        Trace(times)
    assert caught.value.key == "arrivals.trace"


def test_clients_that_can_not_work_say_so() -> None:
    for clients, window_s in (([], 600.0), ([[Window(0.0, 1.0)]], 600.0), ([[Window(1.0, 1.0)]], 700.0),
                              ([[Window(-1.0, 1.0), Window(2.0, 1.0)]], 600.0)):  # fmt: skip
        with pytest.raises(SettingsError):
            Clients(clients, window_s)


def test_a_whole_scenario_runs_on_a_trace() -> None:
    groups = [{"kind": "people", "name": "p", "count": 30}, {"kind": "campaign", "name": "h", "accounts": 10}]
    scenario = from_map({"name": "x", "days": 2, "groups": groups})
    fitted, recorded = (
        list(simulate(scenario, BuiltinTexts())),
        list(simulate(scenario, BuiltinTexts(), arrivals=Trace(bursts()))),
    )
    assert len(recorded) == pytest.approx(len(fitted), rel=0.3)
    assert [event.time_unix_nano for event in recorded] == sorted(event.time_unix_nano for event in recorded)
