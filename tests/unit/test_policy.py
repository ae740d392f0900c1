from dataclasses import replace

import pytest
from pydantic import ValidationError

from launch.settings import load_policy
from stillwatch.never_act import NeverAct, Protection
from stillwatch.policy import Population, decide_account, decide_campaign, revocations_of
from stillwatch.settings import Policy, PolicyRule
from stillwatch.verdict import AccountScore, Action, Campaign, Member, Signal

SIGNAL = Signal("homogeneity", 0.0, (0.01, 0.05), 8.0, "they are fed from one pool")
DEFAULT = load_policy("configs/policies/default.yaml")


def a_campaign(e_value: float = 1e6, **confidences: float) -> Campaign:
    members = tuple(Member(name, confidence, 100, 9_000) for name, confidence in (confidences or {"a": 0.999}).items())
    return Campaign("c-1", 1, 2, members, (SIGNAL,), e_value, ("signup=x",), 100, 9_000)


def actions(campaign: Campaign, policy: Policy = DEFAULT, **known: dict[str, str]) -> dict[str, Action]:
    population = Population(1_000, known.get("verification", {}), known.get("acted_on", {}))  # type: ignore[arg-type]
    verdicts = decide_campaign(campaign, policy, population, 5, "sha")
    return {account: verdict.action for verdict in verdicts for account in verdict.members}


def test_the_default_policy_is_shadow() -> None:
    assert DEFAULT.mode == "shadow"


def test_strong_evidence_revokes_sure_members_and_spares_unsure_ones() -> None:
    assert actions(a_campaign(a=0.999, b=0.5)) == {"a": "revoke"}


def test_weaker_evidence_acts_more_mildly() -> None:
    assert actions(a_campaign(e_value=2_000, a=0.999)) == {"a": "throttle"}
    assert actions(a_campaign(e_value=50, a=0.999)) == {}


def test_a_verified_organisation_is_challenged_and_not_revoked() -> None:
    assert actions(a_campaign(a=0.999), verification={"a": "contract"}) == {"a": "challenge"}


def test_an_unknown_verification_counts_as_none() -> None:
    assert actions(a_campaign(a=0.999), verification={"a": "platinum"}) == {"a": "revoke"}


def test_what_was_done_is_not_done_again_but_a_stronger_action_is() -> None:
    assert actions(a_campaign(a=0.999), acted_on={"a": "revoke"}) == {}
    assert actions(a_campaign(a=0.999), acted_on={"a": "throttle"}) == {"a": "revoke"}


def test_the_same_decision_has_the_same_id_and_another_one_has_not() -> None:
    population = Population(10, {}, {})
    first, again = (decide_campaign(a_campaign(), DEFAULT, population, now, "sha")[0] for now in (5, 6))
    other = decide_campaign(a_campaign(b=0.999), DEFAULT, population, 5, "sha")[0]
    assert first.id == again.id != other.id


def a_score(score: float | None) -> AccountScore:
    return AccountScore("a", score, "severe", "observe", (SIGNAL,), None, 1, 50)


def test_a_score_alone_is_shown_to_a_person_and_acts_on_nobody() -> None:
    verdict = decide_account(a_score(0.9), DEFAULT, 5, "sha")
    assert verdict is not None
    assert verdict.action == "observe"
    assert revocations_of(verdict, "enforce", 5, None) == []


def test_no_opinion_leads_to_no_verdict() -> None:
    assert decide_account(a_score(None), DEFAULT, 5, "sha") is None
    assert decide_account(a_score(0.1), DEFAULT, 5, "sha") is None


def test_a_revocation_carries_reason_ttl_and_verdict() -> None:
    verdict = decide_campaign(a_campaign(), DEFAULT, Population(10, {}, {}), 5, "sha")[0]
    [revocation] = revocations_of(verdict, "enforce", 100, "00-x")
    assert revocation.expires_unix_s == 100 + verdict.ttl_s
    assert revocation.verdict == verdict.id
    assert "one pool" in revocation.reason
    assert revocation.state(101) == "active"
    [shadow] = revocations_of(verdict, "shadow", 100, None)
    assert shadow.state(101) == "shadow"


def test_a_verdict_about_more_accounts_than_a_record_holds_is_several_revocations() -> None:
    members = {f"a{number:05}": 0.999 for number in range(12_000)}
    verdict = decide_campaign(a_campaign(**members), DEFAULT, Population(50_000, {}, {}), 5, "sha")[0]
    first, second = revocations_of(verdict, "enforce", 100, None)
    assert first.accounts + second.accounts == verdict.members
    assert first.id != second.id
    assert first.verdict == second.verdict == verdict.id


def test_nobody_on_the_never_act_list_is_in_a_verdict_and_its_end_is_the_end_of_it() -> None:
    entries = [
        Protection("account", "a", "anna", "a reviewer", 0, 100, "anna"),
        Protection("organisation", "acme", "anna", "contract talks", 0, 100, "anna"),
    ]
    campaign = a_campaign(a=0.999, b=0.999, c=0.999)
    campaign = replace(
        campaign,
        members=(*campaign.members[:1], replace(campaign.members[1], organisation="acme"), campaign.members[2]),
    )
    for now_s, acted_on in ((99, {"c"}), (100, {"a", "b", "c"})):
        never_act = NeverAct(entries, now_s)
        population = Population(1_000, {}, {}, never_act)
        verdicts = decide_campaign(campaign, DEFAULT, population, 5, "sha")
        assert {account for verdict in verdicts for account in verdict.members} == acted_on
        assert (decide_account(a_score(0.9), DEFAULT, 5, "sha", never_act) is None) == (now_s == 99)
        other = replace(a_score(0.9), account="z")
        assert (decide_account(other, DEFAULT, 5, "sha", never_act, "acme") is None) == (now_s == 99)


def test_a_rule_without_its_threshold_and_a_name_that_stands_twice_are_refused() -> None:
    rule = {"name": "r", "kind": "campaign", "action": "revoke", "ttl_s": 60, "min_e_value": 10}
    with pytest.raises(ValidationError, match="needs min_e_value"):
        PolicyRule.model_validate({**rule, "min_e_value": None})
    with pytest.raises(ValidationError, match="unique"):
        Policy.model_validate({"version": "1", "rules": [rule, rule]})
