"""Do the accounts of a group send equally much? A balancing dispatcher sees to it; people differ a hundredfold.

The figure is the spread of the units' log volumes (conversations a day), taken from their *shortest half* (Rousseeuw
& Leroy 1988): bystanders that share the value with a campaign lie outside it, up to half of the group. It is the
logarithm of a standard deviation, so that the error does not depend on the spread itself, and no smaller than the
spread that equal accounts with so many conversations have by chance (Poisson): light accounts are no evidence. Low is
suspicious.

Honest machines of strangers (a timer in a popular tool) send equally much, too: it counts beside content. ``conduct``'s
evenness of days looks at one account over days, this at one period over accounts. Among honest groups of people the two
are hardly related (`python -m benchmarks.groups --tests` prints the correlation), but a machine shows both, and so does a
dispatcher: their evidence is to be averaged and not multiplied.

A relay that deals out by weights, or whose accounts play persons of different volumes, is not seen by this.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from stillwatch.correlation.finding import Finding
from stillwatch.correlation.group_null import GroupNull, median
from stillwatch.correlation.table import AccountTable, Slots

MIN_UNITS: Final = 10  # the half of fewer is five or six values, which are equal by chance now and then
# The shortest half of a normal law is 1.349 standard deviations long. Of n values it comes out shorter, by this much of
# its logarithm, with this variance: from 20,000 samples of each of eleven sizes from 6 to 400, to within .04 and 5 %.
_HALF: Final = 1.349
_VARIANCE: Final = 1.22
_SHORT: Final = (1.45, 0.6)
# Honest groups differ by at least this much beside sampling, however few groups there are to learn it from: by a fifth.
_MIN_BETWEEN: Final = 0.2


@dataclass(frozen=True, slots=True)
class Spread:
    """``log_sd``: natural logarithm of the standard deviation of log volumes; ``inside``: units in the shortest half,
    from ``low`` to ``high`` conversations a day."""

    log_sd: float
    variance: float
    units: int
    inside: int
    low: float
    high: float


def spread(table: AccountTable, slots: Slots, now_unix_nano: int) -> Spread | None:
    """``None`` with fewer than ``MIN_UNITS`` units."""
    conversations, days = table.volumes_of_units(slots, now_unix_nano)
    known = conversations > 0
    daily = conversations[known] / days[known]
    units = len(daily)
    if units < MIN_UNITS:
        return None
    order = np.argsort(daily, kind="stable")
    logs = np.log(daily[order])
    half = units // 2 + 1
    lengths = logs[half - 1 :] - logs[: units - half + 1]
    at = int(np.argmin(lengths))
    inside = slice(at, at + half)
    chance = 1 / math.sqrt(median(conversations[known][order][inside]))
    sd = max(float(lengths[at]) / _HALF, chance)
    return Spread(
        math.log(sd) + _SHORT[0] * units ** -_SHORT[1], _VARIANCE / units * (1 + 2 / units), units, half,
        float(daily[order][at]), float(daily[order][at + half - 1]),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class EqualVolumes:
    """What is normal: ``null`` of the groups of the moment, ``None`` before enough were seen."""

    null: GroupNull | None
    now_unix_nano: int

    @classmethod
    def learn(cls, table: AccountTable, groups: Iterable[Slots], now_unix_nano: int) -> EqualVolumes:
        found = [one for slots in groups if (one := spread(table, slots, now_unix_nano)) is not None]
        return cls(GroupNull.of([(one.log_sd, one.variance) for one in found], _MIN_BETWEEN), now_unix_nano)


def equal_volumes(table: AccountTable, slots: Slots, normal: EqualVolumes) -> Finding | None:
    """One-sided. ``None`` for a small group, or before enough groups were seen. ``value``: a standard deviation of
    natural logarithms; 0.1 is ten percent."""
    found = spread(table, slots, normal.now_unix_nano) if normal.null is not None else None
    if normal.null is None or found is None:
        return None
    low, high = (math.exp(bound) for bound in normal.null.interval(found.variance))
    p_value = normal.null.p_value(found.log_sd, found.variance, found.units)
    value = math.exp(found.log_sd)
    sentence = (
        f"{found.inside} of {found.units} accounts open between {found.low:.1f} and {found.high:.1f} conversations a "
        f"day: their volumes differ by a factor of {math.exp(value):.2f} as a rule, among accounts that share something "
        f"else by {math.exp(low):.2f} to {math.exp(high):.2f}"
    )
    return Finding("equal_volumes", value, (low, high), p_value, sentence)
