"""Does a proposed group share one source of prompts, and one dispatcher?

1. The group was proposed by shared identity; its *content* and *conduct* have not been looked at, so both can be tested
   on all that is known. The unit is the organisation: one that shards its work over keys is one, and one alone is no
   group.
2. Content: is F below what honest groups show (``group_null``), and below ``MAX_RELATIVE_F`` of what matched honest accounts
   show?
3. A linkage value is shared by bystanders too. One half of the conversations trims the group: accounts that fit its
   mixture worst are dropped. The other half tests what is left. Honest sets are trimmed in the same way; if one that
   keeps as many accounts comes out as low, this evidence is void: trimming must not manufacture a discovery. The two
   e-values are averaged.
4. Beside content: do they behave in time as no honest group does (``conduct``), and what do hand-offs, their own evidence, their
   volumes and a release say (``beside_content``)? What people ask about does not depend on when they ask, so the mean of
   this evidence multiplies with that of content. But machines that honest strangers run behave like machines too:
   it counts only where content supports it (F below a half of honest accounts', and low among honest groups). Alone, up
   to a bound, count hand-offs, and conduct where all send far more than people do.
5. A group that covers few topics is a product with one job, or a class with one assignment, and one whose accounts differ
   in what they ask as honest ones do is no pool: their evidence is void.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.special import stdtr

from stillwatch.correlation.behaving import behaving_alike
from stillwatch.correlation.beside_content import TESTS
from stillwatch.correlation.conduct import GroupConduct
from stillwatch.correlation.evidence import e_from_p
from stillwatch.correlation.finding import Finding
from stillwatch.correlation.group_null import GroupNull
from stillwatch.correlation.handoff_graph import CLUSTERS, HANDOFF
from stillwatch.correlation.homogeneity import Heterogeneity, Shares, heterogeneity, heterogeneity_of
from stillwatch.correlation.linkage import Key
from stillwatch.correlation.lockstep import LOCKSTEP
from stillwatch.correlation.membership import Known, concentration_of, log_likelihood_ratio
from stillwatch.correlation.moment import MIN_RELATIVE_BREADTH, Moment
from stillwatch.correlation.nulls import Honest, Population, Slots, honest_beside
from stillwatch.correlation.table import PROPOSE, TEST, AccountTable
from stillwatch.settings import DetectionSettings

# Honest teams on one tool differ a third as much as strangers do, one in twenty of them a tenth (measured on real
# text, semi-synthetic). A campaign's accounts differ by nothing: a seventh leaves room for both.
MAX_RELATIVE_F: Final = 0.15
# With half of cover traffic a quarter of people's F is left; teams in one trade have a half.
MILD_RELATIVE_F: Final = 0.5
# Content supports what else is known when it would do so by chance in one honest group of seven. A campaign's F is nothing at
# all, and yet honest groups differ so much that 1 in 20 is hardly ever reached in two days.
_SUPPORT: Final = 0.15
# Colleagues come as low as that: what a mild floor can say is capped, it lets conduct speak.
MAX_SUPPORT_E: Final = 20.0
# How much honest groups differ is not known before some were seen: until then content can support, and prove nothing.
_UNLEARNED_P: Final = 0.01
# Conduct alone: enough to throttle, never to revoke; and only where the accounts' mean volume is this many standard
# deviations above that of all accounts, which no group of people is that happens to share a value.
MAX_ALONE_E: Final = 10_000.0
BLUNT_VOLUME: Final = 3.5
# Before honest accounts can be compared with: people's F was .004 and more in all text that was ever looked at here.
SMALLEST_HONEST_F: Final = 0.004
# Hand-offs are no honest strangers' habit, and how many chance makes is counted; still they are one kind of evidence. Under a
# value that several campaigns share they are not evidence of one.
MAX_HANDED_E: Final = 150_000.0
# Trimming: at most twelve rounds of the worst tenth, which can remove 70 % of a group.
_TRIM_ROUNDS: Final = 12
_TRIM_SHARE: Final = 0.1
_MIN_KEPT: Final = 6
# Trimmed honest sets cost as much as the test itself: a void check at 1 in 20 is enough beside the p-value.
_TRIMMED_NULLS: Final = 19
# Evidence at which the costly checks are worth their time: 1 in 20 by Markov's inequality.
_STRONG: Final = 20.0


@dataclass(frozen=True, slots=True)
class Weights:
    """Of three kinds of evidence, each of which would do: their weighted mean is evidence however they depend on each other.
    The weights depend on what has proposed the group, and on nothing that the test looks at. ``most_handed_e``: what hand-offs
    can say."""

    alike: float
    both: float
    alone: float
    most_handed_e: float

    def mean(self, alike: float, both: float, alone: float) -> float:
        return self.alike * alike + self.both * both + self.alone * alone


# What hand-offs connect has hardly a bystander, and its accounts share what they ask only as far as they do not hide it.
_OF_VALUES: Final = Weights(1 / 3, 1 / 3, 1 / 3, MAX_ALONE_E)
_OF_HANDOFFS: Final = Weights(0.1, 0.3, 0.6, MAX_HANDED_E)
# Small clusters can be people's own accounts, more of them than anybody thought: there hand-offs alone are no evidence.
_OF_CLUSTERS: Final = Weights(1 / 2, 1 / 2, 0.0, MAX_HANDED_E)
# What can be said without content: a discovery, enough to throttle, and below what the default policy revokes at.
MOST_ALONE_E: Final = _OF_HANDOFFS.alone * (MAX_HANDED_E + MAX_ALONE_E) / 2


def weights_for(key: Key) -> Weights:
    if key == CLUSTERS:
        return _OF_CLUSTERS
    return _OF_HANDOFFS if key[0] == HANDOFF else _OF_VALUES


@dataclass(frozen=True, slots=True, eq=False)
class GroupTest:
    """What a test of a group found. ``e_value`` 1 or less: no evidence; ``supported``: that without volume alone.
    ``void``: why strong evidence was set aside. ``normal_f`` is ``None`` where too few honest accounts are known to compare with."""

    kept: Slots
    tested_accounts: int
    f: float
    normal_f: tuple[float, float] | None
    p_value: float
    e_value: float
    breadth: float
    concentration: float
    floor: float  # F below this is "one source"
    void: str | None = None
    conduct: GroupConduct | None = None
    supported: float = 0.0
    beside: tuple[Finding, ...] = ()

    def set_aside(self, why: str) -> GroupTest:
        return replace(self, e_value=min(self.e_value, 1.0), supported=min(self.supported, 1.0), void=why)


def examine_group(
    table: AccountTable, slots: Slots, kin: Slots, moment: Moment, beside: tuple[Finding, ...],
    settings: DetectionSettings, half: int | None = None, *, weights: Weights = _OF_VALUES,
) -> GroupTest | None:  # fmt: skip
    """``kin``: accounts that share with the group what most of it shares; ``beside``: what the tests beside content found of it;
    ``half``: of the conversations, the one by which content may judge (``TEST`` where the other has led to the group),
    ``None`` for both; ``weights``: by what has proposed it (:func:`weights_for`). ``None`` when too little is known of the group, or
    when it is fewer organisations than a group needs."""
    population, conduct, content = moment.population, moment.conduct, moment.content
    units = table.mean_by_unit(slots, conduct.scores[slots])
    whole = heterogeneity(table.counts_of_units(slots, half))
    if len(units) < settings.min_group_accounts or whole is None:
        return None
    behaved = conduct.group(units)
    e_conduct = behaved.e_value if behaved is not None else 1.0
    honest = honest_beside(table, slots, kin, population, settings.min_null_accounts)
    if honest is not None and honest.f <= 0:
        honest = None  # as few, or as much alike, as nobody is: nothing can be below it
    honest_f = honest.f if honest is not None else SMALLEST_HONEST_F
    # Accounts of like volume can be the group's own siblings; groups of the moment are not, by their middle.
    usual_f = max(honest_f, content.centre) if content is not None else honest_f
    floor = MAX_RELATIVE_F * honest_f
    concentration = concentration_of(honest.found.f if honest is not None else honest_f)
    kept, tested, picked, p_whole, p_kept, p_support = slots, whole, None, 1.0, 1.0, [1.0]
    if honest is not None:
        kept = trim(table, slots, population, concentration, floor)
        tested = heterogeneity(table.counts_of_units(kept, TEST)) or whole
        p_whole = _alike(whole, floor, content)
        p_kept = _alike(tested, floor, content) if tested is not whole else 1.0
        mild = MILD_RELATIVE_F * usual_f
        p_support = [_alike(whole, mild, content)]
        behaving = behaving_alike(table, slots, conduct, moment.beside.handoffs.accounts)
        picked = heterogeneity(table.counts_of_units(behaving, half)) if behaving is not None else None
        if picked is not None:
            p_support.append(_alike(picked, mild, moment.behaving))
    alike = (e_from_p(p_whole) + e_from_p(p_kept)) / 2
    of_nobody = not of_companies(table, slots)
    e_conduct = e_conduct if of_nobody else 1.0
    e_beside = evidence_beside(beside, companies=not of_nobody)
    handed = e_beside.get(HANDOFF, 0.0)
    if HANDOFF in e_beside:
        handed = e_beside[HANDOFF] = min(handed, weights.most_handed_e)
    told = (e_conduct + sum(e_beside.values()) + TESTS - len(e_beside)) / (1 + TESTS)
    if weight := settings.lockstep_weight:
        told = (1 - weight) * told + weight * lockstep_evidence(beside, companies=not of_nobody)
    supports = sum(min(e_from_p(p), MAX_SUPPORT_E) for p in p_support) / len(p_support)
    both = supports * told if min(p_support) <= _SUPPORT else 0.0
    blunt = behaved is not None and behaved.volume >= BLUNT_VOLUME and of_nobody
    alone = ((min(e_conduct, MAX_ALONE_E) if blunt else 0.0) + handed) / 2
    shown, p_value = (whole, p_whole) if p_whole <= p_kept else (tested, p_kept)
    if max(both, alone) > alike:
        kept, shown, p_value = core_of(table, slots, moment), whole, p_support[0]
    out = GroupTest(
        kept=kept, tested_accounts=shown.accounts, f=shown.f, p_value=p_value,
        normal_f=_interval(honest.found) if honest is not None else None,
        e_value=weights.mean(alike, both, alone), concentration=concentration, floor=floor,
        breadth=min(1 / max(shown.same_topic, 1e-9) / population.effective_topics, 1.0), conduct=behaved,
        supported=weights.mean(alike, both, 0.0), beside=beside,
    )  # fmt: skip
    if out.e_value < _STRONG:
        return out
    if out.breadth < MIN_RELATIVE_BREADTH:
        return out.set_aside(f"covers {out.breadth:.0%} of the population's topics: one job, or one assignment")
    if all(
        one.f - 1.645 * one.standard_error > MILD_RELATIVE_F * usual_f for one in (whole, picked) if one is not None
    ):
        return out.set_aside("what its accounts ask differs as honest accounts' does: no common source")
    return _against_honest_sets(table, slots, kept, population, honest, out, alike, both, alone, weights, settings)


def _against_honest_sets(
    table: AccountTable, slots: Slots, kept: Slots, population: Population, honest: Honest | None, out: GroupTest,
    alike: float, both: float, alone: float, weights: Weights, settings: DetectionSettings,
) -> GroupTest:  # fmt: skip
    if honest is None:
        return out
    sets = honest.sets(len(slots), settings.null_sets, settings.seed)
    share = len(kept) / len(slots)
    if alike >= _STRONG and any(
        _is_as_low(table, one, population, out, out.floor, share) for one in sets[:_TRIMMED_NULLS]
    ):
        why = "honest sets, trimmed in the same way, come out as alike"
        out = replace(out, e_value=weights.mean(0.0, both, alone), supported=weights.mean(0.0, both, 0.0), void=why)
        if out.e_value < _STRONG:
            return out
    f = honest.f_of(sets, table)
    return replace(out, normal_f=(float(np.quantile(f, 0.05)), float(np.quantile(f, 0.95)))) if f else out


def _alike(found: Heterogeneity, below: float, content: GroupNull | None) -> float:
    """p-value that honest accounts come out as alike as these: by a part of F of the matched accounts, and by the groups of
    the moment."""
    if content is None:
        return max(_p_value(found, below), _UNLEARNED_P)
    return max(_p_value(found, below), content.p_value(found.f, found.standard_error**2, found.accounts))


def of_companies(table: AccountTable, slots: Slots) -> bool:
    """Whether most of these are verified companies', or keys of organisations."""
    return float(table.belongs_to_an_organisation()[slots].mean()) >= 0.5


