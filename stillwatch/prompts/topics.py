"""From a prompt's words to its topics: one cell of the codebook, and the strongest words as hashes. Pure, integers only.

Words vote for the cell that the codebook gives them. The coarse cell is the one whose four fine cells together got most
votes, the fine cell the strongest of these. One cell merges words that keep like company, which helps where prompts are
long and hurts where they are short; so the other topics are words themselves, hashed: measured, docs/fingerprint.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stillwatch.prompts.codebook import CHILDREN, FINE, Codebook, builtin, slot_of, stem_hash

MAX_TOPICS: Final = 8
VOTERS: Final = 32  # content words that vote; what comes later is mostly material, and would count a quarter
LONG_BYTES: Final = 8  # shorter words say less, and longer ones are not rarer, they are German
# The weight of a word is halved where ten others stand before it: tasks and subjects are named first.
# With 64 here and gains up to 1,024 a vote stays below 2^27: small integers are the fast ones.
FADE: Final = tuple(64 * 10 // (10 + place) for place in range(VOTERS))


# What one word says of a topic: (coarse cell, fine cell, vote = strength × gain of the cell, its stem's hash modulo 1,024,
# strength × 1,024), where strength = weight × length. A plain tuple: a named one takes three times as long to unpack.
Ballot = tuple[int, int, int, int, int]


def ballot(word: bytes, codebook: Codebook | None = None) -> Ballot:
    """One word's ballot by a codebook, the shipped one when none is given."""
    stem = stem_hash(word)
    fine, weight, gain = (codebook or builtin()).place(slot_of(stem))
    strength = weight * min(len(word), LONG_BYTES)
    return fine // CHILDREN, fine, strength * gain, stem % FINE, strength * FINE


def topics_of(ballots: Sequence[Ballot]) -> tuple[int, ...]:
    """1..8 distinct numbers 0..1023: the fine cell, then the hashes of the strongest words. No words: (0,).

    Only the first ``VOTERS`` ballots count. Ties go to the lower cell and to the higher hash.
    ``topics[0] >> 2`` is the coarse cell.

    >>> topics_of(()), len(topics_of([ballot(b"photosynthesis"), ballot(b"leaf")]))
    ((0,), 3)
    """
    if not ballots:
        return (0,)
    coarse: dict[int, int] = {}
    words = []
    for (cell, _, vote, topic, strength), fade in zip(ballots, FADE, strict=False):
        coarse[cell] = coarse.get(cell, 0) + vote * fade
        # Strength and topic in one number sort faster than pairs do.
        words.append(strength * fade + topic)
    most = max(coarse.values())
    best = min([cell for cell, votes in coarse.items() if votes == most])
    children = [0] * CHILDREN
    for choice, fade in zip(ballots, FADE, strict=False):
        if choice[0] == best:
            children[choice[1] % CHILDREN] += choice[2] * fade
    words.sort(reverse=True)
    first = CHILDREN * best + children.index(max(children))
    # Two words seldom have one hash: the strongest eight are nearly always enough.
    found = dict.fromkeys([first, *[word % FINE for word in words[:MAX_TOPICS]]])
    if len(found) < MAX_TOPICS:
        found.update(dict.fromkeys([word % FINE for word in words[MAX_TOPICS:]]))
    return tuple(found)[:MAX_TOPICS]
