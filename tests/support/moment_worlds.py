"""Tables of accounts with conduct, and the moment that an evaluation would see in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from factories import HOUR, T0
from summary_worlds import people

from stillwatch.correlation.handoff_graph import HandoffGraph
from stillwatch.correlation.handoffs import Handoffs
from stillwatch.correlation.linkage import LinkageIndex
from stillwatch.correlation.moment import Moment, Normality
from stillwatch.correlation.table import AccountTable
from stillwatch.correlation.verify import GroupTest, examine_group
from stillwatch.settings import DetectionSettings
from stillwatch.summary import AccountSummary

SETTINGS = DetectionSettings(null_sets=20)
DAY_S = 86_400
NO_HANDOFFS = HandoffGraph(Handoffs(), AccountTable(100, LinkageIndex(100)))


@dataclass(frozen=True, slots=True)
class World:
    table: AccountTable
    links: LinkageIndex
    normality: Normality
    handoffs: Handoffs

    def slots(self, prefix: str) -> np.ndarray:
        """By name."""
        known = self.table.with_at_least(1)
        return known[[self.table.summary(int(slot)).account.startswith(prefix) for slot in known]]

    def moment(self, campaigners: Sequence[int] = ()) -> Moment:
        found = self.normality.now(campaigners, HandoffGraph(self.handoffs, self.table), T0)
        assert found is not None
        return found

    def examined(self, prefix: str, moment: Moment | None = None) -> GroupTest:
        slots, moment = self.slots(prefix), moment or self.moment()
        beside = moment.beside.findings(slots, proposed_by_handoffs=False)
        found = examine_group(self.table, slots, self.table.kin(slots), moment, beside, SETTINGS)
        assert found is not None
        return found


def a_world(*groups: list[AccountSummary]) -> World:
    links = LinkageIndex(SETTINGS.max_group_accounts)
    table = AccountTable(10_000, links)
    for summary in (summary for group in groups for summary in group):
        table.put(summary)
    return World(table, links, Normality(table, links, SETTINGS), Handoffs())


def conducted(rng: np.random.Generator, summaries: list[AccountSummary], shift: float = 0.0) -> list[AccountSummary]:
    """As people are in time, moved towards a machine by so many standard deviations."""
    return [
        replace(
            summary,
            conduct=(
                float(np.clip(0.25 + 0.05 * (shift + rng.normal()), 0, 1) ** 2),
                float(2 - 0.3 * (shift + rng.normal())), float(1 - 0.3 * (shift + rng.normal())),
            ),
        )
        for summary in summaries
    ]  # fmt: skip


def over(summaries: list[AccountSummary], days: float) -> list[AccountSummary]:
    """Their conversations were had in so many days."""
    return [replace(summary, window_from_unix_nano=T0 - int(days * 24 * HOUR)) for summary in summaries]


def settled(summaries: list[AccountSummary], days: float = 300) -> list[AccountSummary]:
    return [replace(summary, created_unix=T0 // 10**9 - int(days * DAY_S)) for summary in summaries]


def honest(rng: np.random.Generator, count: int = 300) -> list[AccountSummary]:
    """People with conduct of their own, forty conversations or so in ten days; settled for long. They share sign-ups;
    whether their clients are too popular to propose a group would depend on who else is there."""
    crowd = settled(over(conducted(rng, people(rng, count)), days=10))
    return [replace(summary, links=tuple(key for key in summary.links if key[0] == "signup")) for summary in crowd]
