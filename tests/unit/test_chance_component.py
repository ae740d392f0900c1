"""Whether chance really makes no larger components of hand-offs than the bound says, also where customers differ."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from stillwatch.correlation.chance_component import ChanceComponents

CUSTOMERS = 400
RUNS = 500


def unequal(heavy: float) -> np.ndarray:
    """One customer in a hundred has ``heavy`` of everything; the others differ tenfold."""
    rng = np.random.default_rng(3)
    counts = np.exp(rng.uniform(0.0, np.log(10.0), CUSTOMERS)) * 100
    some = CUSTOMERS // 100
    counts[:some] = counts[some:].sum() * heavy / (1 - heavy) / some
    return np.round(counts)


@pytest.mark.parametrize("heavy", [0.01, 0.5, 0.9])
def test_a_hand_off_always_connects_two(heavy: float) -> None:
    counts = unequal(heavy)
    assert ChanceComponents(counts, counts, 20)._log_connects(2) == pytest.approx(np.zeros(22), abs=1e-9)


@pytest.mark.parametrize("heavy", [0.01, 0.5, 0.9])
def test_chance_is_found_as_surprising_no_more_often_than_the_p_value_says(heavy: float) -> None:
    counts, rng = unequal(heavy), np.random.default_rng(4)
    # As many between the quiet ones in each case: sixty.
    shares, by_chance = counts / counts.sum(), 60 / (1 - heavy) ** 2
    lowest, known = [], dict[int, ChanceComponents]()
    for _ in range(RUNS):
        backwards = int(rng.poisson(by_chance))
        if backwards not in known:
            known[backwards] = ChanceComponents(counts, counts, backwards)
        platform = known[backwards]
        ends = rng.choice(CUSTOMERS, size=(int(rng.poisson(by_chance)), 2), p=shares)
        ends = ends[~platform.busy[ends].any(axis=1)]
        graph = csr_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(CUSTOMERS, CUSTOMERS))
        _, label = connected_components(graph, directed=False)
        customers, handoffs = np.bincount(label), np.bincount(label[ends[:, 0]], minlength=CUSTOMERS)
        sizes = {(int(customers[at]), int(handoffs[at])) for at in np.flatnonzero(customers > 1)}
        lowest.append(min((platform.p_value(*size) for size in sizes), default=1.0))
    found = np.array(lowest)
    for level in (0.1, 0.01, 0.001):
        allowed = level + 3 * np.sqrt(level * (1 - level) / RUNS)
        assert (found <= level).mean() <= allowed


def clustered(own_accounts: int, by_chance: float, rng: np.random.Generator) -> tuple[int, np.ndarray, np.ndarray]:
    """(clusters of four and more, customers with a hand-off, those in threes and more), where so many people have two or three
    accounts that hand over to each other and chance does the rest."""
    pairs = np.arange(2 * own_accounts).reshape(-1, 2)
    threes = np.column_stack([pairs[::5, 1], 2 * own_accounts + np.arange(len(pairs[::5]))])
    ends = np.concatenate([pairs, threes, rng.choice(CUSTOMERS, size=(int(rng.poisson(by_chance)), 2))])
    graph = csr_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(CUSTOMERS, CUSTOMERS))
    _, label = connected_components(graph, directed=False)
    size = np.bincount(label)[label]
    return len(np.unique(label[size >= 4])), np.flatnonzero(size >= 2), np.flatnonzero(size >= 3)


@pytest.mark.parametrize("own_accounts", [0, 10, 40])
@pytest.mark.parametrize("by_chance", [3.0, 30.0])
def test_clusters_are_found_as_surprising_no_more_often_than_the_p_value_says(
    own_accounts: int, by_chance: float
) -> None:
    counts, rng = np.full(CUSTOMERS, 10.0), np.random.default_rng(5)
    found, known = [], dict[int, ChanceComponents]()
    for _ in range(RUNS):
        backwards = int(rng.poisson(by_chance))
        if backwards not in known:
            known[backwards] = ChanceComponents(counts, counts, backwards)
        clusters, connected, of_three = clustered(own_accounts, by_chance, rng)
        found.append(known[backwards].p_value_of_clusters(clusters, connected, of_three) if clusters else 1.0)
    for level in (0.1, 0.01, 0.001):
        allowed = level + 3 * np.sqrt(level * (1 - level) / RUNS)
        assert (np.array(found) <= level).mean() <= allowed


def test_many_small_clusters_are_surprising_where_one_of_them_is_not() -> None:
    counts, some = np.ones(2_000), np.arange(80)
    platform = ChanceComponents(counts, counts, backwards=1)
    assert platform.p_value(4, 3) > 0.01
    assert platform.p_value_of_clusters(12, some, some[:48]) < 1e-6
