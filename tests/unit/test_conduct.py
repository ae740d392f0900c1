"""How groups behave in time: what honest groups look like, what a dispatcher's do, and what is not known."""

from __future__ import annotations

import numpy as np
import pytest

from stillwatch.correlation.conduct import Conduct

RNG = np.random.default_rng
HONEST = 600


def world(seed: int, strange: int = 0, shift: float = 1.5) -> tuple[Conduct, np.ndarray]:
    """Honest accounts with statistics of their own, then ``strange`` ones whose three statistics are all odd."""
    rng = RNG(seed)
    values = rng.normal(size=(HONEST + strange, 3))
    values[HONEST:] += shift * np.array([1.0, -1.0, -1.0])
    volumes = rng.integers(8, 200, size=HONEST + strange)
    honest = np.arange(HONEST)[np.argsort(volumes[:HONEST], kind="stable")]
    conduct = Conduct(values, volumes, honest)
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
    conduct = Conduct(values, np.full(100, 20), np.arange(100))
    assert np.isnan(conduct.scores).all()
    assert conduct.group(conduct.scores) is None
    assert conduct.log_ratio(np.arange(5), np.arange(50, 60)).tolist() == [0.0] * 5


def test_without_groups_to_compare_with_nothing_stands_out() -> None:
    conduct = Conduct(world(5, strange=20)[1], np.full(HONEST + 20, 30), np.arange(HONEST))
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
