"""What a campaign is recognised by: bounded, readable later, and the fullest that was ever known."""

from __future__ import annotations

import json

import numpy as np

from stillwatch.fingerprint import CELLS
from stillwatch.signature import Signature


def a_signature(conversations: int = 50, conduct: tuple[float, ...] = (1.0, 2.0, np.nan, 0.5)) -> Signature:
    pool = np.random.default_rng(1).multinomial(conversations, np.full(CELLS, 1 / CELLS)).astype(float)
    return Signature.of(pool, 20, 40.0, np.array(conduct), np.ones(len(conduct)))


def test_it_is_the_same_after_a_journey_as_json() -> None:
    signature = a_signature()
    assert Signature.from_map(json.loads(json.dumps(signature.to_map(), allow_nan=False))) == signature


def test_the_pool_is_what_was_given() -> None:
    signature = a_signature(5_000)
    assert signature.pool().sum() == signature.conversations == 5_000
    assert len(signature.cells) <= CELLS


def test_the_fuller_one_stays_and_of_equals_the_one_that_is_known() -> None:
    little, much, equal = a_signature(50), a_signature(60), a_signature(50, conduct=(9.0,))
    assert little.fuller(much) == much.fuller(little) == much
    assert little.fuller(equal) is little
    assert little.fuller(None) is little


def test_one_of_a_version_with_fewer_statistics_is_read_with_the_others_unknown() -> None:
    means, spread = a_signature(conduct=(1.0, 2.0)).conduct_scores(4)
    assert np.isnan(means).tolist() == np.isnan(spread).tolist() == [False, False, True, True]


def test_cells_that_this_codebook_does_not_have_are_left_out() -> None:
    raw = {**a_signature().to_map(), "cells": [[3, 5], [CELLS, 7], [-1, 2]]}
    assert Signature.from_map(raw).cells == ((3, 5),)
