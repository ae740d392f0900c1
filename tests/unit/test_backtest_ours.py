"""The cluster's core behind the backtest: a planted campaign through the whole of it, wire format included."""

import pytest
from factories import T0
from pool_world import ATTACKERS, HONEST, a_world

from launch.settings import load_policy
from stillwatch.backtest import Backtest, Input, Truth, evaluate, report
from stillwatch.backtest.curves import area, split
from stillwatch.backtest.ours import Stillwatch
from stillwatch.event import RequestEvent
from stillwatch.settings import DetectionSettings, Policy, PolicyLimits, Settings
from stillwatch.ticks import tick_after
from stillwatch.verdict import strength

DEMO = load_policy("configs/policies/demo.yaml")
SHADOW = DEMO.model_copy(update={"mode": "shadow"})
# Few sets of honest accounts to compare with: they decide the normal range that is shown, not who is found.
TICK_S = 6 * 3_600
SETTINGS = Settings(
    partitions=2, shards=1, detection=DetectionSettings(null_sets=20, evaluation_tick_s=TICK_S)
)  # fmt: skip

WORLD = a_world(seed=4)
LABELS = {e.account: Truth("attack", "pool") if e.account.startswith("x") else Truth("user") for e in WORLD}


def played(policy: Policy = DEMO, *, enforce: bool = True) -> Backtest:
    run = Backtest(Stillwatch(SETTINGS, policy), enforce=enforce, tick_s=TICK_S)
    for event in WORLD:
        run.feed(event)
    run.finish()
    return run


@pytest.fixture(scope="module")
def whole() -> Backtest:
    return played()


def test_the_campaign_is_stopped_and_nobody_else(whole: Backtest) -> None:
    found = evaluate(whole.ledger, LABELS)
    assert found["attack"]["pool"]["acted_on"] >= 0.8 * ATTACKERS
    assert found["attack"]["pool"]["hours_to_half"] is not None
    assert found["benign"]["user"]["acted_on"] == 0


def test_every_action_names_its_campaign_its_evidence_and_its_end(whole: Backtest) -> None:
    campaigns = {campaign.id for campaign in whole.detector.campaigns()}
    for action in whole.ledger.actions:
        assert strength(action.action) >= 1
        assert action.campaign in campaigns
        assert action.signals
        assert action.sentence
        assert action.expires_unix_nano > action.at_unix_nano > whole.ledger.accounts[action.account].first_unix_nano


def test_what_is_refused_no_longer_reaches_the_detector(whole: Backtest) -> None:
    refused = sum(row.refused for row in whole.ledger.accounts.values())
    assert refused > 0
    served = played(enforce=False)
    assert sum(row.refused for row in served.ledger.accounts.values()) == 0
    assert [c.requests for c in served.detector.campaigns()] > [c.requests for c in whole.detector.campaigns()]


def test_a_shadow_policy_is_carried_out_because_that_is_the_question(whole: Backtest) -> None:
    assert played(SHADOW).ledger.first_action.keys() == whole.ledger.first_action.keys()


def test_the_blast_radius_holds_back_as_in_production_and_the_report_says_how_many() -> None:
    run = played(DEMO.model_copy(update={"limits": PolicyLimits(max_share_of_active_accounts=0.01)}))
    assert len(run.ledger.actions) <= 0.01 * (HONEST + ATTACKERS)
    assert report(run, LABELS, Input())["detector"]["held_back"] >= 0.8 * ATTACKERS


def test_members_of_a_campaign_stand_above_the_honest(whole: Backtest) -> None:
    kinds = {account: truth.kind for account, truth in LABELS.items()}
    found = area(split(whole.detector.scores(), kinds))
    assert found is not None
    assert found > 0.9


def test_the_hash_is_that_of_the_policy_as_it_was_given() -> None:
    assert Stillwatch(SETTINGS, SHADOW).id.config_sha256 == SETTINGS.config_sha256(SHADOW)


def test_other_ticks_than_the_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="no tick of 21600 s"):
        Stillwatch(SETTINGS, DEMO).advance(T0 + 1)


def test_an_event_that_the_cluster_would_refuse_is_refused_here_too() -> None:
    detector = Stillwatch(SETTINGS, DEMO)
    detector.observe(RequestEvent("1", "a", T0, {"gen_ai.request.temperature": "hot"}))
    detector.advance(tick_after(T0, TICK_S * 10**9))
    assert detector.rejected == 1
    assert detector.views() == []
