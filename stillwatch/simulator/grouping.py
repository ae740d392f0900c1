"""Topics for real prompts: texts that share rare words belong together.

People's interests need topics finer than "which corpus": with ten sources everybody would look the same inside each.
Spherical k-means over hashed words, weighted by rarity. Deterministic; 20,000 prompts take some seconds.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stillwatch.errors import SettingsError

_DIMENSIONS: Final = 1_024
_WORDS: Final = 200  # of each text; the beginning tells the topic
_ROUNDS: Final = 12
# Runs of letters; Chinese and Japanese have no spaces, so there each pair of characters counts as a word.
_WORD: Final = re.compile(r"[^\W\d_]{2,}")
_IDEOGRAPHS: Final = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")


def by_likeness(texts: Sequence[str | Sequence[str]], topics: int, seed: int) -> dict[str, list[str | Sequence[str]]]:
    """Texts (or the turns of conversations, by their first turn) in at most ``topics`` groups, for ``PoolTexts``."""
    if not 1 <= topics <= len(texts):
        raise SettingsError("topics", f"{topics} topics of {len(texts)} texts", "Use at least one text a topic")
    vectors = _vectors([text if isinstance(text, str) else text[0] for text in texts])
    # RandomState: numpy never changes what it draws from a seed.
    random = np.random.RandomState(seed % 2**32)
    centres = vectors[random.choice(len(texts), topics, replace=False)]
    nearest = np.zeros(len(texts), dtype=np.int64)
    for _ in range(_ROUNDS):
        nearest = np.argmax(vectors @ centres.T, axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, vectors)
        empty = ~sums.any(axis=1)
        sums[empty] = vectors[random.choice(len(texts), int(empty.sum()))]
        centres = _unit(sums)
    groups: dict[str, list[str | Sequence[str]]] = {}
    for text, topic in zip(texts, nearest.tolist(), strict=True):
        groups.setdefault(f"topic-{topic:04d}", []).append(text)
    return dict(sorted(groups.items()))


def _vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    words_of = [Counter(_words(text)) for text in texts]
    seen_in: Counter[str] = Counter(word for words in words_of for word in words)
    out = np.zeros((len(texts), _DIMENSIONS), dtype=np.float32)
    for row, words in enumerate(words_of):
        for word, count in words.items():
            rarity = math.log(len(texts) / seen_in[word])
            hashed = zlib.crc32(word.encode("utf-8", "replace"))
            out[row, hashed % _DIMENSIONS] += (1.0 if hashed >> 31 else -1.0) * rarity * (1.0 + math.log(count))
    return _unit(out)


def _words(text: str) -> list[str]:
    found: list[str] = _WORD.findall(text.lower())[:_WORDS]
    out: list[str] = []
    for word in found:
        if _IDEOGRAPHS.match(word):
            out += [word[at : at + 2] for at in range(len(word) - 1)]
        else:
            out.append(word)
    return out


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = vectors / np.maximum(lengths, np.float32(1e-12))
    return scaled
