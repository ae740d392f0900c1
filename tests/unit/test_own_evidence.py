"""How many of a group's accounts stand out by their own evidence, against other groups."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from moment_worlds import a_world, honest
from summary_worlds import people

from stillwatch.correlation.own_evidence import OwnEvidence
from stillwatch.correlation.table import AccountTable, Slots
from stillwatch.summary import AccountSummary


def with_evidence(rng: np.random.Generator, summaries: list[AccountSummary], mean: float) -> list[AccountSummary]:
    return [replace(summary, evidence=float(rng.normal(mean, 1.0))) for summary in summaries]


def learned(seed: int, group_mean: float, size: int = 30) -> tuple[OwnEvidence, Slots, AccountTable]:
    rng = np.random.default_rng(seed)
    crowd = with_evidence(rng, honest(rng), -0.4)
    world = a_world(crowd, with_evidence(rng, people(rng, size, prefix="z"), group_mean))
    everybody = world.table.with_at_least(1)
    others = everybody[~world.table.among(everybody, world.slots("z"))]
    groups = [np.sort(rng.choice(others, size=25, replace=False)) for _ in range(40)]
    return OwnEvidence(world.table, others, groups), world.slots("z"), world.table


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_accounts_of_which_none_shows_enough_show_much_together(seed: int) -> None:
    own, group, _ = learned(seed, group_mean=1.5)
    found = own.finding(group)
    assert found is not None
    assert found.p_value < 1e-5
    assert found.normal is not None
    assert found.value > found.normal[1]
    assert "of the 30 of which" in found.sentence


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_half_of_a_group_is_enough(seed: int) -> None:
    own, group, table = learned(seed, group_mean=2.0)
    people_too = np.concatenate([group, table.with_at_least(1)[:30]])
    found = own.finding(people_too)
    assert found is not None
    assert found.p_value < 1e-3


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_group_like_others_shows_nothing(seed: int) -> None:
    own, group, _ = learned(seed, group_mean=-0.4)
    found = own.finding(group)
    assert found is not None
    assert found.p_value > 0.01


def test_one_account_however_loud_carries_no_group() -> None:
    own, group, table = learned(1, group_mean=-0.4)
    table.put(replace(table.summary(int(group[0])), evidence=1e6, events=10**6))
    found = own.finding(group)
    assert found is not None
    assert found.p_value > 0.001


def test_an_organisation_with_many_keys_speaks_once() -> None:
    own, group, table = learned(1, group_mean=1.5)
    for slot in group:
        table.put(replace(table.summary(int(slot)), organisation="one", events=10**6))
    assert own.finding(group) is None


def test_without_opinions_or_without_groups_to_learn_from_it_says_nothing() -> None:
    own, group, table = learned(1, group_mean=1.5)
    assert own.finding(group[:4]) is None
    assert OwnEvidence(table, group, []).finding(group) is None
