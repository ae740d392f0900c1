"""A campaign as an indicator: what may leave the platform, and when nothing may."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import Final

import numpy as np

from stillwatch.campaigns import OpenCampaign
from stillwatch.correlation.conduct import STATISTICS
from stillwatch.correlation.linkage import Key, LinkageIndex
from stillwatch.correlation.table import AccountTable, Slots
from stillwatch.indicators import (
    CONDUCT,
    EXCHANGED,
    MAX_VALUES,
    MIN_MEMBERS,
    MIN_PER_CELL,
    Indicator,
    Refused,
    quantised,
    rounded,
    signed,
    value_hash,
)

_DAY_S: Final = 86_400


def indicator_of(
    campaign: OpenCampaign, table: AccountTable, links: LinkageIndex, issuer: str, key: tuple[str, bytes] | None = None
) -> Indicator | Refused:
    """Of the members that the campaign is sure of, as far as they are still known. ``key``, its name and itself, adds hashed
    values and signs. Groups are counted in organisations: thirty keys of one product are one party, whose topics are nobody
    else's business."""
    slots = _sure(campaign, table)
    counts = table.counts_of_units(slots)
    counts = counts[counts.sum(axis=1) > 0]
    if len(counts) < MIN_MEMBERS:
        text = f"{len(counts)} organisations are surely members now; nothing is exchanged of fewer than {MIN_MEMBERS}. Wait for more"
        return Refused("campaign", text)
    shares = (counts / counts.sum(axis=1, keepdims=True)).mean(axis=0)
    shown = np.where((counts > 0).sum(axis=0) >= MIN_PER_CELL, shares, 0.0)
    if not shown.any():
        return Refused(
            "campaign", f"no topic was asked about by {MIN_PER_CELL} of its members; wait for more of their requests"
        )
    members = [table.summary(int(slot)) for slot in slots]
    out = Indicator(
        issuer=issuer,
        campaign=alias(campaign),
        first_seen_unix_s=_day(min(member.first_seen_unix_nano for member in members)),
        last_seen_unix_s=_day(max(member.last_seen_unix_nano for member in members)),
        accounts=rounded(len(slots)),
        conversations=rounded(int(counts.sum())),
        mixture=quantised(shown),
        # What rounds to 0 there is of the rest, too.
        rest_per_mille=min(round(1_000 * (1 - float(shares[np.rint(255 * shown / shown.max()) > 0].sum()))), 999),
        conduct=_conduct(campaign),
        values=_values(slots, table, links, key[1]) if key is not None else {},
    )
    return signed(out, *key) if key is not None else out


def alias(campaign: OpenCampaign) -> str:
    """The campaign's own id is a hash of the value under which it was found: of an address, all four thousand million could be
    tried. The nanosecond of its discovery, which nobody outside knows, goes in."""
    name = f"{campaign.id}\x1f{campaign.detected_at_unix_nano}".encode()
    return "x-" + hashlib.blake2b(name, digest_size=8).hexdigest()


def _sure(campaign: OpenCampaign, table: AccountTable) -> Slots:
    found = (table.slot(account) for account in sorted(campaign.sure))
    return np.array([slot for slot in found if slot is not None], dtype=np.int64)


def _day(unix_nano: int) -> int:
    return unix_nano // 1_000_000_000 // _DAY_S * _DAY_S


def _conduct(campaign: OpenCampaign) -> dict[str, int]:
    means = campaign.signature.conduct if campaign.signature is not None else ()
    known = [(name, mean) for name, mean in zip(STATISTICS, means, strict=False) if mean is not None]
    return {name: round(100 * mean) for name, mean in sorted(known) if name in CONDUCT}


def _values(slots: Slots, table: AccountTable, links: LinkageIndex, key: bytes) -> dict[str, tuple[str, ...]]:
    """Hashes of values that enough organisations among the members share, and hardly anybody else: a popular SDK or an
    example's template would point at everybody there."""
    units, mine = table.units(slots), set(map(int, slots))
    by: dict[Key, set[int]] = defaultdict(set)
    for slot, unit in zip(slots, units, strict=True):
        for link in table.links(int(slot)):
            if link[0] in EXCHANGED:
                by[link].add(int(unit))
    of_mine = {
        link: len(shared)
        for link, shared in by.items()
        if len(shared) >= MIN_PER_CELL and 2 * len(links.sharing(link) & mine) > len(links.sharing(link))
    }
    out = {}
    for view in EXCHANGED:
        best = sorted((link for link in of_mine if link[0] == view), key=lambda link: (-of_mine[link], link))
        if best:
            out[view] = tuple(sorted(value_hash(key, *link) for link in best[:MAX_VALUES]))
    return out
