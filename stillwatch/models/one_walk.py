"""River's half-space trees, walked once a request where River walks them twice: to score, and to learn.

Both walks take the same way, because where it goes depends on the request alone. And what a tree says of a request depends
only on the leaf that it comes to, until the window ends: it is tabulated then, for all leaves at once, and only leaves are
counted in between; what stands above them is their sum. River makes the trees, and keeps them in snapshots. Every score
is River's, bit for bit (tests/unit/test_one_walk.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from stillwatch.models.base import Features


class OneWalk:
    """``trees`` is River's model after its first lesson; it is up to date after :meth:`to_river`."""

    def __init__(self, trees: Any) -> None:
        self._trees = trees
        self._levels = range(trees.height)
        self._way: list[int] = []  # the leaf in each tree that `_walked` came to
        self._walked: Features | None = None
        self._masses: list[int] = []  # of leaves, in this window
        self._read: list[int] = []  # in the last one: what scores are read from
        self._said: list[int] = []
        self._highest = 0.0
        self._leaf_nodes: list[Any] = []
        # (feature, threshold, left, right) down to the numbers of leaves, which go on from tree to tree.
        self._roots = [self._flat(root, trees.height) for root in trees.trees]
        self._from_river()

    def _flat(self, node: Any, height: int) -> Any:
        if not height:
            self._leaf_nodes.append(node)
            return len(self._leaf_nodes) - 1
        left, right = (self._flat(child, height - 1) for child in node.children)
        return node.feature, node.threshold, left, right

    def score(self, x: Features) -> float:
        """What River's ``score_one`` says."""
        if self._trees._first_window:
            return 0.0
        leaves = self._way if x is self._walked else self._walk(x)
        if not leaves:
            self.to_river()
            return float(self._trees.score_one(x))
        said = self._said
        total = 0
        for leaf in leaves:
            total += said[leaf]
        return 1 - total / self._highest

    def learn(self, x: Features) -> None:
        """What River's ``learn_one`` does."""
        leaves = self._way if x is self._walked else self._walk(x)
        if not leaves:
            self.to_river()
            self._trees.learn_one(x)
            self._from_river()
            return
        masses = self._masses
        for leaf in leaves:
            masses[leaf] += 1
        trees = self._trees
        trees.counter += 1
        if trees.counter == trees.window_size:
            self._read, self._masses = masses, [0] * len(masses)
            trees._first_window, trees.counter = False, 0
            self._tabulate()

    def _walk(self, x: Features) -> list[int]:
        """The leaves; none where a feature is missing: then River goes where most have gone."""
        out, levels = [], self._levels
        try:
            for node in self._roots:
                for _ in levels:
                    feature, threshold, left, right = node
                    node = left if x[feature] < threshold else right
                out.append(node)
        except KeyError:
            out = []
        self._walked, self._way = x, out
        return out

    def _tabulate(self) -> None:
        """By leaf: the masses of the last window along the way to it, doubled with each level, up to where too few went."""
        said = np.zeros(len(self._read), dtype=np.int64)
        goes_on = np.ones(len(self._read), dtype=np.bool_)
        for depth, masses in enumerate(self._by_level(self._read)):
            here = np.repeat(masses, 1 << self._trees.height - depth)
            said += np.where(goes_on, here << depth, 0)
            goes_on &= here >= self._trees.size_limit
        self._said, self._highest = said.tolist(), float(self._trees._max_score)

    def _by_level(self, of_leaves: list[int]) -> list[npt.NDArray[np.int64]]:
        """From the roots down, all trees behind each other."""
        levels = [np.array(of_leaves, dtype=np.int64)]
        for _ in self._levels:
            levels.append(levels[-1].reshape(-1, 2).sum(axis=1))
        return levels[::-1]

    def _from_river(self) -> None:
        self._masses = [node.l_mass for node in self._leaf_nodes]
        self._read = [node.r_mass for node in self._leaf_nodes]
        self._tabulate()

    def to_river(self) -> None:
        learned, read = self._by_level(self._masses), self._by_level(self._read)
        nodes = self._trees.trees
        for depth, (l_masses, r_masses) in enumerate(zip(learned, read, strict=True)):
            for node, l_mass, r_mass in zip(nodes, l_masses.tolist(), r_masses.tolist(), strict=True):
                node.l_mass, node.r_mass = l_mass, r_mass
            if depth < self._trees.height:
                nodes = [child for node in nodes for child in node.children]
