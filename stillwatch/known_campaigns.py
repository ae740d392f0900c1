"""All campaigns that are known: which of them accounts belong to, which prove to be one, what is said of them."""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np

from stillwatch.campaigns import OpenCampaign, recalled
from stillwatch.correlation.docket import Docket
from stillwatch.correlation.handoff_graph import HandoffGraph
from stillwatch.correlation.homogeneity import heterogeneity, likeness
from stillwatch.correlation.linkage import Key, LinkageIndex
from stillwatch.correlation.nulls import Slots
from stillwatch.correlation.table import AccountTable
from stillwatch.correlation.verify import GroupTest
from stillwatch.extraction import Vector
from stillwatch.life import noted
from stillwatch.merging import (
    HAND_OVER,
    ONE_MIXTURE,
    ONE_POOL,
    ONE_RELAY,
    absorb,
    age,
    are_one,
    overlaps,
    that_hand_over,
    that_share_accounts,
)  # fmt: skip
from stillwatch.splitting import apart, look_at, others_cores, split
from stillwatch.verdict import Action, Campaign

_LIKELY: Final = 0.5


class KnownCampaigns:
    """Bounded: ``max_campaigns`` open ones, and as many that were merged into others."""

    def __init__(self, table: AccountTable, max_campaigns: int) -> None:
        self._table, self._max_campaigns = table, max_campaigns
        self._by_id: dict[str, OpenCampaign] = {}

    def recall(self, campaign: Campaign) -> None:
        """One that an earlier life has published: its id, core and evidence stay."""
        if campaign.id not in self._by_id:
            self._by_id[campaign.id] = recalled(campaign)

    def get(self, campaign_id: str) -> OpenCampaign | None:
        return self._by_id.get(campaign_id)

    def open(self) -> list[OpenCampaign]:
        """Oldest first; without those that were merged into others."""
        found = [one for one in self._by_id.values() if one.merged_into is None]
        return sorted(found, key=age)

    def accounts(self) -> set[int]:
        """Slots of the accounts that do not define what is normal."""
        known = frozenset[str]().union(*(one.core | one.probable for one in self._by_id.values()))
        return set(map(int, self._table.slots(known)))

    # -- whose a group is --------------------------------------------------------------------------------------------

    def that_holds(self, accounts: frozenset[str]) -> OpenCampaign | None:
        return next((one for one in self.open() if overlaps(accounts, one.core | one.sure)), None)

    def that_proves_to_be(
        self, key: Key, accounts: frozenset[str], found: GroupTest, handoffs: HandoffGraph
    ) -> OpenCampaign | None:
        """The campaign of a new discovery that has none of its accounts: one relay, one pool, or the same value."""
        return (
            self._one_relay_with(found.kept, handoffs)
            or self._one_pool_with(accounts, found.floor)
            or self._first_seen_under(key, accounts)
        )

    def add(self, key: Key, found: GroupTest, now_unix_nano: int) -> OpenCampaign | None:
        """``None`` where there is no room."""
        if len(self.open()) >= self._max_campaigns:
            return None
        new = OpenCampaign(self._new_id(key), now_unix_nano, found)
        new.history = noted((), now_unix_nano, "found", f"under {'='.join(key)}")
        self._by_id[new.id] = new
        return new

    def _first_seen_under(self, key: Key, accounts: frozenset[str]) -> OpenCampaign | None:
        """The campaign that this value opened, if any of these accounts are its own, or nobody is any longer."""
        known = self._by_id.get(_campaign_id(key))
        while known is not None and known.merged_into is not None:
            known = self._by_id.get(known.merged_into)
        mine = known.core | known.probable if known is not None else frozenset()
        return known if not mine or mine & accounts else None

    def _new_id(self, key: Key) -> str:
        """A value can lead to several campaigns, one after the other; the later must not take the place of the first."""
        ids = (_campaign_id((*key, str(number)) if number else key) for number in range(len(self._by_id) + 1))
        return next(found for found in ids if found not in self._by_id)

    def _one_relay_with(self, slots: Slots, handoffs: HandoffGraph) -> OpenCampaign | None:
        """The known campaign with whose accounts these had the most hand-offs, if more than one."""
        found = [
            (handoffs.between(slots, self._table.slots(campaign.core | campaign.sure)), campaign)
            for campaign in self.open()
        ]
        most, campaign = max(found, key=lambda one: one[0], default=(0, None))
        return campaign if most >= ONE_RELAY else None

    def _one_pool_with(self, accounts: frozenset[str], floor: float) -> OpenCampaign | None:
        """The known campaign whose core and these accounts come out as fed from one pool: together their topics differ by
        nothing, and the two mixtures are one. F alone would not say it: of two broad pools together it is small, too."""
        counts = self._table.counts_of_units(self._table.slots(accounts))
        for campaign in self.open():
            core = self._table.counts_of_units(self._table.slots(campaign.core))
            together = heterogeneity(np.concatenate([counts, core]))
            if together is not None and together.f <= floor and likeness(counts, core) >= ONE_MIXTURE:
                return campaign
        return None

    # -- which prove to be one ---------------------------------------------------------------------------------------

    def merge(self, handoffs: HandoffGraph, docket: Docket, now_unix_nano: int) -> list[Campaign]:
        """Open campaigns that prove to be one, the younger into the older. The last forms of those that went."""
        gone = []
        relays = [(*pair, HAND_OVER) for pair in that_hand_over(self.open(), handoffs, self._table.slots)]
        pools = [(*pair, ONE_POOL) for pair in that_share_accounts(self.open())]
        for older, younger, why in relays + pools:
            if older.merged_into is not None or younger.merged_into is not None:
                continue
            if why is HAND_OVER or (not apart(older, younger) and self._are_one(older, younger)):
                last = absorb(older, younger, now_unix_nano, why)
                docket.unite(older.id, younger.id)
                gone += [last] if last is not None else []
        self._forget_merged()
        return gone

    def _are_one(self, older: OpenCampaign, younger: OpenCampaign) -> bool:
        cores = tuple(self._table.counts_of_units(self._table.slots(one.core)) for one in (older, younger))
        return are_one(older, younger, (cores[0], cores[1]))

    def _forget_merged(self) -> None:
        """As many are kept as may be open, the newest: so that an old link to one still says where it went."""
        merged = [one for one in self._by_id.values() if one.merged_into is not None]
        for one in sorted(merged, key=age)[: -self._max_campaigns]:
            del self._by_id[one.id]

    # -- which prove to be two ---------------------------------------------------------------------------------------

    def split(
        self,
        links: LinkageIndex,
        handoffs: HandoffGraph,
        population: Vector,
        fewest: int,
        seed: int,
        now_unix_nano: int,
    ) -> list[OpenCampaign]:
        """Both parts of each campaign that has proved to be two. ``fewest``: customers of a part; ``population``: what people ask about."""
        out = []
        for campaign in self.open():
            look = look_at(campaign, self._table, links, handoffs, population, fewest, seed, now_unix_nano)
            if look is not None and len(self.open()) < self._max_campaigns:
                new = split(campaign, self._new_id(("split", campaign.id)), look, self._table, links, now_unix_nano)
                self._by_id[new.id] = new
                out += [campaign, new]
        return out

    def keep_apart(self, campaign: OpenCampaign) -> None:
        """Accounts of the one part are no members of the other."""
        parts = [one for one in self._by_id.values() if one.split_from and one.merged_into is None]
        theirs = others_cores(campaign, self.open() if campaign.split_from else parts)
        if theirs and not theirs.isdisjoint(one.account for one in campaign.members):
            campaign.members = tuple(one for one in campaign.members if one.account not in theirs)

    # -- what is said of them ---------------------------------------------------------------------------------------------------

    def described(self) -> list[Campaign]:
        """Newest first."""
        described = [c.described for c in self._by_id.values() if c.described is not None]
        return sorted(described, key=lambda campaign: -campaign.detected_at_unix_nano)

    def campaign_of(self, account: str) -> str | None:
        """The campaign in which the account's membership is most certain, if it is more likely than not."""
        best: tuple[float, str] | None = None
        for campaign in self.open():
            confidence = campaign.confidence_of(account)
            if confidence >= _LIKELY and (best is None or confidence > best[0]):
                best = (confidence, campaign.id)
        return best[1] if best else None

    def acted(self, campaign_id: str, action: Action, now_unix_nano: int) -> Campaign | None:
        """The policy has decided: shown with the campaign."""
        found = self._by_id.get(campaign_id)
        return found.set_action(action, now_unix_nano) if found else None


def _campaign_id(key: tuple[str, ...]) -> str:
    """From the linkage value under which it was first seen: a replay finds the same campaign under the same id."""
    return "c-" + hashlib.blake2b("\x1f".join(key).encode(), digest_size=8).hexdigest()
