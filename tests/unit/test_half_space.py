"""The trees that are walked once are River's own, to the last bit."""

from __future__ import annotations

import random
from typing import Any

from river import anomaly

from stillwatch.models import CohortAnomaly
from stillwatch.models.base import checked

NAMES = [f"f{number}" for number in range(19)]
SHAPE: dict[str, Any] = {"n_trees": 8, "height": 6, "window_size": 250}


def masses(trees: Any) -> list[list[tuple[int, int]]]:
    return [[(node.l_mass, node.r_mass) for node in tree.iter_dfs()] for tree in trees.trees]


def test_every_score_and_every_mass_is_that_of_river_itself() -> None:
    rng = random.Random(1)
    model, river = CohortAnomaly(7), anomaly.HalfSpaceTrees(**SHAPE, seed=7)
    for number in range(1_600):
        request = {name: rng.betavariate(2, 5) for name in NAMES}
        if rng.random() < 0.02:
            del request[rng.choice(NAMES)]
        if number > 250:
            assert model.score(request) == min(max(river.score_one(request), 0.0), 1.0)
        model.learn(request)
        river.learn_one(request)
        if number == 777:  # inside a window
            snapshot, model = model.snapshot(), CohortAnomaly(3)
            model.restore(snapshot)
    model.snapshot()
    assert masses(model._trees) == masses(river)
    assert model._trees.counter == river.counter


def test_a_request_that_was_scored_is_learned_where_it_belongs() -> None:
    rng = random.Random(2)
    model, river = CohortAnomaly(7), anomaly.HalfSpaceTrees(**SHAPE, seed=7)
    for _ in range(700):
        first, second = (checked({name: rng.random() for name in NAMES}) for _ in range(2))
        assert first is not None
        assert second is not None
        model.score(first)
        model.score(second)
        learned = rng.choice([first, second])
        model.learn(learned)
        river.learn_one(learned.as_map())
    model.snapshot()
    assert masses(model._trees) == masses(river)
