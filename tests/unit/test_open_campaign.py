"""The evidence of one campaign over its groups: what multiplies and what does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from launch.settings import load_policy
from stillwatch.campaigns import OpenCampaign, describe, recalled
from stillwatch.correlation.conduct import GroupConduct
from stillwatch.correlation.linkage import LinkageIndex
from stillwatch.correlation.table import AccountTable
from stillwatch.correlation.verify import MAX_ALONE_E, GroupTest
from stillwatch.policy import Population, decide_campaign
from stillwatch.verdict import Campaign, Member, Signal

REVOKES = min(
    rule.min_e_value or 1.0 for rule in load_policy("configs/policies/default.yaml").rules if rule.action == "revoke"
)


def a_test(e_value: float, supported: float | None = None) -> GroupTest:
    return GroupTest(
        kept=np.arange(3), tested_accounts=20, f=0.0, normal_f=(0.01, 0.05), p_value=0.1, e_value=e_value, breadth=0.8,
        concentration=20.0, floor=0.003, supported=e_value if supported is None else supported,
    )  # fmt: skip


def a_campaign(*groups: tuple[GroupTest, set[str]]) -> OpenCampaign:
    campaign = OpenCampaign("c-1", 1, groups[0][0])
    for found, accounts in groups:
        campaign.add_evidence(found, frozenset(accounts), found.e_value)
    return campaign


def test_evidence_of_groups_without_a_common_account_multiplies() -> None:
    assert a_campaign((a_test(50), {"a", "b"}), (a_test(20), {"c"})).e_value == pytest.approx(1_000)


def test_a_group_that_overlaps_with_a_stronger_one_adds_nothing() -> None:
    assert a_campaign((a_test(20), {"a", "c"}), (a_test(50), {"a", "b"})).e_value == 50


def test_volume_alone_never_reaches_what_revokes_however_many_values_it_is_split_over() -> None:
    blunt = a_test(MAX_ALONE_E / 3, supported=0.8)
    campaign = a_campaign(*((blunt, {f"a{n}"}) for n in range(40)))
    assert campaign.e_value == pytest.approx(MAX_ALONE_E / 3)
    assert campaign.e_value < REVOKES


def test_volume_alone_adds_nothing_to_what_content_supports() -> None:
    campaign = a_campaign((a_test(MAX_ALONE_E / 3, supported=1.0), {"a"}), (a_test(40), {"b"}), (a_test(30), {"c"}))
    assert campaign.e_value == pytest.approx(MAX_ALONE_E / 3)


def test_leftovers_of_blunt_groups_do_not_add_up() -> None:
    assert a_campaign(*((a_test(3_000, supported=1.5), {f"a{n}"}) for n in range(60))).e_value == 3_000


def test_only_the_strongest_evidence_is_remembered() -> None:
    campaign = a_campaign(*((a_test(10.0 + n), {f"a{n}"}) for n in range(500)))
    assert len(campaign.evidence) == 64
    assert min(e_value for e_value, _, _ in campaign.evidence) == 446


def published(e_value: float) -> Campaign:
    signals = (
        Signal("homogeneity", 0.001, (0.01, 0.05), 3.0, "alike"),
        Signal("pool_breadth", 0.8, None, None, "broad"),
    )
    members = (Member("a", 0.99, 10, 100), Member("b", 0.3, 10, 100))
    return Campaign("c-1", 1, 2, members, signals, e_value, ("signup=a=b",), 20, 200)


def test_a_restart_does_not_make_volume_alone_multiply() -> None:
    campaign = recalled(published(MAX_ALONE_E / 3))
    campaign.add_evidence(a_test(40), frozenset({"c"}), 40)
    assert campaign.e_value == pytest.approx(MAX_ALONE_E / 3)


def test_a_recalled_campaign_keeps_its_evidence_its_sure_members_and_its_values() -> None:
    campaign = recalled(published(1e6))
    assert (campaign.e_value, campaign.core, campaign.keys) == (1e6, frozenset({"a"}), (("signup", "a=b"),))
    assert campaign.confidence_of("b") == 0.3


def blunt_campaign() -> Campaign:
    """Found in the first hour: nobody to compare topics with, nothing known in time but how much they send."""
    conduct = GroupConduct("together", 6.0, (-0.5, 1.5), 1e-12, 1e9, 20, volume=6.0)
    found = replace(a_test(MAX_ALONE_E / 3, supported=0.0), normal_f=None, p_value=1.0, conduct=conduct)
    campaign = OpenCampaign("c-1", 1, found)
    campaign.add_evidence(found, frozenset({"a"}), found.e_value)
    return describe(campaign, AccountTable(10, LinkageIndex(10)), np.full(256, 1 / 256), 5)


def test_a_blunt_campaign_is_explained_by_how_much_it_sends_and_not_by_what_is_not_known() -> None:
    told = {signal.name: signal for signal in blunt_campaign().signals}
    assert told["homogeneity"].normal is None
    assert "too few other accounts" in told["homogeneity"].sentence
    assert "even" not in told["conduct"].sentence
    assert "far more than people do: +6.0" in told["volume"].sentence


def test_the_reason_of_a_verdict_is_what_stands_out_most() -> None:
    campaign = replace(blunt_campaign(), members=(Member("a", 0.999, 10, 100),))
    policy = load_policy("configs/policies/default.yaml")
    (verdict,) = decide_campaign(campaign, policy, Population(100, {}, {}), 5, "")
    assert verdict.action == "throttle"
    assert "how much they send" in verdict.reason


def test_a_restart_does_not_make_up_a_normal_range_that_nobody_knew() -> None:
    assert recalled(blunt_campaign()).best.normal_f is None
