"""The campaign does what public relays do: conversations stick, new ones go by load, prompts are never used twice."""

from __future__ import annotations

from collections import Counter, defaultdict
from statistics import mean, pvariance
from typing import Any

import pytest

from stillwatch.errors import SettingsError
from stillwatch.simulator import BuiltinTexts, PoolTexts, TextSource, Traced, from_map, trace
from stillwatch.simulator.relay import Campaign

TEXTS = BuiltinTexts()
DAY_NANO = 86_400 * 1_000_000_000
START_NANO = 1_740_960_000 * 1_000_000_000


def run(days: int = 2, seed: int = 4, texts: TextSource = TEXTS, **campaign: Any) -> list[Traced]:
    group = {"kind": "campaign", "name": "hydra", "accounts": 30, "signup_span_days": 10, **campaign}
    return list(trace(from_map({"name": "relay", "seed": seed, "days": days, "groups": [group]}), texts))


def conversation(traced: Traced) -> str:
    return str(traced.event.attributes["gen_ai.conversation.id"])


def prompt(traced: Traced) -> str:
    return str(traced.event.attributes["stillwatch.prompt.text"])


@pytest.mark.parametrize("choice", ["least_used", "round_robin"])
def test_a_conversation_stays_on_its_account(choice: str) -> None:
    events = run(choice=choice)
    accounts: dict[str, set[str]] = defaultdict(set)
    turns: dict[str, list[int]] = defaultdict(list)
    for traced in events:
        accounts[conversation(traced)].add(traced.event.account)
        turns[conversation(traced)].append(traced.turn)
    assert all(len(used) == 1 for used in accounts.values())
    assert all(seen == list(range(1, len(seen) + 1)) for seen in turns.values())
    assert max(map(len, turns.values())) > 5


def test_no_prompt_of_the_pool_is_used_twice() -> None:
    pooled = [prompt(traced) for traced in run(days=6) if traced.turn == 1]
    assert len(pooled) > 1_500
    assert len(set(pooled)) == len(pooled)


def test_a_pool_that_is_worked_through_in_order_goes_from_topic_to_topic_on_all_accounts_at_once() -> None:
    starts = [traced for traced in run(days=4, order="pool", cover_share=0.5) if traced.turn == 1]
    pooled = [traced for traced in starts if not traced.cover]
    passed = [
        traced.topic for place, traced in enumerate(pooled) if place == 0 or pooled[place - 1].topic != traced.topic
    ]
    assert len(passed) > 30
    assert (
        len(passed) <= len(set(passed)) + 2
    )  # each once; the beginning again where there are more calls than expected
    assert len({prompt(traced) for traced in pooled}) == len(pooled)
    longest = Counter(traced.topic for traced in pooled).most_common(1)[0][0]
    assert len({traced.event.account for traced in pooled if traced.topic == longest}) > 10


def test_how_a_pool_is_worked_through_changes_nothing_of_when_and_by_whom() -> None:
    """The scenario without a word of it gives the bytes that it gave before there was a choice."""
    shuffled, ordered = run(), run(order="pool")
    assert run(order="shuffled") == shuffled
    assert sorted(Counter(t.event.account for t in ordered)) == sorted(Counter(t.event.account for t in shuffled))


def test_a_topic_without_more_texts_is_passed_over_in_order_too() -> None:
    pool = PoolTexts({"a": [f"question {n}" for n in range(3)], "b": [f"task {n}" for n in range(500)]})
    asked = [prompt(t) for t in run(texts=pool, days=1, accounts=5, cohorts=1, order="pool") if t.turn == 1]
    assert 30 < len(asked) == len(set(asked))


def test_a_small_pool_is_used_to_the_last_prompt_and_no_further() -> None:
    pool = PoolTexts({"a": [f"question {n}" for n in range(60)], "b": [f"task {n}" for n in range(20)]})
    with pytest.raises(SettingsError) as caught:
        run(texts=pool)
    assert caught.value.key == "groups.hydra"
    events = run(texts=pool, days=1, accounts=5, cohorts=1, requests_per_day=25, turns_mean=2.0)
    asked = [prompt(traced) for traced in events if traced.turn == 1]
    assert 30 < len(asked) == len(set(asked))


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8])
def test_the_share_of_cover_is_as_asked_for(share: float) -> None:
    starts = [traced for traced in run(days=4, cover_share=share) if traced.turn == 1]
    assert sum(traced.cover for traced in starts) / len(starts) == pytest.approx(share, abs=0.05)


