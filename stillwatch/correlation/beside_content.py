"""The tests of a group that count beside content: each tells a dispatcher from people, none of them what it harvests.

Hand-offs, the accounts' own evidence, equal volumes and a common pivot; conduct is the fifth (it has bounds of its own, see
:mod:`stillwatch.correlation.verify`). A machine shows several of them at once, so their e-values are averaged and never
multiplied with each other.
"""

from __future__ import annotations

from collections.abc import Sequence

from stillwatch.correlation.equal_volumes import EqualVolumes, equal_volumes
from stillwatch.correlation.finding import Finding
from stillwatch.correlation.handoff_graph import HandoffGraph
from stillwatch.correlation.own_evidence import OwnEvidence
from stillwatch.correlation.pivot import Pivot, pivot
from stillwatch.correlation.table import AccountTable, Slots

TESTS = 4  # one that has nothing to say counts as evidence of 1


class BesideContent:
    def __init__(
        self, table: AccountTable, handoffs: HandoffGraph, honest: Slots, compared: Slots, groups: Sequence[Slots],
        now_unix_nano: int,
    ) -> None:  # fmt: skip
        """``honest``: accounts of no known campaign; ``compared``: of these the settled ones; ``groups``: what they form by what they
        share, each once."""
        self._table, self.handoffs = table, handoffs
        self._own = OwnEvidence(table, compared, groups)
        self._volumes = EqualVolumes.learn(table, groups, now_unix_nano)
        self._pivot = Pivot.learn(table, honest, groups, now_unix_nano)

    def findings(self, slots: Slots, *, proposed_by_handoffs: bool) -> tuple[Finding, ...]:
        """Of those that have something to say."""
        found = (
            self.handoffs.finding(slots, proposed_here=proposed_by_handoffs),
            self._own.finding(slots),
            equal_volumes(self._table, slots, self._volumes),
            pivot(self._table, slots, self._pivot) if self._pivot is not None else None,
        )
        return tuple(one for one in found if one is not None)
