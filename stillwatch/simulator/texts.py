"""Where prompts come from: built in, or from lists of real texts. Numbered, so that both draw from the same space.

A :class:`TextSource` has topics with a popularity and, per topic and language, ``size`` numbered openings of
conversations. Whoever wants a random one draws a number; a campaign walks through all numbers in random order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, get_args

from stillwatch.errors import SettingsError
from stillwatch.event import MAX_ATTRIBUTE_CHARS
from stillwatch.simulator import tongues
from stillwatch.simulator.grammar import ASIDES, CONTEXTS, FOLLOW_UPS, KINDS, SLOTS, Family
from stillwatch.simulator.phrases import Phrasebook
from stillwatch.simulator.seeds import zipf
from stillwatch.simulator.vocabulary import SECTORS, Domain, Sector

# What each sector's people ask for: shares of code, reasoning, reading, writing. Judged, not measured; what is
# measured is the diversity that follows from it (docs/simulator.md).
_FAMILY_SHARES: Final[dict[Sector, tuple[float, float, float, float]]] = {
    "engineering": (0.55, 0.20, 0.13, 0.12),
    "business": (0.12, 0.23, 0.32, 0.33),
    "science": (0.18, 0.40, 0.27, 0.15),
    "living": (0.04, 0.22, 0.28, 0.46),
}
_SECTOR_SHARES: Final[dict[Sector, float]] = {"engineering": 0.36, "business": 0.24, "science": 0.16, "living": 0.24}
_FAMILIES: Final[tuple[Family, ...]] = get_args(Family)
_SUBJECTS: Final = 4
MAX_VARIANTS: Final = 100
_TEMPLATES: Final[dict[Family, tuple[str, ...]]] = {
    family: tuple(text for kind in KINDS if kind.family == family for text in kind.templates) for family in _FAMILIES
}
# Of the task kind behind each of these templates.
_OUTPUT_TOKENS: Final[dict[Family, tuple[int, ...]]] = {
    family: tuple(kind.output_tokens for kind in KINDS if kind.family == family for _ in kind.templates)
    for family in _FAMILIES
}


@dataclass(frozen=True, slots=True)
class Prompt:
    """``output_tokens``: the median length of an answer to it."""

    text: str
    output_tokens: int


class TextSource(Protocol):
    @property
    def topics(self) -> Sequence[str]: ...

    @property
    def popularity(self) -> Sequence[float]:
        """How often people ask about each topic; sums to 1."""
        ...

    @property
    def languages(self) -> Sequence[str]:
        """The first one is used for people who speak none of them."""
        ...

    def size(self, topic: int, language: str) -> int:
        """How many different openings there are."""
        ...

    def opening(self, topic: int, language: str, index: int) -> Prompt:
        """The first turn of a conversation, 0 ≤ index < size. Different indexes, different texts."""
        ...

    def follow_up(self, topic: int, language: str, index: int, turn: int, pick: int) -> Prompt:
        """Turn 2, 3, … of the conversation that ``index`` opened; ``pick`` is any random number from 0 up."""
        ...


class BuiltinTexts:
    """A grammar over 64 domains × 4 families of tasks × 4 subjects = 1,024 topics, in five languages. Nothing to load.

    Texts of one topic share its vocabulary, so a codebook can learn the topics; a topic has millions of texts, so exact
    repeats are rare. It is no replacement for real prompts: see docs/simulator.md.
    """

    def __init__(self) -> None:
        topics: list[str] = []
        popularity: list[float] = []
        self._cells: list[tuple[Domain, Family, int]] = []
        for sector, domains in SECTORS.items():
            for domain, share in zip(domains, zipf(len(domains), 1.1, shift=0.5), strict=True):
                for family, family_share in zip(_FAMILIES, _FAMILY_SHARES[sector], strict=True):
                    for subject in range(_SUBJECTS):
                        topics.append(f"{domain.name}/{family}/{domain.things[subject]}")
                        popularity.append(_SECTOR_SHARES[sector] * share * family_share / _SUBJECTS)
                        self._cells.append((domain, family, subject))
        self.topics: Final = tuple(topics)
        self.popularity: Final = tuple(popularity)
        self.languages: Final = ("en", *tongues.TONGUES)
        self._openings: dict[tuple[int, str], Phrasebook] = {}
        self._follow_ups: dict[tuple[int, str], Phrasebook] = {}

    def size(self, topic: int, language: str) -> int:
        return self._opening_book(topic, language).size

    def opening(self, topic: int, language: str, index: int) -> Prompt:
        book = self._opening_book(topic, language)
        # Templates of other languages are not sorted by kind of task.
        tokens = _OUTPUT_TOKENS[self._cells[topic][1]][book.which(index)] if language == "en" else 300
        return Prompt(book.render(index), tokens)

    def follow_up(self, topic: int, language: str, index: int, turn: int, pick: int) -> Prompt:
        book = self._follow_ups.get((topic, language))
        if book is None:
            templates = FOLLOW_UPS if language == "en" else tongues.FOLLOW_UPS[language]
            book = self._follow_ups[topic, language] = Phrasebook(templates, self._options(topic, language))
        return Prompt(book.render(pick), 220)

    def _opening_book(self, topic: int, language: str) -> Phrasebook:
        book = self._openings.get((topic, language))
        if book is None:
            family = self._cells[topic][1]
            templates = _TEMPLATES[family] if language == "en" else tongues.OPENINGS[language][family]
            book = self._openings[topic, language] = Phrasebook(templates, self._options(topic, language))
        return book

    def _options(self, topic: int, language: str) -> dict[str, Sequence[str]]:
        domain, family, subject = self._cells[topic]
        # A subject has a quarter of the domain's things and a part of its other words, which depends on the family:
        # who asks for code speaks of other things than who writes stories, and a topic is a topic by its words.
        shift = subject + _FAMILIES.index(family)
        words: dict[str, Sequence[str]] = {
            **SLOTS,
            "thing": domain.things[subject::_SUBJECTS],
            "role": domain.roles,
            "activity": _part(domain.activities, shift, 3),
            "problem": _part(domain.problems, shift, 3),
            "metric": _part(domain.metrics, shift, 2),
        }
        if language == "en":
            field = domain.name
        else:
            field = domain.labels[tongues.TONGUES.index(language)]
            words["opener"], words["closer"] = tongues.OPENERS[language], tongues.CLOSERS[language]
        words["context"] = _sentences(CONTEXTS, words)
        words["aside"] = _sentences(ASIDES, words)
        words["opener"] = tuple(opener.replace("{field}", field) for opener in words["opener"])
        words["field"] = (field,)
        return words


def _sentences(patterns: Sequence[str], words: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Each pattern with each word of its one slot."""
    return tuple(
        dict.fromkeys(
            pattern.replace(f"{{{slot}}}", word)
            for pattern in patterns
            for slot in [pattern.partition("{")[2].partition("}")[0]]
            for word in (words[slot] if slot else ("",))
        )
    )


