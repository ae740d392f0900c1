"""What is normal at the moment of an evaluation: honest accounts, and the groups that they form by what they share.

Every figure of a proposed group is read against this. Who is known to belong to a campaign does not define it; campaigns
not yet found are in it, and everything taken from it is a robust middle or errs towards silence.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import numpy as np

from stillwatch.correlation.behaving import behaving_alike
from stillwatch.correlation.beside_content import BesideContent
from stillwatch.correlation.blocks import blocks
from stillwatch.correlation.conduct import Conduct
from stillwatch.correlation.group_null import GroupNull
from stillwatch.correlation.handoff_graph import HandoffGraph
from stillwatch.correlation.homogeneity import Heterogeneity, heterogeneity
from stillwatch.correlation.invites import trees
from stillwatch.correlation.linkage import Key, LinkageIndex
from stillwatch.correlation.nulls import Population, Slots
from stillwatch.correlation.table import MAX_SHARE, AccountTable
from stillwatch.settings import DetectionSettings

Group = tuple[Key, Slots]
# Two conversations are enough: F is unbiased with any number, and most accounts are light. Groups are tested with the same
# accounts with which they teach what is normal, or the busier ones would look like another kind.
COMPARED_CONVERSATIONS: Final = 2
# With so many settled accounts, newcomers do not say what ordinary conduct is: in the volume at which a campaign works it
# can be most of the accounts (docs/adr/0009).
_MIN_SETTLED: Final = 200
# A group with such conduct by a chance of less than this does not teach how honest groups differ in content.
_SUSPECT: Final = 1e-3
# A pool that is worth stealing covers at least this share of the topics that all accounts together cover; groups with
# less (one job, one assignment) are of another kind and teach nothing about the others.
MIN_RELATIVE_BREADTH: Final = 0.25
# Middle and spread of so many groups are known to some 2 %; more would only take time.
MAX_TEACHING: Final = 4_096
# F of a group is measured again when it has this much more data.
GROWTH: Final = 1.3


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """``content``: F of honest groups, ``None`` before enough were seen; ``behaving``: of those among them who behave alike."""

    population: Population
    conduct: Conduct
    content: GroupNull | None
    behaving: GroupNull | None
    beside: BesideContent
    now_unix_nano: int


class Normality:
    """Keeps F of the linkage groups that teach from one evaluation to the next: at most ``MAX_TEACHING``."""

    def __init__(self, table: AccountTable, links: LinkageIndex, settings: DetectionSettings) -> None:
        self._table, self._links, self._settings = table, links, settings
        # Conversations then, and F: of all its accounts, and of those who behave alike.
        self._measured: dict[Key, tuple[int, Heterogeneity | None, Heterogeneity | None]] = {}
        self._formed: tuple[bytes, list[Group]] = (b"", [])  # by the accounts last asked about

    def now(self, campaigners: Collection[int], handoffs: HandoffGraph, now_unix_nano: int) -> Moment | None:
        """``campaigners``: slots of accounts of known campaigns. ``None`` with too few honest accounts to say anything."""
        table = self._table
        known = table.with_at_least(COMPARED_CONVERSATIONS)
        honest = known[~table.among(known, np.fromiter(campaigners, dtype=np.int64, count=len(campaigners)))]
        if len(honest) < self._settings.min_null_accounts:
            return None
        self._formed = (b"", [])  # what accounts share may have changed since the last evaluation
        population = Population.of(table, honest)
        if population is None:
            return None
        settled = table.settled(population.by_volume, now_unix_nano)
        compared = settled if len(settled) >= _MIN_SETTLED else population.by_volume
        conduct = Conduct(*table.conduct(now_unix_nano), compared)
        groups = self._teaching(self.groups(honest))
        units = [table.mean_by_unit(slots, conduct.scores[slots]) for _, slots in groups]
        conduct.learn(units)
        beside = BesideContent(
            table,
            handoffs,
            honest,
            compared,
            [slots for _, slots in groups],
            conduct,
            now_unix_nano,
            self._settings.lockstep_weight,
        )
        ordinary = [
            group
            for group, scores in zip(groups, units, strict=True)
            if (found := conduct.group(scores)) is None or found.p_value > _SUSPECT
        ]
        content, behaving = self._content(ordinary, population, conduct, handoffs.accounts)
        return Moment(population, conduct, content, behaving, beside, now_unix_nano)

    def groups(self, eligible: Slots) -> list[Group]:
        """Of ``eligible`` accounts, by each value that enough share and that is not simply popular, and by values that
        are tied to each other, and by trees of invitations; in a fixed order. Asked twice in one evaluation, which mostly means the same accounts."""
        asked = eligible.tobytes()
        if not asked or asked != self._formed[0]:
            self._formed = asked, self._groups(eligible)
        return list(self._formed[1])

    def _groups(self, eligible: Slots) -> list[Group]:
        fewest = self._settings.min_group_accounts
        at_most = max(MAX_SHARE * len(self._table), fewest)
        keys, has = self._links.among(eligible, fewest, at_most)
        members = eligible[has.indices]
        out = [(key, members[has.indptr[at] : has.indptr[at + 1]]) for at, key in enumerate(keys)]
        out += blocks(self._table, self._links, eligible, fewest)
        return out + trees(self._table, self._links, eligible, fewest, at_most)

    def _teaching(self, groups: list[Group]) -> list[Group]:
        """One of those that are the same accounts under several values, told by their two lowest hashes: a campaign with
        one card, one sign-up and one client must not count three times in what is normal. Of very many a fixed sample, drawn
        by those hashes and the seed, which nobody outside knows: not by values, of which clients choose some."""
        of = dict[tuple[int, int], Group]()
        for group, lowest in zip(groups, self._table.lowest_units([slots for _, slots in groups]), strict=True):
            of.setdefault(lowest, group)
        if len(of) <= MAX_TEACHING:
            return list(of.values())
        drawn = set(sorted(of, key=lambda lowest: _draw(self._settings.seed, lowest))[:MAX_TEACHING])
        return [group for lowest, group in of.items() if lowest in drawn]

    def _content(
        self, groups: list[Group], population: Population, conduct: Conduct, handed: Slots
    ) -> tuple[GroupNull | None, GroupNull | None]:
        """How honest groups differ in content: as they are, and those of their accounts who behave alike."""
        before, self._measured = self._measured, {}
        whole: list[tuple[float, float]] = []
        picked: list[tuple[float, float]] = []
        for key, slots in groups:
            conversations = int(self._table.conversations(slots).sum())
            measured_at, found, alike = before.get(key, (0, None, None))
            # Fewer than then: members have become known as a campaign's, or an era has ended. What it was counts no longer.
            if not measured_at or not measured_at <= conversations < GROWTH * measured_at:
                measured_at, found = conversations, heterogeneity(self._table.counts_of_units(slots))
                behaving = behaving_alike(self._table, slots, conduct, handed)
                alike = heterogeneity(self._table.counts_of_units(behaving)) if behaving is not None else None
            self._measured[key] = measured_at, found, alike
            for one, figures in ((found, whole), (alike, picked)):
                if one is not None and self._teaches(one, population):
                    figures.append((one.f, one.standard_error**2))
        return GroupNull.of(whole), GroupNull.of(picked)

    def _teaches(self, found: Heterogeneity, population: Population) -> bool:
        enough = found.accounts >= self._settings.min_group_accounts
        return enough and found.same_topic * population.effective_topics * MIN_RELATIVE_BREADTH <= 1


def _draw(seed: int, lowest: tuple[int, int]) -> bytes:
    return blake2b(f"{seed} {lowest[0]} {lowest[1]}".encode(), digest_size=8).digest()
