"""An evaluation waits until every partition is as far, except for those that can not be waited for."""

from __future__ import annotations

from stillwatch.gate import TickGate
from stillwatch.ports import Mark, Part

TICK = 900
NEVER = 0  # by the clock, no tick of these tests is over


def a_gate(partitions: int = 3, **more: int) -> TickGate:
    return TickGate(partitions, TICK, patience_s=30, **more)


def say(gate: TickGate, partition: int, tick: int, text: str = "", number: int = 0) -> bool:
    return gate.take(Part(partition, tick, number, (text or f"{partition}@{tick}").encode()))


def closed(gate: TickGate, now_s: float = 0, **ticks: int) -> None:
    """``p0=900``: partition 0 has closed the tick of 900."""
    gate.mark([Mark(int(name[1:]), tick, 0, silent=False) for name, tick in ticks.items()], now_s, NEVER)


def test_a_tick_is_evaluated_when_the_last_partition_has_closed_it() -> None:
    gate = a_gate()
    say(gate, 0, 900)
    closed(gate, p0=900, p1=1_800)
    assert gate.ready(0) is None
    closed(gate, p2=900)
    assert gate.ready(0) == 900


def test_what_is_said_of_later_ticks_waits() -> None:
    gate = a_gate()
    for partition, tick in ((0, 1_800), (1, 900), (0, 900)):
        say(gate, partition, tick)
    closed(gate, p0=1_800, p1=1_800, p2=1_800)
    assert gate.ready(0) == 900
    assert gate.open(900) == [b"0@900", b"1@900"]
    assert gate.ready(0) == 1_800
    assert gate.open(1_800) == [b"0@1800"]
    assert gate.ready(0) is None


def test_parts_come_out_in_the_order_of_partitions_and_each_once() -> None:
    gate = a_gate()
    for partition, number in ((2, 1), (0, 0), (2, 0), (2, 1)):
        say(gate, partition, 900, f"{partition}.{number}", number)
    assert gate.open(900) == [b"0.0", b"2.0", b"2.1"]


def test_ticks_of_which_nobody_says_anything_are_not_evaluated() -> None:
    gate = a_gate()
    closed(gate, p0=9_000, p1=9_000, p2=9_000)
    assert gate.ready(0) is None
    assert gate.frontier_unix_nano == 9_000


def test_a_partition_that_does_not_come_is_left_behind_and_counted() -> None:
    gate = a_gate()
    say(gate, 0, 900)
    closed(gate, p0=900, p1=900, p2=0)
    assert [gate.ready(s) for s in (1, 20)] == [None, None]
    gate.mark([Mark(n, 0, 900, silent=False) for n in range(3)], 30, NEVER)
    assert gate.ready(31) == 900
    gate.open(900)
    assert (gate.behind, gate.incomplete) == (1, 1)


def test_one_that_was_left_behind_is_not_waited_for_until_it_has_caught_up() -> None:
    gate = a_gate()
    say(gate, 0, 900)
    closed(gate, p0=900, p1=900)
    gate.ready(1)
    gate.mark([Mark(n, 0, 900, silent=False) for n in range(3)], 31, NEVER)
    gate.open(gate.ready(31) or 0)
    say(gate, 0, 1_800)
    closed(gate, 31, p0=1_800, p1=1_800)
    assert gate.ready(31) == 1_800
    say(gate, 2, 900, "late")
    closed(gate, 31, p2=900)
    assert gate.behind == 0
    assert gate.ready(31) is None
    closed(gate, 31, p2=1_800)
    assert gate.ready(31) == 1_800
    assert gate.open(1_800) == [b"0@1800", b"late"]


def test_what_comes_too_late_waits_for_the_next_tick_and_nobody_is_left_behind_for_it() -> None:
    gate = a_gate()
    say(gate, 0, 900)
    closed(gate, p0=900, p1=900, p2=900)
    gate.open(900)
    say(gate, 1, 900, "late")
    gate.ready(1)
    gate.mark([Mark(n, 900, 0, silent=False) for n in range(3)], 60, NEVER)
    assert gate.ready(61) is None
    assert gate.behind == 0
    gate.mark([Mark(n, 900, 0, silent=True) for n in range(3)], 62, 1_800)
    assert gate.frontier_unix_nano == 1_800


def test_the_last_tick_of_a_silent_stream_is_closed_when_its_time_has_come() -> None:
    gate = a_gate()
    silent = [Mark(0, 0, 900, silent=True), Mark(1, 0, 0, silent=True), Mark(2, 0, 0, silent=True)]
    gate.mark(silent, 0, wall_unix_nano=899)
    assert gate.frontier_unix_nano == 0
    gate.mark(silent, 0, wall_unix_nano=900)
    assert gate.frontier_unix_nano == 900


def test_while_one_partition_is_busy_a_silent_one_ends_nothing() -> None:
    gate = a_gate()
    gate.mark([Mark(0, 0, 900, silent=True), Mark(1, 0, 900, False), Mark(2, 0, 0, True)], 0, wall_unix_nano=9_000)
    assert gate.frontier_unix_nano == 0


def test_one_of_which_nothing_is_heard_does_not_keep_a_silent_stream_open() -> None:
    gate = a_gate()
    silent = [Mark(0, 0, 900, silent=True), Mark(1, 0, 0, silent=True)]
    gate.ready(0)
    gate.mark(silent, 29, wall_unix_nano=9_000)
    assert gate.frontier_unix_nano == 0
    gate.ready(31)
    gate.mark(silent, 31, wall_unix_nano=9_000)
    assert gate.frontier_unix_nano == 900


def test_a_full_gate_takes_what_the_next_tick_needs_and_nothing_of_later_ones() -> None:
    gate = a_gate(max_waiting_bytes=100)
    assert say(gate, 0, 900, "x" * 90)
    assert not say(gate, 0, 1_800, "y" * 20)
    assert say(gate, 1, 900, "z" * 50)
    closed(gate, p0=900, p1=900, p2=900)
    gate.open(900)
    assert say(gate, 0, 1_800, "y" * 20)


def test_a_new_life_begins_behind_what_was_published() -> None:
    gate = a_gate()
    gate.resume_after(2_000)
    assert gate.evaluated_unix_nano == 1_800
    say(gate, 0, 900)
    closed(gate, p0=1_800, p1=1_800, p2=1_800)
    assert gate.ready(0) is None
    closed(gate, p0=2_700, p1=2_700, p2=2_700)
    assert gate.ready(0) == 2_700
    assert gate.open(2_700) == [b"0@900"]
