from dataclasses import replace

import numpy as np
from factories import T0, a_summary, topic_counts

from launch.settings import load_policy
from stillwatch.correlation.linkage import LinkageIndex
from stillwatch.correlation.table import AccountTable
from stillwatch.decisions import Decider
from stillwatch.never_act import Protection
from stillwatch.policy import held, revocations_of
from stillwatch.revocation import Hold
from stillwatch.settings import PolicyLimits
from stillwatch.verdict import AccountScore, Campaign, Member, Signal

SIGNAL = Signal("homogeneity", 0.0, (0.01, 0.05), 8.0, "they are fed from one pool")
POLICY = load_policy("configs/policies/demo.yaml")


def a_campaign(e_value: float = 1e6, accounts: int = 2) -> Campaign:
    members = tuple(Member(f"a{number}", 0.999, 100, 9_000) for number in range(accounts))
    return Campaign("c-1", 1, 2, members, (SIGNAL,), e_value, ("signup=x",), 100, 9_000)


def a_table(accounts: int = 10, **known: str) -> AccountTable:
    table = AccountTable(1_000, LinkageIndex(100))
    counts = topic_counts(np.random.default_rng(1), np.full(256, 1 / 256), 20)
    for number in range(accounts):
        table.put(a_summary(f"a{number}", counts, **known))  # type: ignore[arg-type]
    return table


def test_what_was_carried_out_is_not_decided_again() -> None:
    decider, table = Decider(POLICY, "sha"), a_table()
    first = decider.on_campaign(a_campaign(), table, T0)
    assert [verdict.action for verdict in first] == ["revoke"]
    for verdict in first:
        decider.taken(verdict)
    assert decider.on_campaign(a_campaign(), table, T0) == []


def test_what_was_decided_but_not_carried_out_is_decided_again() -> None:
    decider, table = Decider(POLICY, "sha"), a_table()
    assert decider.on_campaign(a_campaign(), table, T0) == decider.on_campaign(a_campaign(), table, T0) != []


def test_a_stronger_action_is_news() -> None:
    decider, table = Decider(POLICY, "sha"), a_table()
    for verdict in decider.on_campaign(a_campaign(e_value=2_000), table, T0):
        decider.taken(verdict)
    assert [verdict.action for verdict in decider.on_campaign(a_campaign(), table, T0)] == ["revoke"]


def test_what_an_earlier_life_revoked_is_not_decided_again() -> None:
    table = a_table()
    (verdict,) = Decider(POLICY, "sha").on_campaign(a_campaign(), table, T0)
    [revocation] = revocations_of(verdict, "enforce", 1, None)
    decider = Decider(POLICY, "sha")
    decider.remember(revocation)
    assert decider.on_campaign(a_campaign(), table, T0) == []


def test_verification_known_to_the_table_makes_the_action_milder() -> None:
    (verdict,) = Decider(POLICY, "sha").on_campaign(a_campaign(), a_table(verification="contract"), T0)
    assert verdict.action == "challenge"


def test_beyond_the_blast_radius_a_verdict_is_held_and_says_which_limit() -> None:
    policy = POLICY.model_copy(update={"limits": PolicyLimits(max_share_of_active_accounts=0.1)})
    decider, table = Decider(policy, "sha"), a_table()
    (verdict,) = decider.on_campaign(a_campaign(), table, T0)
    [admitted] = decider.limited(verdict, table, {})
    assert admitted.verdict == verdict
    assert admitted.held is not None
    assert admitted.held.name == "share_of_active_accounts"
    assert admitted.held.words in held(verdict, admitted.held.words).reason


def test_an_organisations_share_is_counted_over_its_accounts_in_the_table() -> None:
    policy = POLICY.model_copy(update={"limits": PolicyLimits(max_share_of_active_accounts=1)})
    decider, table = Decider(policy, "sha"), a_table(organisation="acme")
    (verdict,) = decider.on_campaign(a_campaign(accounts=6), table, T0)
    [admitted] = decider.limited(verdict, table, {})
    assert admitted.held is not None
    assert admitted.held.name == "share_of_organisation"
    (verdict,) = decider.on_campaign(a_campaign(accounts=5), table, T0)
    [admitted] = decider.limited(verdict, table, {})
    assert admitted.held is None


def test_what_an_earlier_life_did_counts_against_the_limits() -> None:
    table = a_table()
    (verdict,) = Decider(POLICY, "sha").on_campaign(a_campaign(accounts=5), table, T0)
    [revocation] = revocations_of(verdict, "enforce", 1, None)
    (other,) = Decider(POLICY, "sha").on_campaign(replace(a_campaign(accounts=10), id="c-2"), table, T0)
    other = replace(other, members=other.members[5:])
    new_life = Decider(POLICY, "sha")
    new_life.remember(revocation)
    assert new_life.limited(other, table, {})[0].held is not None
    assert Decider(POLICY, "sha").limited(other, table, {})[0].held is None
    undone = Decider(POLICY, "sha")
    undone.remember(revocation.undone(2, "op"))
    assert undone.limited(other, table, {})[0].held is None


