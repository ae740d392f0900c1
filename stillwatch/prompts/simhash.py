"""64-bit SimHash (Charikar 2002; Manku et al. 2007 for near-duplicates) over distinct words, all bits counted at once.

Each word's 64 bits stand spread out in one big integer, a byte a bit, so adding such integers counts every bit. A word's
integer is made once and kept (:mod:`stillwatch.prompts.vocabulary`); at most 255 words are added, so no byte overflows.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final

MAX_ADDED: Final = 255
_MIX: Final = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9)  # the constants of SplitMix64
_MASK: Final = (1 << 64) - 1
_SPREAD: Final = tuple(bytes(value >> bit & 1 for bit in range(8)) for value in range(256))
# Row k turns counts into digits: "1" where a count is more than k.
_MORE_THAN: Final = tuple(b"0" * (k + 1) + b"1" * (255 - k) for k in range(MAX_ADDED // 2 + 1))


def spread(word: bytes) -> int:
    """The word's 64 hash bits, bit ``i`` in byte ``i``. From 32 bits of CRC, which is linear, to 64 that behave as if
    they were independent."""
    mixed = zlib.crc32(word) * _MIX[0] & _MASK
    mixed ^= mixed >> 32
    mixed = mixed * _MIX[1] & _MASK
    mixed ^= mixed >> 32
    return int.from_bytes(b"".join([_SPREAD[byte] for byte in mixed.to_bytes(8, "little")]), "little")


def settle(spreads: Sequence[int]) -> int:
    """The sketch: bit ``i`` is set where more than half of the words have it. No words: 0.

    >>> settle([spread(b"otter")]) == settle([spread(b"otter")] * 3)
    True
    """
    counted = spreads[:MAX_ADDED]
    return int(sum(counted).to_bytes(64, "big").translate(_MORE_THAN[len(counted) // 2]), 2)
