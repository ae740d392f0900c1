"""Whether the accounts of one campaign are two pools: parts that nothing connects, and what they ask.

Accounts of one pool are exchangeable between the parts. So the largest difference over all ways to cut between parts is compared with
the same of parts dealt out anew: a permutation test, over customers, exact where customers of like volume are dealt out among each
other (a light customer's shares scatter more). The choice of the cut is a part of the test.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from stillwatch.correlation.handoff_graph import HandoffGraph
from stillwatch.correlation.homogeneity import Counts, likeness
from stillwatch.correlation.linkage import Key, LinkageIndex
from stillwatch.correlation.table import MAX_SHARE, AccountTable, Slots

Vector = npt.NDArray[np.float64]

PERMUTATIONS: Final = 999
MOST: Final = 1e-3  # the p-value of a cut: the smallest that so many permutations can give
# Beside chance: with very much data batches of one pool differ by something, too. One pool's parts come out as 1.0 +- 0.05, two
# pools of one field as 0.85 to 0.95.
ALIKE: Final = 0.97
_MAX_PARTS: Final = 8  # the largest; 127 cuts
_MAX_CUSTOMERS: Final = 1_000  # all parts together: enough to tell, and half a second at most
_AT_ONCE: Final = 64  # permutations


@dataclass(frozen=True, slots=True)
class Parts:
    """Accounts of a campaign (``slots``, by name) and the part of each: 0 the largest, -1 for those in no part that is large
    enough. ``keys``: the values that connect."""

    slots: Slots
    part: Slots
    keys: tuple[Key, ...]

    @property
    def count(self) -> int:
        return int(self.part.max(initial=-1)) + 1


@dataclass(frozen=True, slots=True)
class Cut:
    """``other``: which parts stand on the other side."""

    p_value: float
    likeness: float
    other: tuple[int, ...]

    @property
    def tells(self) -> bool:
        return self.p_value <= MOST and self.likeness < ALIKE


def parts_of(
    accounts: Collection[str],
    followed: Collection[Key],
    table: AccountTable,
    links: LinkageIndex,
    handoffs: HandoffGraph,
    fewest: int,
) -> Parts:
    """What the values that a campaign follows, hand-offs and common customers leave unconnected. A value that more than a fifth
    of all accounts have connects nobody, as it proposes nobody. Parts have at least ``fewest`` customers."""
    slots = table.slots(accounts)
    if not len(slots):
        return Parts(slots, slots, ())
    held, most = links.held_by(slots), MAX_SHARE * len(table)
    keys = tuple(key for key, _, of_all in held if key in followed and of_all <= most and links.is_shared(key))
    account, value = np.nonzero(links.having(slots, keys))
    units, ends = table.units(slots), handoffs.ends[handoffs.touching(slots).all(axis=1)]
    # Accounts, values and customers are points of one graph; slots have places in it.
    place = np.full(int(slots.max()) + 1, -1)
    place[slots] = np.arange(len(slots))
    one = np.concatenate([account, np.arange(len(slots)), place[ends[:, 0]]])
    other = np.concatenate([len(slots) + value, len(slots) + len(keys) + units, place[ends[:, 1]]])
    points = len(slots) + len(keys) + int(units.max()) + 1
    graph = sp.csr_matrix((np.ones(len(one)), (one, other)), shape=(points, points))
    label = connected_components(graph, directed=False)[1][: len(slots)].astype(np.int64)
    customers = np.bincount(np.unique(np.column_stack([label, units]), axis=0)[:, 0])
    first = {int(one): at for at, one in reversed(list(enumerate(label)))}  # by the first of its names
    large = sorted((one for one in first if customers[one] >= fewest), key=lambda one: (-customers[one], first[one]))
    number = {one: at for at, one in enumerate(large[:_MAX_PARTS])}
    return Parts(slots, np.array([number.get(int(one), -1) for one in label], dtype=np.int64), keys)


def cut_of(counts: Counts, part: Slots, seed: int) -> Cut | None:
    """The cut between parts that divides them most, and how often parts dealt out by chance would be divided as much. ``counts``: a row a
    customer; ``part``: of each, from 0 on. ``None`` where fewer than two parts have two customers that say anything.

    >>> rng = np.random.default_rng(1)
    >>> def pool(weights):
    ...     return rng.multinomial(40, weights, size=30).astype(float)
    >>> one, other = rng.dirichlet(np.full(64, 2.0)), rng.dirichlet(np.full(64, 2.0))
    >>> part = np.repeat([0, 1, 2], 30)
    >>> cut_of(np.concatenate([pool(one), pool(one), pool(other)]), part, seed=1).other
    (2,)
    >>> cut_of(np.concatenate([pool(one), pool(one), pool(one)]), part, seed=1).tells
    False
    """
    rng, total, count = np.random.default_rng(seed), counts.sum(axis=1), int(part.max(initial=-1)) + 1
    told = [np.flatnonzero((total >= 2) & (part == one)) for one in range(count)]
    if count < 2 or min(map(len, told)) < 2:
        return None
    kept: Slots = np.sort(np.concatenate([rng.permutation(one)[: _MAX_CUSTOMERS // count] for one in told]))
    counts, part, total = counts[kept], part[kept], total[kept]
    shares = counts / total[:, None]
    size = np.bincount(part, minlength=count).astype(np.float64)
    # All ways to put parts on the other side; the largest stays on this one.
    sides = np.array([(0, *rest) for rest in product((0, 1), repeat=count - 1) if any(rest)], dtype=np.float64)
    there = sides @ size
    weights = sides / there[:, None] - (1 - sides) / (len(part) - there)[:, None]
    scale = there * (len(part) - there) / len(part)

    def divided(labels: Slots) -> Vector:
        """For each row of labels and each cut the squared distance of the two mixtures, weighed by their sizes."""
        picked = (labels[:, None, :] == np.arange(count)[None, :, None]).astype(np.float64)
        sums = (picked.reshape(-1, len(part)) @ shares).reshape(len(labels), count, -1)
        gram = sums @ sums.transpose(0, 2, 1)
        return np.asarray(scale * np.einsum("sk,pkl,sl->ps", weights, gram, weights))

    seen = divided(part[None, :])[0]
    # Twice the conversations are another class: customers are dealt out among their like.
    volume = np.floor(np.log2(total)).astype(np.int64)
    by_volume = np.argsort(volume, kind="stable")
    reached = 0
    for start in range(0, PERMUTATIONS, _AT_ONCE):
        many = min(_AT_ONCE, PERMUTATIONS - start)
        order = np.argsort(volume + rng.random((many, len(part))), axis=1, kind="stable")
        dealt = np.empty_like(order)
        dealt[:, by_volume] = part[order]
        reached += int((divided(dealt).max(axis=1) >= seen.max() * (1 - 1e-12)).sum())
    side = sides[int(np.argmax(seen))]
    beyond = side[part] == 1
    found = likeness(counts[~beyond], counts[beyond])
    return Cut((1 + reached) / (1 + PERMUTATIONS), round(found, 3), tuple(np.flatnonzero(side).tolist()))
