"""What a soak says of its samples."""

from __future__ import annotations

import os

from benchmarks.soak import Soak, report
from benchmarks.soak_samples import Series, lean, memory_mib, tree


def a_soak(slope_mib_h: float, lag_s_h: float) -> Soak:
    soak = Soak(minutes=60, rate_per_s=2_000, published=7_200_000)
    times = range(0, 3_600, 5)
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


def test_a_process_finds_itself_and_its_memory() -> None:
    assert os.getpid() in tree(os.getpid())
    used = memory_mib(os.getpid())
    assert used is not None
    assert used > 1
