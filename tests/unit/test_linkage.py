"""Who shares a value: what was too common, what is forgotten, what nobody can make grow."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from stillwatch.correlation.linkage import MAX_VALUES, Key, LinkageIndex

PROMO = ("signup", "promo")


def test_a_value_that_was_too_common_proposes_again_when_fewer_have_it() -> None:
    index = LinkageIndex(max_group=3)
    for slot in range(5):
        index.link(slot, [PROMO])
    assert (index.sharing(PROMO), index.too_common, index.is_shared(PROMO)) == (set(), 1, False)
    index.unlink(0)
    index.link(1, [("client", "other")])
    assert (index.sharing(PROMO), index.too_common, index.is_shared(PROMO)) == ({2, 3, 4}, 0, True)


def test_a_value_that_nobody_has_any_longer_takes_no_room() -> None:
    index = LinkageIndex(max_group=10)
    for day in range(50):
        for slot in range(20):
            index.link(slot, [("client", f"{day} {slot}")])
        assert len(index) == 20
        assert len(index._keys) <= 40


def test_one_account_takes_room_for_so_many_values_and_no_more() -> None:
    index = LinkageIndex(max_group=10)
    index.link(0, [("client", str(number)) for number in range(10_000)])
    assert len(index) == MAX_VALUES


@pytest.mark.parametrize("seed", range(3))
def test_who_shares_what_is_a_matter_of_what_accounts_show_now_whatever_came_before(seed: int) -> None:
    rng = Random(seed)
    last = {slot: [("client", f"c{rng.randrange(6)}"), ("signup", f"s{rng.randrange(9)}")] for slot in range(60)}
    direct, changing = LinkageIndex(max_group=9), LinkageIndex(max_group=9)
    for slot, keys in last.items():
        direct.link(slot, keys)
    for slot in rng.sample(range(60), 60):
        changing.link(slot, [("client", "c0"), ("signup", f"s{rng.randrange(9)}")])
    for slot in rng.sample(range(60), 60):
        changing.link(slot, last[slot])
    keys = {key for mine in last.values() for key in mine}
    assert any(direct.sharing(key) for key in keys)
    assert direct.too_common > 0
    assert [direct.sharing(key) for key in sorted(keys)] == [changing.sharing(key) for key in sorted(keys)]
    for some in (np.arange(60), np.arange(0, 60, 2)[::-1]):
        assert shown(direct, some) == shown(changing, some) == by_hand(last, some)


def shown(index: LinkageIndex, accounts: np.ndarray) -> list[tuple[Key, list[int]]]:
    keys, has = index.among(accounts, fewest=2, at_most=8)
    return [(key, accounts[has[:, [at]].indices].tolist()) for at, key in enumerate(keys)]


def by_hand(last: dict[int, list[Key]], accounts: np.ndarray) -> list[tuple[Key, list[int]]]:
    """As it is said: shared by two of these, by eight of all at most."""
    out = []
    for key in sorted({key for mine in last.values() for key in mine}):
        sharing = [slot for slot in accounts.tolist() if key in last[slot]]
        if len(sharing) >= 2 and sum(key in mine for mine in last.values()) <= 8:
            out.append((key, sharing))
    return out
