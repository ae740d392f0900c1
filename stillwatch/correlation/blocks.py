"""Groups that no single value shows: values that the same accounts share too often to be chance.

A campaign buys cards by the dozen and signs up in batches. Each card family and each batch has honest bystanders, but whoever
has one of its batches *and* one of its cards is hardly one. So values are tied when they meet in more organisations than
two independent values of their sizes would; tied values form blocks, and an account belongs to a block by values of two
views. Counting is over pairs of values, never over pairs of accounts. Popular values are left out: sharing an SDK with a
campaign ties nobody to it (the camouflage that FRAUDAR, Hooi et al. 2016, is about).
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.special import pdtrc

from stillwatch.correlation.linkage import Key, LinkageIndex
from stillwatch.correlation.table import AccountTable

Slots = npt.NDArray[np.int64]
BLOCK: Final = "block"  # the view of a block's key; no account has such a value
# What accounts are bought and made with. Prompts, templates and parameters are copied from examples by everybody; invitations
# and sign-ups can be one fact, and would always meet.
_VIEWS: Final = ("address", "client", "payment", "signup")
# A value of more than this share of accounts is too common to tie anything.
_MAX_SHARE: Final = 0.05
_MIN_TOGETHER: Final = 3  # organisations in which two values meet
# Pairs of values that meet three times at all are some hundreds: a false tie now and then proposes strangers, who are tested.
_CHANCE: Final = 1e-4


def blocks(table: AccountTable, links: LinkageIndex, eligible: Slots, min_accounts: int) -> list[tuple[Key, Slots]]:
    """Blocks of at least ``min_accounts`` of the ``eligible`` accounts, under keys ``(BLOCK, hash)``, in a fixed order."""
    common = max(_MAX_SHARE * len(table), float(min_accounts))
    keys, has = links.among(eligible, _MIN_TOGETHER, common)
    of_views = np.array([key[0] in _VIEWS for key in keys], dtype=np.bool_)
    keys, has = [key for key in keys if key[0] in _VIEWS], has[:, np.flatnonzero(of_views)]
    if not keys:
        return []
    view_of = np.array([_VIEWS.index(key[0]) for key in keys])
    tied = _tied(has, table.units(eligible), view_of)
    count, label = connected_components(tied, directed=False)
    by_block = np.argsort(label, kind="stable")
    ends = np.cumsum(np.bincount(label, minlength=count))
    out = []
    for block in np.flatnonzero(np.diff(ends, prepend=0) >= 2):
        values = by_block[ends[block - 1] if block else 0 : ends[block]]
        # The places of accounts that have one of the values, once for each view.
        places = [np.unique(has[:, values[view_of[values] == view]].indices) for view in np.unique(view_of[values])]
        place, views = np.unique(np.concatenate(places), return_counts=True)
        slots = eligible[place[views >= 2]]
        if len(slots) >= min_accounts:
            name = hashlib.blake2b("\x1f".join(keys[values[0]]).encode(), digest_size=8).hexdigest()
            out.append(((BLOCK, name), slots))
    return sorted(out, key=lambda one: one[0])


def _tied(has: sp.csc_matrix, units: Slots, views: Slots) -> sp.csr_matrix:
    """Which values of different views meet in more organisations than by chance (Poisson, one-sided)."""
    number = int(units.max(initial=-1)) + 1
    of_unit = (
        sp.csr_matrix((np.ones(len(units)), (units, np.arange(len(units)))), shape=(number, len(units))) @ has.tocsr()
    )
    of_unit.data[:] = 1.0
    size = np.asarray(of_unit.sum(axis=0)).ravel()
    together = sp.coo_matrix(sp.triu(of_unit.T @ of_unit, k=1))
    one, other, met = together.row, together.col, together.data
    chance = pdtrc(met - 1, size[one] * size[other] / number)
    tie = (views[one] != views[other]) & (met >= _MIN_TOGETHER) & (chance <= _CHANCE)
    return sp.csr_matrix((np.ones(int(tie.sum())), (one[tie], other[tie])), shape=(has.shape[1], has.shape[1]))
