"""What the accounts' own signals say together, where no single account's says enough.

Each account has a log likelihood ratio from its signals, read against accounts of its class (docs/adr/0009). Of honest accounts one
in twenty lies above a certain ratio; of a campaign that hides nearly all do, though none of them so far that it could be acted
on. So the figure of a group is the share of its accounts that lie above. Bystanders that share the value dilute it less
than a mean. How much it differs among honest groups is taken from all linkage groups of the moment, as for conduct.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from stillwatch.correlation.finding import Finding
from stillwatch.correlation.group_null import GroupNull
from stillwatch.correlation.table import AccountTable, Slots

_FEWEST: Final = 5  # organisations of which there is an opinion
_MIN_COMPARED: Final = 100  # honest accounts, to know what one in twenty of them exceeds
_USUAL: Final = 0.05
# Honest groups' shares differ by at least this much beside sampling, however few groups there are to learn it from.
_MIN_BETWEEN: Final = 0.03


class OwnEvidence:
    """Without enough honest accounts and groups to learn from it says nothing."""

    def __init__(self, table: AccountTable, compared: Slots, groups: Iterable[Slots]) -> None:
        """``compared``: honest accounts, settled ones where there are enough."""
        self._table = table
        known = table.evidence(compared)
        known = known[np.isfinite(known)]
        self._high = float(np.quantile(known, 1 - _USUAL)) if len(known) >= _MIN_COMPARED else None
        figures = [(share, variance) for group in groups for share, variance, _, _ in self._of(group)]
        self._null = GroupNull.of(figures, _MIN_BETWEEN)

    def finding(self, slots: Slots) -> Finding | None:
        """One-sided: that of an honest group as many lie above."""
        found = self._of(slots)
        if self._null is None or not found:
            return None
        share, variance, above, units = found[0]
        p_value = self._null.mirrored().p_value(-share, variance, units)
        low, high = self._null.interval(variance)
        normal = (max(low, 0.0), min(high, 1.0))
        return Finding(
            "own_signals", share, normal, p_value,
            f"{above} of the {units} of which there is an opinion look more like a relay's account, by their own signals, than "
            f"{1 - _USUAL:.0%} of settled accounts do; in other groups that share something {normal[0]:.0%} to {normal[1]:.0%} "
            f"(p = {p_value:.1e})",
        )  # fmt: skip

    def _of(self, slots: Slots) -> list[tuple[float, float, int, int]]:
        """(share of organisations above, its variance, how many, of how many) or nothing."""
        units = self._table.mean_by_unit(slots, self._table.evidence(slots)[:, None])[:, 0]
        known = units[np.isfinite(units)]
        count = len(known)
        if self._high is None or count < _FEWEST:
            return []
        above = int((known > self._high).sum())
        # Half an account on either side (Jeffreys): none of five, or all, is not a variance of nothing.
        likely = (above + 0.5) / (count + 1)
        variance = max(likely * (1 - likely), _USUAL * (1 - _USUAL)) / count
        return [(above / count, variance, above, count)]