def evidence_beside(beside: Iterable[Finding], *, companies: bool) -> dict[str, float]:
    """Findings as e-values. Companies run machines: benchmark suites that some of them run look like one relay. What is known of how
    people and their groups behave says nothing of them; what they ask and what they hand over does."""
    counted = (one for one in beside if one.name != LOCKSTEP and (not companies or one.name == HANDOFF))
    return {one.name: e_from_p(one.p_value) for one in counted}


def lockstep_evidence(beside: Iterable[Finding], *, companies: bool) -> float:
    """Its e-value, 1 where it says nothing. A company's job over its own archive goes through it in order on all keys."""
    return next((e_from_p(one.p_value) for one in beside if one.name == LOCKSTEP and not companies), 1.0)


def core_of(table: AccountTable, slots: Slots, moment: Moment) -> Slots:
    """Of a group that is found by more than what it asks: those with hand-offs, or those who behave alike."""
    handed = moment.beside.handoffs.accounts
    with_handoffs = slots[table.among(slots, handed)]
    if len(with_handoffs) >= _MIN_KEPT:
        return with_handoffs
    alike = behaving_alike(table, slots, moment.conduct, handed)
    return slots if alike is None else alike


def _p_value(found: Heterogeneity, floor: float) -> float:
    """One-sided, that accounts at least as different as ``floor`` come out as alike as these."""
    if found.standard_error <= 0:
        return 1.0
    return float(stdtr(found.accounts - 1, (found.f - floor) / found.standard_error))


