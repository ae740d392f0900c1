"""What hand-offs say of groups at one moment: whom they connect, and how many there would be by chance."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.special import pdtrc

from stillwatch.correlation.chance_component import ChanceComponents
from stillwatch.correlation.finding import Finding
from stillwatch.correlation.handoffs import Handoffs, Pair
from stillwatch.correlation.linkage import Key
from stillwatch.correlation.table import AccountTable, Slots

HANDOFF: Final = "handoff"  # the view of a proposed group's key; no account has such a value
# People have two accounts, of their own and of their work, and programs that try the other; some have three. So hand-offs
# count where they connect this many customers.
_FEWEST_CUSTOMERS: Final = 4
_FEWEST: Final = 3  # of them in a group, to say anything
_MAX_WORTH: Final = 7.0  # nats: 1 in 1,000; a hand-off does not decide against everything else that is known


class HandoffGraph:
    """Accounts are slots of the table; those that were evicted are left out, so are what connects only two or three
    customers, and the busiest customers (``chance_component``)."""

    def __init__(self, handoffs: Handoffs, table: AccountTable) -> None:
        found = [(pair, table.slot(pair[0]), table.slot(pair[1])) for pair in handoffs.pairs()]
        known = [(pair, one, other) for pair, one, other in found if one is not None and other is not None]
        ends: Slots = np.array([[one, other] for _, one, other in known], dtype=np.int64).reshape(-1, 2)
        self._table = table
        units, failed, begun = table.failed_and_begun()
        self._chance = ChanceComponents(failed, begun, handoffs.backwards)
        busy: npt.NDArray[np.bool_] = np.isin(table.unit_hashes(ends), units[self._chance.busy])
        quiet: npt.NDArray[np.bool_] = ~np.any(busy, axis=1)
        ends, known = ends[quiet], [one for one, kept in zip(known, quiet.tolist(), strict=True) if kept]
        label, customers = _connected(ends, table)
        counts = customers[label] >= _FEWEST_CUSTOMERS
        self.ends: Slots = ends[counts]
        self._component, self._customers = label[counts], customers
        self._pairs: Sequence[Pair] = [pair for (pair, _, _), kept in zip(known, counts, strict=True) if kept]
        # One more than was seen: that there was none does not show that there never is any.
        self._by_chance = handoffs.backwards + 1.0
        self._chance_of_failure = self._by_chance / max(handoffs.failures, 1)

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def accounts(self) -> Slots:
        return np.unique(self.ends)

    def touching(self, slots: Slots) -> npt.NDArray[np.bool_]:
        """Which ends of the hand-offs are these accounts'."""
        return self._table.among(self.ends.ravel(), slots).reshape(-1, 2)

    def components(self, min_customers: int) -> list[tuple[Key, Slots]]:
        """Accounts that hand-offs connect, under a key that stays while more join: the hash of the oldest hand-off."""
        out: dict[int, tuple[Key, Slots]] = {}
        for index, mine in enumerate(map(int, self._component)):
            if self._customers[mine] >= min_customers and mine not in out:
                of = hashlib.blake2b(" ".join(self._pairs[index]).encode(), digest_size=8).hexdigest()
                out[mine] = (HANDOFF, of), self._by_name(np.unique(self.ends[self._component == mine]))
        return list(out.values())

    def finding(self, slots: Slots, *, proposed_here: bool) -> Finding | None:
        """Of hand-offs among these accounts: as many by chance, Poisson. A group that hand-offs have proposed may be the largest
        that chance ever made anywhere (``chance_component``). ``None`` with fewer than three."""
        count = int(self.touching(slots).all(axis=1).sum())
        if count < _FEWEST:
            return None
        expected = self._expected(slots)
        if proposed_here:
            p_value = self._chance.p_value(len(np.unique(self._table.unit_hashes(slots))), count)
            return self._said(count, self._by_chance, p_value, " on the whole platform, anywhere")
        return self._said(count, expected, float(pdtrc(count - 1, expected)), "")

    def _said(self, count: int, expected: float, p_value: float, where: str) -> Finding:
        return Finding(
            HANDOFF, float(count), (0.0, _most(expected)), p_value,
            f"between {count} pairs of these accounts, of different customers, a call that failed on one began again on the "
            "other within a minute, word for word, as relays do when an account is limited; chance explains "
            f"{expected:.1f}{where} (p = {p_value:.1e})",
        )  # fmt: skip

    def partners(self, core: Slots) -> tuple[Slots, float]:
        """(other accounts that had hand-offs with these, natural log of how much likelier one is a member's than chance)."""
        touching = self.touching(core)
        outward = touching.any(axis=1) & ~touching.all(axis=1)
        others = self.ends[outward][~touching[outward]]
        if not len(others):
            return np.zeros(0, dtype=np.int64), 0.0
        odds = int(touching.any(axis=1).sum()) / self._expected(core) - 1
        return np.unique(others), float(np.clip(np.log(max(odds, 1.0)), 0.0, _MAX_WORTH))

    def among_themselves(self, slots: Slots) -> Slots:
        """Those of these accounts that had hand-offs with others of them."""
        return np.unique(self.ends[self.touching(slots).all(axis=1)])

    def partners_in(self, core: Slots, slots: Slots) -> Slots:
        """With how many accounts of the core each of these had hand-offs."""
        touching = self.touching(core)
        pairs = np.concatenate([self.ends[touching[:, 1]], self.ends[touching[:, 0]][:, ::-1]])
        others, counts = np.unique(np.unique(pairs, axis=0)[:, 0], return_counts=True)
        out = np.zeros(len(slots), dtype=np.int64)
        at = np.searchsorted(others, slots)
        known = at < len(others)
        known[known] = others[at[known]] == slots[known]
        out[known] = counts[at[known]]
        return out

    def between(self, some: Slots, others: Slots) -> int:
        """Hand-offs from one set to the other."""
        one, other = self.touching(some), self.touching(others)
        return int(((one[:, 0] & other[:, 1]) | (one[:, 1] & other[:, 0])).sum())

    def _expected(self, slots: Slots) -> float:
        """By chance, with these accounts at either end."""
        return 2 * self._chance_of_failure * (self._table.failures(slots) + 1)

    def _by_name(self, slots: Slots) -> Slots:
        return np.array(sorted(slots, key=self._table.name), dtype=np.int64)


def _connected(ends: Slots, table: AccountTable) -> tuple[Slots, Slots]:
    """(the component of each hand-off, how many customers each component has)."""
    if not len(ends):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    slots, place = np.unique(ends, return_inverse=True)
    place = place.reshape(-1, 2)
    graph = sp.csr_matrix((np.ones(len(place)), (place[:, 0], place[:, 1])), shape=(len(slots), len(slots)))
    count, label = connected_components(graph, directed=False)
    of_customer = np.unique(np.column_stack([label, table.unit_hashes(slots)]), axis=0)[:, 0]
    return label[place[:, 0]].astype(np.int64), np.bincount(of_customer, minlength=count).astype(np.int64)


def _most(expected: float) -> float:
    """What 95 % of groups stay at or below by chance."""
    counts: npt.NDArray[np.float64] = np.arange(0.0, 10 + 3 * expected)
    return float(counts[np.searchsorted(1 - pdtrc(counts, expected), 0.95)])
