"""From signals to a score: references, calibration, what teaches and what does not, champion and challenger."""

from __future__ import annotations

import random
from statistics import NormalDist

import pytest
from factories import T0

from stillwatch.account import AccountState
from stillwatch.event import RequestEvent
from stillwatch.evidence import Combiner, EvidenceReference, posterior
from stillwatch.fingerprint import event_fingerprint
from stillwatch.models import BaselineDrift, LabelModel
from stillwatch.reference import BINS, MIN_ACCOUNTS, Baseline, bin_of, teaches_at, volume_bucket
from stillwatch.scoring import use_of
from stillwatch.signals import ACCOUNT_SIGNALS
from stillwatch.signals.base import AccountSignal

WORDS = [
    "rust",
    "sourdough",
    "taxes",
    "tides",
    "violins",
    "bees",
    "opera",
    "glaciers",
    "chess",
    "volcanoes",
    "poems",
    "maps",
    "soap",
    "wells",
    "owls",
    "kites",
    "ink",
    "bread",
    "rain",
    "steel",
]
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
    assert len(baseline.state()) < 800
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


def ratio(baseline: Baseline, value: float, signal: AccountSignal = DIVERSITY) -> float:
    normal = baseline.normal("person", "pro", 5)
    assert normal is not None
    assert normal.ratios[0] is not None
    return normal.ratios[0][bin_of(signal, value)]


def bell(accounts: int, middle: float = 3.0, width: float = 0.5) -> list[float]:
    """The same shape for every number of accounts."""
    draw = NormalDist(middle, width).inv_cdf
    return [draw((number + 0.5) / accounts) for number in range(accounts)]


def test_evidence_grows_beyond_what_a_reference_can_count_and_p_values_do_not() -> None:
    baseline = taught(bell(100))
    assert surprise(baseline, 5.0) == surprise(baseline, 6.5) == pytest.approx(2.0, abs=0.02)
    assert ratio(baseline, 6.5) > ratio(baseline, 5.0) + 1 > ratio(baseline, 4.0) + 1 > 0.5


def test_whatever_is_far_out_is_no_less_striking() -> None:
    rng = random.Random(11)
    for _ in range(50):
        values = [rng.choice((2.0, rng.gauss(3, 0.2), rng.uniform(1, 8), rng.gammavariate(2, 1))) for _ in range(60)]
        normal = taught([min(max(value, 1.0), 8.0) for value in values]).normal("person", "pro", 5)
        assert normal is not None
        ratios = normal.ratios[0]
        assert ratios is not None
        assert len(ratios) == BINS
        assert ratios == sorted(ratios)


def test_few_teachers_are_believed_less_than_many() -> None:
    assert ratio(taught(bell(30)), 5.0) < ratio(taught(bell(200)), 5.0) < ratio(taught(bell(2_000)), 5.0)


def test_a_long_honest_tail_makes_far_values_less_striking() -> None:
    long = [value + 2.0 * (number % 12 == 0) for number, value in enumerate(bell(600))]
    assert ratio(taught(long), 6.0) < 0.7 * ratio(taught(bell(600)), 6.0)


def test_a_few_attackers_among_the_teachers_hardly_move_the_evidence() -> None:
    honest = bell(1_500)
    mixed = [6.5 if number % 30 == 0 else value for number, value in enumerate(honest)]
    assert ratio(taught(mixed), 6.5) > 0.85 * ratio(taught(honest), 6.5)


def test_one_clear_tell_outweighs_many_mild_ones_and_innocence_is_not_for_sale() -> None:
    combined = Combiner(ACCOUNT_SIGNALS)
    baseline = taught(bell(1_000))
    clear, mild, human = ratio(baseline, 5.0), ratio(baseline, 3.5), ratio(baseline, 1.0)
    rhythm = [clear if signal.family == "rhythm" else 0.0 for signal in ACCOUNT_SIGNALS]
    both = [clear if signal.family == "rhythm" else human for signal in ACCOUNT_SIGNALS]
    everything = combined([mild] * len(ACCOUNT_SIGNALS))
    striking, hidden = combined(rhythm), combined(both)
    assert everything is not None
    assert striking is not None
    assert hidden is not None
    assert striking > 3 * everything
    assert hidden > striking - 2.0


def test_evidence_is_read_against_honest_accounts_of_the_same_use() -> None:
    reference = EvidenceReference()
    for number in range(200):
        reference.learn("tool", number / 100, settled=True)
    read = reference.read("tool", 5.0)
    assert read is not None
    assert read[0] == pytest.approx(2.3, abs=0.01)
    assert reference.read("person", 5.0) is None


def test_the_posterior_grows_with_evidence_and_depends_on_who_stands_behind_the_account() -> None:
    assert posterior(8.0, None) > posterior(4.0, None) > posterior(0.0, None)
    assert (
        posterior(8.0, "email") == posterior(8.0, "payment") > posterior(8.0, "business") == posterior(8.0, "contract")
    )
    assert posterior(12.0, "contract") > 0.9  # none is immune
    assert 0.0 <= posterior(-1e9, "email") <= posterior(1e9, "email") <= 1.0


def test_an_account_teaches_every_bucket_once() -> None:
    assert [volume_bucket(teaches_at(times)) for times in range(20)] == list(range(8, 28))


@pytest.mark.parametrize(
    ("verification", "system", "form", "use"),
    [
        ("payment", False, False, "person"),
        ("payment", True, False, "tool"),
        ("email", True, True, "tool"),  # a form around every prompt is no way out of sight
        ("business", True, True, "program of an organisation"),
        ("business", True, False, "tool of an organisation"),
        ("contract", False, False, "person of an organisation"),
    ],
)
def test_accounts_are_compared_with_their_like(verification: str, system: bool, form: bool, use: str) -> None:
    state = AccountState("a", T0)
    for number in range(20):
        text = (
            f"Customer message:\n{WORDS[number]}\n\nReply at most 120 words."
            if form
            else f"what about {WORDS[number]}?"
        )
        attributes = {"stillwatch.prompt.text": text, "stillwatch.org.verification": verification}
        if system:
            attributes["stillwatch.system.text"] = "You are a careful assistant of the company."
        event = RequestEvent(f"r-{number}", "a", T0 + number * 10**9, attributes)
        state.observe(event, event_fingerprint(event))
    assert use_of(state) == use


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
