"""Language, source code, sketch and vocabulary, each by itself."""

from __future__ import annotations

import pytest
from prompts_of_ours import BY_LANGUAGE

from stillwatch.fingerprint import fingerprint
from stillwatch.prompts import vocabulary
from stillwatch.prompts.simhash import MAX_ADDED, settle, spread
from stillwatch.prompts.source_code import code_share


@pytest.mark.parametrize("language", sorted(BY_LANGUAGE))
def test_at_least_seven_of_eight_short_prompts_show_their_language(language: str) -> None:
    assert sum(fingerprint(prompt).language == language for prompt in BY_LANGUAGE[language]) >= 7


@pytest.mark.parametrize("prompt", ["", "weather berlin", "🙂", "x y z", "42 + 17 = ?"])
def test_a_language_that_nothing_shows_is_und(prompt: str) -> None:
    assert fingerprint(prompt).language == "und"


def test_a_language_is_that_of_the_most_words_and_not_of_the_first() -> None:
    assert fingerprint("Translate: wie ist das wetter heute und was kann ich mit dem hund machen").language == "de"


@pytest.mark.parametrize(
    "code",
    [
        "def mean(xs):\n    return sum(xs) / len(xs)\n",
        "for (let i = 0; i < 3; i++) {\n  console.log(i);\n}\n",
        "SELECT name, sum(price) FROM orders GROUP BY name;\n",
        "```\nanything at all, in a fence\n```",
        '{"name": "otter", "legs": [4]}',
    ],
)
def test_source_code_is_seen(code: str) -> None:
    assert code_share(code.lower()) == 1.0
    assert fingerprint(code).language == "code"


@pytest.mark.parametrize(
    "prose",
    [
        "Please (if you can) tell me more; I am curious.",
        "What is 3 + 4 = ?",
        "A list:\n- apples\n- pears (green)\n- plums",
        "Dear Ms Lind,\n\nthank you; we will come on Monday.\n\nKind regards",
    ],
)
def test_prose_is_not_taken_for_source_code(prose: str) -> None:
    assert code_share(prose.lower()) == 0.0


def test_half_code_is_half() -> None:
    prompt = "why does this line fail, please\n" + "total = compute(orders[1], x)\n"
    assert 0.3 < code_share(prompt) < 0.6


def test_a_sketch_counts_a_bit_that_most_words_have() -> None:
    words = [b"otter", b"river", b"stone"]
    made = settle([spread(word) for word in words])
    for bit in range(64):
        ones = sum(spread(word) >> (8 * bit) & 1 for word in words)
        assert (made >> bit & 1) == (ones >= 2)


def test_a_sketch_of_very_many_words_does_not_overflow() -> None:
    assert settle([spread(b"otter")] * 10_000) == settle([spread(b"otter")])
    assert settle([spread(b"a%d" % n) for n in range(MAX_ADDED)] + [spread(b"z")] * 900) == settle(
        [spread(b"a%d" % n) for n in range(MAX_ADDED)]
    )


def test_the_vocabulary_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "MAX_CACHED", 10)
    vocabulary.forget()
    words = [b"word%c" % (97 + n % 26) * (1 + n // 26) for n in range(200)]
    for word in words:
        vocabulary.known([word])
        assert len(vocabulary._cache) <= 10
    vocabulary.forget()
    vocabulary.known([b"x" * 500])
    assert not vocabulary._cache
