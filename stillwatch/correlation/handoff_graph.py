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
CLUSTERS: Final[Key] = HANDOFF, "clusters"  # of the one group of all small clusters
# People have two accounts, of their own and of their work, and programs that try the other; some have three. So hand-offs
# count where they connect this many customers.
_FEWEST_CUSTOMERS: Final = 4
# So many are nobody's own accounts: two hand-offs there are two ties.
_MANY_CUSTOMERS: Final = 8
_FEWEST: Final = 3  # of them in a group, to say anything
_MAX_WORTH: Final = 7.0  # nats: 1 in 1,000; a hand-off does not decide against everything else that is known


class HandoffGraph:
    """Accounts are slots of the table; those that were evicted are left out, and what connects only two or three customers."""

    def __init__(self, handoffs: Handoffs, table: AccountTable) -> None:
        self._table = table
        pairs, ends = _known(handoffs.pairs(), table)
        label, customers = _connected(ends, table)
        enough = customers[label] >= _FEWEST_CUSTOMERS
        self.ends: Slots = ends[enough]
        self._label, self._sizes = label[enough], customers[label[enough]]
        self.accounts: Slots = np.unique(self.ends)
        # Who is connected by chance most easily proposes nothing: the busiest, an account that is refused all day among them.
        units, failed, begun = table.failed_and_begun()
        self._chance = ChanceComponents(failed, begun, handoffs.backwards) if len(units) else None
        self._units = units
        busy = units[self._chance.busy] if self._chance is not None else units
        is_busy: npt.NDArray[np.bool_] = np.isin(table.unit_hashes(ends), busy)
        begins = np.array([handoffs.begins_a_chain(pair) for pair in pairs], dtype=np.bool_)
        quiet: npt.NDArray[np.bool_] = ~np.any(is_busy, axis=1) & begins
        self._quiet: Slots = ends[quiet]
        self._component, self._customers = _connected(self._quiet, table)
        self._pairs: Sequence[Pair] = [pair for pair, kept in zip(pairs, quiet.tolist(), strict=True) if kept]
        self._before = _known(handoffs.pairs_before(), table)[1]
        # One more than was seen: that there was none does not show that there never is any.
        self._chance_of_failure = (handoffs.backwards + 1.0) / max(handoffs.failures, 1)

    def __len__(self) -> int:
        return len(self.ends)

    def touching(self, slots: Slots) -> npt.NDArray[np.bool_]:
        """Which ends of the hand-offs are these accounts'."""
        return self._of(self.ends, slots)

    def connected_with(self, slots: Slots) -> Slots:
        """All accounts that hand-offs connect with these, themselves included."""
        touched = np.unique(self._label[self.touching(slots).any(axis=1)])
        return np.unique(self.ends[np.isin(self._label, touched)])

    def _of(self, ends: Slots, slots: Slots) -> npt.NDArray[np.bool_]:
        return self._table.among(ends.ravel(), slots).reshape(-1, 2)

    def components(self, min_customers: int) -> list[tuple[Key, Slots]]:
        """Accounts that hand-offs connect, under a key that stays while more join: the hash of the oldest hand-off."""
        out: dict[int, tuple[Key, Slots]] = {}
        for index, mine in enumerate(map(int, self._component)):
            if self._customers[mine] >= max(min_customers, _FEWEST_CUSTOMERS) and mine not in out:
                of = hashlib.blake2b(" ".join(self._pairs[index]).encode(), digest_size=8).hexdigest()
                out[mine] = (HANDOFF, of), self._by_name(np.unique(self._quiet[self._component == mine]))
        return list(out.values())

    def clusters(self, min_customers: int, known: Slots, now_unix_nano: int) -> list[tuple[Key, Slots]]:
        """All that hand-offs connect in fours and more, as one group: a relay of thousands has many small clusters for a day before
        they are one. Without what touches a ``known`` campaign's accounts, and without clusters that have a settled account: whoever
        has four accounts of the own has had one of them for long."""
        settled = self._table.settled(np.unique(self._quiet), now_unix_nano)
        out = self._of(self._quiet, np.union1d(known, settled)).any(axis=1)
        mine: npt.NDArray[np.bool_] = self._customers[self._component] >= _FEWEST_CUSTOMERS
        mine &= ~np.isin(self._component, self._component[out])
        several = np.unique(self._component[mine])
        if len(several) < 2 or self._customers[several].sum() < min_customers:
            return []
        return [(CLUSTERS, self._by_name(np.unique(self._quiet[mine])))]

    def finding(self, slots: Slots, *, proposed_here: bool) -> Finding | None:
        """Of hand-offs among these accounts. A group that hand-offs have proposed may be the largest that chance ever made anywhere
        (``chance_component``); of others as many by chance, Poisson. Where beginnings *before* failures fall among these accounts,
        too, chance is at home there: as many and one more are expected at least. ``None`` with fewer than three."""
        count = int(self._of(self._quiet if proposed_here else self.ends, slots).all(axis=1).sum())
        if count < _FEWEST:
            return None
        before = int(self._of(self._before, slots).all(axis=1).sum())
        said = (
            f"between {count} pairs of these accounts, of different customers, a call that failed on one began again on the "
            "other within a minute, word for word, as relays do when an account is limited; "
        )
        if proposed_here and self._chance is not None:
            customers, clusters = len(np.unique(self._table.unit_hashes(slots))), self._clusters_of(slots)
            if clusters > 1:
                of_three = self._customers[self._component] >= _FEWEST_CUSTOMERS - 1
                p_value = self._chance.p_value_of_clusters(
                    clusters, self._places(self._quiet), self._places(self._quiet[of_three])
                )
                connects = f"{clusters} clusters of {_FEWEST_CUSTOMERS} customers or more, {customers} together,"
            else:
                p_value, connects = self._chance.p_value(customers, count), f"{customers} customers"
            p_value = max(p_value, float(pdtrc(count - 1, before + 1.0))) if before else p_value
            said += f"that chance connects {connects} anywhere on the platform: p = {p_value:.1e}"
            return Finding(HANDOFF, float(count), None, p_value, said)
        expected = max(self._expected(slots), before + 1.0 if before else 0.0)
        p_value = float(pdtrc(count - 1, expected))
        said += f"chance explains {expected:.1f} (p = {p_value:.1e})"
        return Finding(HANDOFF, float(count), (0.0, _most(expected)), p_value, said)

    def _clusters_of(self, slots: Slots) -> int:
        """How many components these accounts are in."""
        return len(np.unique(self._component[self._of(self._quiet, slots).all(axis=1)]))

    def _places(self, ends: Slots) -> Slots:
        """Of these accounts' customers among all, each once."""
        return np.searchsorted(self._units, np.unique(self._table.unit_hashes(np.unique(ends))))

    def partners(self, core: Slots) -> tuple[Slots, float]:
        """(other accounts that had hand-offs with these, natural log of how much likelier one is a member's than chance)."""
        touching = self.touching(core)
        if not touching.any():
            return np.zeros(0, dtype=np.int64), 0.0
        outward = touching.any(axis=1) & ~touching.all(axis=1)
        others = self.ends[outward][~touching[outward]]
        odds = int(touching.any(axis=1).sum()) / self._expected(core) - 1
        return np.unique(others), float(np.clip(np.log(max(odds, 1.0)), 0.0, _MAX_WORTH))

    def among_themselves(self, slots: Slots) -> Slots:
        """Those of these accounts that had hand-offs with others of them."""
        return np.unique(self.ends[self.touching(slots).all(axis=1)])

    def partners_in(self, core: Slots, slots: Slots) -> Slots:
        """With how many accounts of the core each of these had hand-offs, where these connect more customers than a person has
        accounts: a group's four can be one person's own."""
        ends = self.ends[self._sizes >= _MANY_CUSTOMERS]
        touching = self._of(ends, core)
        pairs = np.concatenate([ends[touching[:, 1]], ends[touching[:, 0]][:, ::-1]])
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


def _known(pairs: Sequence[Pair], table: AccountTable) -> tuple[list[Pair], Slots]:
    """The pairs of which both accounts are in the table, and their slots."""
    found = [(pair, table.slot(pair[0]), table.slot(pair[1])) for pair in pairs]
    known = [(pair, one, other) for pair, one, other in found if one is not None and other is not None]
    ends = np.array([[one, other] for _, one, other in known], dtype=np.int64).reshape(-1, 2)
    return [pair for pair, _, _ in known], ends


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
