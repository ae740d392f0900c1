"""What the aggregator does with indicators: keeps those of others, lends weight to groups that are like them, gives out its own.

A match never acts and is never evidence. It says where a campaign is likelier, so that less evidence is needed there and more
elsewhere, at the same false discovery rate (weighted e-BH, Wang and Ramdas 2022; docs/adr/0013).
"""

from __future__ import annotations

from stillwatch.campaigns import OpenCampaign
from stillwatch.correlation.docket import Docket
from stillwatch.correlation.linkage import LinkageIndex
from stillwatch.correlation.matching import Match, Matcher
from stillwatch.correlation.moment import Moment
from stillwatch.correlation.table import PROPOSE, TEST, AccountTable, Slots
from stillwatch.correlation.verify import GroupTest, examine_group
from stillwatch.indicator_export import indicator_of
from stillwatch.indicators import ExchangeKeys, Indicator, Refused
from stillwatch.settings import DetectionSettings
from stillwatch.shelf import Shelf


class Exchange:
    """Bounded by :class:`Shelf`. ``keys``: what this deployment shares with others, by name."""

    def __init__(
        self, table: AccountTable, links: LinkageIndex, settings: DetectionSettings, keys: ExchangeKeys
    ) -> None:
        self._table, self._links, self._settings, self._keys = table, links, settings, keys
        self.shelf = Shelf()
        self._matcher: Matcher | None = None

    def look(self, moment: Moment) -> None:
        """At the beginning of an evaluation."""
        indicators = [one.indicator for one in self.shelf.standing(moment.now_unix_nano / 1e9)]
        self._matcher = (
            Matcher(indicators, self._keys, self._table, self._links, moment.population) if indicators else None
        )

    def lent(self, slots: Slots, found: GroupTest | None, moment: Moment, docket: Docket) -> float:
        """What an indicator that the group is like adds to its weighted e-value; 0 where it is like none.

        A weight must not depend on what is tested with it. Shared values do not; a match of topics is of the proposing half,
        and then content is tested on the other one. What all of it shows must agree, which only lowers the evidence.
        """
        if self._matcher is None or found is None or not docket.may_lend():
            return 0.0
        by_values, by_topics = self._matcher.best(slots, PROPOSE)
        if by_values is not None:
            return docket.lend(found.e_value)
        if by_topics is None:
            return 0.0
        kin = self._table.kin(slots)
        tested = examine_group(self._table, slots, kin, moment, found.beside, self._settings, TEST)
        return docket.lend(min(found.e_value, tested.e_value) if tested is not None else None)

    def match_of(self, slots: Slots) -> Match | None:
        """For people: the indicator that a campaign's accounts are most like, by all that is known of them."""
        return self._matcher.of_campaign(slots) if self._matcher is not None else None

    def indicator(self, campaign: OpenCampaign, issuer: str, key_name: str | None) -> Indicator | Refused:
        key = self._keys.get(key_name) if key_name is not None else None
        if key_name is not None and key is None:
            return Refused("key", "no such exchange key here; exchange.keys_file has those that there are")
        named = (key_name, key) if key_name is not None and key is not None else None
        return indicator_of(campaign, self._table, self._links, issuer, named)
