"""Which faults a run injects, in which order and how close together. Pure: the same seed gives the same plan."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

# Kind -> its share. Every kind comes once before any comes twice; what a restart costs most comes least.
SHARES: Final[dict[str, int]] = {
    "shard killed": 24,
    "aggregator killed": 12,
    "serve replica killed": 8,
    "nats-server killed": 10,
    "nats-server restarted": 6,
    "ray cluster killed": 4,
    "shard paused past its lease": 8,
    "disk full": 6,
    "published again, same id": 4,
    "published again, without id": 4,
    "published out of order": 4,
    "delivered twice": 4,
    "delivered out of order": 4,
    "delivery lost": 4,
    "connections cut": 4,
    "broker silent": 4,
}
# One fault in five meets a line that has not recovered from the one before.
_OVERLAPPING: Final = 0.2
_MAX_PAUSE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Planned:
    """``pause_s`` before it; ``draw`` in [0, 1) chooses a victim or a size; ``overlaps``: the next does not wait for it."""

    number: int
    kind: str
    pause_s: float
    draw: float
    overlaps: bool


def plan(seed: int, faults: int) -> list[Planned]:
    """
    >>> [one.kind for one in plan(1, 3)] == [one.kind for one in plan(1, 3)]
    True
    >>> {one.kind for one in plan(5, 16)} == set(SHARES)
    True
    """
    rng = random.Random(seed)
    kinds = _dealt(rng, faults)
    return [
        Planned(number, kind, rng.uniform(0.0, _MAX_PAUSE_S), rng.random(), rng.random() < _OVERLAPPING)
        for number, kind in enumerate(kinds)
    ]


def _dealt(rng: random.Random, faults: int) -> list[str]:
    kinds = rng.sample(list(SHARES), len(SHARES))
    while len(kinds) < faults:
        # Whole decks, so that a long run has the shares and not only their expectation.
        deck = [kind for kind, share in SHARES.items() for _ in range(share // 2)]
        kinds += rng.sample(deck, len(deck))
    return kinds[:faults]
