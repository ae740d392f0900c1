import pytest
from detectors import Scripted
from factories import HOUR, SECOND, T0

from stillwatch.backtest import Backtest, EventOrder, campaigns_of, evaluate
from stillwatch.backtest.evaluation import Truth
from stillwatch.event import RequestEvent
from stillwatch.settings import DetectionSettings
from stillwatch.ticks import tick_after

H0 = tick_after(T0, HOUR)  # the clock's hours


def at(hours: float, account: str = "a", id: str = "") -> RequestEvent:
    return RequestEvent(id or f"{account}-{hours}", account, H0 + int(hours * HOUR))


def played(detector: Scripted, events: list[RequestEvent], **options: object) -> Backtest:
    run = Backtest(detector, **{"tick_s": 3_600, **options})  # type: ignore[arg-type]
    for event in events:
        run.feed(event)
    run.finish()
    return run


def test_ticks_stand_at_multiples_since_1970_wherever_the_first_event_is() -> None:
    detector = Scripted({})
    played(detector, [at(0.3), at(0.5), at(1.2), at(2.9)])
    assert detector.ticks == [H0 + HOUR, H0 + 2 * HOUR, H0 + 3 * HOUR]
    assert all(tick % HOUR == 0 for tick in detector.ticks)


def test_by_default_the_ticks_are_the_clusters() -> None:
    assert Backtest(Scripted({})).tick_s == DetectionSettings().evaluation_tick_s


def test_an_event_exactly_at_a_tick_comes_after_its_evaluation() -> None:
    detector = Scripted({"a": 1})
    run = played(detector, [at(0), at(1)])
    assert run.ledger.accounts["a"].before_action == 1


def test_silent_hours_are_not_evaluated() -> None:
    detector = Scripted({})
    played(detector, [at(0), at(1_000_000)])
    assert detector.ticks == [H0 + HOUR, H0 + 1_000_001 * HOUR]


def test_requests_after_an_action_are_refused_and_the_detector_is_told_only_that() -> None:
    detector = Scripted({"a": 2})
    run = played(detector, [at(0), at(0.1), at(1.5), at(1.6, "b")])
    assert [event.id for event in detector.observed] == ["a-0", "a-0.1", "b-1.6"]
    assert [(event.id, event.refused) for event in detector.refusals] == [("a-1.5", True)]
    row = run.ledger.accounts["a"]
    assert (row.requests, row.before_action, row.refused) == (3, 2, 1)


def test_without_enforcement_they_are_served_and_still_counted_as_after_the_action() -> None:
    detector = Scripted({"a": 2})
    run = played(detector, [at(0), at(0.1), at(1.5)], enforce=False)
    row = run.ledger.accounts["a"]
    assert len(detector.observed) == 3
    assert (row.requests, row.before_action, row.refused) == (3, 2, 0)


def test_an_action_that_has_expired_refuses_no_longer() -> None:
    detector = Scripted({"a": 1}, ttl_s=3_600)
    run = played(detector, [at(0), at(1.5), at(2.5)])
    assert run.ledger.accounts["a"].refused == 1
    assert [event.id for event in detector.observed] == ["a-0", "a-2.5"]


def test_an_event_that_comes_twice_counts_once() -> None:
    detector = Scripted({})
    run = played(detector, [at(0, id="x"), at(0.1, id="x"), at(0.2)])
    assert (run.ledger.events, run.ledger.duplicates, len(detector.observed)) == (2, 1, 2)


def test_a_tick_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="tick"):
        Backtest(Scripted({}), tick_s=0)


def test_hours_are_counted_from_the_campaigns_first_request() -> None:
    labels = {a: Truth("attack", "c") for a in "ab"} | {"u": Truth("user")}
    detector = Scripted({"a": 1, "b": 1, "u": 1}, action="throttle")
    run = played(detector, [at(0, "u"), at(5.5, "a"), at(9.2, "b"), at(9.4, "u")], follow=campaigns_of(labels))
    found = evaluate(run.ledger, labels)
    # `a` asks at 5.5 h and is acted on at the tick of 6 h, `b` at 9.2 h and 10 h.
    assert found["attack"]["c"] == {
        "accounts": 2, "acted_on": 2, "hours_to_half": 0.5, "hours_to_90": 4.5, "requests": 2, "requests_before_action": 2,
    }  # fmt: skip
    assert found["benign"] == {"user": {"accounts": 1, "acted_on": 1, "revoked": 0}}
    assert sum(asked for asked, _ in run.ledger.by_hour.values()) == 2


def test_an_account_that_no_label_names_counts_as_honest_and_is_shown_as_unlabelled() -> None:
    run = played(Scripted({"x": 1}), [at(0, "x")])
    assert evaluate(run.ledger, {})["benign"] == {"unlabelled": {"accounts": 1, "acted_on": 1, "revoked": 1}}


def test_a_silent_attacker_neither_leaks_nor_counts() -> None:
    labels = {a: Truth("attack", "c") for a in ("a", "silent")}
    run = played(Scripted({"a": 1}), [at(0)])
    assert evaluate(run.ledger, labels)["attack"]["c"]["accounts"] == 1


def test_files_are_merged_by_time_and_what_comes_too_late_is_counted() -> None:
    order = EventOrder(capacity=1)
    first = [at(1), at(3), at(2)]  # two places late, but the buffer holds one event
    second = [at(1.5, "b"), at(2.5, "b")]
    times = [(event.time_unix_nano - H0) / HOUR for event in order.merged([first, second])]
    assert sorted(times) == [1, 1.5, 2, 2.5, 3]
    assert order.late == 0
    order = EventOrder(capacity=1)
    assert [(e.time_unix_nano - H0) / HOUR for e in order.merged([[at(3), at(4), at(1)]])] == [3, 1, 4]
    assert order.late == 1


def test_equal_times_and_ids_in_two_files_do_not_trouble_the_order() -> None:
    same = RequestEvent("x", "a", T0 + SECOND, {"k": [1]})  # type: ignore[dict-item, list-item]
    assert len(list(EventOrder().merged([[same], [same]]))) == 2


def test_a_closed_loop_learns_of_an_action_as_a_gateways_caller_would() -> None:
    run = played(Scripted({"a": 1}, ttl_s=3_600), [at(0), at(0.5, "b")])
    ends = run.ledger.first_action["a"].expires_unix_nano
    assert [run.refuses("a", time) for time in (ends - 1, ends)] == [True, False]
    assert not run.refuses("b", ends - 1)
    assert not played(Scripted({"a": 1}), [at(0)], enforce=False).refuses("a", T0)
