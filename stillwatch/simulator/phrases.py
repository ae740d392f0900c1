"""Templates as numbered texts: index in, text out, different indexes give different texts.

A template with slots of sizes a, b, c has a·b·c texts; the digits of a number in that mixed radix choose the words.
Numbering makes "a random text" and "all texts in random order without a repeat" the same space, so that honest people,
who draw with replacement, and a campaign, which does not, use the very same texts.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from string import Formatter
from typing import Final

Options = Mapping[str, Sequence[str]]

# 2^64 divided by the golden ratio: its multiples are spread evenly over any range.
_GOLDEN: Final = 0x9E3779B97F4A7C15
_WORDINGS: Final = re.compile(r"\[([^\[\]]*\|[^\[\]]*)\]")


class Template:
    """A slot that occurs twice has the same word in both places; ``{thing2}`` is another word than ``{thing}``."""

    __slots__ = ("_pattern", "_slots", "size")

    def __init__(self, text: str, options: Options) -> None:
        self._pattern, names, wordings = _parse(text)
        words_of: Options = {**options, **wordings}
        # Per slot: its words, how many choices there are, and the slot whose word it must not repeat (-1: none).
        slots: list[tuple[tuple[str, ...], int, int]] = []
        for name in names:
            base = name.removesuffix("2")
            words = tuple(words_of[base])
            first = names.index(base) if base != name and base in names else -1
            assert first < len(slots), f"in {text!r}, {{{base}}} has to come before {{{name}}}"
            slots.append((words, len(words) - (first >= 0), first))
        self._slots = tuple(slots)
        self.size = math.prod(choices for _, choices, _ in slots)

    def render(self, number: int) -> str:
        """The text of this number, 0 ≤ number < ``size``."""
        chosen: list[str] = []
        for words, choices, first in self._slots:
            number, choice = divmod(number, choices)
            # The words but one, in their order: those behind the first slot's word move up.
            if first >= 0 and choice >= words.index(chosen[first]):
                choice += 1
            chosen.append(words[choice])
        return self._pattern.format(*chosen)


@lru_cache(maxsize=512)
def _parse(text: str) -> tuple[str, tuple[str, ...], dict[str, tuple[str, ...]]]:
    """A template as a pattern for ``str.format``, the names of its slots in order, and its choices of wording, which
    are slots without a name of their own. The same for every topic."""
    wordings = [tuple(found.split("|")) for found in _WORDINGS.findall(text)]
    place = itertools.count()
    text = _WORDINGS.sub(lambda _: f"{{wording{next(place)}_}}", text)
    names: list[str] = []
    pattern = ""
    for literal, name, _, _ in Formatter().parse(text):
        pattern += literal.replace("{", "{{").replace("}", "}}")
        if name is not None:
            if name not in names:
                names.append(name)
            pattern += f"{{{names.index(name)}}}"
    return pattern, tuple(names), {f"wording{place}_": words for place, words in enumerate(wordings)}


class Phrasebook:
    """Several templates under one numbering, each equally likely. As large as its smallest template allows."""

    __slots__ = ("_strides", "_templates", "size")

    def __init__(self, templates: Sequence[str], options: Options) -> None:
        self._templates = tuple(Template(text, options) for text in templates)
        self._strides = tuple(_coprime_stride(template.size) for template in self._templates)
        self.size = len(self._templates) * min(template.size for template in self._templates)

    def which(self, index: int) -> int:
        """The template behind an index, by its place in the list."""
        return index % len(self._templates)

    def render(self, index: int) -> str:
        """The text of this index. Beyond ``size``, texts repeat."""
        number, which = divmod(index, len(self._templates))
        template = self._templates[which]
        # A larger template than the smallest is not cut to its first slots: the stride walks through all of it.
        return template.render(number * self._strides[which] % template.size)


def _coprime_stride(size: int) -> int:
    stride = _GOLDEN % size or 1
    while math.gcd(stride, size) != 1:
        stride += 1
    return stride
