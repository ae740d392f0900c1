"""Two open campaigns that prove to be one: the younger goes into the older and says where it went.

When a second group of a known pool passes, it joins the known campaign at once. But two can open before either is known
well enough: later they turn out to hold the same accounts and to ask from one pool.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from itertools import combinations
from typing import Final

import numpy as np

from stillwatch.campaigns import MAX_KEYS, OpenCampaign
from stillwatch.correlation.handoff_graph import HandoffGraph
from stillwatch.correlation.homogeneity import Counts, heterogeneity, likeness
from stillwatch.correlation.nulls import Slots
from stillwatch.grounds import kept
from stillwatch.life import noted
from stillwatch.verdict import Campaign

# A found group with this much overlap with a known campaign is the same campaign seen from another side.
_SAME_ACCOUNTS: Final = 1 / 3
# Of two mixtures that are one the likeness is 1, known to some hundredths from some hundreds of conversations.
ONE_MIXTURE: Final = 0.8
# Hand-offs from which on two groups are one relay's: one can be chance.
ONE_RELAY: Final = 2
ONE_POOL: Final = "one pool, the same accounts"
HAND_OVER: Final = "failed calls of the one begin again on the other's accounts"
_MAX_ABSORBED: Final = 64


def overlaps(found: Collection[str], known: Collection[str]) -> bool:
    """Whether a third of the smaller set is in both.

    >>> overlaps({"a", "b", "c"}, {"c", "d", "e", "f"}), overlaps({"a", "b", "c", "d"}, {"d", "e", "f", "g"})
    (True, False)
    """
    common = len(set(found) & set(known))
    return common > 0 and common >= _SAME_ACCOUNTS * min(len(found), len(known))


def that_share_accounts(campaigns: Iterable[OpenCampaign]) -> list[tuple[OpenCampaign, OpenCampaign]]:
    """Pairs (older, younger) with enough accounts in common. Looked up by account, never by pair of campaigns."""
    of_account: dict[str, list[OpenCampaign]] = {}
    for campaign in sorted(campaigns, key=age):
        for account in campaign.core | campaign.sure:
            of_account.setdefault(account, []).append(campaign)
    pairs = {(one.id, other.id): (one, other) for found in of_account.values() for one, other in combinations(found, 2)}
    shared = [pair for pair in pairs.values() if overlaps(*(one.core | one.sure for one in pair))]
    return sorted(shared, key=lambda pair: (age(pair[0]), age(pair[1])))


def that_hand_over(
    campaigns: Iterable[OpenCampaign], handoffs: HandoffGraph, slots: Callable[[frozenset[str]], Slots]
) -> list[tuple[OpenCampaign, OpenCampaign]]:
    """Pairs (older, younger) of one relay: failed calls of the one's accounts began again on the other's, more than once."""
    whose = {int(slot): one for one in campaigns for slot in slots(one.core | one.sure)}
    met: Counter[tuple[str, str]] = Counter()
    pairs = {}
    for ends in handoffs.ends.tolist():
        both = sorted((whose[end] for end in ends if end in whose), key=age)
        if len(both) == 2 and both[0] is not both[1]:
            of = (both[0].id, both[1].id)
            met[of] += 1
            pairs[of] = (both[0], both[1])
    found = [pair for of, pair in pairs.items() if met[of] >= ONE_RELAY]
    return sorted(found, key=lambda pair: (age(pair[0]), age(pair[1])))


def age(campaign: OpenCampaign) -> tuple[int, str]:
    """Sorts oldest first."""
    return campaign.detected_at_unix_nano, campaign.id


def are_one(older: OpenCampaign, younger: OpenCampaign, cores: tuple[Counts, Counts]) -> bool:
    """Whether together the topics of their cores (a row an organisation) differ by no more than those of the more alike of the
    two, sampling error aside, or than one pool's do, and the two mixtures are one. ``False`` where too little is left to say."""
    alone = [found for core in cores if (found := heterogeneity(core)) is not None]
    together = heterogeneity(np.concatenate(cores))
    if len(alone) < 2 or together is None:
        return False
    purer = min(alone, key=lambda found: found.f)
    usual = max(purer.f, older.best.floor, younger.best.floor)
    error = float(np.hypot(purer.standard_error, together.standard_error))
    return together.f <= usual + error and likeness(*cores) >= ONE_MIXTURE


def absorb(older: OpenCampaign, younger: OpenCampaign, now_unix_nano: int, why: str = ONE_POOL) -> Campaign | None:
    """What the younger knew is the older's; evidence of common accounts still counts once. The younger's last form, without
    members."""
    older.core |= younger.core
    for key in younger.keys:
        older.follow(key)
    older.best = max(older.best, younger.best, key=lambda test: test.e_value)
    older.strongest = max(older.strongest, younger.strongest)
    older.tests = kept((*older.tests, *(replace(one, opened=False) for one in younger.tests)))
    older.evidence = tuple(sorted((*older.evidence, *younger.evidence), key=lambda item: -item[0])[:MAX_KEYS])
    if younger.signature is not None:
        older.signature = younger.signature if older.signature is None else older.signature.fuller(younger.signature)
    older.absorbed = (*older.absorbed, *younger.absorbed, younger.id)[-_MAX_ABSORBED:]
    if younger.split_from:
        others = dict.fromkeys((*older.split_from, *younger.split_from))
        older.split_from = tuple(one for one in others if one not in (older.id, *older.absorbed))[-_MAX_ABSORBED:]
    older.history = noted(
        older.history, now_unix_nano, "absorbed", f"{younger.id} with {len(younger.members)} members"
    )  # fmt: skip
    younger.history = noted(younger.history, now_unix_nano, "merged", f"into {older.id}: {why}")
    younger.state, younger.merged_into, younger.core, younger.members = "merged", older.id, frozenset(), ()
    if younger.described is not None:
        younger.described = replace(
            younger.described, members=(), state="merged", merged_into=older.id, history=younger.history,
            updated_at_unix_nano=now_unix_nano,
        )  # fmt: skip
    return younger.described
