"""Groups of accounts that share no value at all, only a mixture of topics.

Two accounts of a pool with half of cover are hardly more alike than two strangers: of 30 conversations each, a hash of one
account's topics says nothing. So sign bits of random projections (Charikar 2002; the planes are fixed by a seed) only choose
where to begin: those furthest out on one side of a plane. From there a few rounds of expectation maximisation gather the
accounts whose topics are likelier a draw from what the group has in common than a person's own (``membership``). That is
the coverage floor: a pool leaves its share in all of its topics, and cover traffic adds to it without taking from it;
narrow people, however near the middle of the group, are people. What was gathered is set aside, and the next group sought
among the rest, so no account is in two groups and no component grows.

Proposed by one half of the conversations, tested by the other (``mixture_test``): these accounts are alike because
they were chosen so, and so are honest ones.

Bounded: at most ``_MAX_FITTED`` accounts (a sample by a hash of their units), ``wanted`` groups and two starts a plane, so a
time that no longer grows with the accounts; no pairs. Groups that cover few topics are gathered, so that they are out of the
way, and not proposed. It is done again after a day, or when there is a third more data. `python -m benchmarks.mixtures` has
cost and purity: of 200 strangers with half of cover, the purest group has half to three quarters after a week.

Off by default (``mixture_groups``): in the streams that were played it found no campaign, or none earlier than hand-offs did, and
its tests raise the bar for all others (docs/adr/0017).

Keys are ``(MIXTURE, plane and side)`` of the start: the same planes for ever, so a pool that lies on one side of a plane
is found from there again, and is one more test only when it has grown.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from stillwatch.correlation.homogeneity import Counts, heterogeneity
from stillwatch.correlation.linkage import Key
from stillwatch.correlation.membership import Known, Vector, concentration_of
from stillwatch.correlation.nulls import Slots
from stillwatch.correlation.table import PROPOSE, AccountTable
from stillwatch.fingerprint import CELLS

MIXTURE: Final = "mixture"  # the view of such a key; no account has such a value
Group = tuple[Key, Slots]
# A campaign that is less than one in a hundred of the sample is hardly found here: its groups would be bystanders mostly.
_MAX_FITTED: Final = 10_000
_MIN_CONVERSATIONS: Final = 4  # in the proposing half: fewer say nothing of a mixture
# Of the population's breadth. A language, a trade or an assignment leaves up to a half, and its people have much in common.
MIN_BREADTH: Final = 0.6
_PLANES: Final = 12
_ACCOUNTS: Final = 100  # of a group: enough for its figures, few enough that a campaign of that size fills one
_FIRST_ROUNDS: Final = 2  # of all starts, which tell
_FINALISTS: Final = 3  # the ones that go on
_ROUNDS: Final = 8  # most groups have settled by then
_POPULATION: Final = 40.0  # pseudo-conversations of the population in a group's mixture
_RARE: Final = 1e-3  # a topic rarer than that must not decide a projection
_SIDES: Final = "-+"
_GROWTH: Final = 1.3  # as for tests: less would find the same groups
_AGAIN_AFTER_NANO: Final = 86_400_000_000_000


class _Half:
    """The proposing half of some accounts, as non-zero counts."""

    def __init__(self, counts: Counts) -> None:
        self.totals = counts.sum(axis=1)
        share = counts / self.totals[:, None]
        self.mixture = (1 - 0.05) * share.mean(axis=0) + 0.05 / counts.shape[1]
        found = heterogeneity(counts)
        concentration = concentration_of(found.f if found is not None else 0.01)
        person = Known.of(counts).people_log_likelihood(self.mixture, concentration)
        self.broad = counts @ np.log(self.mixture) - person  # nats: as broad as everybody together, and not a person
        # Someone as broad as that is no pool either: half of what is not the pool's.
        self.other = person + np.logaddexp(0.0, np.log(0.5) + self.broad)
        self.row, self.cell = np.nonzero(counts)
        self.count = counts[self.row, self.cell]

    def fit(self, weight: Vector, left: npt.NDArray[np.bool_], size: int, rounds: int) -> tuple[Vector, Vector]:
        """New weights, and the log likelihood ratio of a group's mixture against a person, of each account; the group has ``size`` of ``left``."""
        at = left[self.row]
        row, cell, count = self.row[at], self.cell[at], self.count[at]
        ratio = np.full(len(self.totals), -np.inf)
        for _ in range(rounds):
            given = weight[row] * count
            pool, total = np.bincount(cell, given, minlength=CELLS), float(given.sum())
            # Without the account's own part, or each would find itself alike.
            mixture = (pool[cell] - given + _POPULATION * self.mixture[cell]) / (
                total - weight[row] * self.totals[row] + _POPULATION
            )
            ratio[left] = (np.bincount(row, count * np.log(mixture), minlength=len(ratio)) - self.other)[left]
            least = np.partition(ratio[left], -size)[-size]
            weight = expit(np.clip(ratio - least, -30.0, 30.0))
        return weight, ratio


