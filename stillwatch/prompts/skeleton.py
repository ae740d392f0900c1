"""What stays the same in prompts that a program fills in: the skeleton of a template, and the system prompt. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from stillwatch.lexicon import KEPT_IN_TEMPLATES, STOP_WORDS
from stillwatch.prompts.words import lines_of, looked_at

_TEMPLATE_LINES: Final = 24
_TEMPLATE_WORDS: Final = 12  # per line, stop words not counted
_LONG_SLOT: Final = 3  # so many content words in a row: the rest of the line belongs to what was filled in
_TEMPLATE_MIN: Final = 2  # fewer instruction words are no skeleton
_SLOT: Final = re.compile(r"```.*?(?:```|\Z)|\"[^\"\n]*\"|“[^”\n]*”|https?://\S+", re.DOTALL)
_DIGITS: Final = re.compile(r"\d+")


def template(seen: str, lines: Sequence[Sequence[bytes]]) -> int | None:
    """32 bits, never 0, of the instruction words in their lines, with slots for what stands between them.

    Quotes, code blocks and links are slots. Stop words are no part of it: a slot that is filled with a sentence has
    some, one that is filled with a name has none. From the second line on, a line of which more than half was filled in
    is one slot. ``None`` where fewer than two instruction words are left.
    """
    if '"' in seen or "“" in seen or "```" in seen or "http" in seen:
        lines = lines_of(_SLOT.sub(" ", seen))
    skeletons: list[bytes] = []
    instructions = 0
    for line in lines:
        kept: list[bytes] = []
        filled = run = words = 0
        for word in line[: 3 * _TEMPLATE_WORDS]:
            if word in STOP_WORDS:
                continue
            words += 1
            if word in KEPT_IN_TEMPLATES:
                kept.append(word)
                run = 0
            else:
                filled, run = filled + 1, run + 1
                if run == 1:
                    kept.append(b"_")
            if run == _LONG_SLOT or words == _TEMPLATE_WORDS:
                break
        told = len(kept) - kept.count(b"_")
        if skeletons and told < filled:
            kept, told = [b"_"], 0
        skeleton = b" ".join(kept)
        if kept and (not skeletons or skeletons[-1] != skeleton):
            skeletons.append(skeleton)
            instructions += told
            if len(skeletons) == _TEMPLATE_LINES:
                break
    return None if instructions < _TEMPLATE_MIN else _hash(b"\n".join(skeletons))


def system_id(system: str) -> int:
    """32 bits, never 0. Dates and counters change in a system prompt while it stays the same one."""
    masked = _DIGITS.sub("0", looked_at(system))
    return _hash(f"{len(masked)}\n{masked}".encode("utf-8", "surrogatepass"))


def _hash(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=4).digest(), "little") or 1
