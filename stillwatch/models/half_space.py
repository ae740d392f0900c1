"""River's half-space trees, walked once a request: the same way leads to the score and to the leaf that has met one more.

River walks twice, over its node objects. Here a tree is nested tuples with a leaf at each end. What a leaf scores is fixed
by the last whole window, and what it has met waits there until :meth:`Walks.settle` hands it to River's own nodes: at the
end of a window, where River turns the page, and before a snapshot. So the model is River's, to the last bit; a test holds
both side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from stillwatch.models.base import CheckedFeatures


class Leaf:
    """Where a tree ends. ``mass`` is what River's walk to here adds up to: mass × 2^depth of every node on its way."""

    __slots__ = ("mass", "met", "way")

    def __init__(self, way: tuple[Any, ...]) -> None:
        self.way = way  # River's nodes from the root to here
        self.mass = 0
        self.met = 0  # requests since River's nodes were told


# (place of the feature, threshold, what is below it, what is not)
_Node = tuple[int, float, Any, Any]


class Walks:
    """Of trees that River has built, for requests with the features ``names``. Others are left to River itself."""

    def __init__(self, trees: Any, names: tuple[str, ...]) -> None:
        self._trees, self._names = trees, names
        self._levels: Final = range(trees.height)
        self._leaves: list[Leaf] = []
        self._roots: list[Any] = [self._grown(root, ()) for root in trees.trees]
        self._most: Final[int] = trees.n_trees * trees.window_size * (2 ** (trees.height + 1) - 1)
        self._waiting = 0
        self._weigh()

    def _grown(self, of_river: Any, way: tuple[Any, ...]) -> _Node | Leaf:
        way = (*way, of_river)
        if len(way) <= len(self._levels):
            low, high = of_river.children
            place = self._names.index(of_river.feature)
            return place, of_river.threshold, self._grown(low, way), self._grown(high, way)
        leaf = Leaf(way)
        self._leaves.append(leaf)
        return leaf

    def leaves(self, x: CheckedFeatures) -> list[Leaf] | None:
        """One a tree; ``None`` where its features are others."""
        if x.names is not self._names and x.names != self._names:
            return None
        values, found = x.values, []
        for node in self._roots:
            for _ in self._levels:
                place, threshold, below, above = node
                node = below if values[place] < threshold else above
            found.append(node)
        return found

    def score(self, x: CheckedFeatures, leaves: Sequence[Leaf] | None) -> float:
        """``leaves`` are those of ``x``, here and below."""
        if leaves is None:
            self.settle()
            return float(self._trees.score_one(x.as_map()))
        mass = 0
        for leaf in leaves:
            mass += leaf.mass
        return 1.0 - mass / self._most

    def learn(self, x: CheckedFeatures, leaves: Sequence[Leaf] | None) -> None:
        """The last request of a window is River's own, which then begins the next one."""
        if leaves is None or self._trees.counter + self._waiting == self._trees.window_size - 1:
            self.settle()
            self._trees.learn_one(x.as_map())
            if self._trees.counter == 0:
                self._weigh()
            return
        for leaf in leaves:
            leaf.met += 1
        self._waiting += 1

    def settle(self) -> None:
        """River's nodes are told what the leaves have met."""
        for leaf in self._leaves:
            if leaf.met:
                for node in leaf.way:
                    node.l_mass += leaf.met
                leaf.met = 0
        self._trees.counter += self._waiting
        self._waiting = 0

    def _weigh(self) -> None:
        per_tree = 1 << len(self._levels)
        for number, root in enumerate(self._trees.trees):
            self._weigh_below(root, number * per_tree, per_tree, 1, 0)

    def _weigh_below(self, of_river: Any, first: int, count: int, weight: int, above: int) -> None:
        """The leaves below a node stand side by side. Where too few came River stops: they all score alike."""
        mass = above + of_river.r_mass * weight
        if count == 1 or of_river.r_mass < self._trees.size_limit:
            for leaf in self._leaves[first : first + count]:
                leaf.mass = mass
            return
        half = count // 2
        low, high = of_river.children
        self._weigh_below(low, first, half, 2 * weight, mass)
        self._weigh_below(high, first + half, half, 2 * weight, mass)


def features_of(trees: Any) -> frozenset[str]:
    """What River's trees ask for; nothing before they are built, which the first request does."""
    return frozenset(node.feature for tree in trees.trees for node in tree.iter_dfs() if hasattr(node, "feature"))
