"""The cohort's anomaly model: River's half-space trees over the features of all accounts of a partition.

One a partition, never one an account: its cost a request and its memory grow with trees × depth, so it has few, shallow
ones (benchmarks/in_process.py). It scores 0 for its first window, which
would look like "normal": that is ``None`` here. It forgets sustained bursts (River's own docstring, issue #260), which
is why it is one signal among several and why learning from it is gated by the caller.
"""

from __future__ import annotations

from typing import Any, Final

from river import anomaly

from stillwatch.models.base import Features, checked, pack, unpack
from stillwatch.models.one_walk import OneWalk

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
        self._trees: Any = None  # made on first use: 60 ms
        self._walk: OneWalk | None = None  # over them
        self._learned = 0

    def score(self, features: Features) -> float | None:
        x = checked(features)
        if x is None or self._walk is None or self._learned <= _WINDOW:
            return None
        return min(max(self._walk.score(x), 0.0), 1.0)

    def learn(self, features: Features, attack: bool | None = None) -> None:
        x = checked(features)
        if x is None or attack:  # what is known to be an attack does not teach what is normal
            return
        if self._walk is None:
            self._trees = anomaly.HalfSpaceTrees(n_trees=_TREES, height=_HEIGHT, window_size=_WINDOW, seed=self._seed)
            self._trees.learn_one(x)
            self._walk = OneWalk(self._trees)
        else:
            self._walk.learn(x)
        self._learned += 1

    def snapshot(self) -> bytes:
        if self._walk is not None:
            self._walk.to_river()
        return pack(self.name, {"trees": self._trees, "learned": self._learned, "seed": self._seed})

    def restore(self, snapshot: bytes) -> None:
        state = unpack(self.name, snapshot)
        self._trees, self._learned, self._seed = state["trees"], state["learned"], state["seed"]
        self._walk = None if self._trees is None else OneWalk(self._trees)
