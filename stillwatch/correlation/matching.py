"""Which imported indicators a group is like: by its topics, or by values that mean the same on every platform.

A match proposes and is no evidence: an indicator may be wrong, or made to harm. What weight it lends is in ``docket``.

Topics. With m the indicator's mixture, p that of honest accounts here and q_i that of the group's i-th organisation, all
over the cells that the indicator names and one more for the rest, its *share* is the slope of q_i - p along m - p in the
chi-square metric, averaged over organisations:

    share = mean_i of sum_c (m_c - p_c) (q_ic - p_c) / p_c  /  sum_c (m_c - p_c)^2 / p_c

0 for people, 1 for accounts that ask from this pool alone, s for a group of which a part s does, or with 1 - s of cover. It is
linear in q, so sampling of the group's accounts adds an error and no bias, and the error is their own scatter: narrow people
have a large one. Sampling in m, which nobody here can take off, lengthens m - p, so it lowers the share: it errs towards no
match. *Likeness* is the cosine of the group's deviation and the indicator's, the group's length being that of products of two
different accounts: a group with one favourite topic of the pool's has a large share of it, and another shape.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from stillwatch.correlation.homogeneity import Counts
from stillwatch.correlation.linkage import Key, LinkageIndex
from stillwatch.correlation.nulls import Population
from stillwatch.correlation.table import AccountTable
from stillwatch.fingerprint import CELLS
from stillwatch.indicators import EXCHANGED, ExchangeKeys, Indicator, value_hash
from stillwatch.verdict import Signal

Slots = npt.NDArray[np.int64]
Vector = npt.NDArray[np.float64]

_MIN_UNITS: Final = 8  # as many organisations as a group needs
# Standard errors above 0: 1 in 1,000 by a normal law. Honest groups of the simulator reach 3 about as often.
_MIN_ERRORS: Final = 3.0
_MIN_SHARE: Final = 0.2
# Cosines of groups that draw from the pool scatter from .4 up, with half of two days' data; of one favourite topic it is .1.
_MIN_LIKENESS: Final = 0.3
# Chi-square distance from honest people's mixture, of which 800 conversations show some .1 by chance. A mixture about that of
# everybody has no direction to speak of.
_MIN_DISTANCE: Final = 0.05
# A value that more than this share of accounts have tells nobody; a campaign can be as large as that.
_POPULAR_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Match:
    """``share`` of the group's topics that is the indicator's pool, its standard ``error``, ``likeness`` of shape (0..1);
    ``values``: how many hashed values both have."""

    indicator: Indicator
    share: float
    error: float
    likeness: float
    values: int

    @property
    def by_topics(self) -> bool:
        return (
            self.share >= max(_MIN_SHARE, _MIN_ERRORS * self.error)
            # Nobody draws more than all from a pool: what does lies in its direction for another reason.
            and self.share - _MIN_ERRORS * self.error <= 1
            and self.likeness >= _MIN_LIKENESS
        )

    @property
    def strength(self) -> tuple[int, float, str]:
        """Values first; the name makes two equal ones agree everywhere."""
        return self.values, self.share / max(self.error, 1e-9) if self.by_topics else 0.0, self.indicator.id

    def signal(self) -> Signal:
        one = self.indicator
        said = []
        if self.values:
            said.append(f"{self.values} of its hashed values are shared by half of the members and more")
        if self.by_topics:
            said.append(
                f"{self.share:.0%} ± {self.error:.0%} of the topics are its pool's, likeness {self.likeness:.2f}"
            )
        sentence = (
            f"like the indicator {one.id}, campaign {one.campaign} of {one.issuer}: {'; '.join(said)}. Others said this; "
            "it led to a closer look and is no evidence"
        )
        return Signal("indicator", round(self.share, 4), None, None, sentence)


class Matcher:
    """Indicators against the population of one moment. Bounded by the indicators."""

    def __init__(
        self, indicators: Sequence[Indicator], keys: ExchangeKeys, table: AccountTable, links: LinkageIndex,
        population: Population,
    ) -> None:  # fmt: skip
        self._indicators = sorted(indicators, key=lambda one: one.id)
        self._keys, self._table, self._links = keys, table, links
        self._pools = [_Pool.of(one, population) for one in self._indicators]
        # Of all at once, since groups are many: projections are one product of matrices, shapes are for those that are left.
        self._slopes = np.column_stack([pool.slope for pool in self._pools]) if self._pools else np.zeros((CELLS, 0))
        self._at_people = np.array([pool.at_people for pool in self._pools])
        self._names = sorted({one.key for one in self._indicators if one.key is not None and one.key in keys})
        self._hashes = [{digest for found in one.values.values() for digest in found} for one in self._indicators]

    def best(self, slots: Slots, half: int | None = None) -> tuple[Match | None, Match | None]:
        """(by shared values, by topics of this half of the conversations, or of all)."""
        found = self._matches(slots, half)
        by_values = [match for match in found if match.values]
        by_topics = [match for match in found if match.by_topics]
        return (
            max(by_values, key=lambda match: match.strength, default=None),
            max(by_topics, key=lambda match: match.share / max(match.error, 1e-9), default=None),
        )

    def of_campaign(self, slots: Slots) -> Match | None:
        return max((m for m in self.best(slots) if m is not None), key=lambda match: match.strength, default=None)

    def _matches(self, slots: Slots, half: int | None) -> list[Match]:
        if not len(slots):
            return []
        counts = self._table.counts_of_units(slots, half)
        counts = counts[counts.sum(axis=1) > 0]
        mixtures = counts / counts.sum(axis=1, keepdims=True)
        hashed = self._hashed(slots)
        if len(mixtures) >= _MIN_UNITS:
            shares = mixtures @ self._slopes - self._at_people
            mean, error = shares.mean(axis=0), shares.std(axis=0, ddof=1) / np.sqrt(len(mixtures))
        else:
            mean = error = np.zeros(len(self._pools))
        out = []
        for one, pool, hashes, share, its_error in zip(
            self._indicators, self._pools, self._hashes, mean.tolist(), error.tolist(), strict=True
        ):
            values = len(hashes & hashed.get(one.key or "", set()))
            likeness = pool.likeness(mixtures, share) if share >= max(_MIN_SHARE, _MIN_ERRORS * its_error) else 0.0
            out.append(Match(one, share, its_error, likeness, values))
        return out

    def _hashed(self, slots: Slots) -> dict[str, set[str]]:
        """By key: values of half of the accounts and more that are not simply popular."""
        if not self._names:
            return {}
        shown = Counter(key for slot in slots for key in self._table.links(int(slot)) if key[0] in EXCHANGED)
        common = [key for key, count in shown.items() if 2 * count >= len(slots) and not self._is_popular(key)]
        return {name: {value_hash(self._keys[name], *key) for key in common} for name in self._names}

    def _is_popular(self, key: Key) -> bool:
        sharing = len(self._links.sharing(key))  # none: more than the index holds
        return not 0 < sharing <= max(_POPULAR_SHARE * len(self._table), _MIN_UNITS)


@dataclass(frozen=True, slots=True, eq=False)
class _Pool:
    """``slope``: a mixture's product with it, less ``at_people``, is its share. Zeros for a pool that is about everybody's."""

    named: npt.NDArray[np.bool_]
    people: Vector
    weight: Vector
    distance: float
    slope: Vector
    at_people: float

    @classmethod
    def of(cls, indicator: Indicator, population: Population) -> _Pool:
        shares = indicator.shares()
        named = shares > 0
        people = _folded(population.mean[None, :], named)[0]
        scatter = _folded(population.mixture[None, :], named)[0]  # no cell of it is 0; the rest is, where all are named
        weight = np.divide(1.0, scatter, out=np.zeros_like(scatter), where=scatter > 0)
        apart = np.append(shares[named], indicator.rest_per_mille / 1_000) - people
        distance = float(apart @ (weight * apart))
        folded = weight * apart / distance if distance >= _MIN_DISTANCE else np.zeros_like(apart)
        slope = np.full(len(shares), folded[-1])
        slope[named] = folded[:-1]
        return cls(named, people, weight, distance, slope, float(folded @ people))

    def likeness(self, mixtures: Counts, share: float) -> float:
        """0 to 1. ``mixtures``: a row an organisation."""
        count = len(mixtures)
        apart = _folded(mixtures, self.named) - self.people
        total = apart.sum(axis=0)
        length = float(total @ (self.weight * total) - (apart**2 @ self.weight).sum()) / (count * (count - 1))
        # Not above 0: beside sampling the group does not deviate from people at all that one could see, in no other way either.
        likeness = share * np.sqrt(self.distance / length) if length > 0 else 1.0
        return float(np.clip(likeness, 0.0, 1.0))


def _folded(mixtures: Counts, named: npt.NDArray[np.bool_]) -> Counts:
    """The named cells, and the sum of the others."""
    return np.column_stack([mixtures[:, named], mixtures[:, ~named].sum(axis=1)])
