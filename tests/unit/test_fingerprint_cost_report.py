from __future__ import annotations

from benchmarks.fingerprint_cost import SIZES, measure, report


def test_the_report_gives_cost_and_rate_of_every_size() -> None:
    lines = report({"1 KB": 80.0, "8 KB": 250.0}, loop_us=10.0)
    assert lines[0] == "sum(range(1000))         10.0 µs"
    assert lines[1:] == [
        "fingerprint of 1 KB      80.0 µs      12,500 /s",
        "fingerprint of 8 KB     250.0 µs       4,000 /s",
    ]


def test_every_size_is_measured() -> None:
    cost = measure(SIZES, calls=1, repeats=1)
    assert list(cost) == list(SIZES)
    assert all(micros > 0 for micros in cost.values())
