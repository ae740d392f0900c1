"""Which groups were tested, on how much data, whose turn it is, and what counts as a discovery among the tests of four weeks.

Each test counts against the error rate, whatever comes out. So a group is tested again only when it has a third more data,
and one campaign is one discovery, under however many values it is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from stillwatch.correlation.blocks import BLOCK
from stillwatch.correlation.evidence import e_bh
from stillwatch.correlation.handoff_graph import CLUSTERS, HANDOFF
from stillwatch.correlation.invites import TREE
from stillwatch.correlation.linkage import Key
from stillwatch.correlation.mixtures import MIXTURE
from stillwatch.correlation.moment import GROWTH

T = TypeVar("T")

# Weights of e-BH (Wang and Ramdas 2022): where campaigns are likelier, less evidence is needed, and more elsewhere. Cards and
# sign-ups are bought and made in batches; templates and parameters are shared by everybody who copies an example,
# and most accounts that ask about the same are a trade.
_VIEW_WEIGHT: Final = {
    BLOCK: 3.0, HANDOFF: 3.0, "signup": 3.0, "payment": 3.0, "address": 1.0, "invite": 1.0, TREE: 1.0, "client": 1.0, "system": 0.5, "parameters": 0.25, "template": 0.25,
    MIXTURE: 0.25,
}  # fmt: skip
# Who shares a value is half bystanders, and of few accounts not enough is known in weeks: small groups weigh less. Blocks and
# what hand-offs connect have hardly any bystanders.
_PURE: Final = (BLOCK, HANDOFF)
_LARGE: Final = 20
_LEAST: Final = 0.2
# What an indicator that a group is like lends to its test. Between other views there is a factor of twelve.
_LENT_WEIGHT: Final = 10.0
# Indicators come from outside. Together they may add half of what all other tests weigh, and six groups in any case: however
# many false ones are sent, the evidence that everybody else needs grows by half.
_MAX_LENT_SHARE: Final = 0.5
_ALWAYS_LENT: Final = 60.0


@dataclass(frozen=True, slots=True)
class Stand:
    """What is asked of a group at a moment. ``bar``: the weighted e-value that a discovery needs, beside those that are one
    already. ``tests``: ever made."""

    level: float
    tests: int
    bar: float


class Docket:
    """Which groups are due, and e-BH over the tests of a horizon: the running era and the one before, which is what scores
    look back on. Bounded by the groups of the moment; see :meth:`forget`.

    *What is guaranteed.* Take any moment that is fixed beforehand, such as the end of an era, and the tests of its horizon. If
    each e-value of an honest group has a mean of at most 1, the expected share of false ones among the groups (a campaign
    counts as one) whose weighted evidence reaches the bar is at most ``level``, however the tests depend on each other: it is
    weighted e-BH on a fixed set of hypotheses, tests that failed and repeated ones included. What was tested before the
    horizon counts neither as a test nor as a discovery: counting the discoveries alone would lower the bar. So the bar follows
    the traffic of four weeks and not the age of the system.

    *What is not.* No bound holds over all horizons together; each has its own, and a year has 26 eras. A campaign that was
    opened stays open when later tests of the horizon raise the bar above it; it is then no part of the claim.

    >>> docket = Docket(level=0.05)
    >>> key = ("signup", "promo-a")
    >>> docket.is_due(key, 300, era=1), docket.enter(key, 300, era=1), docket.is_due(key, 330, era=1)
    (True, None, False)
    >>> docket.weigh(key, 10.0), docket.tests
    (30.0, 1)
    >>> docket.is_discovery(key, 30.0), docket.is_discovery(key, 90.0)
    (False, True)
    """

    def __init__(self, level: float) -> None:
        self._level = level
        self._tested_at: dict[Key, tuple[int, int]] = {}  # conversations then, and the era
        self._waiting: dict[Key, int] = {}  # since which turn
        self._turn = 0
        # By era the largest e-value: of groups, those that could yet be discoveries (the others only count); of campaigns.
        self._strong: dict[Key, dict[int, float]] = {}
        self._found: dict[str, dict[int, float]] = {}
        self._weights: dict[int, float] = {}  # of all tests, by era
        self._lent: dict[int, float] = {}  # of that, what indicators lent
        self._era = 0
        self.tests = 0  # ever

    # -- whose turn it is --------------------------------------------------------------------------------------------

    def is_due(self, key: Key, conversations: int, era: int) -> bool:
        """Whether it has a third more data than when it was last tested. At the end of an era accounts forget: then what
        was left of it is what it has to outgrow, or one that goes on as before would never be tested again."""
        tested_at, tested_in = self._tested_at.get(key, (0, 0))
        if tested_at and tested_in < era:
            tested_at = min(tested_at, conversations)
            self._tested_at[key] = tested_at, tested_in
        return conversations >= GROWTH * tested_at

    def next(self, due: Sequence[Key], at_most: int) -> set[Key]:
        """Which of those that are due are tested now: who has waited for most turns, then the likeliest view, then by value. The
        others wait.

        >>> docket, keys = Docket(level=0.05), [("client", "a"), ("client", "b"), ("payment", "c")]
        >>> sorted(docket.next(keys, at_most=2)), docket.waiting
        ([('client', 'a'), ('payment', 'c')], 1)
        >>> sorted(docket.next([*keys[1:], ("signup", "d")], at_most=2))
        [('client', 'b'), ('payment', 'c')]
        """
        self._turn += 1
        self._waiting = {key: self._waiting.get(key, self._turn) for key in due}
        chosen = set(due)
        if len(chosen) > at_most:
            order = sorted(chosen, key=lambda key: (self._waiting[key], -_weight(key), key))
            chosen = set(order[:at_most])
        for key in chosen:
            del self._waiting[key]
        return chosen

    @property
    def waiting(self) -> int:
        """Groups that were due at the last turn and not tested."""
        return len(self._waiting)

    def enter(self, key: Key, conversations: int, era: int) -> None:
        self._tested_at[key] = conversations, era

    # -- what is a discovery -----------------------------------------------------------------------------------------

    def begin(self, era: int) -> None:
        """Tests are made in this era from now on; what lies before its horizon counts no longer."""
        self._era = era
        self._strong, self._found = self._within(self._strong), self._within(self._found)
        self._weights, self._lent = self._recent(self._weights), self._recent(self._lent)

    def weigh(self, key: Key, e_value: float | None, accounts: int = _LARGE) -> float:
        """One more test, of a group of so many; its weighted e-value, 0 where there was too little to test."""
        self.tests += 1
        weight = _weight(key)
        if key[0] not in _PURE:
            weight *= min(max(accounts / _LARGE, _LEAST), 1.0)
        self._weights[self._era] = self._weights.get(self._era, 0.0) + weight
        return weight * (e_value or 0.0)

    def may_lend(self) -> bool:
        return self.lent + _LENT_WEIGHT <= max(_MAX_LENT_SHARE * (self.weight - self.lent), _ALWAYS_LENT)

    def lend(self, e_value: float | None) -> float:
        """More weight for a test, to add to its weighted e-value: as one more e-value of the same group would come in, with
        a weight of its own. So it may look at less of the data than the group's test does, namely at nothing by which the
        indicator was matched."""
        for weights in (self._lent, self._weights):
            weights[self._era] = weights.get(self._era, 0.0) + _LENT_WEIGHT
        return _LENT_WEIGHT * (e_value or 0.0)

    def is_strong(self, evidence: float) -> bool:
        """Whether it could be a discovery at all, were it the only test."""
        return evidence >= 1 / self._level

    def is_discovery(self, key: Key, evidence: float) -> bool:
        """Whether a group that belongs to no known campaign is one."""
        self._keep_largest(self._strong.setdefault(key, {}), evidence)
        known = [max(one.values()) for one in (*self._found.values(), *self._strong.values())]
        return evidence >= e_bh(known, self.weight, self._level)

    @property
    def stand(self) -> Stand:
        """
        >>> docket = Docket(level=0.05)
        >>> docket.weigh(("signup", "promo-a"), 10.0), docket.stand
        (30.0, Stand(level=0.05, tests=1, bar=60.0))
        """
        known = [max(one.values()) for one in (*self._found.values(), *self._strong.values())]
        smallest = e_bh(known, self.weight, self._level)
        made = sum(evidence >= smallest for evidence in known)
        return Stand(self._level, self.tests, self.weight / (self._level * max(made, 1)))

    @property
    def weight(self) -> float:
        """Of all tests of the horizon."""
        return sum(self._weights.values())

    @property
    def lent(self) -> float:
        """Of that, what indicators lent."""
        return sum(self._lent.values())

    def settle(self, key: Key) -> None:
        """It has become a campaign, and counts as that from now on. Clusters that hand over later are other accounts."""
        self._strong.pop(key, None)
        if key == CLUSTERS:
            self._tested_at.pop(key, None)

    def confirm(self, campaign: str, evidence: float) -> None:
        """A group of this known campaign has passed."""
        self._keep_largest(self._found.setdefault(campaign, {}), evidence)

    def unite(self, older: str, younger: str) -> None:
        """Two campaigns have proved to be one, and are one discovery from now on."""
        mine, other = self._found.get(older, {}), self._found.pop(younger, {})
        if both := {era: max(mine.get(era, 0.0), other.get(era, 0.0)) for era in mine.keys() | other.keys()}:
            self._found[older] = both

    def forget(self, lives: Callable[[Key], bool]) -> None:
        """Values that no account shows any longer: there are new ones every day, for ever."""
        self._tested_at = {key: tested for key, tested in self._tested_at.items() if lives(key)}
        self._strong = {key: one for key, one in self._strong.items() if key in self._tested_at}

    def _keep_largest(self, by_era: dict[int, float], evidence: float) -> None:
        by_era[self._era] = max(evidence, by_era.get(self._era, 0.0))

    def _recent(self, by_era: dict[int, float]) -> dict[int, float]:
        return {era: value for era, value in by_era.items() if era >= self._era - 1}

    def _within(self, known: dict[T, dict[int, float]]) -> dict[T, dict[int, float]]:
        return {name: recent for name, one in known.items() if (recent := self._recent(one))}

    def __len__(self) -> int:
        return len(self._tested_at)


def _weight(key: Key) -> float:
    return _VIEW_WEIGHT.get(key[0], 1.0)
