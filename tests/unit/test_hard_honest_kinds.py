"""Honest traffic that looks like a campaign, played through the cluster's own core: nobody is acted on, kind by kind.

A small cut of configs/scenarios/honest-hard.yaml. The whole of it, with seeds: `python -m benchmarks.tables`.
"""

from __future__ import annotations

import pytest

from launch.scenarios import load_scenario, resized
from launch.settings import load_policy, load_settings
from stillwatch.backtest import Backtest
from stillwatch.backtest.ours import Stillwatch
from stillwatch.simulator import BuiltinTexts, labels, simulate

KINDS = ("agent", "batch", "ci", "classroom", "evaluation", "gateway", "reseller", "saas", "team", "user")


@pytest.fixture(scope="module")
def played() -> tuple[dict[str, str], Stillwatch, Backtest]:
    scenario = resized(load_scenario("configs/scenarios/honest-hard.yaml", 2_024), scale=0.2, days=2)
    settings = load_settings("configs/default.yaml", {"partitions": 1, "shards": 1}, environment={})
    detector = Stillwatch(settings, load_policy("configs/policies/default.yaml"))
    run = Backtest(detector)
    for event in simulate(scenario, BuiltinTexts()):
        run.feed(event)
    run.finish()
    return {row.account: row.kind for row in labels(scenario)}, detector, run


@pytest.mark.parametrize("kind", KINDS)
def test_no_account_of_the_kind_is_acted_on(kind: str, played: tuple[dict[str, str], Stillwatch, Backtest]) -> None:
    kinds, _, run = played
    assert any(found == kind for found in kinds.values())
    assert [account for account in run.ledger.first_action if kinds[account] == kind] == []


def test_many_had_an_opinion(played: tuple[dict[str, str], Stillwatch, Backtest]) -> None:
    """Else the silence above would be worth nothing."""
    _, detector, _ = played
    scored = [view for _, view in detector.views() if view.score.score is not None]
    assert len(scored) >= 50
