"""FRAUDAR: the densest block of accounts and the values that they share, camouflage or not (Hooi et al., KDD 2016).

A bipartite graph of accounts and values (identity attributes, templates, system prompts). An edge weighs 1 / log(d + 5)
where d is how many accounts the value has, so what is popular weighs little. Nodes are peeled greedily, lightest first;
the density of what is left, g = edge weight / nodes, is within a factor of two of the best at its maximum. A campaign
can not lower the density of its own block by adding honest-looking edges: they leave its columns' degrees as they are.

An account's score is the largest density of a remainder that still held it; among equals, those peeled later stand
higher. The graph is peeled once a day of event time, over what was seen since the beginning.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from stillwatch.event import RequestEvent
from stillwatch.fingerprint import event_fingerprint
from stillwatch.rivals.base import Rival, shared_values

_DAY_NANO: Final = 24 * 3_600 * 1_000_000_000
_VALUES_PER_ACCOUNT: Final = 64  # templates are many: the first ones seen stay
_C: Final = 5.0  # the paper's constant in the logarithm
_TIE: Final = 1e-9


class Fraudar(Rival):
    name = "fraudar"

    def __init__(self, threshold: float | None = None) -> None:
        super().__init__(threshold)
        self._values: dict[str, set[str]] = defaultdict(set)
        self._next_peel = 0

    def observe(self, event: RequestEvent) -> None:
        known = self._values[event.account]
        values = shared_values(event)
        found = event_fingerprint(event)
        if found is not None:
            values += [f"{k}={v}" for k, v in (("template", found.template), ("system", found.system)) if v]
        for value in values:
            if len(known) >= _VALUES_PER_ACCOUNT:
                return
            known.add(value)

    def _evaluate(self, now_unix_nano: int) -> set[str]:
        if now_unix_nano < self._next_peel:
            return set()
        self._next_peel = (now_unix_nano // _DAY_NANO + 1) * _DAY_NANO
        self._peel()
        return set(self._score)

    def _peel(self) -> None:
        peeled = peel((account, value) for account, values in sorted(self._values.items()) for value in sorted(values))
        self._score = dict(peeled)


def column_weight(degree: int) -> float:
    """
    >>> round(column_weight(2), 3), round(column_weight(10_000), 3)
    (0.514, 0.109)
    """
    return 1.0 / math.log(degree + _C)


def density(edges: Iterable[tuple[str, str]], accounts: set[str], values: set[str]) -> float:
    """g of a block: weight of the edges inside it, by degrees in the *whole* graph, per node."""
    listed = list(edges)
    degrees: dict[str, int] = defaultdict(int)
    for _, value in listed:
        degrees[value] += 1
    inside = math.fsum(column_weight(degrees[v]) for a, v in listed if a in accounts and v in values)
    return inside / max(len(accounts) + len(values), 1)


def peel(edges: Iterable[tuple[str, str]]) -> Mapping[str, float]:
    """Score of every account; edges are distinct (account, value) pairs. O(E log E)."""
    neighbours: dict[str, list[str]] = defaultdict(list)
    for account, value in edges:
        neighbours["a" + account].append("v" + value)
        neighbours["v" + value].append("a" + account)
    weight_of = {node: column_weight(len(near)) for node, near in neighbours.items() if node[0] == "v"}
    left = {node: sum(weight_of[v if v[0] == "v" else node] for v in near) for node, near in neighbours.items()}
    total = math.fsum(weight for node, weight in left.items() if node[0] == "a")
    heap = [(weight, node) for node, weight in left.items()]
    heapq.heapify(heap)
    scores: dict[str, float] = {}
    best, nodes, order = 0.0, len(left), 0
    while heap:
        weight, node = heapq.heappop(heap)
        if node not in left or weight > left[node] + 1e-12:
            continue  # an older entry of a node that has become lighter since
        best = max(best, total / nodes)
        nodes -= 1
        order += 1
        total -= left.pop(node)
        if node[0] == "a":
            scores[node[1:]] = best + _TIE * order
        for near in neighbours[node]:
            if near in left:
                left[near] -= weight_of[node if node[0] == "v" else near]
                heapq.heappush(heap, (left[near], near))
    return scores
