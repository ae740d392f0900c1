"""Does a proposed group share one source of prompts, and one dispatcher?

1. The group was proposed by shared identity; its *content* has not been looked at. So the group as it is can be tested
   on all of its conversations. The unit is the organisation: one that shards its work over keys is one, and one alone is
   no group.
2. A linkage value is shared by bystanders too. One half of the conversations trims the group: accounts that fit its
   mixture worst are dropped. The other half tests what is left. The two e-values are averaged.
3. The test of content: is F below ``MAX_RELATIVE_F`` of what honest accounts of like volume show? One-sided, Student's t
   on the jackknife error. Honest sets are trimmed in the same way; if one that keeps as many accounts comes out as low,
   this evidence is void: trimming must not manufacture a discovery.
4. The test of conduct: do they behave in time as no honest group does (``conduct``)? What people ask about does not depend
   on when they ask, so this evidence may be multiplied with that of content, here at a milder floor: cover traffic of a
   half leaves a quarter of people's F. Averaged with 3.
5. A group that covers few topics is a product with one job, or a class with one assignment: its evidence is void.

Cover of more than a half, and accounts that keep a person's hours, are not found (docs/adr/0010).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.special import stdtr

from stillwatch.correlation.conduct import Conduct, GroupConduct
from stillwatch.correlation.evidence import e_from_p
from stillwatch.correlation.homogeneity import Heterogeneity, heterogeneity
from stillwatch.correlation.membership import concentration_of, log_likelihood_ratio
from stillwatch.correlation.nulls import Population, Slots, honest_beside
from stillwatch.correlation.table import PROPOSE, TEST, AccountTable
from stillwatch.settings import DetectionSettings

# Honest teams on one tool differ a third as much as strangers do, one in twenty of them a tenth (measured on real
# text, semi-synthetic). A campaign's accounts differ by nothing: a seventh leaves room for both.
MAX_RELATIVE_F: Final = 0.15
# With half of cover traffic a quarter of people's F is left. Honest accounts that share something come as low by chance, so
# what this can say is capped; it only lets conduct speak.
MILD_RELATIVE_F: Final = 0.5
_MAX_MILD_E: Final = 20.0
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
    conduct: GroupConduct | None = None

    def set_aside(self, why: str) -> GroupTest:
        return replace(self, e_value=min(self.e_value, 1.0), void=why)


def examine_group(
    table: AccountTable, slots: Slots, kin: Slots, population: Population, conduct: Conduct, settings: DetectionSettings
) -> GroupTest | None:
    """``kin``: accounts that share with the group what most of it shares. ``None`` when there are too few honest accounts
    to compare with, when too little is left of the group, or when it is fewer organisations than a group needs."""
    units = table.mean_by_unit(slots, conduct.scores[slots])
    if len(units) < settings.min_group_accounts:
        return None
    honest = honest_beside(table, slots, kin, population, settings.min_null_accounts)
    if honest is None or honest.f <= 0:
        return None
    concentration = concentration_of(honest.found.f)
    floor = MAX_RELATIVE_F * honest.f
    kept = trim(table, slots, population, concentration, floor)
    whole, tested = heterogeneity(table.counts_of_units(slots)), heterogeneity(table.counts_of_units(kept, TEST))
    if whole is None or tested is None or tested.accounts < _MIN_KEPT:
        return None
    p_whole, p_kept = _p_value(whole, floor), _p_value(tested, floor)
    # The mean of e-values is one, however they depend on each other: a clean group is tested on all of its
    # conversations, one with bystanders on half of them.
    content = (e_from_p(p_whole) + e_from_p(p_kept)) / 2
    mild = min(e_from_p(_p_value(whole, MILD_RELATIVE_F * honest.f)), _MAX_MILD_E)
    behaved = conduct.group(units)
    both = mild * e_from_p(behaved.p_value) if behaved is not None else 1.0
    shown, p_value = (whole, p_whole) if p_whole <= p_kept or both > content else (tested, p_kept)
    if both > content:
        kept = _behaving_alike(slots, conduct)
    out = GroupTest(
        kept=kept, tested_accounts=shown.accounts, f=shown.f, normal_f=_interval(honest.found), p_value=p_value,
        e_value=(content + both) / 2, concentration=concentration, floor=floor,
        breadth=min(1 / max(shown.same_topic, 1e-9) / population.effective_topics, 1.0), conduct=behaved,
    )  # fmt: skip
    if out.e_value < _STRONG:
        return out
    if out.breadth < MIN_RELATIVE_BREADTH:
        return out.set_aside(f"covers {out.breadth:.0%} of the population's topics: one job, or one assignment")
    sets = honest.sets(len(slots), settings.null_sets, settings.seed)
    if content >= _STRONG and any(
        _is_as_low(table, one, population, out, floor, len(kept) / len(slots)) for one in sets[:_TRIMMED_NULLS]
    ):
        out = replace(out, e_value=(1.0 + both) / 2, void="honest sets, trimmed in the same way, come out as alike")
        if out.e_value < _STRONG:
            return out
    f = [found.f for one in sets if (found := heterogeneity(table.counts_of_units(one))) is not None]
    return replace(out, normal_f=(float(np.quantile(f, 0.05)), float(np.quantile(f, 0.95)))) if f else out


def _behaving_alike(slots: Slots, conduct: Conduct) -> Slots:
    """Those of a group whose own conduct is not an honest account's: half a standard deviation and more."""
    alike = slots[np.nan_to_num(conduct.scores[slots], nan=-1.0) > 0.5]
    return alike if len(alike) >= _MIN_KEPT else slots


def _p_value(found: Heterogeneity, floor: float) -> float:
    """One-sided, that accounts at least as different as ``floor`` come out as alike as these."""
    if found.standard_error <= 0:
        return 1.0
    return float(stdtr(found.accounts - 1, (found.f - floor) / found.standard_error))


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
    found = heterogeneity(table.counts_of_units(left, TEST))
    return found is not None and found.f <= max(group.f, floor)
