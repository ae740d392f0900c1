"""The account signals: what each measures on accounts made by hand, and what all of them have in common."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from factories import T0

from stillwatch.account import AccountState
from stillwatch.cohort import Cohort
from stillwatch.event import RequestEvent
from stillwatch.fingerprint import event_fingerprint
from stillwatch.signals import ACCOUNT_SIGNALS, MEMORIES
from stillwatch.signals.base import AccountSignal

SECOND = 10**9
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
MIDNIGHT = T0 - T0 % DAY
NAMED = {signal.name: signal for signal in ACCOUNT_SIGNALS}
WORDS = ("rust", "sourdough", "taxes", "tides", "violins", "bees", "opera", "glaciers", "chess", "volcanoes")


def a_cohort() -> Cohort:
    cohort = Cohort()
    rng = random.Random(1)
    for _ in range(600):
        cohort.learn([rng.randrange(12)])
    return cohort


COHORT = a_cohort()


def of(
    prompts: list[str], at: Callable[[int], int] = lambda n: MIDNIGHT + n * HOUR, **attributes: object
) -> AccountState:
    """One conversation a prompt, at ``at(number)``."""
    state = AccountState("a", MIDNIGHT)
    for number, prompt in enumerate(prompts):
        named = {name.replace("__", "."): value for name, value in attributes.items()}
        event = RequestEvent(f"r-{number}", "a", at(number), {"stillwatch.prompt.text": prompt, **named})  # type: ignore[dict-item]
        state.observe(event, event_fingerprint(event), MEMORIES)
    return state


def value(name: str, state: AccountState) -> float:
    found = NAMED[name].value(state, COHORT)
    assert found is not None
    return found


# -- laws ------------------------------------------------------------------------------------------------------------


@pytest.fixture(params=ACCOUNT_SIGNALS, ids=lambda signal: signal.name)
def signal(request: pytest.FixtureRequest) -> AccountSignal:
    found: AccountSignal = request.param
    return found


def test_a_young_account_has_no_value(signal: AccountSignal) -> None:
    assert signal.value(of(["hello"]), COHORT) is None


def test_an_account_without_prompts_breaks_nothing(signal: AccountSignal) -> None:
    state = AccountState("a", MIDNIGHT)
    for number in range(200):
        event = RequestEvent(f"r-{number}", "a", MIDNIGHT + number * HOUR, {})
        state.observe(event, None, MEMORIES)
    found = signal.value(state, Cohort())
    assert found is None or math.isfinite(found)


@pytest.mark.parametrize("seed", range(4))
def test_values_stay_in_their_range_and_have_words(signal: AccountSignal, seed: int) -> None:
    rng = random.Random(seed)
    prompts = [f"{rng.choice(('write', 'explain', 'fix'))} {rng.choice(WORDS)} {rng.choice(WORDS)}" for _ in range(300)]
    state = of(
        prompts, at=lambda n: MIDNIGHT + n * rng.randrange(HOUR), gen_ai__usage__output_tokens=10 ** rng.randrange(9),
        gen_ai__request__temperature=0.5, stillwatch__system__text="be kind",
    )  # fmt: skip
    found = signal.value(state, COHORT)
    if found is not None:
        assert signal.low <= found <= signal.high
        assert len(signal.sentence(found, (signal.low, signal.high))) > 20


# -- each ------------------------------------------------------------------------------------------------------------


def test_topic_diversity_counts_topics_in_a_sample_of_eight() -> None:
    assert value("topic_diversity", of(["tell me about rust"] * 40)) == pytest.approx(1.0)
    assert value("topic_diversity", of([f"tell me about {word}" for word in WORDS])) > 7.5


def test_topic_diversity_does_not_grow_with_volume() -> None:
    rng = random.Random(3)
    few, many = (
        value("topic_diversity", of([f"tell me about {rng.choice(WORDS)}" for _ in range(n)])) for n in (40, 600)
    )
    assert few == pytest.approx(many, abs=0.6)


def test_topic_novelty_is_the_share_of_topics_met_once() -> None:
    assert value("topic_novelty", of(["tell me about rust"] * 8 + ["tell me about glaciers"])) == pytest.approx(1 / 9)


def test_volume_to_diversity_is_conversations_per_topic() -> None:
    assert 2 ** value("volume_to_diversity", of(["tell me about rust"] * 32)) == pytest.approx(32)


def test_capability_coverage_compares_with_chance() -> None:
    sweep = [
        "write python code",
        "translate this into French",
        "summarize the text",
        "what is 3 + 4",
        "write a poem",
    ] * 4
    assert value("capability_coverage", of(sweep)) > value("capability_coverage", of(["write python code"] * 20))


def test_persistence_is_high_for_a_person_and_nil_for_a_dealer() -> None:
    rng = random.Random(4)
    sittings = [f"tell me about {word}" for word in WORDS for _ in range(6)]
    dealt = rng.sample(sittings, len(sittings))
    assert value("topic_persistence", of(sittings)) > 0.5
    assert abs(value("topic_persistence", of(dealt))) < 0.25


def test_coherence_is_measured_within_conversations_only() -> None:
    state = AccountState("a", MIDNIGHT)
    for number in range(40):
        asked = {"gen_ai.conversation.id": f"c{number // 2}", "stillwatch.prompt.turn": 1 + number % 2}
        prompt = f"tell me about {WORDS[number // 2 % 10]}"
        event = RequestEvent(f"r-{number}", "a", MIDNIGHT + number, {"stillwatch.prompt.text": prompt, **asked})
        state.observe(event, event_fingerprint(event), MEMORIES)
    assert value("query_coherence", state) == 1.0
    assert 2 ** value("conversation_depth", state) == 2.0


def test_repetition_counts_near_duplicates_of_recent_openings() -> None:
    assert value("repetition", of(["please translate this sentence about rust"] * 20)) == 1.0
    assert value("repetition", of([f"tell me about {word} and more" for word in WORDS])) == 0.0


def test_quiet_hours_tell_a_sleeper_from_a_machine() -> None:
    awake = [9, 10, 11, 13, 14, 16, 20, 21]
    sleeper = of(["x"] * 96, at=lambda n: MIDNIGHT + n // 8 * DAY + awake[n % 8] * HOUR)
    machine = of(["x"] * 96, at=lambda n: MIDNIGHT + n * HOUR)
    assert value("quiet_hours", sleeper) == 0.0
    assert value("quiet_hours", machine) == pytest.approx(1 / 3)


def test_inter_arrival_is_zero_for_a_clock_and_1_28_for_a_random_stream() -> None:
    rng = random.Random(5)
    times = [MIDNIGHT]
    for _ in range(4_000):
        times.append(times[-1] + int(rng.expovariate(1 / 2_000) * SECOND))
    assert value("inter_arrival", of(["x"] * 100, at=lambda n: MIDNIGHT + n * HOUR)) == pytest.approx(0.0)
    assert value("inter_arrival", of(["x"] * 4_000, at=times.__getitem__)) == pytest.approx(
        math.pi / math.sqrt(6), abs=0.35
    )


def test_daily_dispersion_is_low_when_every_day_is_alike() -> None:
    alike = of(["x"] * 100, at=lambda n: MIDNIGHT + n // 10 * DAY + n % 10)
    uneven = of(["x"] * 100, at=lambda n: MIDNIGHT + (0 if n < 90 else n - 90) * DAY + n)
    assert value("daily_dispersion", alike) == -2.0
    assert value("daily_dispersion", uneven) > 1.0


def test_habits_are_shares_of_the_most_common() -> None:
    state = of(
        ["write a poem about the sea"] * 30, gen_ai__request__temperature=0.2, stillwatch__system__text="be kind"
    )
    for name in ("parameter_constancy", "system_prompt_concentration", "template_concentration"):
        assert value(name, state) == 1.0


def test_elicitation_and_output_length() -> None:
    state = of(["think step by step: why is the sky blue?"] * 20, gen_ai__usage__output_tokens=1_000)
    assert value("elicitation_rate", state) == 1.0
    assert value("output_length", state) == pytest.approx(math.log(1_000))
