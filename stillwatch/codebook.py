"""The topic codebook: words in, a coarse cell (0..255) and a fine one (0..1023) out; like topics, like cells.

Every word votes for one fine cell. Words the training knew vote for the cell of the words they keep company with, with
a weight that says how much they tell; a word it never saw votes for a cell that its hash names, so unknown domains and
languages spread over all cells, and always in the same way. The coarse cell is the one whose four fine cells got
most, the fine cell the strongest of these. Integers only: the same words give the same cells on every machine.
Pure and total. docs/codebook.md has the file format, the measurements and how it is trained.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stillwatch.errors import SettingsError
from stillwatch.lexicon import INSTRUCTION_WORDS, STOP_WORDS

COARSE: Final = 256
FINE: Final = 1_024
CHILDREN: Final = FINE // COARSE
FORMAT: Final = 1
MAX_WORDS: Final = 200  # distinct content words that vote; what comes later is mostly material
STEM_BYTES: Final = 6
LONG: Final = 8  # bytes; shorter words say less
FADE: Final = 50  # the weight of a word is halved where this many distinct ones stand before it
_SLOT_BITS: Final = 18
_SLOT_SHIFT: Final = 32 - _SLOT_BITS
# Products of a weight (≤ 255), length (≤ 8), fade (≤ 4096) and gain (≤ 4096), 200 times, stay below 2^53: exact.
_FADE: Final = np.array([4_096 * FADE // (FADE + place) for place in range(MAX_WORDS)], dtype=np.int64)
_MIX: Final = np.uint64(0x9E3779B1)
_LOW: Final = np.uint64(0xFFFFFFFF)


class Codebook:
    """A trained table. Cells of two tables mean different things, so a new table is a new fingerprint version."""

    __slots__ = ("_cells", "_gains", "_weights", "provenance")

    def __init__(self, data: bytes) -> None:
        """``data`` is the whole file. Raises :class:`SettingsError` where it is no codebook."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                slots, cells, weights, gains = file["slots"], file["cells"], file["weights"], file["gains"]
                unknown = int(file["unknown"][0])
                self.provenance: Final[Mapping[str, Any]] = json.loads(file["provenance"].tobytes())
            if len(gains) != FINE or not len(slots) == len(cells) == len(weights) or self.provenance["format"] != FORMAT:
                raise ValueError("its tables do not fit together")
            # By slot; where nothing was trained, a cell that the slot names.
            every = np.arange(1 << _SLOT_BITS, dtype=np.uint64)
            self._cells: Final = (((every * _MIX) & _LOW) >> np.uint64(22)).astype(np.int64)
            self._weights: Final = np.full(1 << _SLOT_BITS, unknown, dtype=np.int64)
            self._cells[slots] = cells
            self._weights[slots] = weights
            self._gains: Final[npt.NDArray[np.int64]] = gains.astype(np.int64)
        except (ValueError, KeyError, IndexError, TypeError, EOFError, OSError, zipfile.BadZipFile) as fault:
            raise SettingsError("codebook", str(fault), "Train it again: python -m training.codebook --help") from fault

    def topic(self, words: Sequence[bytes]) -> tuple[int, int]:
        """The coarse and the fine cell of a text's words (lower-case UTF-8, in their order). No words: (0, 0)."""
        slots, lengths = features(words)
        if not slots:
            return 0, 0
        where = np.array(slots)
        cells = self._cells[where]
        votes = self._weights[where] * np.array(lengths) * _FADE[: len(slots)] * self._gains[cells]
        fine = np.bincount(cells, weights=votes, minlength=FINE).reshape(COARSE, CHILDREN)
        coarse = int(fine.sum(axis=1).argmax())
        return coarse, CHILDREN * coarse + int(fine[coarse].argmax())


def features(words: Sequence[bytes]) -> tuple[list[int], list[int]]:
    """Slots and lengths of the distinct stems that vote, in order. Only stop words: then these vote."""
    content = [word for word in dict.fromkeys(words) if word not in STOP_WORDS][:MAX_WORDS]
    lengths: dict[int, int] = {}
    for word in content or list(dict.fromkeys(words))[:MAX_WORDS]:
        lengths.setdefault(zlib.crc32(word[:STEM_BYTES]) >> _SLOT_SHIFT, min(len(word), LONG))
    return list(lengths), list(lengths.values())


@cache
def builtin() -> Codebook:
    """The codebook that ships with the package."""
    return Codebook(resources.files("stillwatch").joinpath("data/codebook.npz").read_bytes())


def topic(words: Sequence[bytes]) -> tuple[int, int]:
    """The cells of the shipped codebook.

    >>> topic([b"integral", b"calculus"]) == topic([b"what", b"is", b"calculus", b"integral", b"integral"])
    False
    """
    return builtin().topic(words)
