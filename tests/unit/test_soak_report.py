"""What a soak says of its samples."""

from __future__ import annotations

import os

import pytest

from benchmarks.soak import Soak, problems, report
from benchmarks.soak_samples import Series, lean, memory_mib, tree
from chaos.processes import Process


def a_soak(slope_mib_h: float, lag_s_h: float, minutes: int = 60) -> Soak:
    soak = Soak(minutes=minutes, rate_per_s=2_000, published=minutes * 120_000)
    times = range(0, minutes * 60, 5)
    soak.series[7] = Series("ray::ShardHost", 7, [(t, 200 + t / 3600 * slope_mib_h + (t % 7) / 7) for t in times])
    soak.lag = [(t, 0.1 + t / 3_600 * lag_s_h) for t in times]
    return soak


def test_a_leak_shows_as_its_slope_through_the_noise() -> None:
    found = lean(a_soak(30.0, 0).series[7].samples, 600)
    assert found is not None
    assert abs(found.slope - 30) < 1
    assert found.low <= found.slope <= found.high


def test_what_happens_while_it_warms_up_is_no_lean() -> None:
    samples = [(float(t), 300.0 if t > 500 else 100.0) for t in range(0, 3_600, 5)]
    found = lean(samples, 600)
    assert found is not None
    assert found.slope == 0


def test_too_few_samples_give_no_slope() -> None:
    assert lean([(0.0, 1.0)] * 10, 0) is None


def test_a_lag_that_grows_is_said_and_a_steady_one_is_not() -> None:
    assert "growing lag: no" in report(a_soak(0, 0))
    assert "growing lag: yes" in report(a_soak(0, 60))


def test_one_that_is_steady_passes() -> None:
    assert problems(a_soak(0, 0)) == []
    assert problems(a_soak(15.0, 0)) == []


def test_without_one_sample_of_the_lag_it_fails() -> None:
    soak = a_soak(0, 0)
    soak.lag = [one for one in soak.lag if one[0] < soak.warm_up_s]
    [problem] = problems(soak)
    assert "not seen once" in problem
    assert problem in report(soak)


@pytest.mark.parametrize(("share", "passes"), [(0.96, True), (0.94, False)])
def test_with_less_published_than_was_due_it_fails(share: float, passes: bool) -> None:
    soak = a_soak(0, 0)
    soak.published = int(share * soak.published)
    assert (problems(soak) == []) is passes


def test_memory_that_grows_fails_an_hour_and_not_ten_minutes_and_a_lag_that_grows_fails_both() -> None:
    assert [one.partition(" by ")[0] for one in problems(a_soak(20.0, 0))] == ["the memory of ray::ShardHost (7) grows"]
    assert problems(a_soak(20.0, 0, minutes=10)) == []
    assert problems(a_soak(0, 60)) == problems(a_soak(0, 120, minutes=20)) == ["the lag grew"]


def test_a_single_step_of_memory_is_no_leak() -> None:
    soak = a_soak(0, 0)
    soak.series[7].samples = [(at_s, 200.0 + 30 * (at_s > 2_000)) for at_s, _ in soak.series[7].samples]
    assert problems(soak) == []


def test_a_process_that_has_ended_fails_it() -> None:
    soak = a_soak(0, 0)
    soak.ended = ["ray::ShardHost (7) is gone"]
    assert problems(soak) == ["ray::ShardHost (7) is gone"]


def test_a_process_finds_itself_and_its_memory() -> None:
    assert os.getpid() in tree(os.getpid())
    used = memory_mib(os.getpid())
    assert used is not None
    assert used > 1


def test_processes_are_those_that_chaos_would_find_by_what_they_call_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = [
        Process(7, 1, "ray::ShardHost"), Process(8, 1, "/opt/bin/python3 -m chaos.line /tmp/settings.json"),
        Process(9, 1, "/opt/bin/nats-server -js"), Process(10, 1, ""),
    ]  # fmt: skip
    monkeypatch.setattr("benchmarks.soak_samples.below", lambda root: found)
    assert tree(1) == {7: "ray::ShardHost", 8: "python chaos.line", 9: "nats-server"}
