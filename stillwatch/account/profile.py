"""Everything about an account that adds up: counters, sums and small tables. No text, no ids of requests.

Profiles of disjoint sets of requests can be added, and a part can be taken out again: that is how an account's state
forgets (:mod:`stillwatch.account.state`) and how it can be merged.
"""

from __future__ import annotations

from typing import Any, Final

from stillwatch.account.topics import TopicCounts
from stillwatch.lexicon import CAPABILITIES

HOURS: Final = 24
# Space-saving tables (Metwally et al. 2005) and how many values each may hold.
TABLES: Final = {"parameters": 8, "templates": 8, "systems": 4}
_VECTORS: Final = {"capabilities": len(CAPABILITIES), "hours": HOURS}


class Profile:
    """Counts of requests unless a name says otherwise."""

    __slots__ = (
        "capabilities", "coherence_pairs", "coherence_sum", "days", "days_sum", "days_sum_squared", "elicitations",
        "errors", "events", "far_pairs", "far_related", "hours",
        "input_tokens", "near_pairs", "near_related", "openings", "output_log_sum", "output_tokens", "outputs",
        "parameters", "repeats", "systems", "templates", "topics",
    )  # fmt: skip

    def __init__(self) -> None:
        self.topics = TopicCounts()
        for name in NUMBERS:
            setattr(self, name, 0)
        for name, length in _VECTORS.items():
            setattr(self, name, [0] * length)
        for name in TABLES:
            setattr(self, name, {})

    events: int
    errors: int
    input_tokens: int
    output_tokens: int
    outputs: int  # with a known, non-zero number of output tokens
    output_log_sum: float  # of their logarithms
    elicitations: int  # asked for what a student model is trained on: reasoning traces, structured output
    openings: int  # first requests of conversations
    coherence_pairs: int  # consecutive requests of one conversation
    coherence_sum: float  # of their sketches' similarity, 0..1
    near_pairs: int  # pairs of consecutive conversations
    near_related: int  # of these, pairs that share a topic
    far_pairs: int  # pairs of conversations some way apart: what the account's interests give without any session
    far_related: int
    repeats: int  # openings that nearly repeat one of the last ones
    days: int  # completed UTC days since the first request, silent ones included
    days_sum: int  # their requests
    days_sum_squared: int
    capabilities: list[int]  # by place in lexicon.CAPABILITIES
    hours: list[int]  # by UTC hour
    parameters: dict[int, int]  # hash of (temperature, top_p, max_tokens, stream, output type)
    templates: dict[int, int]
    systems: dict[int, int]

    def add(self, other: Profile, sign: int = 1) -> None:
        """The requests of both; with ``sign=-1`` those of ``other``, a part of these, are taken out."""
        self.topics.add(other.topics, sign)
        for name in NUMBERS:
            setattr(self, name, getattr(self, name) + sign * getattr(other, name))
        for name in _VECTORS:
            mine = getattr(self, name)
            for index, count in enumerate(getattr(other, name)):
                mine[index] = max(mine[index] + sign * count, 0)
        for name, capacity in TABLES.items():
            mine = getattr(self, name)
            for key, count in sorted(getattr(other, name).items()):
                if key in mine and mine[key] + sign * count <= 0:
                    del mine[key]
                elif sign > 0 or key in mine:
                    mine[key] = mine.get(key, 0) + sign * count
            for key in sorted(mine, key=lambda known, of=mine: (of[known], known))[: max(0, len(mine) - capacity)]:  # type: ignore[misc]
                del mine[key]

    def pack(self) -> list[Any]:
        return [
            self.topics.pack(),
            [getattr(self, name) for name in NUMBERS],
            [getattr(self, name) for name in _VECTORS],
            [getattr(self, name) for name in TABLES],
        ]

    @classmethod
    def unpack(cls, raw: list[Any]) -> Profile:
        self = cls.__new__(cls)
        self.topics = TopicCounts.unpack(raw[0])
        for names, values in ((NUMBERS, raw[1]), (_VECTORS, raw[2]), (TABLES, raw[3])):
            for name, value in zip(names, values, strict=True):
                setattr(self, name, value)
        return self


NUMBERS: Final = tuple(
    name for name in Profile.__slots__ if name not in {"topics", *_VECTORS, *TABLES}
)  # in a fixed order: packed profiles rely on it


def bump(counts: dict[Any, int], key: Any, capacity: int) -> None:
    """Space-saving counter: a newcomer takes the place and the count of the rarest."""
    if key in counts:
        counts[key] += 1
    elif len(counts) < capacity:
        counts[key] = 1
    else:
        rarest = min(counts, key=lambda known: (counts[known], str(known)))
        counts[key] = counts.pop(rarest) + 1