def mixtures(table: AccountTable, eligible: Slots, wanted: int, fewest: int, seed: int) -> list[Group]:
    """At most ``wanted`` groups of ``eligible`` accounts, none with fewer than ``fewest``, the most alike first."""
    slots = eligible[~table.belongs_to_an_organisation()[eligible]]
    if len(slots) > _MAX_FITTED:
        slots = slots[np.sort(np.argsort(table.unit_hashes(slots), kind="stable")[:_MAX_FITTED])]
    counts = table.counts(slots, PROPOSE)
    enough = counts.sum(axis=1) >= _MIN_CONVERSATIONS
    slots, counts = slots[enough], counts[enough]
    size = min(_ACCOUNTS, len(slots) // (wanted + 4)) if wanted else 0
    if size < fewest:
        return []
    half = _Half(counts)
    apart = (counts / half.totals[:, None] - half.mixture) / np.sqrt(half.mixture + _RARE)
    apart *= np.sqrt(half.totals)[:, None]  # noise of about 1 in every topic
    planes = np.random.default_rng([seed, CELLS]).standard_normal((CELLS, _PLANES))
    side = apart @ planes
    left = np.ones(len(slots), dtype=np.bool_)
    out: dict[Key, Slots] = {}
    starts = list(range(2 * _PLANES))
    while starts and len(out) < wanted and left.sum() >= 2 * size:
        places = np.flatnonzero(left)
        enough = max(2 * size, int((half.broad[places] > 0).sum()))
        broad = places[np.argsort(-half.broad[places], kind="stable")[:enough]]
        tried = []
        for start in starts:
            weight = np.zeros(len(slots))
            outward = side[broad, start // 2] * (1 if start % 2 else -1)
            weight[broad[np.argsort(-outward, kind="stable")[: max(size, len(broad) // 10)]]] = 1.0
            weight, ratio = half.fit(weight, left, size, _FIRST_ROUNDS)
            tried.append((_worth(ratio, size), -start, weight))
        best = max(
            (
                (_worth(ratio, size), minus_start, ratio)
                for _, minus_start, weight in sorted(tried, key=lambda one: one[:2])[-_FINALISTS:]
                for _, ratio in [half.fit(weight, left, size, _ROUNDS)]
            ),
            key=lambda one: one[:2],
        )
        start, members = -best[1], np.argsort(-best[2], kind="stable")[:size]
        starts.remove(start)
        left[members] = False
        found = heterogeneity(counts[members])
        if found is not None and found.same_topic * MIN_BREADTH <= float(half.mixture @ half.mixture):
            out[MIXTURE, f"{start // 2}{_SIDES[start % 2]}"] = slots[np.sort(members)]
    return list(out.items())


def _worth(ratio: Vector, size: int) -> float:
    return float(np.partition(ratio, -size)[-size:].mean())


class Mixtures:
    """Keeps the groups from one evaluation to the next. Bounded by ``wanted`` groups of ``_ACCOUNTS`` names."""

    def __init__(self, wanted: int, fewest: int, seed: int) -> None:
        self._wanted, self._fewest, self._seed = wanted, fewest, seed
        self._sought_at, self._sought_with = 0, 0  # event time, and the accounts' conversations then
        self._found: list[tuple[Key, tuple[str, ...]]] = []

    def groups(self, table: AccountTable, known: Slots, honest: Slots, now_unix_nano: int) -> list[Group]:
        """Of ``honest`` accounts, those of ``known`` that are of no known campaign; both by name."""
        conversations = int(table.conversations(known).sum())
        same = self._sought_with <= conversations < _GROWTH * self._sought_with
        if not same or not self._sought_at <= now_unix_nano < self._sought_at + _AGAIN_AFTER_NANO:
            self._sought_at, self._sought_with = now_unix_nano, conversations
            found = mixtures(table, honest, self._wanted, self._fewest, self._seed)
            self._found = [(key, tuple(table.name(int(slot)) for slot in slots)) for key, slots in found]
        out = []
        for key, names in self._found:
            places = (table.slot(name) for name in names)
            slots = np.array([slot for slot in places if slot is not None], dtype=np.int64)
            slots = slots[table.among(slots, honest)]  # neither evicted nor known as a campaign's since
            if len(slots) >= self._fewest:
                out.append((key, slots))
        return out
