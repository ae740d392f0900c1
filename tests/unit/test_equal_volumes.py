"""Equal volumes: of a dispatcher's accounts, beside bystanders, and never of light accounts or of honest groups."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from factories import T0
from moment_worlds import World, a_world
from release_worlds import an_account, crowd, groups_of

from stillwatch.correlation.equal_volumes import MIN_UNITS, EqualVolumes, equal_volumes
from stillwatch.correlation.finding import Finding
from stillwatch.summary import AccountSummary

RNG = np.random.default_rng


def learned(world: World) -> EqualVolumes:
    return EqualVolumes.learn(world.table, groups_of(world), T0)


def said_of(world: World, prefix: str) -> Finding | None:
    return equal_volumes(world.table, world.slots(prefix), learned(world))


def dealt_out(rng: np.random.Generator, count: int, mean: float = 80) -> list[AccountSummary]:
    return [an_account(f"z{n:03d}", int(rng.poisson(mean)) + 1) for n in range(count)]


def bystanders(rng: np.random.Generator, count: int) -> list[AccountSummary]:
    return [replace(one, account=f"z-{one.account}") for one in crowd(rng, count=40)[:count]]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_accounts_between_which_load_is_balanced_stand_out(seed: int) -> None:
    rng = RNG(seed)
    found = said_of(a_world(crowd(rng), dealt_out(rng, 30)), "z")
    assert found is not None
    assert found.p_value < 1e-6
    assert found.normal is not None
    assert found.value < found.normal[0]
    assert found.sentence.startswith("16 of 30 accounts open between")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_bystanders_that_share_the_value_hide_little(seed: int) -> None:
    rng = RNG(seed)
    found = said_of(a_world(crowd(rng), dealt_out(rng, 30), bystanders(rng, 12)), "z")
    assert found is not None
    assert found.p_value < 1e-4


def test_honest_groups_seldom_do() -> None:
    p_values: list[float] = []
    for seed in range(8):
        world = a_world(crowd(RNG(seed)))
        normal = learned(world)
        p_values += [
            found.p_value for slots in groups_of(world) if (found := equal_volumes(world.table, slots, normal))
        ]
    assert len(p_values) > 200
    assert np.mean(np.array(p_values) <= 0.05) <= 0.06
    assert min(p_values) > 1e-4


def test_accounts_that_have_hardly_begun_are_no_evidence() -> None:
    """Twice and three times a day is equal for want of days."""
    rng = RNG(4)
    found = said_of(a_world(crowd(rng), [an_account(f"z{n:03d}", 2 + n % 2) for n in range(30)]), "z")
    assert found is not None
    assert found.p_value > 0.01


def test_a_product_on_many_keys_is_one_unit() -> None:
    rng = RNG(5)
    keys = [replace(one, organisation="acme") for one in dealt_out(rng, 30)]
    assert said_of(a_world(crowd(rng), keys), "z") is None


def test_small_groups_say_nothing() -> None:
    rng = RNG(6)
    assert said_of(a_world(crowd(rng), dealt_out(rng, MIN_UNITS - 1)), "z") is None


def test_nothing_is_said_before_enough_groups_were_seen() -> None:
    rng = RNG(7)
    assert said_of(a_world(crowd(rng, count=100), dealt_out(rng, 30)), "z") is None


def test_the_order_in_which_accounts_are_told_of_changes_nothing() -> None:
    summaries = crowd(RNG(8)) + dealt_out(RNG(8), 30)
    assert said_of(a_world(summaries), "z") == said_of(a_world(summaries[::-1]), "z")
