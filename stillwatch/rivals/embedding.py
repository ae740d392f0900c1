"""Text to a vector without a model: signed hashing of words, pairs of words and character trigrams.

The papers embed with a sentence encoder (bge-small). None runs here: the project needs no model and no network. Feature
hashing (Weinberger et al. 2009, arXiv 0902.2206) keeps inner products in expectation, so likeness of wording is kept
and likeness of meaning is not. Figures of rivals that use it are of this port, not of the papers' encoders.
"""

from __future__ import annotations

import zlib
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

DIMENSIONS: Final = 256
_MAX_WORDS: Final = 128  # bounds the cost of any prompt; the task stands at its beginning
_MAX_TRIGRAMS: Final = 512

Vector = npt.NDArray[np.float32]


def embed(text: str) -> Vector:
    """A unit vector of ``DIMENSIONS``; the zero vector for a text without any word.

    >>> same, near, far = embed("sort a list of numbers"), embed("sort a list of words"), embed("goulash for six")
    >>> float(same @ near) > float(same @ far)
    True
    """
    words = text.lower()[: 8 * _MAX_WORDS].encode("utf-8", "surrogatepass").split()[:_MAX_WORDS]
    if not words:
        return np.zeros(DIMENSIONS, dtype=np.float32)
    joined = b" ".join(words)
    pairs = [first + b" " + second for first, second in pairwise(words)]
    trigrams = [joined[at : at + 3] for at in range(min(len(joined) - 2, _MAX_TRIGRAMS))]
    features = [*words, *pairs, *trigrams]
    hashed = np.fromiter(map(zlib.crc32, features), dtype=np.uint32, count=len(features))
    sign = np.where(hashed & 0x8000_0000, 1.0, -1.0)
    # Words and pairs weigh twice a trigram, of which there are more.
    weight = np.concatenate((np.full(len(words) + len(pairs), 2.0), np.ones(len(trigrams))))
    vector = np.bincount(hashed % DIMENSIONS, weights=sign * weight, minlength=DIMENSIONS)
    norm = float(np.linalg.norm(vector))
    return (vector / norm).astype(np.float32) if norm > 0 else np.zeros(DIMENSIONS, dtype=np.float32)
