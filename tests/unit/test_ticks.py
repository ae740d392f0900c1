"""A partition says what it was at each tick of event time, by its own messages and by nothing else."""

from __future__ import annotations

import pytest
from factories import HOUR, SECOND, T0, a_core, a_message, an_envelope

from stillwatch.event import RequestEvent
from stillwatch.ports import Label, RawMessage
from stillwatch.shard import PartitionCore
from stillwatch.subjects import label_subject
from stillwatch.ticks import MAX_CUTS, Cut, tick_after
from stillwatch.wire import encode_label

TICK = 900 * SECOND
FIRST = tick_after(T0, TICK)


def at(seconds: float, account: str = "a") -> RequestEvent:
    """So many seconds after the tick before the first."""
    time = FIRST - TICK + int(seconds * SECOND)
    return RequestEvent(f"{account}-{seconds}", account, time, {"stillwatch.prompt.text": f"explain {seconds}"})


def after(*events: RequestEvent) -> PartitionCore:
    core = a_core()
    core.observe([a_message(event, sequence) for sequence, event in enumerate(events, start=1)])
    return core


def said(cuts: list[Cut]) -> list[tuple[int, list[tuple[str, int]]]]:
    """(which tick, [(account, requests)])."""
    return [((c.tick_unix_nano - FIRST) // TICK, [(s.account, s.events) for s in c.summaries]) for c in cuts]


def test_a_tick_is_closed_by_the_first_request_at_or_after_it_and_does_not_see_it() -> None:
    assert said(after(at(10), at(20, "b"), at(899)).take_cuts()) == []
    assert said(after(at(10), at(20, "b"), at(900)).take_cuts()) == [(0, [("a", 1), ("b", 1)])]


def test_silent_ticks_are_passed_over() -> None:
    core = after(at(10), at(10 * 900 + 1), at(12 * 900 + 1, "b"))
    assert said(core.take_cuts()) == [(0, [("a", 1)]), (10, [("a", 2)])]
    assert core.closed_unix_nano == FIRST + 11 * TICK


def test_a_late_request_counts_when_it_comes() -> None:
    core = after(at(10), at(901), at(890, "late"), at(1_801))
    assert said(core.take_cuts()) == [(0, [("a", 1)]), (1, [("a", 2), ("late", 1)])]


def test_a_tick_in_the_middle_of_an_envelope_is_a_tick() -> None:
    core = a_core()
    core.observe([an_envelope([at(10), at(950), at(20, "b")], 1)])
    assert said(core.take_cuts()) == [(0, [("a", 1)])]


def test_only_what_changed_is_said_again() -> None:
    core = after(at(10), at(20, "b"), at(901, "b"), at(1_801, "c"))
    assert said(core.take_cuts()) == [(0, [("a", 1), ("b", 1)]), (1, [("b", 2)])]
    assert core.take_cuts() == []


def test_a_label_is_said_at_the_next_tick() -> None:
    core = after(at(10), at(901, "b"))
    core.take_cuts()
    label = encode_label(Label("a", "attack", "ops", T0))
    core.observe([RawMessage(3, label_subject(0), label, T0)])
    core.close(FIRST + TICK)
    (cut,) = core.take_cuts()
    assert [(summary.account, summary.label) for summary in cut.summaries] == [("a", "attack"), ("b", None)]


def test_silence_closes_a_tick_with_what_is_there_and_what_comes_then_is_counted_as_late() -> None:
    core = after(at(10))
    core.close(FIRST)
    assert said(core.take_cuts()) == [(0, [("a", 1)])]
    core.observe([a_message(at(890), 2), a_message(at(901), 3)])
    assert core.counts["late_events"] == 1
    core.close(FIRST + TICK)
    assert said(core.take_cuts()) == [(1, [("a", 3)])]


def test_closing_what_is_closed_changes_nothing() -> None:
    core = after(at(10), at(901))
    core.close(FIRST)
    assert said(core.take_cuts()) == [(0, [("a", 1)])]
    assert core.open_unix_nano == FIRST + TICK


def test_a_clock_that_is_ahead_closes_no_tick_of_tomorrow() -> None:
    core = after(at(10))
    ahead = at(12 * 3_600)
    core.observe([RawMessage(2, a_message(ahead, 2).subject, a_message(ahead, 2).payload, at(15).time_unix_nano)])
    assert core.take_cuts() == []
    assert core.open_unix_nano == FIRST


def test_what_an_account_says_does_not_depend_on_when_it_is_asked() -> None:
    """The references go on when others write; an account that is silent says the same to a new aggregator as to the old."""
    people = [at(float(n), f"p{n % 40}") for n in range(880)]
    core = after(*people, *[at(900 + n, f"p{n % 40 if n % 40 != 7 else 8}") for n in range(800)])
    core.close(FIRST + TICK)
    first, _ = core.take_cuts()
    core.say_all_again()
    core.close(FIRST + 2 * TICK)
    (again,) = core.take_cuts()
    (before,) = [summary for summary in first.summaries if summary.account == "p7"]
    (after_all,) = [summary for summary in again.summaries if summary.account == "p7"]
    assert before == after_all
    assert len(again.summaries) == 40


def test_a_new_owner_says_at_once_what_the_one_before_it_said_in_many_ticks() -> None:
    core = a_core()
    core.resume_after(FIRST + 2 * TICK)
    events = [at(10), at(901, "b"), at(1_801, "c"), at(2_701, "d"), at(3_601, "e")]
    core.observe([a_message(event, sequence) for sequence, event in enumerate(events, start=1)])
    assert said(core.take_cuts()) == [(3, [("a", 1), ("b", 1), ("c", 1), ("d", 1)])]


def test_cuts_that_nobody_takes_are_bounded_and_nothing_is_lost() -> None:
    core = after(*[at(900 * n + 1, f"a{n}") for n in range(MAX_CUTS + 4)])
    cuts = core.take_cuts()
    assert len(cuts) == MAX_CUTS
    assert core.counts["merged_cuts"] == 3
    core.close(FIRST + (MAX_CUTS + 4) * TICK)
    (rest,) = core.take_cuts()
    assert {s.account for cut in [*cuts, rest] for s in cut.summaries} == {f"a{n}" for n in range(MAX_CUTS + 4)}


@pytest.mark.parametrize("crash", range(1, 8))
def test_a_snapshot_keeps_what_is_to_be_said(crash: int) -> None:
    events = [at(10), at(20, "b"), at(901, "c"), at(890, "d"), at(1_000, "a"), at(1_850, "b"), at(2_701)]
    messages = [a_message(event, sequence) for sequence, event in enumerate(events, start=1)]
    whole, first, second = a_core(), a_core(), a_core()
    whole.observe(messages)
    first.observe(messages[:crash])
    cuts = first.take_cuts()
    second.restore(first.snapshot())
    second.observe(messages)
    assert cuts + second.take_cuts() == whole.take_cuts()


def test_ticks_of_an_hour_stand_where_hours_stand() -> None:
    assert tick_after(T0, HOUR) % HOUR == 0
