"""Who belongs to an open campaign now: told by its core, by what is remembered of it, and by its own replacements."""

from __future__ import annotations

from typing import Final

import numpy as np

from stillwatch.campaigns import OpenCampaign
from stillwatch.correlation.attribution import IDENTITIES, ListedMember, members_of
from stillwatch.correlation.conduct import STATISTICS
from stillwatch.correlation.linkage import LinkageIndex
from stillwatch.correlation.moment import Moment
from stillwatch.correlation.nulls import Slots
from stillwatch.correlation.table import AccountTable
from stillwatch.signature import Signature

_FOLLOWED: Final = 3  # accounts of a campaign that a value needs before it leads to others
_MOST: Final = 0.5  # and their share of those who have it
_NEARLY_ALL: Final = 0.9
# Replacements are younger than the core and do not look like it; those of whom the core alone makes members as surely as this
# (the policy's threshold for acting) teach what the others look like. Anew at each evaluation: no mistake feeds on itself.
_TEACHES: Final = 0.99
_S_NANO: Final = 1_000_000_000
_DAY_NANO: Final = 86_400 * _S_NANO


def recognise(
    campaign: OpenCampaign, table: AccountTable, links: LinkageIndex, moment: Moment, near: Slots | None = None
) -> None:
    """Follows the values that are the campaign's, remembers its signature, and finds its members. ``near``: candidates that
    share nothing with it."""
    _follow(campaign, table, links)
    campaign.signature = signature_of(campaign, table, moment)

    def members(core: frozenset[str]) -> tuple[ListedMember, ...]:
        return members_of(
            core, campaign.keys, campaign.best.concentration, table, links, moment, campaign.signature,
            campaign.detected_at_unix_nano, near,
        )  # fmt: skip

    found = members(campaign.core)
    taught = frozenset(one.account for one in found if one.confidence >= _TEACHES and _is_new(one, campaign, table))
    if taught - campaign.core:
        # It says nothing of accounts that were there before: for them the core decides as ever.
        again = [one for one in members(campaign.core | taught) if _is_new(one, campaign, table)]
        both = [*again, *(one for one in found if not _is_new(one, campaign, table))]
        found = tuple(sorted(both, key=lambda one: (-one.confidence, one.account)))
    campaign.found_members(found, table)


def _follow(campaign: OpenCampaign, table: AccountTable, links: LinkageIndex) -> None:
    """Values lead to more members where most of their accounts are the campaign's already; what people copy from an example
    where nearly all are. After some generations of replacements half of those with a popular SDK's defaults can be the
    campaign's, and the other half are its bystanders."""
    for key, mine, sharing in links.held_by(table.slots(campaign.core | campaign.sure)):
        most = _MOST if key[0] in IDENTITIES else _NEARLY_ALL
        if mine >= max(_FOLLOWED, most * sharing) and links.is_shared(key):
            campaign.follow(key)


def _is_new(member: ListedMember, campaign: OpenCampaign, table: AccountTable) -> bool:
    """Whether it signed up since the campaign was found."""
    slot = table.slot(member.account)
    return slot is not None and table.created_s(slot) * _S_NANO >= campaign.detected_at_unix_nano


def signature_of(campaign: OpenCampaign, table: AccountTable, moment: Moment) -> Signature | None:
    """Of the core as it is known now, or as it was when more of it was known. Accounts that have fallen silent say what they
    asked, and no longer how they behave: their volume sinks from day to day."""
    known, slots = campaign.signature, table.slots(campaign.core)
    if not len(slots):
        return known
    seen = table.last_seen(slots)
    means, spread = moment.conduct.profile(slots[seen >= moment.now_unix_nano - _DAY_NANO])
    if known is not None and not np.isfinite(means).any():
        means, spread = known.conduct_scores(len(STATISTICS))
    pool = table.counts(slots).sum(axis=0)
    now = Signature.of(pool, len(slots), campaign.best.concentration, means, spread)
    return now if known is None else known.fuller(now)
