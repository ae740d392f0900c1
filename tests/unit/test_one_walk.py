"""One walk for score and lesson gives what River's two give, to the last bit."""

from __future__ import annotations

import pickle
import random
from typing import Any

import pytest
from river import anomaly

from stillwatch.models.one_walk import OneWalk

NAMES = ("a", "b", "c", "d")


def requests(count: int, missing: float, seed: int = 5) -> list[dict[str, float]]:
    rng = random.Random(seed)
    first = dict.fromkeys(NAMES, 0.5)  # the trees are made of the features of the first
    return [first] + [{n: rng.betavariate(2, 5) for n in NAMES if rng.random() >= missing} for _ in range(count)]


def pair(first: dict[str, float]) -> tuple[Any, Any, OneWalk]:
    made: Any = anomaly.HalfSpaceTrees
    river, mine = (made(n_trees=5, height=4, window_size=50, seed=3) for _ in range(2))
    river.learn_one(first)
    mine.learn_one(first)
    return river, mine, OneWalk(mine)


@pytest.mark.parametrize("missing", [0.0, 0.1], ids=["all features", "some missing"])
def test_every_score_is_rivers(missing: float) -> None:
    first, *rest = requests(400, missing)
    river, _, walk = pair(first)
    for number, x in enumerate(rest):
        assert walk.score(x) == river.score_one(x)
        if number % 3:  # scored and not learned, as what is alarming
            river.learn_one(x)
            walk.learn(x)
    assert not river._first_window


def test_what_is_learned_without_having_been_scored_counts() -> None:
    first, *rest = requests(120, 0.0)
    river, _, walk = pair(first)
    for x in rest:
        river.learn_one(x)
        walk.learn(x)
    assert [walk.score(x) for x in rest] == [river.score_one(x) for x in rest]


@pytest.mark.parametrize("learned", [0, 20, 49, 50, 130])
def test_handed_back_the_trees_are_rivers_byte_for_byte(learned: int) -> None:
    first, *rest = requests(learned, 0.0)
    river, mine, walk = pair(first)
    for x in rest:
        river.learn_one(x)
        walk.score(x)
        walk.learn(x)
    walk.to_river()
    assert pickle.dumps(mine) == pickle.dumps(river)


def test_another_walk_goes_on_from_trees_that_were_handed_back() -> None:
    first, *rest = requests(200, 0.0)
    river, mine, walk = pair(first)
    for number, x in enumerate(rest):
        if number == 77:
            walk.to_river()
            walk = OneWalk(pickle.loads(pickle.dumps(mine)))
        assert walk.score(x) == river.score_one(x)
        river.learn_one(x)
        walk.learn(x)
