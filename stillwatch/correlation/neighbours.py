"""Accounts that ask what a known campaign asks, and share nothing with it: candidates for membership beyond linkage.

A relay's later accounts come with other cards and other sign-ups, and linkage never proposes them. But they draw from the
same pool. Nearness is the likelihood ratio of the pool against a person, by one half of the conversations, so cover traffic
adds to it no more than it hides: what counts is the floor that the pool leaves in all its topics. It proposes only; the
broadest honest people are as near as that, and topics, conduct and signals decide (``attribution``).

No pair of accounts is compared: one pass over the accounts for each campaign, at most once an hour of event time, some 3 µs
an account (`python -m benchmarks.mixtures`), so 3 s an hour for a million. What is kept are the names of the nearest, some
for each known member.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable
from typing import Final

import numpy as np

from stillwatch.correlation.membership import Known
from stillwatch.correlation.nulls import Population, Slots
from stillwatch.correlation.table import PROPOSE, AccountTable

# Members are looked for at every evaluation, but who is near changes with days, not with seconds.
_AGAIN_AFTER_NANO: Final = 3_600_000_000_000
_AT_ONCE: Final = 8_192  # rows
_POOL_BREADTH: Final = 64.0  # as multiples of people's concentration, as in ``membership``
_MAX_NEAR: Final = 10_000  # accounts, however large the campaign


class Neighbours:
    """Of each campaign, as they were found last. Bounded by campaigns times ``_MAX_NEAR`` names."""

    def __init__(self, per_member: float) -> None:
        self._per_member = per_member
        self._found: dict[str, tuple[int, tuple[str, ...]]] = {}  # when, and who

    def of(
        self, campaign: str, core: Collection[str], known: int, concentration: float, table: AccountTable,
        population: Population, among: Slots, now_unix_nano: int,
    ) -> Slots:  # fmt: skip
        """Slots of those of ``among`` that are nearest to the core, by name; without the core. As many for each of the
        ``known`` members as is set: the more are found, the further it looks."""
        wanted = min(int(self._per_member * known), _MAX_NEAR)
        if not wanted:
            return np.array([], dtype=np.int64)
        found_at, names = self._found.get(campaign, (0, ()))
        if not found_at <= now_unix_nano < found_at + _AGAIN_AFTER_NANO:
            slots = nearest(table, _slots(table, core), concentration, population, among, wanted)
            names = tuple(sorted(table.name(int(slot)) for slot in slots))
            self._found[campaign] = now_unix_nano, names
        return _slots(table, names)


def nearest(
    table: AccountTable, core: Slots, concentration: float, population: Population, among: Slots, count: int
) -> Slots:
    """The ``count`` accounts outside the core that are likeliest the pool's and not a person's, by the proposing half.

    Keys of organisations are left out: a gateway is as broad as any pool. Who is as near as another comes by its name.
    """
    if not len(core):
        return core
    pool = table.counts(core, PROPOSE).sum(axis=0)
    alone = ~table.belongs_to_an_organisation()[among] & ~table.among(among, core)
    best: list[tuple[float, int]] = []
    rest = among[alone]
    for at in range(0, len(rest), _AT_ONCE):
        slots = rest[at : at + _AT_ONCE]
        known = Known.of(table.counts(slots, PROPOSE))
        outside = np.zeros(len(slots), dtype=np.bool_)
        member = known.pool_log_likelihood(pool, population.mixture, concentration * _POOL_BREADTH, outside)
        ratio = member - known.people_log_likelihood(population.mixture, concentration)
        best = heapq.nsmallest(count, [*best, *zip((-ratio).tolist(), range(at, at + len(slots)), strict=True)])
    return rest[sorted(place for _, place in best)]


def _slots(table: AccountTable, names: Iterable[str]) -> Slots:
    found = (table.slot(name) for name in sorted(names))
    return np.array([slot for slot in found if slot is not None], dtype=np.int64)
