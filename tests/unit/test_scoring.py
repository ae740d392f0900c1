"""From signals to a score: references, calibration, what teaches and what does not, champion and challenger."""

from __future__ import annotations

import random

import pytest

from stillwatch.evidence import EvidenceReference, posterior
from stillwatch.models import BaselineDrift, LabelModel
from stillwatch.reference import MIN_ACCOUNTS, Baseline, bin_of
from stillwatch.signals import ACCOUNT_SIGNALS
from stillwatch.signals.base import AccountSignal

DIVERSITY = next(signal for signal in ACCOUNT_SIGNALS if signal.name == "topic_diversity")
DEPTH = next(signal for signal in ACCOUNT_SIGNALS if signal.name == "conversation_depth")


def taught(
    values: list[float], signal: AccountSignal = DIVERSITY, *, settled: bool = True, plan: str = "pro"
) -> Baseline:
    baseline = Baseline([signal])
    for value in values:
        baseline.learn("person", plan, 5, [bin_of(signal, value)], settled=settled)
    return baseline


def surprise(baseline: Baseline, value: float, signal: AccountSignal = DIVERSITY, plan: str = "pro") -> float:
    normal = baseline.normal("person", plan, 5)
    assert normal is not None
    assert normal.surprises[0] is not None
    return normal.surprises[0][bin_of(signal, value)]


def test_too_few_accounts_are_no_normal() -> None:
    assert taught([3.0] * (MIN_ACCOUNTS - 1)).normal("person", "pro", 5) is None
    assert taught([3.0] * MIN_ACCOUNTS).normal("person", "pro", 5) is not None


@pytest.mark.parametrize("signal", [DIVERSITY, DEPTH], ids=lambda signal: signal.name)
def test_p_values_of_honest_accounts_are_uniform_or_conservative(signal: AccountSignal) -> None:
    rng = random.Random(6)
    draw = lambda: min(max(rng.gauss(3.0, 0.8), signal.low), signal.high)
    baseline = taught([draw() for _ in range(2_000)], signal)
    p_values = sorted(10 ** -surprise(baseline, draw(), signal) for _ in range(2_000))
    for share in (0.01, 0.05, 0.1, 0.25, 0.5, 0.75):
        found = sum(p <= share for p in p_values) / len(p_values)
        assert found <= share + 3 * (share * (1 - share) / 2_000) ** 0.5 + 0.01


def test_surprise_points_to_the_suspicious_tail() -> None:
    values = [2.0 + n / 100 for n in range(200)]
    high, low = taught(values), taught(values, DEPTH)
    assert surprise(high, 8.0) > 2 > surprise(high, 1.0)
    assert surprise(low, 0.0, DEPTH) > 2 > surprise(low, 5.0, DEPTH)


def test_newcomers_teach_only_until_settled_accounts_have() -> None:
    baseline = taught([7.5] * 200, settled=False)
    assert surprise(baseline, 7.5) == pytest.approx(0.0)
    for _ in range(MIN_ACCOUNTS):
        baseline.learn("person", "pro", 5, [bin_of(DIVERSITY, 2.0)], settled=True)
    assert surprise(baseline, 7.5) == pytest.approx(1.49, abs=0.02)


def test_a_plan_of_its_own_counts_once_enough_accounts_have_it() -> None:
    baseline = taught([2.0] * 300, plan="free")
    for _ in range(150):
        baseline.learn("person", "pro", 5, [bin_of(DIVERSITY, 6.0)], settled=True)
    assert surprise(baseline, 6.0, plan="pro") < 0.5  # all plans together
    for _ in range(60):
        baseline.learn("person", "pro", 5, [bin_of(DIVERSITY, 6.0)], settled=True)
    assert surprise(baseline, 6.0, plan="pro") == pytest.approx(0.0)
    assert surprise(baseline, 6.0, plan="free") > 2


def test_a_flood_of_made_up_plans_takes_no_memory() -> None:
    baseline = Baseline([DIVERSITY])
    for number in range(5_000):
        baseline.learn("person", f"plan-{number}", 5, [3], settled=True)
    assert len(baseline.state()) < 500
    assert baseline.normal("person", "plan-4999", 5) is not None


def test_a_restored_baseline_goes_on_exactly() -> None:
    baseline = taught([2.0 + n / 50 for n in range(205)])
    again = Baseline([DIVERSITY])
    again.restore(baseline.state())
    for one in (baseline, again):
        for _ in range(5):
            one.learn("person", "pro", 5, [9], settled=True)
    assert again.state() == baseline.state()
    assert surprise(again, 6.0) == surprise(baseline, 6.0)


def test_a_few_attackers_among_the_teachers_hardly_move_the_scale() -> None:
    rng = random.Random(7)
    honest, mixed = EvidenceReference(), EvidenceReference()
    for number in range(2_000):
        value = rng.gauss(0, 1)
        honest.learn("person", value, settled=True)
        mixed.learn("person", 5.0 if number % 30 == 0 else value, settled=True)
    scores = [read[2] for reference in (honest, mixed) if (read := reference.read("person", 5.0)) is not None]
    assert scores[0] == pytest.approx(5.0, rel=0.1)
    assert scores[1] > 0.85 * scores[0]


def test_the_posterior_grows_with_evidence_and_needs_conversations() -> None:
    assert posterior(5.0, 100) > posterior(3.0, 100) > posterior(0.0, 100)
    assert posterior(4.0, 100) > 0.5 > posterior(4.0, 8)
    assert 0.0 <= posterior(-1e9, 100) <= posterior(1e9, 100) <= 1.0


def test_drift_is_noticed_once_normal_moves_and_not_before() -> None:
    rng = random.Random(8)
    drift = BaselineDrift(["a", "b"])
    for _ in range(2_000):
        drift.learn([rng.random(), rng.random()])
    assert drift.drifts == {"a": 0, "b": 0}
    for _ in range(500):
        drift.learn([rng.random() ** 4, rng.random()])
    assert drift.drifts["a"] >= 1
    assert drift.drifts["b"] == 0


def test_a_clearly_better_challenger_takes_over() -> None:
    # Attacks in the middle of the honest: a line can not part them, two densities can.
    rng = random.Random(9)
    model = LabelModel(seed=1)
    for _ in range(400):
        attack = rng.random() < 0.5
        value = rng.gauss(0.5, 0.03) if attack else rng.gauss(0.5, 0.35)
        model.learn({"a": min(max(value, 0.0), 1.0)}, attack)
    metrics = model.metrics()
    assert metrics["champion"] == "bayes"
    assert metrics["switches"] == 1
    assert float(metrics["log_loss_bayes"]) < float(metrics["log_loss_logistic"])


def test_metrics_are_prequential_each_label_is_a_test_first() -> None:
    model = LabelModel(seed=1)
    for number in range(20):
        model.learn({"a": float(number % 2)}, bool(number % 2))
    assert model.metrics()["labels"] == 20
    assert 0 < int(model.metrics()["tested"]) <= 20 - 6
