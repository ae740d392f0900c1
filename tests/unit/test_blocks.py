"""Values that the same accounts share too often: who is tied to whom, and who is not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from factories import a_summary

from stillwatch.correlation.blocks import BLOCK, blocks
from stillwatch.correlation.linkage import Key, LinkageIndex
from stillwatch.correlation.table import AccountTable
from stillwatch.summary import AccountSummary

COUNTS = np.ones((2, 4))


def an_account(name: str, *links: Key, organisation: str | None = None) -> AccountSummary:
    return a_summary(name, COUNTS, links, organisation=organisation)


def strangers(rng: np.random.Generator, count: int = 600) -> list[AccountSummary]:
    """Each with a sign-up, a card and an address of its own choice."""
    return [
        an_account(
            f"p{n:04d}", ("signup", f"s{rng.integers(count // 12)}"), ("payment", f"c{rng.integers(count // 20)}"),
            ("address", f"a{rng.integers(count // 3)}"),
        )
        for n in range(count)
    ]  # fmt: skip


def a_campaign(count: int = 48) -> list[AccountSummary]:
    """Two batches of sign-ups, three families of cards."""
    return [an_account(f"x{n:04d}", ("signup", f"batch{n % 2}"), ("payment", f"card{n % 3}")) for n in range(count)]


def found(summaries: Iterable[AccountSummary], min_accounts: int = 8) -> list[tuple[Key, list[str]]]:
    links = LinkageIndex(10_000)
    table = AccountTable(10_000, links)
    for summary in summaries:
        table.put(summary)
    groups = blocks(table, links, table.with_at_least(1), min_accounts)
    return [(key, sorted(table.summary(int(slot)).account for slot in slots)) for key, slots in groups]


def test_accounts_of_the_same_batches_and_cards_are_one_block_and_nobody_else_is_in_it() -> None:
    ((key, accounts),) = found([*strangers(np.random.default_rng(1)), *a_campaign()])
    assert key[0] == BLOCK
    assert accounts == sorted(summary.account for summary in a_campaign())


def test_who_has_only_one_of_the_values_is_a_bystander() -> None:
    bystanders = [an_account(f"b{n}", ("signup", "batch0"), ("payment", f"own{n}")) for n in range(12)]
    ((_, accounts),) = found([*strangers(np.random.default_rng(2)), *a_campaign(), *bystanders])
    assert not [account for account in accounts if account.startswith("b")]


def test_strangers_are_tied_by_nothing() -> None:
    assert [found(strangers(np.random.default_rng(seed))) for seed in range(5)] == [[]] * 5


def test_a_popular_value_ties_nobody() -> None:
    """Everybody's SDK beside a campaign's batch, prompts and templates beside its card."""
    crowd = [replace(one, links=(*one.links, ("client", "sdk"))) for one in strangers(np.random.default_rng(3))]
    copied = ("system", "assistant"), ("template", "steps"), ("parameters", "defaults")
    campaign = [an_account(f"x{n}", ("signup", "batch"), ("client", "sdk"), *copied) for n in range(25)]
    assert found([*crowd, *campaign]) == []


def test_keys_of_one_organisation_are_one_who_shares_with_itself() -> None:
    keys = [an_account(f"k{n}", ("signup", "corp"), ("payment", "corp"), organisation="corp") for n in range(25)]
    assert found([*strangers(np.random.default_rng(4)), *keys]) == []


def test_the_order_of_arrival_is_irrelevant() -> None:
    rng = np.random.default_rng(5)
    summaries = [*strangers(rng), *a_campaign()]
    assert found(summaries) == found(summaries[i] for i in rng.permutation(len(summaries)))


def test_few_accounts_are_no_block_and_nobody_at_all_is_none_either() -> None:
    assert found(strangers(np.random.default_rng(6))[:5]) == []
    assert found([]) == []
