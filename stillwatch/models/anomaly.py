"""The cohort's anomaly model: River's half-space trees over the features of all accounts of a partition.

One a partition, never one an account: its cost a request and its memory grow with trees × depth, so it has few, shallow
ones (benchmarks/in_process.py). River learns; the score is read from a table that is made of River's trees once a window,
because what they score by changes no sooner. A test holds the two equal.

It scores 0 for its first window, which would look like "normal": that is ``None`` here. It forgets sustained bursts (River's own docstring, issue #260), which
is why it is one signal among several and why learning from it is gated by the caller.
"""

from __future__ import annotations

from typing import Any, Final

from river import anomaly

from stillwatch.models.base import Features, checked, pack, unpack

_TREES: Final = 8
_HEIGHT: Final = 6
_WINDOW: Final = 250  # requests a window; shorter ones make the mass profile of trees of this height too sparse
# The mass of a window that falls into one leaf of every tree, as River weighs it.
_MOST: Final = _TREES * _WINDOW * (2 ** (_HEIGHT + 1) - 1)

# Where a walk ends, the sum of what it met; else (feature, threshold, what lies below it, what does not).
_Node = int | tuple[str, float, Any, Any]


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
        self._learned = 0
        self._scored: list[_Node] = []  # one a tree, of the last whole window

    def score(self, features: Features) -> float | None:
        x = checked(features)
        if x is None or self._trees is None or self._learned <= _WINDOW:
            return None
        mass = 0
        try:
            for node in self._scored:
                while type(node) is tuple:
                    name, threshold, below, above = node
                    node = below if x[name] < threshold else above
                mass += node  # type: ignore[operator]
        except KeyError:  # a feature that the trees know is missing: River goes where most went
            return min(max(float(self._trees.score_one(x)), 0.0), 1.0)
        return min(max(1 - mass / _MOST, 0.0), 1.0)

    def learn(self, features: Features, attack: bool | None = None) -> None:
        x = checked(features)
        if x is None or attack:  # what is known to be an attack does not teach what is normal
            return
        if self._trees is None:
            self._trees = anomaly.HalfSpaceTrees(n_trees=_TREES, height=_HEIGHT, window_size=_WINDOW, seed=self._seed)
        self._trees.learn_one(x)
        self._learned += 1
        if self._trees.counter == 0:
            self._read()

    def _read(self) -> None:
        """The table of the window that has just ended."""
        self._scored = [_scored(tree, _HEIGHT, 1, 0) for tree in self._trees.trees]

    def snapshot(self) -> bytes:
        return pack(self.name, {"trees": self._trees, "learned": self._learned, "seed": self._seed})

    def restore(self, snapshot: bytes) -> None:
        state = unpack(self.name, snapshot)
        self._trees, self._learned, self._seed = state["trees"], state["learned"], state["seed"]
        if self._trees is not None:
            self._read()


def _scored(node: Any, height: int, weight: int, above: int) -> _Node:
    """What River's walk from here on adds up to: mass × 2^depth of every node on its way, to where too few ever came."""
    mass = above + node.r_mass * weight
    if height == 0 or node.r_mass < 0.1 * _WINDOW:
        return mass
    low, high = (_scored(child, height - 1, 2 * weight, mass) for child in node.children)
    # Both halves are alike where both are empty: no need to ask.
    return low if low == high else (node.feature, node.threshold, low, high)
