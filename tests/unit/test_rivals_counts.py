"""The rivals that count: volume, topic entropy, half-space trees, fixed weights."""

import math
from collections import Counter

import numpy as np
from factories import T0
from hypothesis import given, settings
from hypothesis import strategies as st

from stillwatch.event import RequestEvent
from stillwatch.rivals.entropy import SAMPLE, rarefied_entropy
from stillwatch.rivals.hst import HalfSpaceTrees
from stillwatch.rivals.rules import WEIGHTS, FixedWeights, weighted
from stillwatch.rivals.volume import Volume

HOUR = 3_600_000_000_000
DAY = 24 * HOUR


def test_the_volume_rule_counts_the_busiest_day() -> None:
    rival = Volume(threshold=None)
    for day, requests in ((0, 3), (1, 7), (2, 2)):
        for number in range(requests):
            rival.observe(RequestEvent(f"{day}-{number}", "a", T0 + day * DAY + number))
    rival.advance(T0 + 3 * DAY)
    assert rival.scores() == {"a": 7.0}


def test_a_campaign_of_26_requests_a_day_stays_below_a_busy_person() -> None:
    rival = Volume(threshold=100.0)
    for account, requests in (("campaign", 26), ("person", 140)):
        for number in range(requests):
            rival.observe(RequestEvent(f"{account}-{number}", account, T0 + number * 1_000_000_000))
    assert [action.account for action in rival.advance(T0 + HOUR)] == ["person"]


def test_rarefied_entropy_does_not_grow_with_volume() -> None:
    """The property that it is for: plain entropy of these two differs by more than a bit."""
    rng = np.random.default_rng(1)
    mixture = rng.dirichlet(np.full(256, 0.05))
    few = [rarefied_entropy(Counter(rng.choice(256, size=20, p=mixture).tolist())) for _ in range(400)]
    many = [rarefied_entropy(Counter(rng.choice(256, size=2_000, p=mixture).tolist())) for _ in range(20)]
    error = np.std(few) / math.sqrt(len(few))
    assert abs(np.mean(few) - np.mean(many)) < 4 * error


def test_with_as_many_as_are_drawn_it_is_the_plain_entropy() -> None:
    counts = Counter({1: 8, 2: 4, 3: 4})
    assert rarefied_entropy(counts, sample=16) == 1.5


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.integers(0, 255), st.integers(1, 60), min_size=1, max_size=40))
def test_rarefied_entropy_stays_in_its_range(counts: dict[int, int]) -> None:
    entropy = rarefied_entropy(Counter(counts))
    if sum(counts.values()) < SAMPLE:
        assert entropy is None
    else:
        assert entropy is not None
        assert 0 <= entropy <= min(math.log2(SAMPLE), math.log2(len(counts))) + 1e-9


def _request(account: str, number: int, tokens: float) -> RequestEvent:
    attributes = {"gen_ai.usage.input_tokens": tokens, "gen_ai.usage.output_tokens": tokens}
    return RequestEvent(f"{account}-{number}", account, T0 + number * 60_000_000_000, attributes)  # type: ignore[arg-type]


def test_half_space_trees_see_an_account_whose_requests_are_unlike_the_others() -> None:
    rival, rng = HalfSpaceTrees(), np.random.default_rng(2)
    for number in range(600):
        rival.observe(_request(f"u{number % 20}", number, float(rng.uniform(100, 400))))
    for number in range(600, 620):
        rival.observe(_request("odd", number, 150_000.0))
    rival.advance(T0 + DAY)
    scores = rival.scores()
    assert scores["odd"] > max(score for account, score in scores.items() if account != "odd")


def test_half_space_trees_get_used_to_a_sustained_burst() -> None:
    """The documented limit: after two windows of it, the odd is normal."""

    def score_of_odd(odd_requests: int) -> float:
        rival, rng = HalfSpaceTrees(), np.random.default_rng(2)
        for number in range(500):
            rival.observe(_request(f"u{number % 20}", number, float(rng.uniform(100, 400))))
        for number in range(500, 500 + odd_requests):
            rival.observe(_request("odd", number, 150_000.0))
        rival.advance(T0 + DAY)
        return rival.scores()["odd"]

    assert score_of_odd(2_000) < 0.5 * score_of_odd(50)


def test_the_published_weights_add_up_and_no_rule_alone_reaches_the_published_limit() -> None:
    assert weighted(dict.fromkeys(WEIGHTS, 1.0)) == 1.0
    assert max(weighted({name: 1.0}) for name in WEIGHTS) < 0.35


def test_rules_find_the_products_own_kind_of_campaign_a_shared_client_asking_for_reasoning() -> None:
    """Its labelled set is told apart by the user agent alone; a shared rare client is what weighs most here too."""
    rival = FixedWeights()
    for number in range(40):
        for account in range(300):
            bot = account < 12
            attributes = {
                "user_agent.original": "pool-client/1.0" if bot else f"sdk/{account % 4}",
                "stillwatch.account.signup": "batch" if bot else f"own-{account}",
                "stillwatch.prompt.text": "Think step by step and show your reasoning: why?" if bot else "hello there",
            }
            name = f"bot{account}" if bot else f"user{account}"
            time = T0 + number * HOUR + (account * 977 + number * 7_919 * account) % 3_600 * 1_000_000_000
            rival.observe(RequestEvent(f"{name}-{number}", name, time, attributes))  # type: ignore[arg-type]
    rival.advance(T0 + 2 * DAY)
    scores = rival.scores()
    assert min(s for a, s in scores.items() if a.startswith("bot")) > max(
        s for a, s in scores.items() if a.startswith("user")
    )
