"""Does a proposed group share one source of prompts? The first honest method, and its limits.

1. The group was proposed by shared identity; its *content* has not been looked at.
2. One half of its conversations trims it: accounts that fit the group's mixture worst are dropped, since a linkage
   value is shared by bystanders too.
3. The other half tests what is left: is F below ``MAX_RELATIVE_F`` of what honest sets of like size and volume show?
   The p-value is one-sided, Student's t on the jackknife error. Honest sets are trimmed in the same way; if one that
   keeps as many accounts comes out as low, the evidence is void: trimming must not manufacture a discovery.
4. A group that covers few topics is a product with one job, not a harvest: its evidence is void too.

It finds pools without cover traffic. Half of cover lifts F towards that of honest teams, and this test then stays
silent: coverage floors and timing are for a later method (docs/adr/0005).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import t as student_t

from stillwatch.correlation.evidence import e_from_p
from stillwatch.correlation.homogeneity import heterogeneity
from stillwatch.correlation.membership import concentration_of, log_likelihood_ratio
from stillwatch.correlation.nulls import HonestSets, NullBank, Population, Slots
from stillwatch.correlation.table import PROPOSE, TEST, AccountTable

# Honest teams on one tool differ a third as much as strangers do, one in twenty of them a tenth (measured on real
# text, semi-synthetic). A campaign's accounts differ by nothing: a seventh leaves room for both.
MAX_RELATIVE_F: Final = 0.15
# A pool that is worth stealing covers at least this share of the topics that all accounts together cover.
MIN_RELATIVE_BREADTH: Final = 0.25
# Trimming: at most twelve rounds of the worst tenth, which can remove 70 % of a group.
_TRIM_ROUNDS: Final = 12
_TRIM_SHARE: Final = 0.1
_MIN_KEPT: Final = 6
# Trimmed honest sets cost as much as the test itself: a void check at 1 in 20 is enough beside the p-value.
_TRIMMED_NULLS: Final = 19


@dataclass(frozen=True, slots=True, eq=False)
class GroupTest:
    """What a test of a group found. ``e_value`` 1 or less: no evidence. ``void``: why strong evidence was set aside."""

    kept: Slots
    tested_accounts: int
    f: float
    normal_f: tuple[float, float]
    p_value: float
    e_value: float
    breadth: float
    concentration: float
    void: str | None = None


def examine_group(table: AccountTable, slots: Slots, population: Population, nulls: NullBank) -> GroupTest | None:
    """``None`` when there are too few honest accounts to compare with, or too little is left of the group."""
    honest = nulls.like(slots)
    if honest is None or honest.median_f <= 0:
        return None
    concentration = concentration_of(honest.median_f)
    floor = MAX_RELATIVE_F * honest.median_f
    kept = trim(table, slots, population, concentration, floor)
    tested = heterogeneity(table.counts(kept, TEST))
    if tested is None or tested.accounts < _MIN_KEPT or tested.standard_error <= 0:
        return None
    p_value = float(student_t.cdf((tested.f - floor) / tested.standard_error, df=tested.accounts - 1))
    e_value = e_from_p(p_value)
    breadth = min(1 / max(tested.same_topic, 1e-9) / population.effective_topics, 1.0)
    void = None
    if breadth < MIN_RELATIVE_BREADTH:
        void = f"covers {breadth:.0%} of the population's topics: a product with one job"
    elif e_value > 20 and _an_honest_set_is_as_low(table, honest, population, concentration, floor, tested.f, kept, slots):
        void = "honest sets, trimmed in the same way, come out as alike"
    return GroupTest(
        kept=kept, tested_accounts=tested.accounts, f=tested.f, normal_f=honest.normal_f, p_value=p_value,
        e_value=min(e_value, 1.0) if void else e_value, breadth=breadth, concentration=concentration, void=void,
    )  # fmt: skip


def trim(table: AccountTable, slots: Slots, population: Population, concentration: float, floor: float) -> Slots:
    """Drops the accounts that fit worst, by the proposing half only, until what is left is homogeneous in it."""
    kept = slots
    for _ in range(_TRIM_ROUNDS):
        counts = table.counts(kept, PROPOSE)
        found = heterogeneity(counts)
        if found is None or found.f <= floor or len(kept) <= _MIN_KEPT:
            break
        inside = np.ones(len(kept), dtype=np.bool_)
        fit = log_likelihood_ratio(counts, counts.sum(axis=0), population.mixture, concentration, inside=inside)
        worst = max(1, int(len(kept) * _TRIM_SHARE))
        kept = kept[np.sort(np.argsort(fit, kind="stable")[worst:])]
    return kept


def _an_honest_set_is_as_low(
    table: AccountTable, honest: HonestSets, population: Population, concentration: float, floor: float,
    f: float, kept: Slots, slots: Slots,
) -> bool:  # fmt: skip
    for accounts in honest.sets[:_TRIMMED_NULLS]:
        left = trim(table, accounts, population, concentration, floor)
        if len(left) / len(accounts) < len(kept) / len(slots):
            continue
        found = heterogeneity(table.counts(left, TEST))
        if found is not None and found.f <= max(f, floor):
            return True
    return False
