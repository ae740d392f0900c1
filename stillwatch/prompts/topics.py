"""From a prompt's words to its topics: one cell of the codebook, and the strongest words as hashes. Pure, integers only.

Words vote for the cell that the codebook gives them. The coarse cell is the one whose four fine cells together got most
votes, the fine cell the strongest of these. One cell merges words that keep like company, which helps where prompts are
long and hurts where they are short; so the other topics are words themselves, hashed: measured, docs/fingerprint.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Final

from stillwatch.prompts.codebook import CHILDREN, FINE, Codebook, builtin, slot_of, stem_hash

MAX_TOPICS: Final = 8
VOTERS: Final = 32  # content words that vote; what comes later is mostly material, and would count a quarter
LONG_BYTES: Final = 8  # shorter words say less, and longer ones are not rarer, they are German
# The weight of a word is halved where ten others stand before it: tasks and subjects are named first.
# With 64 here and gains up to 1,024 a vote stays below 2^27: small integers are the fast ones.
FADE: Final = tuple(64 * 10 // (10 + place) for place in range(VOTERS))


_STRENGTH: Final = itemgetter(0)


# What one word says of a topic: (fine cell, vote = strength × gain of the cell, its stem's hash modulo 1,024, strength =
# weight × length). Plain tuples here and in the vocabulary: a named one takes three times as long to unpack.
Ballot = tuple[int, int, int, int]


def ballot(word: bytes, codebook: Codebook | None = None) -> Ballot:
    """One word's ballot by a codebook, the shipped one when none is given."""
    stem = stem_hash(word)
    fine, weight, gain = (codebook or builtin()).place(slot_of(stem))
    strength = weight * min(len(word), LONG_BYTES)
    return fine, strength * gain, stem % FINE, strength


def topics_of(ballots: Sequence[Ballot]) -> tuple[int, ...]:
    """1..8 distinct numbers 0..1023: the fine cell, then the hashes of the strongest words. No words: (0,).

    Only the first ``VOTERS`` ballots count. Ties go to what stands first in the text, for cells to the lower number.
    ``topics[0] >> 2`` is the coarse cell.

    >>> topics_of(()), len(topics_of([ballot(b"photosynthesis"), ballot(b"leaf")]))
    ((0,), 3)
    """
    if not ballots:
        return (0,)
    coarse: dict[int, int] = {}
    words: list[tuple[int, int]] = []
    for (fine, vote, topic, strength), fade in zip(ballots, FADE, strict=False):
        cell = fine >> 2
        coarse[cell] = coarse.get(cell, 0) + vote * fade
        words.append((strength * fade, topic))
    most = max(coarse.values())
    cell = min([one for one, votes in coarse.items() if votes == most])
    children = [0] * CHILDREN
    for (fine, vote, _, _), fade in zip(ballots, FADE, strict=False):
        if fine >> 2 == cell:
            children[fine & 3] += vote * fade
    words.sort(key=_STRENGTH, reverse=True)  # stable: equals stay in the text's order
    first = CHILDREN * cell + children.index(max(children))
    return tuple(dict.fromkeys([first, *[topic for _, topic in words]]))[:MAX_TOPICS]
