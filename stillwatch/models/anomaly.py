"""The cohort's anomaly model: River's half-space trees over the features of all accounts of a partition.

One a partition, never one an account: its cost a request and its memory grow with trees × depth, so it has few, shallow
ones (benchmarks/in_process.py), and they are walked once a request (:mod:`stillwatch.models.half_space`). It scores 0 for
its first window, which would look like "normal": that is ``None`` here. It forgets sustained bursts (River's own docstring,
issue #260), which is why it is one signal among several and why learning from it is gated by the caller.
"""

from __future__ import annotations

from typing import Any, Final

from river import anomaly

from stillwatch.models.base import CheckedFeatures, Features, checked, pack, unpack
from stillwatch.models.half_space import Leaf, Walks, features_of

_TREES: Final = 8
_HEIGHT: Final = 6
_WINDOW: Final = 250  # requests a window; shorter ones make the mass profile of trees of this height too sparse


class CohortAnomaly:
    """
    >>> model = CohortAnomaly(seed=1)
    >>> model.score({"a": 0.2}) is None
    True
    >>> for _ in range(300):
    ...     model.learn({"a": 0.2, "b": 0.3})
    >>> model.score({"a": 0.2, "b": 0.3}) < model.score({"a": 0.95, "b": 0.9})
    True
    """

    name = "cohort_anomaly"

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._trees: Any = None  # made on first use
        self._walks: Walks | None = None
        self._asked: frozenset[str] = frozenset()  # the features in the trees
        self._learned = 0
        # Scored and then learned: the same request, one walk.
        self._last: tuple[CheckedFeatures, list[Leaf] | None] | None = None

    def score(self, features: Features) -> float | None:
        x = checked(features)
        if x is None or self._trees is None or self._learned <= _WINDOW:
            return None
        walks = self._walks or self._walked(x)
        if walks is None:
            return max(float(self._trees.score_one(x.as_map())), 0.0)
        leaves = walks.leaves(x)
        self._last = x, leaves
        return max(walks.score(x, leaves), 0.0)

    def learn(self, features: Features, attack: bool | None = None) -> None:
        x = checked(features)
        if x is None or attack:  # what is known to be an attack does not teach what is normal
            return
        if self._trees is None:
            self._trees = anomaly.HalfSpaceTrees(n_trees=_TREES, height=_HEIGHT, window_size=_WINDOW, seed=self._seed)
        walks = self._walks or self._walked(x)
        if walks is None:
            self._trees.learn_one(x.as_map())  # the first one builds the trees
        else:
            last = self._last
            walks.learn(x, last[1] if last is not None and last[0] is x else walks.leaves(x))
        self._learned += 1

    def _walked(self, x: CheckedFeatures) -> Walks | None:
        """From the first request on that has all features of the trees: the second ever, the first after a restore."""
        if not self._asked:
            self._asked = features_of(self._trees)
        if self._asked and self._asked.issubset(x.names):
            self._walks = Walks(self._trees, x.names)
        return self._walks

    def snapshot(self) -> bytes:
        if self._walks is not None:
            self._walks.settle()
        return pack(self.name, {"trees": self._trees, "learned": self._learned, "seed": self._seed})

    def restore(self, snapshot: bytes) -> None:
        state = unpack(self.name, snapshot)
        self._trees, self._learned, self._seed = state["trees"], state["learned"], state["seed"]
        self._walks, self._asked, self._last = None, frozenset(), None
