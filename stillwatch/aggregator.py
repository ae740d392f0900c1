"""The aggregator's core: summaries of accounts in, campaigns out. Deterministic; no clock, no I/O.

``fold`` takes absolute summaries in any order. ``evaluate`` proposes groups by linkage, tests them on content, keeps
the false discovery rate over the tests of two eras, and opens or updates campaigns. ``now`` is event time: the tick of
the evaluation (``stillwatch.ticks``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

import numpy as np

from stillwatch.campaigns import OpenCampaign, describe, recalled
from stillwatch.correlation.attribution import MIN_CONVERSATIONS
from stillwatch.correlation.docket import Docket
from stillwatch.correlation.handoff_graph import HANDOFF, HandoffGraph
from stillwatch.correlation.handoffs import Handoffs
from stillwatch.correlation.homogeneity import heterogeneity, likeness
from stillwatch.correlation.linkage import Key, LinkageIndex
from stillwatch.correlation.mixture_test import Ordinary, examine_mixture
from stillwatch.correlation.mixtures import MIXTURE, Mixtures
from stillwatch.correlation.moment import COMPARED_CONVERSATIONS, Group, Moment, Normality
from stillwatch.correlation.neighbours import Neighbours
from stillwatch.correlation.nulls import Population, Slots
from stillwatch.correlation.table import AccountTable
from stillwatch.correlation.verify import GroupTest, examine_group
from stillwatch.errors import NotFound
from stillwatch.exchange import Exchange
from stillwatch.extraction import Vector
from stillwatch.indicators import ExchangeKeys, Indicator, Refused
from stillwatch.life import noted
from stillwatch.merging import ONE_MIXTURE, absorb, age, are_one, overlaps, that_share_accounts
from stillwatch.recognition import recognise
from stillwatch.settings import DetectionSettings
from stillwatch.summary import AccountSummary
from stillwatch.verdict import Action, Campaign

# A found group that overlaps with a known campaign needs no discovery of its own: only evidence that 1 in 100 groups would
# show by chance.
_MORE_OF_THE_SAME: Final = 100.0
# Hand-offs between two groups from which on they are one relay's: one can be chance.
_ONE_RELAY: Final = 2
_MS_NANO: Final = 1_000_000
_DAY_NANO: Final = 86_400_000_000_000


class AggregatorCore:
    def __init__(self, settings: DetectionSettings, exchange_keys: ExchangeKeys | None = None) -> None:
        self._settings = settings
        self._links = LinkageIndex(settings.max_group_accounts)
        self.table = AccountTable(settings.max_accounts, self._links)
        self._handoffs = Handoffs()
        self._normality = Normality(self.table, self._links, settings)
        self._campaigns: dict[str, OpenCampaign] = {}
        self._docket = Docket(settings.false_discovery_level)
        self.exchange = Exchange(self.table, self._links, settings, exchange_keys or {})
        self._mixtures = Mixtures(settings.mixture_groups, settings.min_group_accounts, settings.seed)
        self._ordinary_mixtures = Ordinary(None, np.zeros(0))
        self._neighbours = Neighbours(settings.near_accounts_per_member)
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
        self._docket.begin(self._era)
        self.table.make_room()
        self.table.forget_silent((self._era - 1) * self._settings.era_days * _DAY_NANO)
        self._handoffs.settle(self._now // _MS_NANO)
        handed = HandoffGraph(self._handoffs, self.table)
        moment = self._normality.now(self._campaigners(), handed, self._now)
        if moment is None:
            return []
        self.exchange.look(moment)
        known = self.table.with_at_least(COMPARED_CONVERSATIONS)
        groups = self._normality.groups(known)
        groups += handed.components(self._settings.min_group_accounts)
        honest = known[self.table.among(known, moment.population.by_volume)]
        alike = self._mixtures.groups(self.table, known, honest, moment.now_unix_nano)
        self._ordinary_mixtures = Ordinary.of(self.table, alike, moment)
        groups += alike
        for key, slots in self._due(groups):
            self._docket.enter(key, int(self.table.conversations(slots).sum()), self._era)
            evidence, found = self._examine(key, slots, moment)
            evidence += self.exchange.lent(slots, found, moment, self._docket)
            if found is not None and self._docket.is_strong(evidence):
                self._judge(key, slots, evidence, found, moment)
        current = {key for key, _ in groups}  # blocks and what hand-offs connect are values of no account
        self._docket.forget(lambda key: key in current or self._links.is_shared(key))
        merged, demand = self._merge(), self._demand(moment)
        return merged + [changed for campaign in self._open() if (changed := self._refresh(campaign, moment, demand))]

    @property
    def tests(self) -> int:
        """How many were ever made."""
        return self._docket.tests

    @property
    def waiting(self) -> int:
        """Groups that were due at the last evaluation and are left to the next."""
        return self._docket.waiting

    @property
    def _era(self) -> int:
        return self._now // (self._settings.era_days * _DAY_NANO)

    def _open(self) -> list[OpenCampaign]:
        """Oldest first; without those that were merged into others."""
        found = [one for one in self._campaigns.values() if one.merged_into is None]
        return sorted(found, key=age)

    def _campaigners(self) -> set[int]:
        """Known campaigns do not define what is normal."""
        known = frozenset[str]().union(*(one.core | one.probable for one in self._campaigns.values()))
        return set(map(int, self._slots(known)))

    def _due(self, groups: list[Group]) -> list[Group]:
        conversations = self.table.conversations_together([slots for _, slots in groups]).tolist()
        due = [
            (key, slots)
            for (key, slots), have in zip(groups, conversations, strict=True)
            if self._docket.is_due(key, have, self._era) and have >= self._settings.min_group_conversations
        ]
        now = self._docket.next([key for key, _ in due], self._settings.max_tests_per_evaluation)
        return [group for group in due if group[0] in now]

    def _examine(self, key: Key, slots: Slots, moment: Moment) -> tuple[float, GroupTest | None]:
        """(weighted e-value, test)."""
        beside = moment.beside.findings(slots, proposed_by_handoffs=key[0] == HANDOFF)
        if key[0] == MIXTURE:
            found = examine_mixture(self.table, slots, self._ordinary_mixtures, moment, beside)
        else:
            found = examine_group(self.table, slots, self.table.kin(slots), moment, beside, self._settings)
        return self._docket.weigh(key, found.e_value if found is not None else None), found

    def _judge(self, key: Key, slots: Slots, evidence: float, found: GroupTest, moment: Moment) -> None:
        accounts = self._accounts(found.kept)
        known = next((c for c in self._open() if overlaps(accounts, c.core | c.sure)), None)
        if known is not None:
            known.add_evidence(found, accounts, evidence)
            self._docket.confirm(known.id, evidence)
            self._extend(known, key, slots, moment)
            return
        if not self._docket.is_discovery(key, evidence):
            return
        known = self._one_relay_with(found.kept, moment) or self._one_pool_with(accounts, found.floor)
        known = known or self._first_seen_under(key, accounts)
        if known is None and len(self._open()) < self._settings.max_campaigns:
            known = OpenCampaign(self._new_id(key), self._now, found)
            known.history = noted((), self._now, "found", f"under {'='.join(key)}")
            self._campaigns[known.id] = known
        if known is not None:
            self._docket.settle(key)
            self._docket.confirm(known.id, evidence)
            known.add_evidence(found, accounts, evidence)
            known.core |= accounts
            known.follow(key)
            # Its members beyond this group are known at once: the next group of the same pool is then recognised.
            self._find_members(known, moment)

    def _extend(self, known: OpenCampaign, key: Key, slots: Slots, moment: Moment) -> None:
        """A value that many of a campaign's accounts share: the others join its core only if they would pass without those
        that are known."""
        mine = known.core | known.sure
        rest = slots[[self.table.name(int(slot)) not in mine for slot in slots]]
        if len(rest) >= self._settings.min_group_accounts:
            evidence, found = self._examine(key, rest, moment)
            if found is not None and evidence >= _MORE_OF_THE_SAME:
                known.core |= self._accounts(found.kept)
                known.follow(key)
        self._find_members(known, moment)

    def _first_seen_under(self, key: Key, accounts: frozenset[str]) -> OpenCampaign | None:
        """The campaign that this value opened, if any of these accounts are its own, or nobody is any longer."""
        known = self._campaigns.get(_campaign_id(key))
        while known is not None and known.merged_into is not None:
            known = self._campaigns.get(known.merged_into)
        mine = known.core | known.probable if known is not None else frozenset()
        return known if not mine or mine & accounts else None

    def _new_id(self, key: Key) -> str:
        """A value can lead to several campaigns, one after the other; the later must not take the place of the first."""
        ids = (_campaign_id((*key, str(number)) if number else key) for number in range(len(self._campaigns) + 1))
        return next(found for found in ids if found not in self._campaigns)

    def _one_relay_with(self, slots: Slots, moment: Moment) -> OpenCampaign | None:
        """The known campaign with whose accounts these had the most hand-offs, if more than one."""
        found = [
            (moment.beside.handoffs.between(slots, self._slots(campaign.core | campaign.sure)), campaign)
            for campaign in self._open()
        ]
        most, campaign = max(found, key=lambda one: one[0], default=(0, None))
        return campaign if most >= _ONE_RELAY else None

    def _one_pool_with(self, accounts: frozenset[str], floor: float) -> OpenCampaign | None:
        """The known campaign whose core and these accounts come out as fed from one pool: together their topics differ by
        nothing, and the two mixtures are one. F alone would not say it: of two broad pools together it is small, too."""
        counts = self.table.counts_of_units(self._slots(accounts))
        for campaign in self._open():
            core = self.table.counts_of_units(self._slots(campaign.core))
            together = heterogeneity(np.concatenate([counts, core]))
            if together is not None and together.f <= floor and likeness(counts, core) >= ONE_MIXTURE:
                return campaign
        return None

    def _merge(self) -> list[Campaign]:
        """Open campaigns that prove to be one, the younger into the older. The last forms of those that went."""
        gone = []
        for older, younger in that_share_accounts(self._open()):
            if older.merged_into is not None or younger.merged_into is not None:
                continue
            cores = tuple(self.table.counts_of_units(self._slots(one.core)) for one in (older, younger))
            if are_one(older, younger, (cores[0], cores[1])):
                last = absorb(older, younger, self._now)
                self._docket.unite(older.id, younger.id)
                gone += [last] if last is not None else []
        self._forget_merged()
        return gone

    def _forget_merged(self) -> None:
        """As many are kept as may be open, the newest: so that an old link to one still says where it went."""
        merged = [one for one in self._campaigns.values() if one.merged_into is not None]
        for one in sorted(merged, key=age)[: -self._settings.max_campaigns]:
            del self._campaigns[one.id]

    def _slots(self, accounts: frozenset[str]) -> Slots:
        return self.table.slots(accounts)

    def _accounts(self, slots: Slots) -> frozenset[str]:
        return frozenset(self.table.name(int(slot)) for slot in slots)

    def _find_members(self, campaign: OpenCampaign, moment: Moment) -> None:
        near = self._neighbours.of(
            campaign.id, campaign.core, len(campaign.core | campaign.sure), campaign.best.concentration, self.table,
            moment.population, self.table.with_at_least(MIN_CONVERSATIONS), self._now,
        )  # fmt: skip
        recognise(campaign, self.table, self._links, moment, near)

    def _demand(self, moment: Moment) -> Vector:
        """What honest people ask about, shares by topic cell; without a campaign that was found only now."""
        everybody = moment.population
        if all(campaign.described is not None for campaign in self._open()):
            return everybody.mixture
        known = np.array(sorted(self._campaigners()), dtype=np.int64)
        left = Population.of(self.table, everybody.by_volume[~self.table.among(everybody.by_volume, known)])
        return (left or everybody).mixture

    def _refresh(self, campaign: OpenCampaign, moment: Moment, demand: Vector) -> Campaign | None:
        self._find_members(campaign, moment)
        campaign.matched = self.exchange.match_of(self._slots(campaign.core | campaign.sure))
        return campaign.update(describe(campaign, self.table, demand, self._now))

    # -- questions ---------------------------------------------------------------------------------------------------

    def campaigns(self) -> list[Campaign]:
        """Newest first."""
        described = [c.described for c in self._campaigns.values() if c.described is not None]
        return sorted(described, key=lambda campaign: -campaign.detected_at_unix_nano)

    def campaign(self, campaign_id: str) -> Campaign | None:
        found = self._campaigns.get(campaign_id)
        return found.described if found else None

    def indicator(self, campaign_id: str, issuer: str, key_name: str | None = None) -> Indicator | Refused:
        """The campaign for another platform. Raises :class:`~stillwatch.errors.NotFound`."""
        found = self._campaigns.get(campaign_id)
        if found is None:
            raise NotFound("campaign", campaign_id)
        return self.exchange.indicator(found, issuer, key_name)

    def campaign_of(self, account: str) -> str | None:
        """The campaign in which the account's membership is most certain, if it is more likely than not."""
        best: tuple[float, str] | None = None
        for campaign in self._open():
            confidence = campaign.confidence_of(account)
            if confidence >= 0.5 and (best is None or confidence > best[0]):
                best = (confidence, campaign.id)
        return best[1] if best else None

    def acted(self, campaign_id: str, action: Action) -> Campaign | None:
        """The policy has decided: shown with the campaign."""
        found = self._campaigns.get(campaign_id)
        return found.set_action(action, self._now) if found else None


def _campaign_id(key: tuple[str, ...]) -> str:
    """From the linkage value under which it was first seen: a replay finds the same campaign under the same id."""
    return "c-" + hashlib.blake2b("\x1f".join(key).encode(), digest_size=8).hexdigest()
