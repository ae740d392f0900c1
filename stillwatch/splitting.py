"""One open campaign that proves to be two: the smaller part becomes a campaign of its own, and both say so.

Two pools can come to stand under one campaign: the second was absorbed, or its accounts became members of the first. They are
two if nothing connects them (no value that the campaign follows, no hand-off) *and* what they ask differs by more than one pool's
accounts do (``correlation.two_pools``). That is asked once a day, and answered with yes by two days in a row.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

import numpy as np

from stillwatch.campaigns import OpenCampaign
from stillwatch.correlation.handoff_graph import HandoffGraph
from stillwatch.correlation.linkage import LinkageIndex
from stillwatch.correlation.table import AccountTable
from stillwatch.correlation.two_pools import MOST, Cut, Parts, Vector, cut_of, parts_of
from stillwatch.life import Look, noted

BETWEEN_LOOKS_NANO: Final = 86_400_000_000_000
_SMOOTHING: Final = 8.0  # pseudo-conversations of the population, as in ``membership``


def look_at(
    campaign: OpenCampaign, table: AccountTable, links: LinkageIndex, handoffs: HandoffGraph, population: Vector,
    fewest: int, seed: int, now_unix_nano: int,
) -> Look | None:  # fmt: skip
    """Looks, where it is time, and keeps what was seen. What was seen now if it is the second time in a row that it tells:
    then the campaign is two. ``population``: what people ask about, shares by topic cell."""
    before = campaign.look
    if before is not None and now_unix_nano < before.at_unix_nano + BETWEEN_LOOKS_NANO:
        return None
    found = parts_of(campaign.core | campaign.sure, campaign.keys, table, links, handoffs, fewest)
    if found.count < 2:
        campaign.look = None
        return None
    inside = found.part >= 0
    slots, units = found.slots[inside], table.units(found.slots[inside])
    of_unit = found.part[inside][np.unique(units, return_index=True)[1]]  # one unit is in one part
    cut = cut_of(table.counts_of_units(slots), of_unit, seed)
    part = frozenset[str]()
    if cut is not None and cut.tells:
        part = _other_side(campaign, found, cut, table, links, population)
    campaign.look = now = Look(
        now_unix_nano, 1.0 if cut is None else cut.p_value, 1.0 if cut is None else cut.likeness, part
    )
    if before is None or not part or 2 * len(part & before.part) <= len(part | before.part):
        return None
    return replace(now, first_unix_nano=before.at_unix_nano)


def _other_side(
    campaign: OpenCampaign, found: Parts, cut: Cut, table: AccountTable, links: LinkageIndex, population: Vector
) -> frozenset[str]:
    """All accounts of the smaller side: those of its parts, and of the others known those that share one of its values, or else ask
    rather what it asks. Whom the table has lost stays where it is."""
    there = np.isin(found.part, cut.other)
    sides = found.slots[(found.part >= 0) & ~there], found.slots[there]
    everybody = table.slots(campaign.core | {member.account for member in campaign.members})
    pools = [table.counts(side).sum(axis=0) + _SMOOTHING * population + 1e-9 for side in sides]
    leans = table.counts(everybody) @ (np.log(pools[1] / pools[1].sum()) - np.log(pools[0] / pools[0].sum()))
    of_side = [links.having(side, found.keys).any(axis=0) for side in sides]
    has = links.having(everybody, found.keys)
    shared = (has & of_side[1]).any(axis=1).astype(np.int64) - (has & of_side[0]).any(axis=1)
    other = np.where(shared != 0, shared > 0, leans > 0)
    other[table.among(everybody, sides[0])], other[table.among(everybody, sides[1])] = False, True
    one, two = table.names(everybody[~other]), table.names(everybody[other])
    return min((two, one), key=lambda side: (len(side), _reversed(min(side))))


def _reversed(name: str) -> tuple[int, ...]:
    """Of two as large the one with the first name is the larger."""
    return tuple(-ord(letter) for letter in name)


def split(
    campaign: OpenCampaign, new_id: str, look: Look, table: AccountTable, links: LinkageIndex, now_unix_nano: int
) -> OpenCampaign:
    """The smaller part as a campaign of its own. Everybody stays a member of one of the two, as surely as before. Evidence goes with
    the groups that gave it; nothing counts as a new discovery."""
    part, first = look.part, look.first_unix_nano // 1_000_000_000
    slots = table.slots(part)
    mine = {key for key, _, _ in links.held_by(slots)}
    rest = {key for key, _, _ in links.held_by(table.slots((campaign.core | campaign.sure) - part))}
    evidence = tuple(one for one in campaign.evidence if one[2] & part)
    groups = {"=".join(key) for key in mine - rest}
    tests = tuple(one for one in campaign.tests if one.group in groups)
    strongest = max(tests, key=lambda one: (one.e_value, one.group), default=None)
    best = campaign.best
    if strongest is not None and evidence and strongest.e_value <= max(one[0] for one in evidence):
        best = replace(
            best, kept=np.array([], dtype=np.int64), tested_accounts=strongest.accounts, f=strongest.f, normal_f=strongest.normal_f,
            p_value=strongest.p_value, e_value=strongest.e_value, conduct=None, beside=(),
        )  # fmt: skip
    before = campaign.described
    told = (
        f"nothing that they share and no hand-off connects the two, and what they ask differs: likeness {look.likeness:.2f} where one "
        f"pool's parts have 1, p = {look.p_value:.3f} now and at most {MOST} a day before (unix {first})"
    )
    sure = frozenset(campaign.sure & part)
    members = tuple(one for one in campaign.members if one.account in part)
    new = OpenCampaign(
        new_id, campaign.detected_at_unix_nano, best, (campaign.core & part) | sure,
        tuple(key for key in campaign.keys if key in mine), evidence or campaign.evidence, members,
        strongest=campaign.strongest, state=campaign.state, tests=tests or campaign.tests, matched=campaign.matched,
        split_from=(campaign.id, *campaign.absorbed),
    )  # fmt: skip
    new.history = noted(campaign.history[:1], now_unix_nano, "split", f"from {campaign.id}: {told}")
    if before is not None:
        new.described = replace(
            before, id=new_id, members=tuple(one for one in before.members if one.account in part), growth=(), extraction=None,
            history=new.history, absorbed=(), split_from=new.split_from,
        )  # fmt: skip
    campaign.history = noted(campaign.history, now_unix_nano, "split", f"{new_id} with {len(part)} accounts: {told}")
    campaign.core -= part
    campaign.members = tuple(one for one in campaign.members if one.account not in part)
    campaign.keys = tuple(key for key in campaign.keys if key in rest or key not in mine)
    campaign.evidence = tuple(one for one in campaign.evidence if not one[2] <= part) or campaign.evidence
    campaign.tests = tuple(one for one in campaign.tests if one not in tests) or campaign.tests
    campaign.signature, campaign.look = None, None  # of both together
    return new


def apart(one: OpenCampaign, other: OpenCampaign) -> bool:
    """Whether one was split from the other, or from what has become a part of it. What they share makes them one no more."""
    return _from(one, other) or _from(other, one)


def _from(one: OpenCampaign, other: OpenCampaign) -> bool:
    return not {other.id, *other.absorbed}.isdisjoint(one.split_from)


def others_cores(campaign: OpenCampaign, campaigns: Collection[OpenCampaign]) -> frozenset[str]:
    """The accounts of those that it stands apart from: they are these campaigns' members."""
    return frozenset[str]().union(*(one.core for one in campaigns if apart(one, campaign)))
