"""The laws of every online model. Runs over the registry: a new model is covered without writing a test."""

import math
import random
from collections.abc import Callable

import pytest

from stillwatch.errors import SnapshotIncompatible
from stillwatch.models import MODELS, OnlineModel

NAMES = ("capability_coverage", "output_share", "topic_diversity", "volume")
MakeModel = Callable[[int], OnlineModel]


@pytest.fixture(params=sorted(MODELS))
def make(request: pytest.FixtureRequest) -> MakeModel:
    return MODELS[request.param]


def requests(seed: int, count: int) -> list[tuple[dict[str, float], bool | None]]:
    rng = random.Random(seed)
    out = []
    for _ in range(count):
        attack = rng.choice([None, None, False, True])
        centre = 0.8 if attack else 0.3
        out.append(({name: min(max(rng.gauss(centre, 0.1), 0.0), 1.0) for name in NAMES}, attack))
    return out


def trained(make: MakeModel, seed: int = 1, count: int = 600) -> OnlineModel:
    model = make(seed)
    for features, attack in requests(seed, count):
        model.learn(features, attack)
    return model


def test_a_new_model_has_no_opinion(make: MakeModel) -> None:
    assert make(1).score(dict.fromkeys(NAMES, 0.5)) is None


def test_a_trained_model_scores_between_0_and_1(make: MakeModel) -> None:
    model = trained(make)
    scores = [model.score(features) for features, _ in requests(2, 50)]
    assert all(score is not None and 0 <= score <= 1 for score in scores)


def test_scores_are_not_all_the_same(make: MakeModel) -> None:
    model = trained(make)
    assert len({model.score(features) for features, _ in requests(2, 50)}) > 1


def test_what_is_unlike_honest_traffic_scores_higher(make: MakeModel) -> None:
    model = trained(make)
    ordinary, odd = model.score(dict.fromkeys(NAMES, 0.3)), model.score(dict.fromkeys(NAMES, 0.95))
    assert ordinary is not None
    assert odd is not None
    assert odd > ordinary


@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_refused_and_changes_nothing(make: MakeModel, poison: float) -> None:
    model, clean = trained(make), trained(make)
    model.learn({**dict.fromkeys(NAMES, 0.5), "volume": poison}, True)
    assert model.score({**dict.fromkeys(NAMES, 0.5), "volume": poison}) is None
    probe = dict.fromkeys(NAMES, 0.4)
    assert model.score(probe) == clean.score(probe)


@pytest.mark.parametrize("extreme", [1e308, -1e308, 5e-324])
def test_extreme_values_leave_the_model_finite(make: MakeModel, extreme: float) -> None:
    model = trained(make)
    for attack in (None, True, False):
        model.learn(dict.fromkeys(NAMES, extreme), attack)
    score = model.score(dict.fromkeys(NAMES, 0.5))
    assert score is not None
    assert math.isfinite(score)


def test_the_same_seed_gives_the_same_scores(make: MakeModel) -> None:
    first, second = trained(make, seed=3), trained(make, seed=3)
    assert [first.score(f) for f, _ in requests(4, 30)] == [second.score(f) for f, _ in requests(4, 30)]


def test_the_order_of_the_features_is_irrelevant(make: MakeModel) -> None:
    ordered, shuffled = make(1), make(1)
    rng = random.Random(9)
    for features, attack in requests(1, 600):
        ordered.learn(features, attack)
        names = list(features)
        rng.shuffle(names)
        shuffled.learn({name: features[name] for name in names}, attack)
    probe = dict.fromkeys(NAMES, 0.6)
    assert ordered.score(probe) == shuffled.score(dict(reversed(probe.items())))


def test_scoring_changes_nothing_and_keeps_no_reference_to_its_input(make: MakeModel) -> None:
    model = trained(make)
    probe = dict.fromkeys(NAMES, 0.5)
    before = model.score(probe)
    for features, _ in requests(5, 100):
        model.score(features)
    probe["volume"] = 0.9
    probe["volume"] = 0.5
    assert model.score(probe) == before


def test_a_restored_model_goes_on_exactly_as_the_original(make: MakeModel) -> None:
    model = trained(make)
    copy = make(99)
    copy.restore(model.snapshot())
    for features, attack in requests(6, 300):
        assert copy.score(features) == model.score(features)
        model.learn(features, attack)
        copy.learn(features, attack)


def test_a_new_model_can_be_snapshotted(make: MakeModel) -> None:
    copy = make(2)
    copy.restore(make(1).snapshot())
    assert copy.score(dict.fromkeys(NAMES, 0.5)) is None


def test_a_snapshot_of_another_model_is_refused(make: MakeModel) -> None:
    model = make(1)
    other = next(make_other(1) for name, make_other in MODELS.items() if name != model.name)
    with pytest.raises(SnapshotIncompatible):
        model.restore(other.snapshot())


def test_memory_does_not_grow_with_requests(make: MakeModel) -> None:
    model = make(1)
    sizes = []
    for round_ in range(4):
        for features, attack in requests(round_, 500):
            model.learn(features, attack)
        sizes.append(len(model.snapshot()))
    assert sizes[-1] <= sizes[0] * 1.05
