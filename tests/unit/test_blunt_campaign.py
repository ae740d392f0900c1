"""A beginner's campaign is acted on at once and nobody else is: whoever misses it is broken.

The first day of configs/scenarios/naive.yaml, whole, through the cluster's own core under the default policy.
"""

from __future__ import annotations

from collections import Counter

import pytest

from launch.scenarios import load_scenario, resized
from launch.settings import load_policy, load_settings
from stillwatch.backtest import Backtest
from stillwatch.backtest.ours import Stillwatch
from stillwatch.simulator import BuiltinTexts, labels, simulate

SCENARIO = load_scenario("configs/scenarios/naive.yaml", 2_024)
Played = tuple[dict[str, str], Counter[str], Backtest]


@pytest.fixture(scope="module")
def played() -> Played:
    scenario = resized(SCENARIO, days=1)
    kinds = {row.account: row.kind for row in labels(scenario)}
    settings = load_settings("configs/default.yaml", {"partitions": 1, "shards": 1}, environment={})
    run = Backtest(Stillwatch(settings, load_policy("configs/policies/default.yaml")))
    sent: Counter[str] = Counter()
    for event in simulate(scenario, BuiltinTexts()):
        run.feed(event)
        sent[event.account] += 1
    run.finish()
    return kinds, sent, run


def test_all_of_its_accounts_are_acted_on(played: Played) -> None:
    kinds, sent, run = played
    attackers = {account for account in sent if kinds[account] == "attack"}
    assert len(attackers) >= 15  # the others are not there yet on the first day
    assert attackers <= set(run.ledger.first_action)


def test_before_it_has_made_two_in_a_hundred_of_its_requests(played: Played) -> None:
    kinds, sent, run = played
    attackers = [account for account in sent if kinds[account] == "attack"]
    before = sum(sent[account] - run.ledger.accounts[account].refused for account in attackers)
    assert before <= 0.02 * SCENARIO.days * sum(sent[account] for account in attackers)


def test_no_honest_account_is_acted_on(played: Played) -> None:
    kinds, _, run = played
    assert [account for account in run.ledger.first_action if kinds[account] != "attack"] == []
