"""Campaigns keep the tests that they rest on, with the bar of that moment: bounded, through restarts and mergers."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
from factories import T0
from summary_worlds import evaluated, people, pool_accounts

from stillwatch.aggregator import AggregatorCore
from stillwatch.correlation.docket import Docket
from stillwatch.grounds import MAX_TESTS, GroupTested, kept
from stillwatch.settings import DetectionSettings
from stillwatch.verdict import Campaign

TEST = GroupTested(T0, "signup=x", 50, 0.0, None, 1e-6, (), 90.0, 90.0, 60.0, 3, 0.05, False)


def test_a_campaign_says_by_which_test_it_was_found_and_what_a_discovery_needed_then() -> None:
    rng = np.random.default_rng(1)
    (campaign,) = evaluated(people(rng, 300), pool_accounts(rng, 60)).campaigns()
    opening = [one for one in campaign.tests if one.opened]
    assert len(opening) == 1
    assert opening[0].weighted >= opening[0].bar > 1 / opening[0].level
    assert 1 <= opening[0].tests <= max(one.tests for one in campaign.tests)
    assert opening[0].group.partition("=")[0] == campaign.history[0][2].removeprefix("under ").partition("=")[0]
    assert len(campaign.tests) <= MAX_TESTS


def test_they_survive_a_restart() -> None:
    rng = np.random.default_rng(1)
    crowd, pool = people(rng, 300), pool_accounts(rng, 60)
    (before,) = evaluated(crowd, pool).campaigns()
    later = AggregatorCore(DetectionSettings())
    later.recall(Campaign.from_map(json.loads(json.dumps(before.to_map()))))
    later.fold([*crowd, *pool])
    later.evaluate()
    (after,) = later.campaigns()
    assert [one for one in after.tests if one.opened] == [one for one in before.tests if one.opened]


def test_of_a_group_the_strongest_test_is_kept_and_the_one_that_found_the_campaign_always() -> None:
    found = replace(TEST, opened=True, weighted=61.0)
    many = [
        replace(TEST, group=f"signup={number}", weighted=100.0 + number, at_unix_nano=T0 + number)
        for number in range(40)
    ]
    tests = kept([found, *many, replace(many[0], weighted=50.0)])
    assert len(tests) == MAX_TESTS
    assert tests[0] == found
    assert tests[-1].weighted == 139.0
    assert kept([many[3], replace(many[3], weighted=999.0)]) == (replace(many[3], weighted=999.0),)


def test_the_bar_falls_with_what_was_discovered_and_rises_with_what_was_tested() -> None:
    docket = Docket(level=0.05)
    docket.weigh(("address", "a"), 1.0)
    alone = docket.stand
    docket.weigh(("address", "b"), 1.0)
    assert docket.stand.bar == 2 * alone.bar == 40.0
    docket.confirm("c-1", 1_000.0)
    docket.confirm("c-2", 1_000.0)
    assert docket.stand.bar == alone.bar
    assert (docket.stand.tests, docket.stand.level) == (2, 0.05)
