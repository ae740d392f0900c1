"""The extraction meter: what was taken, of what, and how much of it today. Never more than was sent, whatever happens."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from factories import HOUR, T0, a_summary

from stillwatch.extraction import Extraction, measure, topics_covered
from stillwatch.lexicon import CAPABILITIES
from stillwatch.summary import AccountSummary
from stillwatch.verdict import Member

DAY = 24 * HOUR
DEMAND = np.full(256, 1 / 256)


def sent(account: str, requests: int, now: int = T0, since: int = T0 - 10 * DAY, **known: object) -> AccountSummary:
    counts = np.zeros((2, 256), dtype=np.int64)
    found = replace(a_summary(account, counts, now=now), events=requests, tokens=700 * requests)
    return replace(found, window_from_unix_nano=since, **known)  # type: ignore[arg-type]


def metered(
    summaries: Sequence[AccountSummary], now: int = T0, before: Extraction | None = None,
    known: Sequence[AccountSummary] = (), left: Sequence[str] = (), gone: Sequence[Member] = (),
) -> Extraction:  # fmt: skip
    members = [*(Member(s.account, 0.99, s.events, s.tokens) for s in known), *gone]
    pool = np.array([3.0, 1.0, 1.0, *[0.0] * 253])
    return measure(summaries, gone, pool, DEMAND, now, before, members, left)


def test_a_new_members_last_day_is_an_average_one() -> None:
    found = metered([sent("a", 260), sent("b", 26, since=T0 - HOUR)])
    assert (found.requests, found.requests_last_day, found.tokens_last_day) == (286, 26 + 26, 700 * 52)


def test_who_fell_silent_before_yesterday_took_nothing_today() -> None:
    assert metered([sent("a", 260, now=T0 - 2 * DAY)], now=T0).requests_last_day == 0


def test_what_known_members_send_counts_in_its_hour_and_leaves_after_a_day() -> None:
    first = [sent("a", 100, now=T0 - 2 * DAY)]
    found = metered(first)
    for hour in range(1, 4):
        then = [sent("a", 100 + 10 * hour, now=T0 + hour * HOUR)]
        found = metered(then, T0 + hour * HOUR, found, known=first)
        first = then
    assert found.requests_last_day == 30
    assert metered(first, T0 + 27 * HOUR, found, known=first).requests_last_day == 0
    assert found.silent(T0 + 26 * HOUR).requests_last_day == 10


def test_what_an_account_forgets_at_the_end_of_an_era_stays_leaked() -> None:
    before = [sent("a", 500), sent("b", 300)]
    after = [sent("a", 40), sent("b", 310)]
    found = metered(after, T0 + HOUR, metered(before), known=before)
    assert (found.requests, found.tokens) == (810, 700 * 810)


def test_who_proves_to_be_no_member_did_not_leak() -> None:
    both = [sent("a", 500), sent("b", 300)]
    assert metered(both[:1], T0 + HOUR, metered(both), known=both, left=["b"]).requests == 500


def test_who_is_gone_from_the_table_still_did() -> None:
    both = [sent("a", 500), sent("b", 300)]
    gone = [Member("b", 0.99, 300, 700 * 300)]
    assert metered(both[:1], T0 + HOUR, metered(both), known=both[:1], gone=gone).requests == 800


def test_a_member_that_comes_back_after_a_restart_does_not_count_twice() -> None:
    both = [sent("a", 500), sent("b", 300)]
    alone = metered(both[:1], T0 + HOUR, metered(both), known=both)
    assert metered(both, T0 + 2 * HOUR, alone, known=both[:1]).requests == 800


def test_the_hours_kept_are_one_day_whatever_the_times() -> None:
    found = metered([sent("a", 10)])
    for hour in (0, 1, 1, 5, 40, 41, 3, 200, *range(300, 400)):
        found = metered([sent("a", 10)], T0 + hour * HOUR, found)
    assert len(found.hours) == 24


def test_capabilities_are_counted_and_stay_when_less_is_known() -> None:
    counts = (60, 30, *[0] * (len(CAPABILITIES) - 2))
    before = [sent("a", 100, capabilities=counts)]
    found = metered(before)
    assert (found.asked, found.capabilities) == (100, ((CAPABILITIES[0], 60), (CAPABILITIES[1], 30)))
    later = metered([sent("a", 10, capabilities=(1, *[0] * 23))], T0 + HOUR, found, known=before)
    assert (later.asked, later.capabilities) == (100, found.capabilities)
    assert "2 of 24 capabilities, most for code (60% of requests)" in found.sentence


def test_a_topic_asked_about_once_is_covered_and_weighs_what_people_ask() -> None:
    demand = np.array([0.9, 0.1, 0.0])
    assert topics_covered(np.array([1.0, 0.0, 5.0]), demand) == 0.9
    assert topics_covered(np.zeros(3), demand) == 0.0
    assert topics_covered(np.ones(3), np.zeros(3)) == 0.0


def test_completeness_is_good_and_turings() -> None:
    assert metered([sent("a", 5)]).completeness == pytest.approx(1 - 2 / 5)


def test_it_is_the_same_after_a_journey_as_json() -> None:
    found = metered([sent("a", 500)])
    assert Extraction.from_map(json.loads(json.dumps(found.to_map(), allow_nan=False))) == found
