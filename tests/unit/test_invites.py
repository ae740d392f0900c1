"""Who was invited by whom: the value that invitees and inviter share, and trees of more than one step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from factories import an_event
from hypothesis import given
from hypothesis import strategies as st
from summary_worlds import people, pool_accounts

from stillwatch.account import AccountState
from stillwatch.aggregator import AggregatorCore
from stillwatch.correlation.invites import TREE, trees
from stillwatch.correlation.linkage import Key, LinkageIndex
from stillwatch.correlation.table import AccountTable
from stillwatch.settings import DetectionSettings
from stillwatch.summary import AccountSummary, summarise

T0 = 1_790_000_000_000_000_000


def invited_by(summaries: list[AccountSummary], inviter: dict[str, str]) -> list[AccountSummary]:
    """These, with who has invited them and nothing else in common."""
    return [
        replace(one, links=(("invite", inviter[one.account]),) if one.account in inviter else ()) for one in summaries
    ]


def in_turn(accounts: list[str], each: int) -> dict[str, str]:
    """The first invites the next ``each``, the second the ``each`` after those, and so on."""
    return {account: accounts[(number - 1) // each] for number, account in enumerate(accounts) if number}


def a_table(inviter: dict[str, str], order: list[str] | None = None, max_group: int = 1_000) -> AccountTable:
    names = sorted({*inviter, *inviter.values()}) if order is None else order
    made = {one.account: one for one in people(np.random.default_rng(1), len(names))}
    table = AccountTable(10_000, LinkageIndex(max_group))
    for name, summary in zip(names, made.values(), strict=True):
        table.put(*invited_by([replace(summary, account=name)], inviter))
    return table


def of(table: AccountTable, fewest: int = 3, at_most: float = 100.0) -> dict[str, list[str]]:
    found = trees(table, table._links, table.with_at_least(0), fewest, at_most)
    assert all(view == TREE for (view, _), _ in found)
    return {top: [table.name(int(slot)) for slot in slots] for (_, top), slots in found}


def sharing(table: AccountTable, key: Key) -> set[str]:
    return {table.name(slot) for slot in table._links.sharing(key)}


# -- from an event to a value ------------------------------------------------------------------------------------------


def state_of(*inviters: str | None) -> AccountState:
    state = AccountState("acct-1", T0)
    for number, inviter in enumerate(inviters):
        named = {} if inviter is None else {"stillwatch.account.invited_by": inviter}
        state.observe(replace(an_event("acct-1", number), attributes=named), None)
    return state


def test_who_invited_an_account_is_kept_as_it_is_because_it_is_looked_up_among_the_accounts() -> None:
    hmac = "0123456789abcdef0123456789abcdef"
    assert summarise(state_of(hmac, None), 0).links == (("invite", hmac),)


def test_an_account_has_one_inviter_the_one_that_was_said_last_and_never_itself() -> None:
    assert summarise(state_of("b", "c"), 0).links == (("invite", "c"),)
    assert summarise(state_of("acct-1", ""), 0).links == ()


def test_what_is_too_long_for_a_token_is_still_had_in_common() -> None:
    ((view, value),) = summarise(state_of("x" * 65), 0).links
    assert (view, len(value)) == ("invite", 16)
    assert summarise(state_of("x" * 65), 0).links == summarise(state_of("x" * 65, "x" * 65), 0).links


def test_two_states_of_one_account_agree_on_who_invited_it_whichever_takes_in_the_other() -> None:
    early, late = state_of("b"), state_of("b", "c")
    late.last_seen_unix_nano = early.last_seen_unix_nano + 1
    early.merge(late)
    assert early.shared_values() == [("invite", "c")]
    other = state_of("b")
    late.merge(other)
    assert late.shared_values() == [("invite", "c")]


# -- the inviter and its invitees --------------------------------------------------------------------------------------


def test_the_inviter_shares_the_value_of_those_whom_it_invited_whoever_comes_first() -> None:
    inviter = dict.fromkeys(["b", "c", "d"], "a")
    for order in (["a", "b", "c", "d"], ["d", "c", "a", "b"]):
        table = a_table(inviter, order)
        assert sharing(table, ("invite", "a")) == {"a", "b", "c", "d"}
        everybody = table.slots("abcd")
        assert table._links.held_by(everybody) == [(("invite", "a"), 4, 3)]
        assert table._links.having(everybody, [("invite", "a")]).all()
        (key,), has = table._links.among(everybody, 2, 10)
        assert (key, has.sum()) == (("invite", "a"), 4)
        assert table.summary_of("a").links == ()  # type: ignore[union-attr]


def test_an_inviter_that_nobody_knows_still_links_its_invitees_and_one_that_is_forgotten_does_too() -> None:
    inviter = dict.fromkeys(["b", "c", "d"], "a")
    assert sharing(a_table(inviter, ["b", "c", "d"]), ("invite", "a")) == {"b", "c", "d"}
    table = a_table(inviter)
    table._links.sharing(("invite", "a"))
    table._evict(table.slots(["a"]))
    assert sharing(table, ("invite", "a")) == {"b", "c", "d"}


# -- trees -------------------------------------------------------------------------------------------------------------


def test_a_tree_of_two_steps_is_one_group_under_the_account_at_its_top() -> None:
    assert of(a_table({"b": "a", "c": "a", "d": "b", "e": "d"})) == {"a": ["a", "b", "c", "d", "e"]}


def test_a_tree_of_one_step_is_no_second_proposal_of_the_same_accounts() -> None:
    assert of(a_table(dict.fromkeys("bcdef", "a"))) == {}


def test_an_invitation_that_too_many_have_is_not_followed() -> None:
    everybody = dict.fromkeys((f"u{n}" for n in range(20)), "public-link")
    small = {"b": "u1", "c": "b", "d": "c", "x": "u2", "y": "x", "z": "y"}
    assert of(a_table(everybody | small), at_most=12) == {"u1": ["b", "c", "d", "u1"], "u2": ["u2", "x", "y", "z"]}
    assert of(a_table(everybody | small, max_group=12)) == of(a_table(everybody | small), at_most=12)


def test_a_tree_with_more_accounts_than_a_value_may_have_proposes_nobody_and_its_parts_still_do() -> None:
    accounts = [f"n{n:02d}" for n in range(40)]
    table = a_table(in_turn(accounts, 3))
    assert of(table, at_most=39) == {}
    assert len(of(table, at_most=40)["n00"]) == 40
    assert sharing(table, ("invite", "n01")) == {"n01", "n04", "n05", "n06"}


def test_a_chain_is_cut_into_groups_of_sixteen() -> None:
    accounts = [f"n{n:03d}" for n in range(100)]
    assert [len(members) for members in of(a_table(in_turn(accounts, 1))).values()] == [16] * 6 + [4]


def test_who_is_invited_in_a_circle_is_in_no_tree() -> None:
    assert of(a_table({"b": "a", "a": "b", "c": "b", "d": "c"})) == {}


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40), st.randoms(use_true_random=False))
def test_no_account_is_in_two_trees_and_the_order_of_arrival_changes_nothing(
    edges: list[tuple[int, int]], shuffle: object
) -> None:
    inviter = {f"n{a:02d}": f"n{b:02d}" for a, b in edges if a != b}
    names = sorted({*inviter, *inviter.values()})
    found = of(a_table(inviter), fewest=2, at_most=20)
    mixed = names.copy()
    shuffle.shuffle(mixed)  # type: ignore[attr-defined]
    assert of(a_table(inviter, mixed), fewest=2, at_most=20) == found
    assert all(len(members) <= 20 for members in found.values())
    everybody = [name for members in found.values() for name in members]
    assert len(everybody) == len(set(everybody))


# -- campaigns ---------------------------------------------------------------------------------------------------------


def looked_at(*groups: list[AccountSummary]) -> AggregatorCore:
    core = AggregatorCore(DetectionSettings())
    core.fold(summary for group in groups for summary in group)
    core.evaluate()
    return core


@pytest.mark.parametrize("seed", [1, 2])
def test_a_campaign_whose_accounts_share_nothing_but_that_they_invited_each_other_is_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pool = pool_accounts(rng, 60)
    crowd = people(rng, 300)
    inviter = in_turn([one.account for one in pool], 3)  # no account has invited as many as a group needs
    assert looked_at(crowd, invited_by(pool, {})).campaigns() == []
    (campaign,) = looked_at(crowd, invited_by(pool, inviter)).campaigns()
    members = {member.account for member in campaign.members if member.confidence >= 0.5}
    assert members <= {one.account for one in pool}
    assert len(members) >= 50


def test_invitations_among_people_open_no_campaign() -> None:
    rng = np.random.default_rng(3)
    crowd = people(rng, 400)
    inviter = in_turn([one.account for one in crowd[:120]], 3) | {one.account: "shop" for one in crowd[120:150]}
    core = looked_at(invited_by(crowd, inviter))
    assert core.tests > 0
    assert core.campaigns() == []


def test_an_invitation_is_no_second_tie() -> None:
    """The sign-up cohort may name the referrer, too: the same fact said twice would make its people sure members."""
    rng = np.random.default_rng(4)
    pool = pool_accounts(rng, 60)
    crowd = people(rng, 300)

    def most(links: tuple[Key, ...]) -> float:
        core = looked_at(crowd, [replace(one, links=(("signup", "lot"), *links)) for one in pool])
        return max(member.confidence for member in core.campaigns()[0].members)

    assert most((("invite", "a"),)) == most(()) < most((("payment", "card"),))
