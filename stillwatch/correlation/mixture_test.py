"""Does a group that was proposed by its mixture of topics have one dispatcher?

Its accounts are alike because they were chosen so, by the proposing half of their conversations. So honest ones of other
groups that were chosen in the same way are what it is read against, and the figure is of the testing half: how much of what
sets an account apart from the population all of the group have in common, against what each has alone. It moves with how
broad the accounts are, so narrow groups (one language, one assignment) neither teach nor are tested.

That alone proves nothing: with half of cover, all 200 accounts of one pool, handed over by an oracle, come out at p = .01
after a week (`python -m benchmarks.mixtures`): the broadest people of one market have nearly as much in common. So its evidence is capped, and lets conduct and hand-offs speak, which did not choose the group. A
relay can be found this way; strangers who keep a person's hours are proposed, and are not found within a week.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from stillwatch.correlation.beside_content import TESTS
from stillwatch.correlation.conduct import Floats
from stillwatch.correlation.evidence import e_from_p
from stillwatch.correlation.finding import Finding
from stillwatch.correlation.group_null import GroupNull
from stillwatch.correlation.homogeneity import Heterogeneity, heterogeneity
from stillwatch.correlation.membership import concentration_of
from stillwatch.correlation.mixtures import MIN_BREADTH
from stillwatch.correlation.moment import Group, Moment
from stillwatch.correlation.nulls import Population, Slots
from stillwatch.correlation.table import TEST, AccountTable
from stillwatch.correlation.together import TOGETHER
from stillwatch.correlation.verify import (
    MAX_RELATIVE_F,
    MAX_SUPPORT_E,
    SMALLEST_HONEST_F,
    GroupTest,
    core_of,
    evidence_beside,
    of_companies,
)  # fmt: skip

# Honest groups' log ratios differ by at least this much, however few groups there are to learn it from.
_MIN_BETWEEN: Final = 0.5
# Content lets the others speak when it would do so by chance in one of twenty groups that were gathered alike.
_SUPPORT: Final = 0.05


@dataclass(frozen=True, slots=True)
class InCommon:
    """``log_ratio``: natural log of common deviation over own; ``variance``: its sampling variance, mostly that of F."""

    log_ratio: float
    variance: float
    breadth: float
    found: Heterogeneity


def in_common(table: AccountTable, slots: Slots, population: Population) -> InCommon | None:
    """``None`` with fewer than three accounts that opened two conversations of the testing half."""
    found = heterogeneity(table.counts(slots, TEST))
    if found is None or found.standard_error <= 0:
        return None
    counts = table.counts(slots, TEST)
    counts = counts[counts.sum(axis=1) >= 1]
    apart = counts / counts.sum(axis=1, keepdims=True) - population.mixture
    total = apart.sum(axis=0)
    pairs = max(len(apart) * (len(apart) - 1), 1)
    common = float(total @ total - (apart**2).sum()) / pairs  # of two different accounts: free of sampling error
    # Neither is known better than to the error of F.
    least = found.standard_error
    own = max(found.f, least)
    breadth = 1 / max(found.same_topic, 1e-9) / population.effective_topics
    return InCommon(float(np.log(max(common, least / 4) / own)), (least / own) ** 2, breadth, found)


@dataclass(frozen=True, slots=True, eq=False)
class Ordinary:
    """What groups proposed by mixtures show at the moment. ``content``: of the broad ones, ``None`` where they are too few.
    ``conduct``: the middle of their accounts' scores, where above 0: whoever has asked enough to be proposed is busy."""

    content: GroupNull | None
    conduct: Floats

    @classmethod
    def of(cls, table: AccountTable, groups: Sequence[Group], moment: Moment) -> Ordinary:
        shown = [in_common(table, slots, moment.population) for _, slots in groups]
        broad = [group for group in shown if group is not None and group.breadth >= MIN_BREADTH]
        content = GroupNull.of([(group.log_ratio, group.variance) for group in broad], _MIN_BETWEEN)
        scores = moment.conduct.scores
        theirs = np.concatenate([scores[:0], *(scores[slots] for _, slots in groups)])
        middle = [float(np.median(one[known])) if (known := np.isfinite(one)).any() else 0.0 for one in theirs.T]
        return cls(content, np.maximum(middle, 0.0))


def examine_mixture(
    table: AccountTable, slots: Slots, ordinary: Ordinary, moment: Moment, beside: tuple[Finding, ...]
) -> GroupTest | None:
    """``beside``: what the tests beside content found of it. ``None`` when the group is narrow, or too few others are known to compare with."""
    shown = in_common(table, slots, moment.population)
    if shown is None or ordinary.content is None or shown.breadth < MIN_BREADTH:
        return None
    behaved = moment.conduct.group(moment.conduct.scores[slots] - ordinary.conduct)
    p_content = ordinary.content.mirrored().p_value(-shown.log_ratio, shown.variance, shown.found.accounts)
    alike = min(e_from_p(p_content), MAX_SUPPORT_E)
    companies = of_companies(table, slots)
    e_conduct = behaved.e_value if behaved is not None and not companies else 1.0
    # Three together read conduct as of groups that share a value; who has asked enough to be proposed here is busy.
    e_beside = evidence_beside((one for one in beside if one.name != TOGETHER), companies=companies)
    told = (e_conduct + sum(e_beside.values()) + TESTS - len(e_beside)) / (
        1 + TESTS
    )  # however they depend on each other
    both = alike * told if p_content <= _SUPPORT else 0.0
    normal_f = None
    honest_f = SMALLEST_HONEST_F
    if moment.content is not None:
        honest_f = max(moment.content.centre, SMALLEST_HONEST_F)
        normal_f = moment.content.interval(shown.found.standard_error**2)
    return GroupTest(
        kept=_core(table, slots, moment), tested_accounts=shown.found.accounts, f=shown.found.f,
        normal_f=normal_f, p_value=p_content, e_value=(alike + both) / 2, breadth=min(shown.breadth, 1.0),
        concentration=concentration_of(honest_f), floor=MAX_RELATIVE_F * honest_f, conduct=behaved,
        supported=(alike + both) / 2, beside=beside,
    )  # fmt: skip


def _core(table: AccountTable, slots: Slots, moment: Moment) -> Slots:
    """Those that behave like a dispatcher's accounts at least as much as the group does in the middle: half of such a
    group are bystanders, and nothing but conduct tells them apart."""
    own = np.nan_to_num(moment.conduct.scores[slots, -1], nan=-1.0)
    core = slots[own >= max(float(own.mean()), 0.5)]
    return core if len(core) >= 3 else core_of(table, slots, moment)
