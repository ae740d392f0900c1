"""What the backtest relies on, for every detector alike: ours and each rival."""

import math

import pytest

from launch.detectors import DETECTORS, load_thresholds, make_detector
from launch.scenarios import load_scenario
from launch.settings import load_policy
from stillwatch.backtest import Backtest, Detector, Input, encode, report
from stillwatch.event import RequestEvent
from stillwatch.rivals import RIVALS
from stillwatch.settings import Settings
from stillwatch.simulator import BuiltinTexts, simulate
from stillwatch.verdict import ACTIONS

EVENTS = list(simulate(load_scenario("configs/scenarios/small.yaml"), BuiltinTexts()))[:1_200]
POLICY = load_policy("configs/policies/default.yaml")


def a_detector(name: str, thresholds: dict[str, float] | None = None) -> Detector:
    return make_detector(name, Settings(partitions=2, shards=1), POLICY, thresholds or {})


def played(detector: Detector, events: list[RequestEvent], *, enforce: bool = True) -> Backtest:
    run = Backtest(detector, enforce=enforce)
    for event in events:
        run.feed(event)
    run.finish()
    return run


@pytest.mark.parametrize("name", DETECTORS)
def test_the_same_events_give_the_same_bytes(name: str) -> None:
    reports = [encode(report(played(a_detector(name, {name: 0.5}), EVENTS), None, Input())) for _ in range(2)]
    assert reports[0] == reports[1]


@pytest.mark.parametrize("name", DETECTORS)
def test_scores_are_finite_and_of_accounts_that_sent_something(name: str) -> None:
    detector = a_detector(name)
    played(detector, EVENTS)
    scores = detector.scores()
    assert all(math.isfinite(score) for score in scores.values())
    assert set(scores) <= {event.account for event in EVENTS}


@pytest.mark.parametrize("name", DETECTORS)
def test_events_without_any_attribute_are_no_trouble(name: str) -> None:
    bare = [RequestEvent(event.id, event.account, event.time_unix_nano) for event in EVENTS[:400]]
    detector = a_detector(name, {name: 1e9})
    assert played(detector, bare).ledger.actions == []


@pytest.mark.parametrize("name", RIVALS)
def test_without_a_threshold_a_rival_acts_on_nobody(name: str) -> None:
    assert played(a_detector(name), EVENTS).ledger.actions == []


@pytest.mark.parametrize("name", sorted(set(RIVALS) - {"mmd"}))
def test_below_every_score_a_rival_acts_once_on_each_account_that_it_scores(name: str) -> None:
    """Without `mmd`: 1,200 requests are its reference and leave it nothing to score."""
    detector = a_detector(name, {name: -1e9})
    actions = played(detector, EVENTS, enforce=False).ledger.actions
    assert len(actions) == len({action.account for action in actions}) > 0
    assert {action.account for action in actions} == set(detector.scores())
    assert all(action.action in ACTIONS[1:] and action.expires_unix_nano > action.at_unix_nano for action in actions)


def test_every_rival_has_a_threshold_made_on_honest_traffic() -> None:
    assert set(load_thresholds()) == set(RIVALS)
