"""Going over to a new model together: what it takes, what explains it, and what is no release at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from factories import HOUR, T0
from moment_worlds import World, a_world
from release_worlds import BEGAN, DAY, NEW, RELEASE, Links, an_account, crowd, groups_of

from stillwatch.correlation.finding import Finding
from stillwatch.correlation.pivot import MIN_ADOPTERS, Pivot, pivot
from stillwatch.summary import AccountSummary

RNG = np.random.default_rng
POPULAR: Links = (("client", "sdk-1"), ("payment", "theirs"))


def learned(world: World, now: int = T0) -> Pivot | None:
    return Pivot.learn(world.table, world.table.with_at_least(1), groups_of(world), now)


def said_of(world: World, prefix: str) -> Finding | None:
    normal = learned(world)
    assert normal is not None
    return pivot(world.table, world.slots(prefix), normal)


def moving(rng: np.random.Generator, count: int, links: Links = POPULAR, within_h: float = 24) -> list[AccountSummary]:
    return [
        an_account(f"z{n:03d}", int(rng.poisson(40)) + 1, links, float(rng.uniform(0, within_h))) for n in range(count)
    ]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_accounts_that_go_over_together_stand_out(seed: int) -> None:
    rng = RNG(seed)
    found = said_of(a_world(crowd(rng), moving(rng, 25)), "z")
    assert found is not None
    assert found.p_value < 1e-6
    assert found.normal is not None
    assert found.value > found.normal[1]
    assert found.sentence.startswith("25 of 25 accounts")


def test_honest_groups_seldom_do() -> None:
    p_values: list[float] = []
    for seed in range(8):
        world = a_world(crowd(RNG(seed)))
        normal = learned(world)
        assert normal is not None
        p_values += [found.p_value for slots in groups_of(world) if (found := pivot(world.table, slots, normal))]
    assert len(p_values) > 200
    assert np.mean(np.array(p_values) <= 0.05) <= 0.06
    assert min(p_values) > 1e-4


def test_a_tool_that_only_they_use_explains_everything() -> None:
    rng = RNG(4)
    own = (("client", "their-tool"), ("payment", "theirs"))
    assert said_of(a_world(crowd(rng), moving(rng, 25, own)), "z") is None


def test_a_tool_that_moves_its_other_users_too_explains_it() -> None:
    rng = RNG(5)
    tool = (("client", "updated-tool"),)
    others = [replace(one, account=f"other-{one.account}") for one in moving(rng, 40, tool)]
    group = moving(rng, 25, (*tool, ("payment", "theirs")))
    found = said_of(a_world(crowd(rng), others, group), "z")
    assert found is not None
    assert found.p_value > 0.05


def test_a_team_that_deploys_is_one_unit() -> None:
    rng = RNG(6)
    team = [replace(one, organisation="acme") for one in moving(rng, 25)]
    assert said_of(a_world(crowd(rng), team), "z") is None


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_who_writes_much_adopts_early_and_is_compared_with_those_who_do(seed: int) -> None:
    """Everybody tries the new model once in fifty conversations: a busy group all does, within a day."""
    rng = RNG(seed)

    def trying(prefix: str, volume: int, links: Links) -> AccountSummary:
        tried = rng.random() < 1 - np.exp(-volume / 50)
        return an_account(prefix, volume, links, float(rng.uniform(0, 24)) if tried else None)

    everybody = [
        trying(f"h{n:04d}", int(np.ceil(rng.lognormal(3.0, 1.5))), (("signup", f"promo-{n % 40}"),))
        for n in range(1_200)
    ]
    found = said_of(a_world(everybody, [trying(f"z{n:03d}", 200, POPULAR) for n in range(25)]), "z")
    assert found is not None
    assert found.value > 0.9
    assert found.p_value > 0.01


def test_accounts_that_came_after_the_release_say_nothing() -> None:
    rng = RNG(8)
    new = [replace(one, first_seen_unix_nano=RELEASE + HOUR) for one in moving(rng, 25)]
    assert said_of(a_world(crowd(rng), new), "z") is None


def test_models_of_the_first_day_of_history_were_not_released() -> None:
    """The platform may have had them for years."""
    assert learned(a_world([replace(one, models=one.models[:1]) for one in crowd(RNG(9))])) is None


def test_a_name_that_few_use_is_no_release() -> None:
    quiet = [replace(one, models=one.models[:1]) for one in crowd(RNG(10))]
    few = moving(RNG(10), MIN_ADOPTERS - 1)
    assert learned(a_world(quiet, few)) is None
    assert learned(a_world(quiet, moving(RNG(10), MIN_ADOPTERS))) is not None


def test_two_with_early_access_do_not_move_the_release() -> None:
    honest = crowd(RNG(11))
    early = [replace(an_account(f"early-{n}", 50), models=((NEW, (BEGAN + 2 * DAY) // 10**9),)) for n in range(2)]
    plain, with_early = learned(a_world(honest)), learned(a_world(honest, early))
    assert plain is not None
    assert with_early is not None
    assert abs(plain.age_s - with_early.age_s) < 3_600


def test_an_old_release_is_forgotten() -> None:
    world = a_world(crowd(RNG(12)))
    assert learned(world, T0 + 20 * DAY) is not None
    assert learned(world, T0 + 40 * DAY) is None


def test_the_order_in_which_accounts_are_told_of_changes_nothing() -> None:
    summaries = crowd(RNG(13)) + moving(RNG(13), 25)
    assert said_of(a_world(summaries), "z") == said_of(a_world(summaries[::-1]), "z")
