"""What each witness is worth, as it tells this core from honest accounts."""

from __future__ import annotations

import numpy as np
import pytest

from stillwatch.correlation.discriminant import fitted

RNG = np.random.default_rng


def test_a_witness_that_tells_nothing_here_weighs_nothing() -> None:
    rng = RNG(1)
    core = np.column_stack([rng.normal(0, 3, 60), rng.normal(6, 2, 60)])
    people = np.column_stack([rng.normal(0, 3, 900), rng.normal(-6, 2, 900)])
    ratio = fitted(core, people)
    nothing, much = (
        ratio(np.array([up])) - ratio(np.array([down])) for up, down in (((9, 0), (-9, 0)), ((0, 9), (0, -9)))
    )
    assert abs(float(nothing[0])) < 0.1 * float(much[0])


def test_a_witness_never_counts_against_its_own_direction() -> None:
    rng = RNG(2)
    core, people = rng.normal(-3, 1, (60, 1)), rng.normal(3, 1, (900, 1))  # the wrong way round
    ratio = fitted(core, people)
    assert ratio(np.array([[9.0]]))[0] == pytest.approx(ratio(np.array([[-9.0]]))[0])


def test_two_kinds_that_do_not_overlap_give_no_endless_certainty() -> None:
    ratio = fitted(np.full((50, 2), 9.0), np.full((2_000, 2), -9.0))
    assert 2 < ratio(np.array([[30.0, 30.0]]))[0] < 30
    assert np.isfinite(ratio(np.array([[1e9, -1e9]]))).all()


def test_few_of_either_kind_are_believed_less() -> None:
    rng = RNG(3)
    many, few = (fitted(rng.normal(5, 2, (n, 1)), rng.normal(-5, 2, (10 * n, 1))) for n in (200, 3))
    at = np.array([[8.0]])
    assert few(at)[0] < many(at)[0]


def test_with_nobody_to_learn_from_the_witnesses_are_added() -> None:
    assert fitted(np.zeros((0, 2)), np.ones((5, 2)))(np.array([[1.0, 2.0]])).tolist() == [3.0]
