"""The aggregator's core: summaries of accounts in, campaigns out. Deterministic; no clock, no I/O.

``fold`` takes absolute summaries in any order. ``evaluate`` proposes groups by linkage, tests them on content, keeps
the false discovery rate over all tests ever made, and opens or updates campaigns. ``now`` is event time: the newest
request that any shard has seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

import numpy as np

from stillwatch.campaigns import OpenCampaign, describe, recalled
from stillwatch.correlation.attribution import MIN_CONVERSATIONS, members_of
from stillwatch.correlation.conduct import Conduct
from stillwatch.correlation.evidence import e_bh
from stillwatch.correlation.group_null import GroupNull
from stillwatch.correlation.homogeneity import Heterogeneity, heterogeneity
from stillwatch.correlation.linkage import Key, LinkageIndex
from stillwatch.correlation.nulls import Population, Slots
from stillwatch.correlation.table import AccountTable
from stillwatch.correlation.verify import MIN_RELATIVE_BREADTH, GroupTest, examine_group
from stillwatch.settings import DetectionSettings
from stillwatch.summary import AccountSummary
from stillwatch.verdict import Action, Campaign

# A group is tested again when it has a third as much data again: each test counts against the error rate.
_RETEST_GROWTH: Final = 1.3
# Weights of e-BH (Wang and Ramdas 2022): where campaigns are likelier, less evidence is needed, and more elsewhere. Cards and
# sign-ups are bought and made in batches; templates and parameters are shared by everybody who copies an example.
_VIEW_WEIGHT: Final = {
    "signup": 3.0, "payment": 3.0, "address": 1.0, "client": 1.0, "system": 0.5, "parameters": 0.25, "template": 0.25,
}  # fmt: skip
# With so many settled accounts, newcomers do not say what ordinary conduct is: in the volume at which a campaign works it
# can be most of the accounts (docs/adr/0009).
_MIN_SETTLED: Final = 200
# A group with such conduct by a chance of less than this does not teach how honest groups differ in content.
_SUSPECT: Final = 1e-3
# To say what is normal, two conversations are enough: F is unbiased with any number, and most accounts are light.
_MIN_COMPARED_CONVERSATIONS: Final = 2
# A value that more than this share of all accounts have is popular, not shared: an SDK, a country, a default.
_MAX_SHARE: Final = 0.2
# A found group with this much overlap with a known campaign is the same campaign seen from another side.
_SAME_CAMPAIGN: Final = 1 / 3


class AggregatorCore:
    def __init__(self, settings: DetectionSettings) -> None:
        self._settings = settings
        self._links = LinkageIndex(settings.max_group_accounts)
        self.table = AccountTable(settings.max_accounts, self._links)
        self._campaigns: dict[str, OpenCampaign] = {}
        self._tested_at: dict[Key, int] = {}  # conversations of the group when it was last tested
        self._content: dict[Key, Heterogeneity | None] = {}  # of the groups of the moment
        self._strong: list[float] = []  # e-values that could ever be discoveries; the others only count
        self.tests = 0
        self._weighed = 0.0  # the sum of their weights
        self.evaluations = 0
        self.last_seen_unix_nano = 0

    def fold(self, summaries: Iterable[AccountSummary]) -> int:
        """How many were news."""
        news = 0
        for summary in summaries:
            news += self.table.put(summary)
            self.last_seen_unix_nano = max(self.last_seen_unix_nano, summary.last_seen_unix_nano)
        return news

    def recall(self, campaign: Campaign) -> None:
        """A campaign that an earlier life has published: its id, core and evidence stay."""
        if campaign.id not in self._campaigns:
            self._campaigns[campaign.id] = recalled(campaign)

    # -- evaluation --------------------------------------------------------------------------------------------------

    def evaluate(self) -> list[Campaign]:
        """Campaigns that were opened or changed, oldest first."""
        self.evaluations += 1
        honest = self._honest(self.table.with_at_least(_MIN_COMPARED_CONVERSATIONS))
        if len(honest) < self._settings.min_null_accounts:
            return []
        population = Population.of(self.table, honest)
        if population is None:
            return []
        settled = self.table.settled(population.by_volume, self.last_seen_unix_nano)
        compared = settled if len(settled) >= _MIN_SETTLED else population.by_volume
        conduct = Conduct(*self.table.conduct(self.last_seen_unix_nano), compared)
        groups = self._groups(self.table.with_at_least(MIN_CONVERSATIONS))
        conduct.learn(self.table.mean_by_unit(slots, conduct.scores[slots]) for _, slots in groups)
        due = self._due(groups)
        content = self._content_of_groups(groups, due, population, conduct)
        for key, slots in due:
            found = examine_group(
                self.table, slots, self.table.kin(slots), population, conduct, content, self._settings
            )
            self._tested_at[key] = int(self.table.conversations(slots).sum())
            if found is not None:
                self._judge(key, found, population, conduct)
        return [
            changed
            for campaign in self._campaigns.values()
            if (changed := self._refresh(campaign, population, conduct))
        ]

    def _honest(self, eligible: Slots) -> Slots:
        """Known campaigns do not define what is normal."""
        slots = [
            self.table.slot(account)
            for campaign in self._campaigns.values()
            for account in campaign.core | campaign.probable
        ]
        members = [slot for slot in slots if slot is not None]
        return eligible[~np.isin(eligible, np.array(members, dtype=np.int64))]

    def _groups(self, eligible: Slots) -> list[tuple[Key, Slots]]:
        """Groups that are big enough and rare enough, with the accounts that have data."""
        position = {int(slot): index for index, slot in enumerate(eligible)}
        out = []
        for key, shared in self._links.groups(self._settings.min_group_accounts):
            if len(shared) > max(_MAX_SHARE * len(self.table), self._settings.min_group_accounts):
                continue
            slots = np.array(sorted((s for s in shared if s in position), key=position.__getitem__), dtype=np.int64)
            if len(slots) >= self._settings.min_group_accounts:
                out.append((key, slots))
        return out

    def _due(self, groups: list[tuple[Key, Slots]]) -> list[tuple[Key, Slots]]:
        """Those that have news since they were last tested."""
        due = []
        for key, slots in groups:
            conversations = int(self.table.conversations(slots).sum())
            grown = conversations >= _RETEST_GROWTH * self._tested_at.get(key, 0)
            if grown and conversations >= self._settings.min_group_conversations:
                due.append((key, slots))
        return due

    def _content_of_groups(
        self, groups: list[tuple[Key, Slots]], due: list[tuple[Key, Slots]], population: Population, conduct: Conduct
    ) -> GroupNull | None:
        """How alike groups of broad accounts are in what they ask; each is measured again when it is due for its test.
        Groups that behave as no honest group does are no measure of honesty."""
        for key, slots in due:
            self._content[key] = heterogeneity(self.table.counts_of_units(slots))
        units = {key: self.table.mean_by_unit(slots, conduct.scores[slots]) for key, slots in groups}
        behaved = {key: conduct.group(scores) for key, scores in units.items()}
        current = {key for key, one in behaved.items() if one is None or one.p_value > _SUSPECT}
        self._content = {key: found for key, found in self._content.items() if key in behaved}
        broad = [
            (found.f, found.standard_error**2)
            for key, found in sorted(self._content.items())
            if found is not None
            and key in current
            and found.accounts >= self._settings.min_group_accounts
            and found.same_topic * population.effective_topics * MIN_RELATIVE_BREADTH <= 1
        ]
        return GroupNull.of(broad)

    def _judge(self, key: Key, found: GroupTest, population: Population, conduct: Conduct) -> None:
        weight = _VIEW_WEIGHT.get(key[0], 1.0)
        self.tests += 1
        self._weighed += weight
        level = self._settings.false_discovery_level
        evidence = weight * found.e_value
        if evidence < 1 / level:
            return
        self._strong.append(evidence)
        if evidence < e_bh(self._strong, self._weighed, level):
            return
        known = self._same(found)
        if known is None and len(self._campaigns) < self._settings.max_campaigns:
            known = OpenCampaign(_campaign_id(key), self.last_seen_unix_nano, found)
            self._campaigns[known.id] = known
        if known is not None:
            known.add_evidence(key, found, self._accounts(found.kept))
            # Its members beyond this group are known at once: the next group of the same pool is then recognised.
            self._find_members(known, population, conduct)

    def _same(self, test: GroupTest) -> OpenCampaign | None:
        """The known campaign that this group is another side of: common accounts, or one pool for both."""
        found = self._accounts(test.kept)
        for campaign in self._campaigns.values():
            known = campaign.core | campaign.sure
            shared = len(found & known) >= _SAME_CAMPAIGN * min(len(found), len(known))
            if shared or self._one_pool(found | campaign.core, test.floor):
                return campaign
        return None

    def _one_pool(self, accounts: frozenset[str], floor: float) -> bool:
        slots = [slot for account in sorted(accounts) if (slot := self.table.slot(account)) is not None]
        together = heterogeneity(self.table.counts(slots)) if slots else None
        return together is not None and together.f <= floor

    def _accounts(self, slots: Slots) -> frozenset[str]:
        return frozenset(self.table.summary(int(slot)).account for slot in slots)

    def _find_members(self, campaign: OpenCampaign, population: Population, conduct: Conduct) -> None:
        campaign.members = members_of(
            campaign.core, campaign.keys, campaign.best.concentration, self.table, self._links, population, conduct
        )

    def _refresh(self, campaign: OpenCampaign, population: Population, conduct: Conduct) -> Campaign | None:
        self._find_members(campaign, population, conduct)
        return campaign.update(describe(campaign, self.table, self.last_seen_unix_nano))

    # -- questions ---------------------------------------------------------------------------------------------------

    def campaigns(self) -> list[Campaign]:
        """Newest first."""
        described = [c.described for c in self._campaigns.values() if c.described is not None]
        return sorted(described, key=lambda campaign: -campaign.detected_at_unix_nano)

    def campaign(self, campaign_id: str) -> Campaign | None:
        found = self._campaigns.get(campaign_id)
        return found.described if found else None

    def campaign_of(self, account: str) -> str | None:
        """The campaign in which the account's membership is most certain, if it is more likely than not."""
        best: tuple[float, str] | None = None
        for campaign in self._campaigns.values():
            confidence = campaign.confidence_of(account)
            if confidence >= 0.5 and (best is None or confidence > best[0]):
                best = (confidence, campaign.id)
        return best[1] if best else None

    def acted(self, campaign_id: str, action: Action) -> Campaign | None:
        """The policy has decided: shown with the campaign."""
        found = self._campaigns.get(campaign_id)
        return found.set_action(action) if found else None


def _campaign_id(key: Key) -> str:
    """From the linkage value under which it was first seen: a replay finds the same campaign under the same id."""
    return "c-" + hashlib.blake2b("\x1f".join(key).encode(), digest_size=8).hexdigest()
