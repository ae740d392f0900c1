"""The aggregator's core: summaries of accounts in, campaigns out. Deterministic; no clock, no I/O.

``fold`` takes absolute summaries in any order. ``evaluate`` proposes groups by linkage, tests them on content, keeps
the false discovery rate over all tests ever made, and opens or updates campaigns. ``now`` is event time: the tick of
the evaluation (``stillwatch.ticks``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

import numpy as np

from stillwatch.campaigns import OpenCampaign, describe, recalled
from stillwatch.correlation.attribution import members_of
from stillwatch.correlation.docket import Docket
from stillwatch.correlation.handoff_graph import HANDOFF, HandoffGraph
from stillwatch.correlation.handoffs import Handoffs
from stillwatch.correlation.homogeneity import heterogeneity, likeness
from stillwatch.correlation.linkage import Key, LinkageIndex
from stillwatch.correlation.moment import COMPARED_CONVERSATIONS, Group, Moment, Normality
from stillwatch.correlation.nulls import Slots
from stillwatch.correlation.table import AccountTable
from stillwatch.correlation.verify import GroupTest, examine_group
from stillwatch.settings import DetectionSettings
from stillwatch.summary import AccountSummary
from stillwatch.verdict import Action, Campaign

# A found group with this much overlap with a known campaign is the same campaign seen from another side, and needs no
# discovery of its own: only evidence that 1 in 100 groups would show by chance.
_SAME_CAMPAIGN: Final = 1 / 3
_MORE_OF_THE_SAME: Final = 100.0
# Of two mixtures that are one the likeness is 1, known to some hundredths from some hundreds of conversations.
_ONE_MIXTURE: Final = 0.8
_FOLLOWED: Final = 3  # accounts of a campaign that a value needs before it leads to others
# Hand-offs between two groups from which on they are one relay's: one can be chance.
_ONE_RELAY: Final = 2
_MS_NANO: Final = 1_000_000
_DAY_NANO: Final = 86_400_000_000_000


class AggregatorCore:
    def __init__(self, settings: DetectionSettings) -> None:
        self._settings = settings
        self._links = LinkageIndex(settings.max_group_accounts)
        self.table = AccountTable(settings.max_accounts, self._links)
        self._handoffs = Handoffs()
        self._normality = Normality(self.table, self._links, settings)
        self._campaigns: dict[str, OpenCampaign] = {}
        self._docket = Docket(settings.false_discovery_level)
        self.evaluations = 0
        self.last_seen_unix_nano = 0
        self._now = 0  # of the running evaluation

    def fold(self, summaries: Iterable[AccountSummary]) -> int:
        """How many were news."""
        news = 0
        for summary in summaries:
            if self.table.put(summary):
                news += 1
                self._handoffs.note(summary.account, self.table.unit(summary.account), summary.begun, summary.failed)
            self.last_seen_unix_nano = max(self.last_seen_unix_nano, summary.last_seen_unix_nano)
        return news

    def recall(self, campaign: Campaign) -> None:
        """A campaign that an earlier life has published: its id, core and evidence stay."""
        if campaign.id not in self._campaigns:
            self._campaigns[campaign.id] = recalled(campaign)

    # -- evaluation --------------------------------------------------------------------------------------------------

    def evaluate(self, now_unix_nano: int | None = None) -> list[Campaign]:
        """Campaigns that were opened or changed, oldest first. ``now``: the tick; by default the newest request of all."""
        self.evaluations += 1
        self._now = self.last_seen_unix_nano if now_unix_nano is None else now_unix_nano
        self._handoffs.settle(self._now // _MS_NANO)
        handed = HandoffGraph(self._handoffs, self.table)
        moment = self._normality.now(self._campaigners(), handed, self._now)
        if moment is None:
            return []
        groups = self._normality.groups(self.table.with_at_least(COMPARED_CONVERSATIONS))
        groups += handed.components(self._settings.min_group_accounts)
        for key, slots in self._due(groups):
            self._docket.enter(key, int(self.table.conversations(slots).sum()), self._era)
            evidence, found = self._examine(key, slots, moment)
            if found is not None and self._docket.is_strong(evidence):
                self._judge(key, slots, evidence, found, moment)
        current = {key for key, _ in groups}  # blocks and what hand-offs connect are values of no account
        self._docket.forget(lambda key: key in current or bool(self._links.sharing(key)))
        return [changed for campaign in self._campaigns.values() if (changed := self._refresh(campaign, moment))]

    @property
    def tests(self) -> int:
        """How many were ever made."""
        return self._docket.tests

    @property
    def _era(self) -> int:
        return self._now // (self._settings.era_days * _DAY_NANO)

    def _campaigners(self) -> set[int]:
        """Known campaigns do not define what is normal."""
        known = frozenset[str]().union(*(one.core | one.probable for one in self._campaigns.values()))
        return set(map(int, self._slots(known)))

    def _due(self, groups: list[Group]) -> list[Group]:
        due = []
        for key, slots in groups:
            conversations = int(self.table.conversations(slots).sum())
            enough = conversations >= self._settings.min_group_conversations
            if self._docket.is_due(key, conversations, self._era) and enough:
                due.append((key, slots))
        return due

    def _examine(self, key: Key, slots: Slots, moment: Moment) -> tuple[float, GroupTest | None]:
        """(weighted e-value, test)."""
        handoffs = moment.handoffs.finding(slots, proposed_here=key[0] == HANDOFF)
        found = examine_group(self.table, slots, self.table.kin(slots), moment, handoffs, self._settings)
        return self._docket.weigh(key, found.e_value if found is not None else None), found

    def _judge(self, key: Key, slots: Slots, evidence: float, found: GroupTest, moment: Moment) -> None:
        accounts = self._accounts(found.kept)
        known = next((c for c in self._campaigns.values() if _overlaps(accounts, c.core | c.sure)), None)
        if known is not None:
            known.add_evidence(found, accounts, evidence)
            self._extend(known, key, slots, moment)
            return
        if not self._docket.is_discovery(key, evidence, (one.strongest for one in self._campaigns.values())):
            return
        known = self._one_relay_with(found.kept, moment) or self._one_pool_with(accounts, found.floor)
        known = known or self._first_seen_under(key, accounts)
        if known is None and len(self._campaigns) < self._settings.max_campaigns:
            known = OpenCampaign(self._new_id(key), self._now, found)
            self._campaigns[known.id] = known
        if known is not None:
            self._docket.settle(key)
            known.add_evidence(found, accounts, evidence)
            known.core |= accounts
            known.follow(key)
            # Its members beyond this group are known at once: the next group of the same pool is then recognised.
            self._find_members(known, moment)

    def _extend(self, known: OpenCampaign, key: Key, slots: Slots, moment: Moment) -> None:
        """A value that many of a campaign's accounts share: the others join its core only if they would pass without those
        that are known."""
        mine = known.core | known.sure
        rest = slots[[self.table.summary(int(slot)).account not in mine for slot in slots]]
        if len(rest) >= self._settings.min_group_accounts:
            evidence, found = self._examine(key, rest, moment)
            if found is not None and evidence >= _MORE_OF_THE_SAME:
                known.core |= self._accounts(found.kept)
                known.follow(key)
        self._find_members(known, moment)

    def _follow(self, campaign: OpenCampaign) -> None:
        """Values lead to more members where most of their accounts are the campaign's already."""
        mine = set(map(int, self._slots(campaign.core | campaign.sure)))
        values = {key for slot in mine for key in self.table.summary(slot).links}
        for key in sorted(values):
            sharing = self._links.sharing(key)
            if len(sharing & mine) >= max(_FOLLOWED, len(sharing) / 2):
                campaign.follow(key)

    def _first_seen_under(self, key: Key, accounts: frozenset[str]) -> OpenCampaign | None:
        """The campaign that this value opened, if any of these accounts are its own, or nobody is any longer."""
        known = self._campaigns.get(_campaign_id(key))
        mine = known.core | known.probable if known is not None else frozenset()
        return known if not mine or mine & accounts else None

    def _new_id(self, key: Key) -> str:
        """A value can lead to several campaigns, one after the other; the later must not take the place of the first."""
        ids = (_campaign_id((*key, str(number)) if number else key) for number in range(len(self._campaigns) + 1))
        return next(found for found in ids if found not in self._campaigns)

    def _one_relay_with(self, slots: Slots, moment: Moment) -> OpenCampaign | None:
        """The known campaign with whose accounts these had the most hand-offs, if more than one."""
        found = [
            (moment.handoffs.between(slots, self._slots(campaign.core | campaign.sure)), campaign)
            for campaign in self._campaigns.values()
        ]
        most, campaign = max(found, key=lambda one: one[0], default=(0, None))
        return campaign if most >= _ONE_RELAY else None

    def _one_pool_with(self, accounts: frozenset[str], floor: float) -> OpenCampaign | None:
        """The known campaign whose core and these accounts come out as fed from one pool: together their topics differ by
        nothing, and the two mixtures are one. F alone would not say it: of two broad pools together it is small, too."""
        counts = self.table.counts_of_units(self._slots(accounts))
        for campaign in self._campaigns.values():
            core = self.table.counts_of_units(self._slots(campaign.core))
            together = heterogeneity(np.concatenate([counts, core]))
            if together is not None and together.f <= floor and likeness(counts, core) >= _ONE_MIXTURE:
                return campaign
        return None

    def _slots(self, accounts: frozenset[str]) -> Slots:
        """By name; without those that were evicted."""
        found = (self.table.slot(account) for account in sorted(accounts))
        return np.array([slot for slot in found if slot is not None], dtype=np.int64)

    def _accounts(self, slots: Slots) -> frozenset[str]:
        return frozenset(self.table.summary(int(slot)).account for slot in slots)

    def _find_members(self, campaign: OpenCampaign, moment: Moment) -> None:
        self._follow(campaign)
        campaign.members = members_of(
            campaign.core, campaign.keys, campaign.best.concentration, self.table, self._links, moment
        )

    def _refresh(self, campaign: OpenCampaign, moment: Moment) -> Campaign | None:
        self._find_members(campaign, moment)
        return campaign.update(describe(campaign, self.table, self._now))

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


def _overlaps(found: frozenset[str], known: frozenset[str]) -> bool:
    return bool(found & known) and len(found & known) >= _SAME_CAMPAIGN * min(len(found), len(known))


def _campaign_id(key: tuple[str, ...]) -> str:
    """From the linkage value under which it was first seen: a replay finds the same campaign under the same id."""
    return "c-" + hashlib.blake2b("\x1f".join(key).encode(), digest_size=8).hexdigest()
