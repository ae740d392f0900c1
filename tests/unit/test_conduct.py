"""How groups behave in time: what honest groups look like, what a dispatcher's do, and what is not known."""

from __future__ import annotations

import numpy as np
import pytest

from stillwatch.correlation.conduct import Conduct

RNG = np.random.default_rng
HONEST = 600


def timed(values: np.ndarray, volumes: np.ndarray, honest: np.ndarray) -> Conduct:
    """Of hours, pauses and days; how much they send is not known."""
    return Conduct(np.column_stack([values, np.full(len(values), np.nan)]), volumes, honest)


def world(seed: int, strange: int = 0, shift: float = 1.5) -> tuple[Conduct, np.ndarray]:
    """Honest accounts with statistics of their own, then ``strange`` ones whose three statistics are all odd."""
    rng = RNG(seed)
    values = rng.normal(size=(HONEST + strange, 3))
    values[HONEST:] += shift * np.array([1.0, -1.0, -1.0])
    volumes = rng.integers(8, 200, size=HONEST + strange)
    honest = np.arange(HONEST)[np.argsort(volumes[:HONEST], kind="stable")]
    conduct = timed(values, volumes, honest)
    groups = [rng.choice(HONEST, size=20, replace=False) for _ in range(40)]
    conduct.learn(conduct.scores[group] for group in groups)
    return conduct, values


def test_honest_accounts_have_scores_around_zero() -> None:
    conduct, _ = world(1)
    assert np.nanmean(conduct.scores) == pytest.approx(0.0, abs=0.05)


def test_honest_groups_are_seldom_surprising() -> None:
    rng = RNG(2)
    conduct, _ = world(2)
    p_values = []
    for _ in range(400):
        found = conduct.group(conduct.scores[rng.choice(HONEST, size=15, replace=False)])
        assert found is not None
        p_values.append(found.p_value)
    assert np.mean(np.array(p_values) < 0.05) <= 0.06
    assert min(p_values) > 1e-5


def test_a_dispatchers_group_is() -> None:
    conduct, _ = world(3, strange=30)
    found = conduct.group(conduct.scores[HONEST:])
    assert found is not None
    assert found.p_value < 1e-6
    assert found.mean > found.normal[1]


def test_the_direction_counts() -> None:
    conduct, _ = world(4, strange=30, shift=-1.5)
    found = conduct.group(conduct.scores[HONEST:])
    assert found is not None
    assert found.p_value > 0.99


def test_what_is_not_known_says_nothing() -> None:
    values = np.full((100, 3), np.nan)
    conduct = timed(values, np.full(100, 20), np.arange(100))
    assert np.isnan(conduct.scores).all()
    assert conduct.group(conduct.scores) is None
    assert conduct.log_ratio(np.arange(5), np.arange(50, 60)).tolist() == [0.0] * 5


def test_without_groups_to_compare_with_nothing_stands_out() -> None:
    conduct = timed(world(5, strange=20)[1], np.full(HONEST + 20, 30), np.arange(HONEST))
    found = conduct.group(conduct.scores[HONEST:])
    assert found is not None
    assert found.p_value > 0.001


def test_members_are_told_from_bystanders_by_their_own_conduct() -> None:
    conduct, _ = world(6, strange=30)
    core = np.arange(HONEST, HONEST + 30)
    assert conduct.log_ratio(core, core).mean() > 0 > conduct.log_ratio(np.arange(100), core).mean()


def test_a_core_that_keeps_peoples_hours_tells_nobody_apart() -> None:
    conduct, _ = world(7)
    assert (
        not conduct.log_ratio(np.arange(20), np.arange(30, 60)).any()
        or np.abs(conduct.log_ratio(np.arange(20), np.arange(30, 60))).max() < 1.0
    )


def test_an_account_that_falls_short_of_the_core_is_no_member() -> None:
    """Who writes much is not like accounts that write ten times as much."""
    conduct, values = world(8, strange=60, shift=8.0)
    core, halfway = np.arange(HONEST, HONEST + 30), np.arange(HONEST + 30, HONEST + 60)
    values[halfway] = RNG(9).normal(size=(30, 3)) + 3.0 * np.array([1.0, -1.0, -1.0])
    conduct = timed(values, np.full(HONEST + 60, 30), np.arange(HONEST))
    assert conduct.log_ratio(core, core).min() > 3
    assert np.median(conduct.log_ratio(halfway, core)) < 0


def test_scores_grow_beyond_what_ranks_of_so_many_accounts_can_say() -> None:
    conduct, _ = world(10, strange=20, shift=9.0)
    assert np.nanmean(conduct.z[HONEST:]) > 5.5  # a rank among 600 ends at 3; a single statistic at 6
    found = conduct.group(conduct.scores[HONEST:])
    assert found is not None
    assert found.p_value < 1e-8


def test_no_single_account_carries_the_mean_of_its_group() -> None:
    conduct, _ = world(11, strange=1, shift=1_000.0)
    assert np.nanmax(conduct.z[HONEST:]) == 6.0
    alone = conduct.scores[[HONEST, *range(20)]]
    found = conduct.group(alone)
    assert found is not None
    assert found.p_value > 1e-3


def test_newcomers_that_are_most_of_a_volume_bin_make_nobody_else_look_strange() -> None:
    """A campaign can be most of the accounts of its own volume: the scale is that of the side where it is not."""
    rng = RNG(12)
    values, volumes = rng.normal(size=(1_000, 3)), np.repeat(np.arange(10, 20), 100)
    loud = volumes >= 18
    values[loud & (np.arange(1_000) % 5 < 3)] += 5.0 * np.array([1.0, -1.0, -1.0])  # three in five of the top bin
    contaminated = timed(values, volumes, np.arange(1_000))
    settled = np.flatnonzero(~(loud & (np.arange(1_000) % 5 < 3)))
    clean = timed(values, volumes, settled)
    strange = np.flatnonzero(loud & (np.arange(1_000) % 5 < 3))
    assert np.nanmedian(clean.z[strange]) > 4  # against settled accounts they stand out ...
    assert np.nanmax(contaminated.z[strange]) < 3  # ... which they hide among themselves
    assert np.nanmedian(contaminated.z[~loud]) == pytest.approx(0.0, abs=0.1)


def test_statistics_that_nobody_varies_in_can_be_inverted() -> None:
    values = np.tile([0.3, 1.0, 1.0, 2.0], (HONEST, 1))
    conduct = Conduct(values, np.full(HONEST, 30), np.arange(HONEST))
    assert conduct.log_ratio(np.arange(10), np.arange(10, 40)).tolist() == [0.0] * 10


def test_statistics_that_say_the_same_are_not_counted_twice() -> None:
    one = RNG(13).normal(size=HONEST + 30)
    one[HONEST:] += 3.0
    twice = np.column_stack([one, -one, RNG(14).normal(size=HONEST + 30)])
    conduct = timed(twice, np.full(HONEST + 30, 30), np.arange(HONEST))
    apart = timed(np.column_stack([one, twice[:, 2], twice[:, 2]]), np.full(HONEST + 30, 30), np.arange(HONEST))
    core = np.arange(HONEST, HONEST + 30)
    assert conduct.log_ratio(core, core).mean() < 1.6 * apart.log_ratio(core, core).mean()


def test_without_any_honest_account_nothing_is_known() -> None:
    conduct = timed(np.zeros((10, 3)), np.full(10, 5), np.array([], dtype=np.int64))
    assert np.isnan(conduct.scores).all()
    assert conduct.log_ratio(np.array([], dtype=np.int64), np.arange(3)).tolist() == []
    assert conduct.group(np.zeros((0, 5))) is None
