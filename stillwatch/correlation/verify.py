"""Does a proposed group share one source of prompts? The first honest method, and its limits.

1. The group was proposed by shared identity; its *content* has not been looked at. So the group as it is can be tested
   on all of its conversations.
2. A linkage value is shared by bystanders too. One half of the conversations trims the group: accounts that fit its
   mixture worst are dropped. The other half tests what is left. The two e-values are averaged.
3. The test: is F below ``MAX_RELATIVE_F`` of what honest accounts of like volume show? One-sided, Student's t on the
   jackknife error. Honest sets are trimmed in the same way; if one that keeps as many accounts comes out as low, the
   evidence is void: trimming must not manufacture a discovery.
4. A group that covers few topics is a product with one job, not a harvest: its evidence is void too.

It finds pools without cover traffic. Half of cover lifts F towards that of honest teams, and this test then stays
silent: coverage floors and timing are for a later method (docs/adr/0005).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.stats import t as student_t

from stillwatch.correlation.evidence import e_from_p
from stillwatch.correlation.homogeneity import Heterogeneity, heterogeneity
from stillwatch.correlation.membership import concentration_of, log_likelihood_ratio
from stillwatch.correlation.nulls import Population, Slots, honest_beside
from stillwatch.correlation.table import PROPOSE, TEST, AccountTable
from stillwatch.settings import DetectionSettings

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
# Evidence at which the costly checks are worth their time: 1 in 20 by Markov's inequality.
_STRONG: Final = 20.0


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
    floor: float  # F below this is "one source"
    void: str | None = None

    def set_aside(self, why: str) -> GroupTest:
        return replace(self, e_value=min(self.e_value, 1.0), void=why)


def examine_group(
    table: AccountTable, slots: Slots, kin: Slots, population: Population, settings: DetectionSettings
) -> GroupTest | None:
    """``kin``: accounts that share with the group what most of it shares. ``None`` when there are too few honest accounts to compare with, or too little is left of the group."""
    honest = honest_beside(table, slots, kin, population, settings.min_null_accounts)
    if honest is None or honest.f <= 0:
        return None
    concentration = concentration_of(honest.found.f)
    floor = MAX_RELATIVE_F * honest.f
    kept = trim(table, slots, population, concentration, floor)
    whole, tested = heterogeneity(table.counts(slots)), heterogeneity(table.counts(kept, TEST))
    if whole is None or tested is None or tested.accounts < _MIN_KEPT:
        return None
    p_whole, p_kept = _p_value(whole, floor), _p_value(tested, floor)
    # The mean of e-values is one, however they depend on each other: a clean group is tested on all of its
    # conversations, one with bystanders on half of them.
    e_value = (e_from_p(p_whole) + e_from_p(p_kept)) / 2
    # What is shown is the stronger of the two; who belongs is what trimming leaves.
    tested, p_value = (whole, p_whole) if p_whole <= p_kept else (tested, p_kept)
    out = GroupTest(
        kept=kept, tested_accounts=tested.accounts, f=tested.f, normal_f=_interval(honest.found), p_value=p_value,
        e_value=e_value, concentration=concentration, floor=floor,
        breadth=min(1 / max(tested.same_topic, 1e-9) / population.effective_topics, 1.0),
    )  # fmt: skip
    if out.e_value < _STRONG:
        return out
    if out.breadth < MIN_RELATIVE_BREADTH:
        return out.set_aside(f"covers {out.breadth:.0%} of the population's topics: a product with one job")
    sets = honest.sets(len(slots), settings.null_sets, settings.seed)
    if any(_is_as_low(table, one, population, out, floor, len(kept) / len(slots)) for one in sets[:_TRIMMED_NULLS]):
        return out.set_aside("honest sets, trimmed in the same way, come out as alike")
    f = [found.f for one in sets if (found := heterogeneity(table.counts(one))) is not None]
    return replace(out, normal_f=(float(np.quantile(f, 0.05)), float(np.quantile(f, 0.95)))) if f else out


def _p_value(found: Heterogeneity, floor: float) -> float:
    """One-sided, that accounts at least as different as ``floor`` come out as alike as these."""
    if found.standard_error <= 0:
        return 1.0
    return float(student_t.cdf((found.f - floor) / found.standard_error, df=found.accounts - 1))


def _interval(found: Heterogeneity) -> tuple[float, float]:
    return found.f - 1.645 * found.standard_error, found.f + 1.645 * found.standard_error


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


def _is_as_low(
    table: AccountTable, honest_set: Slots, population: Population, group: GroupTest, floor: float, kept_share: float
) -> bool:
    left = trim(table, honest_set, population, group.concentration, floor)
    if len(left) / len(honest_set) < kept_share:  # it had to be cut more than the group to become alike
        return False
    found = heterogeneity(table.counts(left, TEST))
    return found is not None and found.f <= max(group.f, floor)
