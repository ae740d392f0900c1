"""What the accounts' own signals say together, where no single account's says enough.

Each account has a log likelihood ratio from its signals, read against accounts of its class (docs/adr/0009). One of a campaign
that hides shows little: +2 where honest accounts have 0 ± 1. The mean over a group shows much, because honest accounts that share
something differ in their ways. How much the means of honest groups differ is taken from all linkage groups of the
moment, as for conduct.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from stillwatch.correlation.finding import Finding
from stillwatch.correlation.group_null import GroupNull
from stillwatch.correlation.table import AccountTable, Slots

_FEWEST: Final = 5  # organisations of which there is an opinion: fewer have no mean to speak of
# Nats. Honest groups' means differ by at least this much, however few groups there are to learn it from.
_MIN_BETWEEN: Final = 0.2
# Nats squared. A handful of accounts can come out equal by chance.
_MIN_VARIANCE: Final = 0.25
# No account carries a group's mean alone.
_MOST: Final = 6.0


class OwnEvidence:
    """Before :meth:`learn`, and with fewer than ten groups to learn from, it says nothing."""

    def __init__(self, table: AccountTable) -> None:
        self._table = table
        self._null: GroupNull | None = None

    def learn(self, groups: Iterable[Slots]) -> None:
        figures = [(mean, variance) for group in groups for mean, variance, _ in self._of(group)]
        self._null = GroupNull.of(figures, _MIN_BETWEEN)

    def finding(self, slots: Slots) -> Finding | None:
        """One-sided: that an honest group's mean is as large."""
        found = self._of(slots)
        if self._null is None or not found:
            return None
        mean, variance, units = found[0]
        p_value = self._null.mirrored().p_value(-mean, variance, units)
        normal = self._null.interval(variance)
        return Finding(
            "own_signals", mean, normal, p_value,
            f"the own signals of these accounts, none of which decides alone, speak for a relay by {mean:+.1f} nats on average over "
            f"{units}; other groups that share something: {normal[0]:+.1f} to {normal[1]:+.1f} (p = {p_value:.1e})",
        )  # fmt: skip

    def _of(self, slots: Slots) -> list[tuple[float, float, int]]:
        """(mean over organisations, its variance, how many) or nothing."""
        values = np.minimum(self._table.evidence(slots), _MOST)
        units = self._table.mean_by_unit(slots, values[:, None])[:, 0]
        known = units[np.isfinite(units)]
        if len(known) < _FEWEST:
            return []
        return [(float(known.mean()), max(float(known.var(ddof=1)), _MIN_VARIANCE) / len(known), len(known))]
