"""The texts: many topics, few repeats, like next to like; real prompts behave the same behind the same door."""

from __future__ import annotations

import random
import re
from statistics import mean

import pytest

from stillwatch.errors import SettingsError
from stillwatch.simulator import BuiltinTexts, PoolTexts, by_likeness
from stillwatch.simulator.grammar import KINDS
from stillwatch.simulator.vocabulary import SECTORS

TEXTS = BuiltinTexts()


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]{4,}", text.lower()))


def some(topic: int, rng: random.Random, language: str = "en") -> str:
    return TEXTS.opening(topic, language, rng.randrange(TEXTS.size(topic, language))).text


def test_there_are_sixty_domains_and_twenty_four_kinds_of_task_at_least() -> None:
    domains = [domain.name for sector in SECTORS.values() for domain in sector]
    assert len(set(domains)) == len(domains) >= 60
    assert len({kind.name for kind in KINDS}) == len(KINDS) >= 24
    assert len(set(TEXTS.topics)) == len(TEXTS.topics) == len(domains) * 4 * 4
    assert sum(TEXTS.popularity) == pytest.approx(1.0)


def test_every_topic_has_a_million_texts_in_every_language() -> None:
    smallest = min(TEXTS.size(topic, language) for topic in range(0, 1_024, 7) for language in TEXTS.languages)
    assert smallest >= 1_000_000


def test_different_numbers_are_different_texts() -> None:
    rng = random.Random(1)
    for topic, language in ((0, "en"), (501, "en"), (1_023, "de"), (77, "zh")):
        numbers = rng.sample(range(TEXTS.size(topic, language)), 4_000)
        # Next to each other as well as far apart: both are how a campaign or a person may draw.
        numbers = list(dict.fromkeys([*numbers, *range(2_000)]))
        assert len({TEXTS.opening(topic, language, number).text for number in numbers}) == len(numbers)


def test_no_text_shows_a_slot_that_was_not_filled() -> None:
    rng = random.Random(2)
    for _ in range(3_000):
        topic, language = rng.randrange(1_024), rng.choice(TEXTS.languages)
        text = some(topic, rng, language) + TEXTS.follow_up(topic, language, 0, 2, rng.getrandbits(48)).text
        assert not re.search(r"\{\w*\}|\[[^\]]*\||_\}", text), text


def test_texts_of_one_topic_resemble_each_other() -> None:
    rng = random.Random(3)

    def likeness(first: str, second: str) -> float:
        return len(words(first) & words(second)) / len(words(first) | words(second))

    topics = [rng.randrange(1_024) for _ in range(1_500)]
    same = mean(likeness(some(topic, rng), some(topic, rng)) for topic in topics)
    other = mean(likeness(some(topic, rng), some(rng.randrange(1_024), rng)) for topic in topics)
    assert same > 2 * other


def test_a_follow_up_stays_on_the_topic_and_often_names_its_things() -> None:
    rng = random.Random(4)
    domain = SECTORS["engineering"][0]
    topic = TEXTS.topics.index(f"{domain.name}/code/{domain.things[0]}")
    known = (*domain.things, *domain.activities, *domain.roles, *domain.metrics)
    texts = [TEXTS.follow_up(topic, "en", 0, 2, rng.getrandbits(48)).text for _ in range(400)]
    assert sum(any(word in text for word in known) for text in texts) > 150
    assert "Continue." in texts


def test_a_pool_gives_real_prompts_unchanged_and_threads_turn_by_turn() -> None:
    pool = PoolTexts({"maths": ["What is 7 × 8?", ("Hello", "And goodbye?")]})
    assert [pool.opening(0, "", index).text for index in range(pool.size(0, ""))] == ["What is 7 × 8?", "Hello"]
    assert pool.follow_up(0, "", 1, 2, 0).text == "And goodbye?"
    assert pool.follow_up(0, "", 1, 3, 0).text != pool.follow_up(0, "", 1, 3, 1).text


def test_a_text_that_stands_twice_in_a_pool_counts_once() -> None:
    assert PoolTexts({"a": ["x", "x", "y"], "b": ["x"]}).popularity == (2 / 3, 1 / 3)


def test_variants_are_different_texts_around_the_same_prompt() -> None:
    pool = PoolTexts({"maths": ["What is 7 × 8?", "What is 6 × 9?"]}, variants=100)
    texts = [pool.opening(0, "", index).text for index in range(pool.size(0, ""))]
    assert len(set(texts)) == 200
    assert texts[:2] == ["What is 7 × 8?", "What is 6 × 9?"]
    assert sum("7 × 8" in text for text in texts) == 100


@pytest.mark.parametrize(
    ("groups", "variants", "key"),
    [({}, 1, "texts"), ({"a": []}, 1, "texts.a"), ({"a": ["  "]}, 1, "texts.a"), ({"a": ["x" * 65_536]}, 1, "texts.a"),
     ({"a": ["x"]}, 0, "variants"), ({"a": ["x"]}, 101, "variants")],
)  # fmt: skip
def test_a_pool_that_can_not_work_says_why(groups: dict[str, list[str]], variants: int, key: str) -> None:
    with pytest.raises(SettingsError) as caught:
        PoolTexts(groups, variants)
    assert caught.value.key == key
    assert caught.value.remedy


def test_likeness_finds_the_groups_that_are_there() -> None:
    cooking = [f"How long do I bake sourdough bread with {n} grams of flour?" for n in ("ten", "twenty", "ninety")]
    chess = [f"Is the rook endgame in this chess opening lost after {n} moves?" for n in ("ten", "twenty", "ninety")]
    german = [f"Wie melde ich mein gebrauchtes Fahrrad als {n} gestohlen?" for n in ("gestern", "heute", "morgen")]
    found = by_likeness([*cooking, *chess, *german], topics=3, seed=5)
    assert sorted(map(len, found.values())) == [3, 3, 3]
    assert {frozenset(texts) for texts in found.values()} == {frozenset(cooking), frozenset(chess), frozenset(german)}
    assert by_likeness([*cooking, *chess, *german], topics=3, seed=5) == found


def test_more_topics_than_texts_is_refused() -> None:
    with pytest.raises(SettingsError, match="2 topics of 1 texts"):
        by_likeness(["one"], topics=2, seed=1)
