"""How much honest groups differ: robust against campaigns among them, and not narrowed or widened by sampling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillwatch.correlation.group_null import MIN_GROUPS, GroupNull

Figures = list[tuple[float, float]]


def honest_groups(seed: int, count: int, between: float, sampling: float = 0.01, centre: float = 0.0) -> Figures:
    rng = np.random.default_rng(seed)
    figures = centre + rng.normal(0, between, count) + rng.normal(0, sampling**0.5, count)
    return [(float(figure), sampling) for figure in figures]


def the_null(figures: Figures, at_least: float = 0.0) -> GroupNull:
    null = GroupNull.of(figures, at_least)
    assert null is not None
    return null


def test_the_spread_between_groups_is_found_beside_what_sampling_adds() -> None:
    null = the_null(honest_groups(1, 600, between=0.5, sampling=0.25, centre=2.0))
    assert null.centre == pytest.approx(2.0, abs=0.1)
    assert null.between == pytest.approx(0.5, abs=0.1)


def test_groups_that_differ_by_sampling_alone_have_no_spread_of_their_own() -> None:
    assert the_null(honest_groups(2, 600, between=0.0)).between < 0.05


def test_small_groups_with_large_errors_do_not_widen_what_precise_ones_show() -> None:
    precise, vague = honest_groups(3, 300, 0.1, sampling=0.0001), honest_groups(4, 300, 0.1, sampling=4.0)
    assert the_null(precise + vague).between == pytest.approx(the_null(precise).between, rel=0.5)


def test_a_tenth_of_campaigns_among_the_groups_hardly_moves_the_middle_and_errs_towards_silence() -> None:
    honest = honest_groups(5, 90, between=0.3)
    clean, poisoned = the_null(honest), the_null([*honest, *([(-5.0, 0.01)] * 10)])
    assert abs(poisoned.centre - clean.centre) < 0.1
    assert clean.between <= poisoned.between < 2 * clean.between
    assert poisoned.p_value(-5.0, 0.01, 30) < 1e-6


def test_honest_groups_are_as_seldom_surprising_as_their_p_values_say() -> None:
    null = the_null(honest_groups(6, 400, between=0.3))
    p_values = [null.p_value(figure, sampling, 30) for figure, sampling in honest_groups(7, 4_000, between=0.3)]
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.05, abs=0.02)
    assert np.mean(np.array(p_values) < 0.005) < 0.01


def test_few_units_and_few_groups_make_nothing_very_surprising() -> None:
    few, many = GroupNull(0.0, 1.0, MIN_GROUPS), GroupNull(0.0, 1.0, 500)
    assert many.p_value(-6.0, 0.1, 3) > many.p_value(-6.0, 0.1, 100)
    assert few.p_value(-6.0, 0.1, 100) > many.p_value(-6.0, 0.1, 100)


def test_fewer_than_ten_groups_say_nothing_of_how_groups_differ() -> None:
    assert GroupNull.of(honest_groups(8, MIN_GROUPS - 1, 0.3)) is None
    assert GroupNull.of([]) is None


def test_groups_that_are_all_the_same_have_at_least_the_spread_that_is_asked_for() -> None:
    same = [(1.0, 0.0)] * 20
    assert the_null(same).p_value(0.0, 0.0, 20) == 1.0
    assert the_null(same, at_least=0.2).between == 0.2


def test_mirrored_reads_the_other_side() -> None:
    null = GroupNull(1.0, 0.5, 40)
    assert null.mirrored().p_value(-3.0, 0.1, 20) == pytest.approx(1 - null.p_value(3.0, 0.1, 20))


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 1e6)), min_size=MIN_GROUPS, max_size=40), st.randoms())
def test_the_order_of_groups_is_irrelevant_and_every_figure_has_a_p_value(figures: Figures, random: object) -> None:
    shuffled = list(figures)
    random.shuffle(shuffled)
    null = the_null(figures)
    assert the_null(shuffled) == null
    assert all(0 <= null.p_value(figure, sampling, 5) <= 1 for figure, sampling in figures)
