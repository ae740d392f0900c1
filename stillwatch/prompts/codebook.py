"""The topic codebook: where a word stands among 1,024 fine topic cells, and how much it tells.

Trained by ``python -m training.codebook`` from the company that words keep. A word that the training never saw gets a
cell that its hash names, so unknown domains and languages spread over all cells, and always in the same way. The file
holds hashes and numbers and its provenance, no word and no text. docs/fingerprint.md has its format and measurements.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Final

import numpy as np

from stillwatch.errors import SettingsError

COARSE: Final = 256
FINE: Final = 1_024
CHILDREN: Final = FINE // COARSE
FORMAT: Final = 2
MAX_GAIN: Final = 1_024
UNKNOWN_WEIGHT: Final = 160  # of 255: a word that nobody knows is a rare one or a typing error
STEM_BYTES: Final = 6  # transfer, transfers, transferring: one topic
SLOT_BITS: Final = 18
_SPREAD: Final = 0x9E3779B1  # 2^32 / golden ratio: neighbouring slots fall far apart


class Codebook:
    """A trained table. Cells of two tables mean different things, so a new table is a new fingerprint version."""

    __slots__ = ("_gains", "_trained", "provenance")

    def __init__(self, data: bytes) -> None:
        """``data`` is the whole file. Raises :class:`SettingsError` where it is no codebook."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                slots, cells, weights = file["slots"].tolist(), file["cells"].tolist(), file["weights"].tolist()
                self._gains: Final[list[int]] = file["gains"].tolist()
                self.provenance: Final[Mapping[str, Any]] = json.loads(file["provenance"].tobytes())
            self._trained: Final = dict(zip(slots, zip(cells, weights, strict=True), strict=True))
            whole = len(self._gains) == FINE and all(0 <= cell < FINE for cell in cells)
            if not whole or self.provenance["format"] != FORMAT:
                raise ValueError("its tables do not fit together")
        except (ValueError, KeyError, TypeError, EOFError, OSError, NotImplementedError, zipfile.BadZipFile) as fault:
            raise SettingsError("codebook", str(fault), "Train it again: python -m training.codebook --help") from fault

    def place(self, slot: int) -> tuple[int, int, int]:
        """(fine cell 0..1023, weight 1..255, gain of that cell 1..1024) of a slot."""
        cell, weight = self._trained.get(slot) or (((slot * _SPREAD) & 0xFFFF_FFFF) >> 22, UNKNOWN_WEIGHT)
        return cell, weight, self._gains[cell]


def stem_hash(word: bytes) -> int:
    """CRC-32 of a word's first six bytes.

    >>> stem_hash(b"integral") == stem_hash(b"integrals")
    True
    """
    return zlib.crc32(word[:STEM_BYTES])


def slot_of(stem: int) -> int:
    """The upper 18 bits of a stem's hash: under which the trained table knows it."""
    return stem >> (32 - SLOT_BITS)


@cache
def builtin() -> Codebook:
    """The codebook that ships with the package; read once, at first use."""
    return Codebook(resources.files("stillwatch").joinpath("data/codebook.npz").read_bytes())