def _part(words: Sequence[str], start: int, count: int) -> tuple[str, ...]:
    return tuple(words[(start + place) % len(words)] for place in range(count))


class PoolTexts:
    """Real prompts: lists of texts by topic, read from files by whoever has files.

    An item is a text, or the user turns of one conversation. There are usually fewer texts than a scenario has
    requests, and a text that many honest accounts repeat is a near-duplicate that real traffic lacks. ``variants``
    puts each text under that many openers and closers (the first is the text itself): honest people and campaigns
    then repeat the same texts at the same rate in other words, and near-duplicates tell nothing about either.
    """

    def __init__(self, groups: Mapping[str, Sequence[str | Sequence[str]]], variants: int = 1) -> None:
        if not 1 <= variants <= MAX_VARIANTS:
            raise SettingsError("variants", f"{variants} is outside 1..{MAX_VARIANTS}", "Use a number in that range")
        if not groups:
            raise SettingsError("texts", "there are none", "Give at least one topic with one text")
        self._threads: list[list[tuple[str, ...]]] = []
        for topic, items in groups.items():
            threads = [(item,) if isinstance(item, str) else tuple(item) for item in items]
            _check(topic, threads)
            # A text that stands twice in its list would be "two different texts": keep the first.
            self._threads.append(list({thread[0]: thread for thread in reversed(threads)}.values())[::-1])
        count = sum(len(threads) for threads in self._threads)
        self.topics: Final = tuple(groups)
        self.popularity: Final = tuple(len(threads) / count for threads in self._threads)
        self.languages: Final = ("",)
        self._variants: Final = variants

    def size(self, topic: int, language: str) -> int:
        return len(self._threads[topic]) * self._variants

    def opening(self, topic: int, language: str, index: int) -> Prompt:
        threads = self._threads[topic]
        variant, which = divmod(index, len(threads))
        openers, closers = SLOTS["opener"], SLOTS["closer"]
        opener = openers[variant % len(openers)].replace("{field}", "this")
        closer = closers[variant // len(openers)]
        return Prompt(f"{opener}{threads[which][0]}{closer}", 300)

    def follow_up(self, topic: int, language: str, index: int, turn: int, pick: int) -> Prompt:
        thread = self._threads[topic][index % len(self._threads[topic])]
        if turn <= len(thread):
            return Prompt(thread[turn - 1], 220)
        return Prompt(_PLAIN_FOLLOW_UPS[pick % len(_PLAIN_FOLLOW_UPS)], 220)


# For conversations that go on for longer than the real one did.
_PLAIN_FOLLOW_UPS: Final = (
    "Continue.", "Can you make that shorter?", "Why?", "Please give an example.", "Thanks! Can you check it again?",
    "I do not understand the second part.", "What would you change?", "Now as a table, please.", "Are you sure?",
    "Can you explain it to a beginner?", "What are the alternatives?", "Go on with the next step.",
)  # fmt: skip


def _check(topic: str, threads: Sequence[tuple[str, ...]]) -> None:
    # Openers and closers add a little; 64 characters are more than the longest two.
    longest = MAX_ATTRIBUTE_CHARS - 128
    if not threads or not all(thread and all(turn.strip() for turn in thread) for thread in threads):
        raise SettingsError(f"texts.{topic}", "it has no texts, or an empty one", "Leave out empty texts and topics")
    if any(len(turn) > longest for thread in threads for turn in thread):
        raise SettingsError(f"texts.{topic}", f"a text has over {longest} characters", "Cut it, or leave it out")