def test_cover_differs_between_accounts_and_the_pool_does_not() -> None:
    starts = [traced for traced in run(days=20, accounts=4, cohorts=1, cover_share=0.5) if traced.turn == 1]

    def overlap(cover: bool) -> float:
        topics: dict[str, Counter[int]] = defaultdict(Counter)
        for traced in starts:
            if traced.cover is cover:
                topics[traced.event.account][traced.topic // 4] += 1
        first, second, *_ = topics.values()
        return sum((first & second).values()) / min(first.total(), second.total())

    assert overlap(cover=True) < 0.75 * overlap(cover=False)


def test_accounts_carry_a_light_users_volume_and_about_the_same_each() -> None:
    events = run(days=4)
    counts = list(Counter(traced.event.account for traced in events).values())
    assert len(counts) == 30
    assert mean(counts) / 4 == pytest.approx(26, rel=0.1)
    # Independent Poisson counts of conversations of these lengths would scatter by five times their mean or more.
    assert pvariance(counts) / mean(counts) < 3.0


def test_in_turn_means_that_nobody_is_a_conversation_ahead() -> None:
    events = run(days=2, choice="round_robin", signup_span_days=0)
    counts = Counter(traced.event.account for traced in events if traced.turn == 1).values()
    assert max(counts) - min(counts) <= 1


def test_a_topic_says_nothing_about_the_account() -> None:
    halves: dict[bool, Counter[int]] = {True: Counter(), False: Counter()}
    events = run(days=30, accounts=8, cohorts=1)
    ordered = sorted({traced.event.account for traced in events})
    for traced in events:
        if traced.turn == 1:
            halves[ordered.index(traced.event.account) < 4][traced.topic // 4] += 1
    common = [topic for topic, count in (halves[True] + halves[False]).most_common(30) if count >= 20]
    share = halves[True].total() / (halves[True].total() + halves[False].total())
    for topic in common:
        n = halves[True][topic] + halves[False][topic]
        # Four standard deviations of a binomial: the choice of account does not look at content.
        assert abs(halves[True][topic] - n * share) < 4 * (n * share * (1 - share)) ** 0.5


def test_an_account_sends_nothing_before_it_has_signed_up() -> None:
    events = run(days=4, signup_days_before=1, signup_span_days=3)
    created = {traced.identity.created_unix_s for traced in events}
    assert max(created) > 1_740_960_000 > min(created)
    assert all(traced.event.time_unix_nano >= traced.identity.created_unix_s * 1_000_000_000 for traced in events)


def test_resting_accounts_get_no_new_conversations() -> None:
    hours: dict[str, set[int]] = defaultdict(set)
    for traced in run(days=6, rest_hours=9):
        if traced.turn == 1:
            hours[traced.event.account].add((traced.event.time_unix_nano - START_NANO) // (DAY_NANO // 24) % 24)
    for used in hours.values():
        silent = [hour for hour in range(24) if all((hour + step) % 24 not in used for step in range(9))]
        assert silent


def test_rest_does_not_lower_the_volume() -> None:
    assert len(run(days=4, rest_hours=9)) == pytest.approx(len(run(days=4)), rel=0.1)


def test_registrations_come_in_few_batches_over_days() -> None:
    group = Campaign(name="hydra", accounts=60)
    world = from_map({"name": "x", "days": 1, "groups": [group.model_dump()]}).world()
    batches: dict[str, list[int]] = defaultdict(list)
    for identity in group.roster(world):
        batches[identity.signup].append(identity.created_unix_s)
    large = sorted(batches.values(), key=len)[-3:]
    assert [len(batch) >= 14 for batch in large] == [True, True, True]
    days = [(max(batch) - min(batch)) / 86_400 for batch in large]
    assert all(0.5 < spread < 12 for spread in days)
    families = Counter(identity.payment for identity in group.roster(world) if identity.payment)
    assert sum(count for _, count in families.most_common(4)) >= 40


def test_an_own_client_is_a_fingerprint_that_nobody_else_has() -> None:
    groups = [
        {"kind": "people", "name": "people", "count": 60},
        {"kind": "campaign", "name": "hydra", "accounts": 6, "client": "own"},
    ]
    ja4: dict[bool, set[object]] = {True: set(), False: set()}
    for traced in trace(from_map({"name": "own", "days": 1, "groups": groups}), TEXTS):
        ja4[traced.identity.kind == "attack"].add(traced.event.attributes["stillwatch.client.ja4"])
    assert len(ja4[True]) == 1
    assert not ja4[True] & ja4[False]
