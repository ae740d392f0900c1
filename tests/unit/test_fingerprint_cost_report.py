from __future__ import annotations

from benchmarks.fingerprint_cost import SIZES, measure, reading, report


def test_the_report_gives_cost_and_rate_of_every_size() -> None:
    lines = report({"1 KB": (80.0, 400.0), "8 KB": (250.0, 600.0)}, read_us=5.0, loop_us=10.0)
    assert lines[0].split() == ["sum(range(1000))", "10.0", "µs"]
    assert lines[1].split()[-8:] == ["80.0", "µs", "warm", "400.0", "µs", "cold", "12,500", "/s", "warm"][-8:]
    assert lines[-1].split()[-2:] == ["5.0", "µs"]
    assert len(lines) == 4


def test_every_size_is_measured_warm_and_cold() -> None:
    cost = measure(SIZES, calls=1, repeats=1)
    assert list(cost) == list(SIZES)
    assert all(warm >= 0 and cold >= 0 for warm, cold in cost.values())
    assert reading(calls=1, repeats=1) >= 0
