"""Which groups were tested, on how much data, and what counts as a discovery among all tests ever made.

Each test counts against the error rate, whatever comes out. So a group is tested again only when it has a third more data,
and one campaign is one discovery, under however many values it is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from stillwatch.correlation.blocks import BLOCK
from stillwatch.correlation.evidence import e_bh
from stillwatch.correlation.handoff_graph import HANDOFF
from stillwatch.correlation.linkage import Key
from stillwatch.correlation.mixtures import MIXTURE
from stillwatch.correlation.moment import GROWTH

# Weights of e-BH (Wang and Ramdas 2022): where campaigns are likelier, less evidence is needed, and more elsewhere. Cards and
# sign-ups are bought and made in batches; templates and parameters are shared by everybody who copies an example,
# and most accounts that ask about the same are a trade.
_VIEW_WEIGHT: Final = {
    BLOCK: 3.0, HANDOFF: 3.0, "signup": 3.0, "payment": 3.0, "address": 1.0, "client": 1.0, "system": 0.5, "parameters": 0.25, "template": 0.25,
    MIXTURE: 0.25,
}  # fmt: skip
# What an indicator that a group is like lends to its test. Between other views there is a factor of twelve.
_LENT_WEIGHT: Final = 10.0
# Indicators come from outside. Together they may add half of what all other tests weigh, and six groups in any case: however
# many false ones are sent, the evidence that everybody else needs grows by half.
_MAX_LENT_SHARE: Final = 0.5
_ALWAYS_LENT: Final = 60.0


class Docket:
    """Bounded by the groups of the moment; see :meth:`forget`.

    >>> docket = Docket(level=0.05)
    >>> key = ("signup", "promo-a")
    >>> docket.is_due(key, 300, era=1), docket.enter(key, 300, era=1), docket.is_due(key, 330, era=1)
    (True, None, False)
    >>> docket.weigh(key, 10.0), docket.tests
    (30.0, 1)
    >>> docket.is_discovery(key, 30.0, known=[]), docket.is_discovery(key, 90.0, known=[])
    (False, True)
    """

    def __init__(self, level: float) -> None:
        self._level = level
        self._tested_at: dict[Key, tuple[int, int]] = {}  # conversations then, and the era
        self._strong: dict[Key, float] = {}  # e-values that could yet be discoveries; the others only count
        self.tests = 0
        self._weights = 0.0  # of all tests
        self._lent = 0.0  # of that, what indicators lent

    def is_due(self, key: Key, conversations: int, era: int) -> bool:
        """Whether it has a third more data than when it was last tested. At the end of an era accounts forget: then what
        was left of it is what it has to outgrow, or one that goes on as before would never be tested again."""
        tested_at, tested_in = self._tested_at.get(key, (0, 0))
        if tested_at and tested_in < era:
            tested_at = min(tested_at, conversations)
            self._tested_at[key] = tested_at, tested_in
        return conversations >= GROWTH * tested_at

    def enter(self, key: Key, conversations: int, era: int) -> None:
        self._tested_at[key] = conversations, era

    def weigh(self, key: Key, e_value: float | None) -> float:
        """One more test; its weighted e-value, 0 where there was too little to test."""
        weight = _VIEW_WEIGHT.get(key[0], 1.0)
        self.tests += 1
        self._weights += weight
        return weight * (e_value or 0.0)

    def may_lend(self) -> bool:
        return self._lent + _LENT_WEIGHT <= max(_MAX_LENT_SHARE * (self._weights - self._lent), _ALWAYS_LENT)

    def lend(self, e_value: float | None) -> float:
        """More weight for a test, to add to its weighted e-value: as one more e-value of the same group would come in, with
        a weight of its own. So it may look at less of the data than the group's test does, namely at nothing by which the
        indicator was matched."""
        self._lent += _LENT_WEIGHT
        self._weights += _LENT_WEIGHT
        return _LENT_WEIGHT * (e_value or 0.0)

    def is_strong(self, evidence: float) -> bool:
        """Whether it could be a discovery at all, were it the only test."""
        return evidence >= 1 / self._level

    def is_discovery(self, key: Key, evidence: float, known: Iterable[float]) -> bool:
        """Whether a group that belongs to no known campaign is one. ``known``: the evidence of each known campaign."""
        self._strong[key] = max(evidence, self._strong.get(key, 0.0))
        return evidence >= e_bh([*known, *self._strong.values()], self._weights, self._level)

    def settle(self, key: Key) -> None:
        """It has become a campaign, and counts as that from now on."""
        self._strong.pop(key, None)

    def forget(self, lives: Callable[[Key], bool]) -> None:
        """Values that no account shows any longer: there are new ones every day, for ever."""
        self._tested_at = {key: tested for key, tested in self._tested_at.items() if lives(key)}
        self._strong = {key: e_value for key, e_value in self._strong.items() if key in self._tested_at}

    def __len__(self) -> int:
        return len(self._tested_at)
