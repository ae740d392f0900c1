"""The tests of a group that count beside content: each tells a dispatcher from people, none of them what it harvests.

Hand-offs, the accounts' own evidence, equal volumes, a common pivot, and three of them together; conduct is the sixth (it has
bounds of its own, see :mod:`stillwatch.correlation.verify`). A machine shows several of them at once, so their e-values are
averaged and never multiplied with each other. Whether they go from topic to topic together counts only where the settings give it a
weight; else it is asked of what was found, to be shown (:mod:`stillwatch.correlation.lockstep`).
"""

from __future__ import annotations

from collections.abc import Sequence

from stillwatch.correlation.conduct import Conduct
from stillwatch.correlation.equal_volumes import EqualVolumes, equal_volumes
from stillwatch.correlation.finding import Finding
from stillwatch.correlation.handoff_graph import HandoffGraph
from stillwatch.correlation.lockstep import Lockstep
from stillwatch.correlation.own_evidence import OwnEvidence
from stillwatch.correlation.pivot import Pivot, pivot
from stillwatch.correlation.table import AccountTable, Slots
from stillwatch.correlation.together import Together

TESTS = 5  # one that has nothing to say counts as evidence of 1


class BesideContent:
    def __init__(
        self, table: AccountTable, handoffs: HandoffGraph, honest: Slots, compared: Slots, groups: Sequence[Slots],
        conduct: Conduct, now_unix_nano: int, lockstep_weight: float = 0.0,
    ) -> None:  # fmt: skip
        """``honest``: accounts of no known campaign; ``compared``: of these the settled ones; ``groups``: what they form by what they
        share, each once; ``conduct`` has learnt from them."""
        self._table, self.handoffs = table, handoffs
        self._own = OwnEvidence(table, compared, groups)
        self._volumes = EqualVolumes.learn(table, groups, now_unix_nano)
        self._pivot = Pivot.learn(table, honest, groups, now_unix_nano)
        self.lockstep = Lockstep(table, groups, lockstep_weight)
        self._conduct = conduct
        self._together = Together(
            self._three(slots, self._own.finding(slots), equal_volumes(table, slots, self._volumes)) for slots in groups
        )

    def findings(self, slots: Slots, *, proposed_by_handoffs: bool) -> tuple[Finding, ...]:
        """Of those that have something to say."""
        own, volumes = self._own.finding(slots), equal_volumes(self._table, slots, self._volumes)
        found = (
            self.handoffs.finding(slots, proposed_here=proposed_by_handoffs),
            own,
            volumes,
            self._together.finding(*self._three(slots, own, volumes)),
            pivot(self._table, slots, self._pivot) if self._pivot is not None else None,
            self.lockstep.finding(slots) if self.lockstep.weight else None,
        )
        return tuple(one for one in found if one is not None)

    def _three(self, slots: Slots, own: Finding | None, volumes: Finding | None) -> tuple[list[float], int]:
        """(p-values of those that have something to say, units of the group)."""
        scores = self._table.mean_by_unit(slots, self._conduct.scores[slots])
        told = (self._conduct.group(scores), own, volumes)
        return [one.p_value for one in told if one is not None], len(scores)
