"""Whose conduct in time is not a person's, among the accounts of a group: told without looking at what they ask.

A value that a campaign shares with bystanders brings both into its group, and bystanders differ in what they ask as people do.
What people ask about does not depend on when they ask; so the accounts whose hours and rhythm are not a person's can be picked
first, and what *they* ask be compared, with that of such accounts of honest groups.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from stillwatch.correlation.conduct import Conduct
from stillwatch.correlation.table import AccountTable, Slots

FEWEST: Final = 6
# Standard deviations above honest accounts of like volume, all statistics together.
_UNUSUAL: Final = 0.5


def behaving_alike(table: AccountTable, slots: Slots, conduct: Conduct, handed: Slots) -> Slots | None:
    """Those of a group that ``handed`` calls to others, and those with such conduct. ``None`` where they are fewer than
    :data:`FEWEST`. Keys of a product or a gateway that share the value behave like that by nature: they count only where
    there are not enough without them."""
    alike = slots[table.among(slots, handed) | (np.nan_to_num(conduct.scores[slots, -1], nan=-1.0) > _UNUSUAL)]
    single = alike[~table.belongs_to_an_organisation()[alike]]
    alike = single if len(single) >= FEWEST else alike
    return alike if len(alike) >= FEWEST else None
