"""From a histogram of honest accounts to what a value says for an attack: normal scores, then log-likelihood ratios.

A count can not tell 1 in 10,000 from 1 in 100 when 100 accounts have taught. What p-values are shown stays that way;
the evidence, which only has to rank, goes on beyond the outermost tenth in a straight line. The line's scale is read
from the median and two outer quantiles, and the largest is taken: a long honest tail makes far values less striking,
and fewer than one attacker among twenty teachers can not move it.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

Table = npt.NDArray[np.float64]

# Where the line begins, and how far out a scale is read.
_OUTER: Final = (0.1, 0.05)
_FROM_MEDIAN: Final = tuple(-NormalDist().inv_cdf(share) for share in _OUTER)
# A scale of n accounts is read a standard error further out: 1.3 / root n, as that of the 10 % quantile of normals has.
_SCALE_ERROR: Final = 1.3
# A distribution narrower than its bins says nothing of its width.
_MIN_SCALE_BINS: Final = 1.5
# Nothing is believed beyond six standard deviations of anything; below -2 more humanity is no more innocence.
_CLIP: Final = (-2.0, 6.0)
# An attacker stands off by more the more is seen of it: estimates narrow with the root of what they are made of.
_SHIFT_PER_ROOT_CONVERSATION: Final = 0.3
_MAX_SHIFT: Final = 3.0
# The chance that an attacker shows a tell at all: campaigns hide some. So no signal can clear by more than ln 2, and
# several mild ones do not add up to a strong one.
_SHOWN: Final = 0.5


def standard_scores(suspicious_first: Table) -> Table:
    """Of each bin, for histograms (one a row) whose bin 0 is the most suspicious; positive = suspicious.

    >>> counts = np.zeros((1, 64))
    >>> counts[0, 20:41] = 10.0
    >>> [round(float(z), 1) for z in standard_scores(counts)[0, [25, 20, 10, 0, 63]]]
    [0.6, 1.4, 2.8, 4.2, -2.8]
    """
    counts = suspicious_first
    total = counts.sum(axis=1, keepdims=True)
    cumulated = counts.cumsum(axis=1)
    # Inside: the normal score of the mid-p-value, which makes no account of a common value striking.
    inside = -ndtri(np.minimum((0.5 + cumulated - 0.5 * counts) / (1 + total), 1 - 0.5 / (1 + total)))
    middle, *outer = (_places(counts, cumulated, share * total) for share in (0.5, *_OUTER))
    scales = [(middle - place) / distance for place, distance in zip(outer, _FROM_MEDIAN, strict=True)]
    scale = np.maximum(np.maximum.reduce(scales), _MIN_SCALE_BINS) * (
        1 + _SCALE_ERROR / np.sqrt(np.maximum(total, 1.0))
    )
    bins = np.arange(counts.shape[1])
    scores = np.where(bins < np.floor(outer[0]), (middle - bins - 0.5) / scale, inside)
    # The line may start below where the counts ended: further out is never less striking.
    out: Table = np.maximum.accumulate(scores[:, ::-1], axis=1)[:, ::-1]
    return out


def _places(counts: Table, cumulated: Table, ranks: Table) -> Any:
    """The place in bins at which so many accounts are reached, interpolated; one a row."""
    reached = (cumulated >= ranks).argmax(axis=1)[:, None]
    here = np.take_along_axis(counts, reached, axis=1)
    before = np.take_along_axis(cumulated, reached, axis=1) - here
    return reached + (ranks - before) / np.maximum(here, 1.0)


def log_ratios(scores: Table, conversations: float) -> Table:
    """ln of how much likelier an attacker of so many conversations has such a score than an honest account has.

    An attacker shows the tell, and then its score is shifted, or it does not, and is like anybody's.

    >>> [round(float(ratio), 2) for ratio in log_ratios(np.array([-2.0, 0.0, 2.0, 4.0]), 48)]
    [-0.69, -0.58, 1.43, 5.46]
    >>> round(float(log_ratios(np.array([4.0]), 8)[0]), 2)
    2.39
    """
    shift = min(_SHIFT_PER_ROOT_CONVERSATION * math.sqrt(conversations), _MAX_SHIFT)
    shown = shift * np.clip(scores, *_CLIP) - shift * shift / 2
    out: Table = np.logaddexp(math.log(1 - _SHOWN), math.log(_SHOWN) + shown)
    return out
