"""Randomness by name: every stream of numbers is a function of the scenario's seed and of what it is for.

So one more group, or one more draw in one account, changes nothing for anybody else, and no state is shared.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence


def stream(seed: int, *path: str | int) -> random.Random:
    """A generator for one purpose. Seeding by text goes through SHA-512 in the standard library, so that neighbouring
    names give unrelated streams, and `PYTHONHASHSEED` plays no part."""
    return random.Random("/".join(map(str, (seed, *path))))


def token(seed: int, *path: str | int, chars: int = 24) -> str:
    """An opaque hexadecimal token, as an edge makes with an HMAC: the name it was made from can not be read off."""
    name = "/".join(map(str, path)).encode()
    return hashlib.blake2b(name, key=str(seed).encode(), digest_size=(chars + 1) // 2).hexdigest()[:chars]


def pick_weighted(rng: random.Random, weights: Sequence[float]) -> int:
    return rng.choices(range(len(weights)), weights)[0]


def zipf(count: int, exponent: float = 1.0, shift: float = 0.0) -> tuple[float, ...]:
    """Weights that sum to 1 and fall with the rank, as the sizes of markets, cities and word counts do."""
    raw = [1.0 / (rank + 1 + shift) ** exponent for rank in range(count)]
    total = sum(raw)
    return tuple(weight / total for weight in raw)


class Shuffle:
    """A random order of ``range(size)`` that needs no memory: ``at(i)`` is the i-th element, each exactly once.

    A balanced Feistel network is a permutation of [0, 4^h); values outside the range are sent through again until they
    fall inside (cycle walking), which keeps it a permutation. That is how a campaign of millions of prompts goes
    through its pool without a repeat and without a list of what was used.
    """

    __slots__ = ("_half", "_keys", "_mask", "size")

    def __init__(self, size: int, rng: random.Random) -> None:
        assert size >= 1
        self.size = size
        self._half = max(1, ((size - 1).bit_length() + 1) // 2)
        self._mask = (1 << self._half) - 1
        self._keys = tuple(rng.getrandbits(64) for _ in range(4))

    def at(self, position: int) -> int:
        assert 0 <= position < self.size
        half, mask = self._half, self._mask
        value = position
        while True:
            left, right = value >> half, value & mask
            for key in self._keys:
                # The finaliser of MurmurHash3 as round function; only the network's shape makes it a permutation.
                mixed = (right ^ key) * 0xFF51AFD7ED558CCD & 0xFFFFFFFFFFFFFFFF
                mixed = (mixed ^ (mixed >> 33)) * 0xC4CEB9FE1A85EC53 & 0xFFFFFFFFFFFFFFFF
                left, right = right, left ^ (mixed >> 20 & mask)
            value = left << half | right
            if value < self.size:
                return value
