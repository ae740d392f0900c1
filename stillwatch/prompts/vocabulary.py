"""What is known of a word, found once: most words of a prompt were in an earlier prompt (Zipf), and a look-up costs a
hundredth of finding out again.

A bounded cache of pure functions: it never changes a result. It holds single words of recent prompts in this process's
memory, in no order, and nothing of it leaves the process.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from stillwatch.lexicon import STOP_WORDS, Entry, entry
from stillwatch.prompts.languages import language_votes
from stillwatch.prompts.simhash import spread
from stillwatch.prompts.topics import Ballot, ballot

# About 600 B a word: 10 MB a process. Longer words are rare, mostly keys and links, and would only fill it.
MAX_CACHED: Final = 16_384
_MAX_CACHED_BYTES: Final = 40


# One word's part in the fingerprint: (no stop word, its bits for the sketch, its ballot, its votes for languages, what
# the lexicon has of it).
Word = tuple[bool, int, Ballot, int, Entry | None]
_cache: dict[bytes, Word] = {}


def known(distinct: Iterable[bytes]) -> list[Word]:
    """What is known of each of these words, in their order."""
    get = _cache.get
    return [get(word) or _learn(word) for word in distinct]


def forget() -> None:
    """Empty the cache, as at the start of a process."""
    _cache.clear()


def _learn(word: bytes) -> Word:
    found = (word not in STOP_WORDS, spread(word), ballot(word), language_votes(word), entry(word))
    if len(word) <= _MAX_CACHED_BYTES:
        # All at once and not the oldest: no bookkeeping on the way of a hit, and what is common is back at once.
        if len(_cache) >= MAX_CACHED:
            _cache.clear()
        _cache[word] = found
    return found