def _interval(found: Heterogeneity) -> tuple[float, float]:
    return found.f - 1.645 * found.standard_error, found.f + 1.645 * found.standard_error


def trim(table: AccountTable, slots: Slots, population: Population, concentration: float, floor: float) -> Slots:
    """Drops the accounts that fit worst, by the proposing half only, until what is left is homogeneous in it."""
    kept, counts = slots, table.counts(slots, PROPOSE)
    shares, known, mixture = Shares.of(counts), Known.of(counts), population.mixture
    people = known.people_log_likelihood(mixture, concentration)  # stays; that of the pool changes with who is left
    for _ in range(_TRIM_ROUNDS):
        found = heterogeneity_of(shares)
        if found is None or found.f <= floor or len(kept) <= _MIN_KEPT:
            break
        inside, pool = np.ones(len(kept), dtype=np.bool_), known.pool(len(mixture))
        fit = log_likelihood_ratio(known, pool, mixture, concentration, inside=inside, people=people)
        worst = max(1, int(len(kept) * _TRIM_SHARE))
        inside[np.argsort(fit, kind="stable")[:worst]] = False
        kept, people, shares, known = kept[inside], people[inside], shares.only(inside), known.only(inside)
    return kept


def _is_as_low(
    table: AccountTable, honest_set: Slots, population: Population, group: GroupTest, floor: float, kept_share: float
) -> bool:
    left = trim(table, honest_set, population, group.concentration, floor)
    if len(left) / len(honest_set) < kept_share:  # it had to be cut more than the group to become alike
        return False
    found = heterogeneity(table.counts_of_units(left, TEST))
    return found is not None and found.f <= max(group.f, floor)
