"""The aggregator's core: summaries of accounts in, campaigns out. Deterministic; no clock, no I/O.

``fold`` takes absolute summaries in any order. ``evaluate`` proposes groups by linkage, tests them on content, keeps
the false discovery rate over the tests of two eras, and opens or updates campaigns. ``now`` is event time: the tick of
the evaluation (``stillwatch.ticks``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import numpy as np

from stillwatch.campaigns import OpenCampaign, describe
from stillwatch.correlation.attribution import MIN_CONVERSATIONS
from stillwatch.correlation.docket import Docket
from stillwatch.correlation.handoff_graph import CLUSTERS, HANDOFF, HandoffGraph
from stillwatch.correlation.handoffs import Handoffs
from stillwatch.correlation.linkage import Key, LinkageIndex
from stillwatch.correlation.mixture_test import Ordinary, examine_mixture
from stillwatch.correlation.mixtures import MIXTURE, Mixtures
from stillwatch.correlation.moment import COMPARED_CONVERSATIONS, Group, Moment, Normality
from stillwatch.correlation.neighbours import Neighbours
from stillwatch.correlation.nulls import Population, Slots
from stillwatch.correlation.table import AccountTable
from stillwatch.correlation.verify import GroupTest, examine_group, weights_for
from stillwatch.errors import NotFound
from stillwatch.exchange import Exchange
from stillwatch.extraction import Vector
from stillwatch.indicators import ExchangeKeys, Indicator, Refused
from stillwatch.known_campaigns import KnownCampaigns
from stillwatch.recognition import recognise, signature_of
from stillwatch.settings import DetectionSettings
from stillwatch.summary import AccountSummary
from stillwatch.verdict import Action, Campaign

# A found group that overlaps with a known campaign needs no discovery of its own: only evidence that 1 in 100 groups would
# show by chance.
_MORE_OF_THE_SAME: Final = 100.0
_MS_NANO: Final = 1_000_000
_DAY_NANO: Final = 86_400_000_000_000


class AggregatorCore:
    def __init__(self, settings: DetectionSettings, exchange_keys: ExchangeKeys | None = None) -> None:
        self._settings = settings
        self._links = LinkageIndex(settings.max_group_accounts)
        self.table = AccountTable(settings.max_accounts, self._links)
        self._handoffs = Handoffs(settings.era_days)
        self._normality = Normality(self.table, self._links, settings)
        self._known = KnownCampaigns(self.table, settings.max_campaigns)
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
                if self.table.slot(summary.account) is not None:  # it may have made room for others at once
                    unit = self.table.unit(summary.account)
                    self._handoffs.note(summary.account, unit, summary.begun, summary.failed)
            self.last_seen_unix_nano = max(self.last_seen_unix_nano, summary.last_seen_unix_nano)
        return news

    def recall(self, campaign: Campaign) -> None:
        """A campaign that an earlier life has published: its id, core and evidence stay."""
        self._known.recall(campaign)

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
        campaigners = self._known.accounts()
        moment = self._normality.now(campaigners, handed, self._now)
        if moment is None:
            return []
        self.exchange.look(moment)
        known = self.table.with_at_least(COMPARED_CONVERSATIONS)
        groups = self._normality.groups(known)
        groups += handed.components(self._settings.min_group_accounts)
        known_slots = np.array(sorted(campaigners), dtype=np.int64)
        groups += handed.clusters(self._settings.min_group_accounts, known_slots, self._now)
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
        merged, demand = self._known.merge(handed, self._docket, self._now), self._demand(moment)
        parts = self._split(handed, moment)
        return merged + [
            changed for campaign in self._known.open() if (changed := self._refresh(campaign, moment, demand, parts))
        ]

    def _split(self, handed: HandoffGraph, moment: Moment) -> set[str]:
        """The ids of both parts of each. Members go with their part as they are, and are sought by it alone from the next evaluation on."""
        settings = self._settings
        parts = self._known.split(
            self._links, handed, moment.population.mixture, settings.min_group_accounts, settings.seed, self._now
        )
        for part in parts:
            part.signature = signature_of(part, self.table, moment)
        return {part.id for part in parts}

    @property
    def tests(self) -> int:
        """How many were ever made."""
        return self._docket.tests

    @property
    def dropped_calls(self) -> int:
        """Calls and hand-offs for which there was no room."""
        return self._handoffs.dropped

    @property
    def waiting(self) -> int:
        """Groups that were due at the last evaluation and are left to the next."""
        return self._docket.waiting

    @property
    def _era(self) -> int:
        return self._now // (self._settings.era_days * _DAY_NANO)

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
            kin, weights = self.table.kin(slots), weights_for(key)
            found = examine_group(self.table, slots, kin, moment, beside, self._settings, weights=weights)
        return self._docket.weigh(key, found.e_value if found is not None else None, len(slots)), found

    def _judge(self, key: Key, slots: Slots, evidence: float, found: GroupTest, moment: Moment) -> None:
        if (shown := moment.beside.lockstep.shown(slots)) is not None:
            found = replace(found, beside=(*found.beside, shown))
        accounts = self.table.names(found.kept)
        known = self._known.that_holds(accounts)
        if known is not None:
            known.add_evidence(found, accounts, evidence)
            self._docket.confirm(known.id, evidence)
            known.note_test(key, found, evidence, self._docket.stand, self._now, opened=False)
            if key != CLUSTERS:  # nothing ties the other clusters to it: they are looked at again without these
                self._extend(known, key, slots, moment)
            return
        if not self._docket.is_discovery(key, evidence):
            return
        known = self._known.that_proves_to_be(key, accounts, found, moment.beside.handoffs)
        opened = known is None
        known = known or self._known.add(key, found, self._now)
        if known is not None:
            self._docket.settle(key)
            self._docket.confirm(known.id, evidence)
            known.note_test(key, found, evidence, self._docket.stand, self._now, opened=opened)
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
                known.core |= self.table.names(found.kept)
                known.follow(key)
        self._find_members(known, moment)

    def _find_members(self, campaign: OpenCampaign, moment: Moment) -> None:
        near = self._neighbours.of(
            campaign.id, campaign.core, len(campaign.core | campaign.sure), campaign.best.concentration, self.table,
            moment.population, self.table.with_at_least(MIN_CONVERSATIONS), self._now,
        )  # fmt: skip
        recognise(campaign, self.table, self._links, moment, near)
        self._known.keep_apart(campaign)

    def _demand(self, moment: Moment) -> Vector:
        """What honest people ask about, shares by topic cell; without a campaign that was found only now."""
        everybody = moment.population
        if all(campaign.described is not None for campaign in self._known.open()):
            return everybody.mixture
        known = np.array(sorted(self._known.accounts()), dtype=np.int64)
        left = Population.of(self.table, everybody.by_volume[~self.table.among(everybody.by_volume, known)])
        return (left or everybody).mixture

    def _refresh(self, campaign: OpenCampaign, moment: Moment, demand: Vector, parts: set[str]) -> Campaign | None:
        if campaign.id not in parts:
            self._find_members(campaign, moment)
        campaign.matched = self.exchange.match_of(self.table.slots(campaign.core | campaign.sure))
        return campaign.update(describe(campaign, self.table, demand, self._now))

    # -- questions ---------------------------------------------------------------------------------------------------

    def campaigns(self) -> list[Campaign]:
        """Newest first."""
        return self._known.described()

    def campaign(self, campaign_id: str) -> Campaign | None:
        found = self._known.get(campaign_id)
        return found.described if found else None

    def indicator(self, campaign_id: str, issuer: str, key_name: str | None = None) -> Indicator | Refused:
        """The campaign for another platform. Raises :class:`~stillwatch.errors.NotFound`."""
        found = self._known.get(campaign_id)
        if found is None:
            raise NotFound("campaign", campaign_id)
        return self.exchange.indicator(found, issuer, key_name)

    def campaign_of(self, account: str) -> str | None:
        """The campaign in which the account's membership is most certain, if it is more likely than not."""
        return self._known.campaign_of(account)

    def acted(self, campaign_id: str, action: Action) -> Campaign | None:
        """The policy has decided: shown with the campaign."""
        return self._known.acted(campaign_id, action, self._now)
