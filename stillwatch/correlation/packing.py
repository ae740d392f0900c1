"""A summary as the aggregator keeps it between evaluations: bytes.

As Python objects a light account's summary takes kilobytes, most of it pairs of small numbers. Packed it is some hundred bytes
(`python -m benchmarks.aggregation`), beside its values, which :mod:`stillwatch.correlation.linkage` keeps once for all
accounts that share them.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Final

import msgpack
import numpy as np
import numpy.typing as npt

from stillwatch.fingerprint import CELLS
from stillwatch.summary import AccountSummary

Cells = tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]

_CODE: Final = "I"  # uint32: half, cell, count in 1, 8 and 16 bits; counts saturate at 65,535 in the account's state
_HALF, _CELL = 24, 16
_COUNT: Final = 0xFFFF

# All but the name, the values, the cells, and the calls that are looked at when a summary comes.
_FIELDS: Final = (
    "partition", "events", "conversations", "tokens", "first_seen_unix_nano", "last_seen_unix_nano", "organisation",
    "verification", "label", "capabilities", "conduct", "window_from_unix_nano", "created_unix", "evidence",
    "failures", "refused", "models",
)  # fmt: skip
_fields: Final = attrgetter(*_FIELDS)


def pack_fields(summary: AccountSummary) -> bytes:
    return bytes(msgpack.packb(_fields(summary)))


def pack_cells(cells: Cells) -> bytes:
    """
    >>> unpack_cells(pack_cells((((3, 1), (200, 65_535)), ((4, 2),))))
    (((3, 1), (200, 65535)), ((4, 2),))
    """
    return array(_CODE, [half << _HALF | cell << _CELL | n for half in (0, 1) for cell, n in cells[half]]).tobytes()


def unpack_cells(packed: bytes) -> Cells:
    codes = array(_CODE, packed)
    first, second = (
        tuple((code >> _CELL & 0xFF, code & _COUNT) for code in codes if code >> _HALF == half) for half in (0, 1)
    )
    return first, second


def totals(cells: bytes) -> dict[int, int]:
    """Conversations by topic cell, of both halves together.

    >>> totals(pack_cells((((3, 1), (200, 7)), ((3, 2),))))
    {3: 3, 200: 7}
    """
    out: dict[int, int] = {}
    for code in array(_CODE, cells):
        cell = code >> _CELL & 0xFF
        out[cell] = out.get(cell, 0) + (code & _COUNT)
    return out


def unpack(account: str, fields: bytes, links: tuple[tuple[str, str], ...], cells: bytes) -> AccountSummary:
    known: dict[str, Any] = dict(zip(_FIELDS, msgpack.unpackb(fields, use_list=False), strict=True))
    return AccountSummary(account=account, links=links, cells=unpack_cells(cells), **known)


def count_matrix(packed: Sequence[bytes], half: int | None) -> npt.NDArray[np.float64]:
    """Topic counts (accounts x cells) of one half, or of both together."""
    codes = np.frombuffer(b"".join(packed), dtype=np.uint32)
    row = np.repeat(np.arange(len(packed)), [len(one) // codes.itemsize for one in packed])
    if half is not None:
        mine = codes >> _HALF == half
        codes, row = codes[mine], row[mine]
    at = row * CELLS + (codes >> _CELL & 0xFF)
    counts = np.bincount(at, weights=codes & _COUNT, minlength=len(packed) * CELLS)
    return np.asarray(counts, dtype=np.float64).reshape(len(packed), CELLS)
