"""The rivals that look at distances between texts: MMD and PRADA, against their papers."""

import numpy as np
import pytest
from factories import T0

from stillwatch.event import RequestEvent
from stillwatch.rivals.embedding import DIMENSIONS, embed
from stillwatch.rivals.mmd import (
    ACCOUNT_WINDOW,
    Reference,
    Sample,
    WindowedMmd,
    detection_rate,
    kernel,
    median_gamma,
    mmd2,
    reference_of,
)
from stillwatch.rivals.prada import MIN_DISTANCES, shapiro_wilk

WIDTH = 16


def honest(rng: np.random.Generator, count: int) -> Sample:
    return rng.normal(size=(count, WIDTH)).astype(np.float32)


def mixed(rng: np.random.Generator, count: int, share: float) -> Sample:
    """So large a share of the window is from another source: shifted, and narrower."""
    out = honest(rng, count)
    attack = rng.random(count) < share
    out[attack] = 0.6 * out[attack] + np.eye(WIDTH, dtype=np.float32)[0] * 1.5
    return out


def test_the_estimate_is_unbiased_its_mean_is_zero_when_both_are_from_one_source() -> None:
    rng = np.random.default_rng(1)
    found = [mmd2(honest(rng, 40), honest(rng, 60), gamma=1 / WIDTH) for _ in range(1_500)]
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found)) < 4 * error
    biased = float(np.mean(found)) + 1 / 40 * 0.3  # what counting each point with itself would add, at the least
    assert biased > 4 * error


def test_it_equals_the_definition_written_out() -> None:
    rng = np.random.default_rng(2)
    x, y = honest(rng, 5), mixed(rng, 7, 1.0)

    def k(a: Sample, b: Sample) -> float:
        return float(np.exp(-0.1 * ((a.astype(float) - b.astype(float)) ** 2).sum()))

    within_x = np.mean([k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    within_y = np.mean([k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    across = np.mean([k(a, b) for a in x for b in y])
    assert mmd2(x, y, gamma=0.1) == pytest.approx(within_x + within_y - 2 * across, abs=1e-6)
    assert kernel(x, x, 0.1).diagonal() == pytest.approx(1.0)


def test_power_grows_with_the_window_and_with_the_share_of_attack_as_published() -> None:
    """Published, windows of 100 / 500 at 5, 25 and 100 %: 1.3, 76, 100 and 15, 99.6, 100 %. Here the order, not the
    figures: the vectors are not theirs."""
    rng = np.random.default_rng(3)
    reference = Reference(honest(rng, 500), seed=1)

    def power(window: int, share: float) -> float:
        null = [reference.deviation(honest(rng, window)) for _ in range(80)]
        return detection_rate([reference.deviation(mixed(rng, window, share)) for _ in range(40)], null, 0.05)

    small = [power(60, share) for share in (0.05, 0.2, 1.0)]
    large = [power(240, share) for share in (0.05, 0.2, 1.0)]
    assert small[0] < 0.5
    assert small[2] == large[2] == 1.0
    assert large[1] > small[1] + 0.2
    assert small == sorted(small)
    assert large == sorted(large)


def test_deviations_of_honest_windows_have_the_spread_of_one() -> None:
    rng = np.random.default_rng(4)
    reference = Reference(honest(rng, 800), seed=1)
    found = [reference.deviation(honest(rng, 60)) for _ in range(300)]
    assert 0.75 < np.std(found) < 1.3


def test_the_scale_of_the_kernel_is_the_median_distance() -> None:
    points = np.array([[0.0], [1.0], [3.0]], dtype=np.float32)  # squared distances 1, 4, 9
    assert median_gamma(points) == pytest.approx(1 / 4)


def test_hashed_vectors_have_unit_length_and_keep_likeness_of_wording() -> None:
    near = embed("write a function that sorts a list") @ embed("write a function that sorts a dictionary")
    far = embed("write a function that sorts a list") @ embed("why did rome fall")
    assert np.linalg.norm(embed("hello")) == pytest.approx(1.0, abs=1e-5)
    assert near > 0.5 > far
    assert not embed("").any()
    assert embed("\ud800 broken").shape == (DIMENSIONS,)


def test_an_account_that_writes_like_nobody_else_deviates_more_than_everybody() -> None:
    rng = np.random.default_rng(5)
    words = [f"word{number}" for number in range(400)]

    def text(pool: list[str]) -> str:
        return " ".join(rng.choice(pool, 12))

    def asked(account: str, number: int, pool: list[str]) -> RequestEvent:
        return RequestEvent(f"{account}-{number}", account, T0, {"stillwatch.prompt.text": text(pool)})

    reference = reference_of(asked(f"r{number % 200}", number, words) for number in range(700))
    rival = WindowedMmd(reference=reference)
    for number in range(ACCOUNT_WINDOW):
        for account in range(5):
            rival.observe(asked(f"u{account}", number, words))
        rival.observe(asked("odd", number, words[:30]))
    rival.advance(T0)
    scores = rival.scores()
    assert set(scores) == {"odd", *(f"u{account}" for account in range(5))}
    assert scores["odd"] > 3 * max(score for account, score in scores.items() if account != "odd")


def test_pooled_windows_raise_an_alarm_without_members_when_part_of_the_traffic_changes() -> None:
    rng = np.random.default_rng(8)
    honest_words, other_words = [f"word{n}" for n in range(300)], [f"task{n}" for n in range(40)]

    def traffic(requests: int, share: float) -> list[RequestEvent]:
        pools = [other_words if rng.random() < share else honest_words for _ in range(requests)]
        texts = [" ".join(rng.choice(pool, 8)) for pool in pools]
        return [RequestEvent(str(n), f"a{n}", T0, {"stillwatch.prompt.text": text}) for n, text in enumerate(texts)]

    reference = reference_of(traffic(1_200, share=0.0))
    for share, alarms in ((0.0, 0), (0.25, 1)):
        rival = WindowedMmd(reference=reference)
        for event in traffic(1_500, share):
            rival.observe(event)
        found = rival.campaigns()
        assert len(found) == alarms
        assert all(campaign.members == () for campaign in found)


def test_without_a_reference_it_takes_the_first_requests_and_no_account_more_than_four() -> None:
    assert (
        len(reference_of(RequestEvent(str(n), "loud", T0, {"stillwatch.prompt.text": f"t {n}"}) for n in range(50)))
        == 4
    )


def test_natural_distances_pass_and_synthetic_ones_fail() -> None:
    """Juuti et al.: honest distances fit a normal distribution; queries made around seeds at a few fixed steps do not."""
    rng = np.random.default_rng(6)
    natural = np.clip(np.round(rng.normal(22, 3, size=300)), 0, 64)
    synthetic = np.concatenate((np.round(rng.normal(22, 3, size=60)), rng.choice([2.0, 3.0], size=240)))
    fits, fails = shapiro_wilk(natural), shapiro_wilk(synthetic)
    assert fits is not None
    assert fails is not None
    assert fits > 0.97
    assert fails < 0.8


def test_the_test_needs_more_than_a_hundred_distances_and_survives_equal_ones() -> None:
    assert shapiro_wilk(np.arange(MIN_DISTANCES, dtype=np.float64)) is None
    assert shapiro_wilk(np.full(200, 7.0)) == 0.0