def test_what_waited_counts_against_the_limits_from_when_it_acts() -> None:
    policy = POLICY.model_copy(update={"limits": PolicyLimits(max_share_of_active_accounts=0.5)})
    table, hour = a_table(), 3_600 * 10**9
    decider = Decider(policy, "sha")
    (verdict,) = decider.on_campaign(a_campaign(accounts=5), table, T0)
    assert decider.limited(verdict, table, {})[0].held is None
    [waiting] = revocations_of(verdict, "enforce", 1, None, Hold("stale: lag", 2, 2, releases_itself=True))
    ended = T0 + verdict.ttl_s * 10**9
    assert decider.release(waiting, waiting.accounts, table, T0 + hour) is None
    released = replace(waiting, acts_from_unix_s=(T0 + hour) // 10**9)
    other = replace(verdict, members=("a6",), decided_at_unix_nano=ended)
    new_life = Decider(policy, "sha")
    new_life.remember(released)
    for one in (decider, new_life):
        [admitted] = one.limited(other, table, {})
        assert admitted.held is not None, "its time began when it was let act"
        [admitted] = one.limited(replace(other, decided_at_unix_nano=ended + hour), table, {})
        assert admitted.held is None


def test_whom_the_policy_names_nothing_is_decided_about_with_whatever_list_and_nothing_that_waited() -> None:
    (before,) = Decider(POLICY, "sha").on_campaign(a_campaign(), a_table(), T0)
    [waiting] = revocations_of(before, "enforce", 1, None)
    decider = Decider(POLICY.model_copy(update={"never_act": ("a1",)}), "sha")
    score = AccountScore("a1", 0.9, "severe", "observe", (SIGNAL,), None, T0, 100)
    for _ in range(2):
        (verdict,) = decider.on_campaign(a_campaign(), a_table(), T0)
        assert verdict.members == ("a0",)
        assert decider.on_score(score, T0) is None
        assert decider.on_score(replace(score, account="a2"), T0) is not None
        assert decider.still_hold(waiting, a_campaign(), a_table()) == ("a0",)
        decider.protect([Protection("account", "a9", "anna", "a reviewer", 0, 100, "anna")], 99)


def test_a_score_is_decided_once() -> None:
    decider = Decider(POLICY, "sha")
    score = AccountScore("a1", 0.9, "severe", "observe", (SIGNAL,), None, T0, 100)
    verdict = decider.on_score(score, T0)
    assert verdict is not None
    decider.taken(verdict)
    assert decider.on_score(score, T0) is None


def test_what_was_done_under_a_campaign_that_was_merged_is_not_done_again_under_the_other() -> None:
    decider, table = Decider(POLICY, "sha"), a_table()
    for verdict in decider.on_campaign(replace(a_campaign(), id="c-2"), table, T0):
        decider.taken(verdict)
    merged = replace(a_campaign(accounts=3), absorbed=("c-2",))
    (verdict,) = decider.on_campaign(merged, table, T0)
    assert verdict.members == ("a2",)


def test_what_a_person_has_lifted_since_the_snapshot_stays_lifted_and_exact_replays_keep_their_ids() -> None:
    table = a_table()
    (verdict,) = Decider(POLICY, "sha").on_campaign(a_campaign(accounts=3), table, T0)
    [revocation] = revocations_of(verdict, "enforce", 1, None)
    restored = Decider(POLICY, "sha")
    restored.remember_freed(revocation.undone(2, "anna"))
    assert restored.on_campaign(a_campaign(accounts=3), table, T0) == [verdict], "the store knows that it is undone"
    (other,) = restored.on_campaign(a_campaign(accounts=4), table, T0)
    assert other.members == ("a3",)
    (merged,) = restored.on_campaign(replace(a_campaign(accounts=4), id="c-2", absorbed=("c-1",)), table, T0)
    assert merged.members == ("a3",)
    not_undone = Decider(POLICY, "sha")
    not_undone.remember_freed(revocation)
    (wider,) = not_undone.on_campaign(a_campaign(accounts=4), table, T0)
    assert wider.members == ("a0", "a1", "a2", "a3")


def test_nobody_is_acted_on_who_is_only_remembered() -> None:
    """Who stands behind the account, the table has forgotten."""
    assert Decider(POLICY, "sha").on_campaign(a_campaign(), a_table(accounts=0), T0) == []
    (verdict,) = Decider(POLICY, "sha").on_campaign(a_campaign(accounts=2), a_table(accounts=1), T0)
    assert verdict.members == ("a0",)


def test_what_waited_is_let_act_on_whom_its_rule_would_cover_today() -> None:
    (verdict,) = Decider(POLICY, "sha").on_campaign(a_campaign(accounts=3), a_table(), T0)
    [waiting] = revocations_of(verdict, "enforce", 1, None)
    assert (verdict.action, waiting.accounts) == ("revoke", ("a0", "a1", "a2"))
    decider = Decider(POLICY, "sha")
    decider.taken(verdict)
    table, campaign = a_table(), a_campaign(accounts=3)
    assert decider.still_hold(waiting, campaign, table) == ("a0", "a1", "a2")
    verified = a_summary(
        "a1", topic_counts(np.random.default_rng(1), np.full(256, 1 / 256), 20), verification="contract"
    )
    table.put(replace(verified, last_seen_unix_nano=verified.last_seen_unix_nano + 1))
    assert decider.still_hold(waiting, campaign, table) == ("a0", "a2"), "its rule spares who is verified by now"
    assert decider.still_hold(waiting, campaign, a_table(accounts=2)) == ("a0", "a1"), "a2 is only remembered"
    unsure = replace(campaign, members=(replace(campaign.members[0], confidence=0.5), *campaign.members[1:]))
    assert decider.still_hold(waiting, unsure, a_table()) == ("a1", "a2")
