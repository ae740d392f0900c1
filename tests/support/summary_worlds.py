"""People, pools and an aggregator that has looked at them: worlds of summaries for tests of groups and campaigns."""

from __future__ import annotations

import numpy as np
from factories import a_summary, topic_counts

from stillwatch.aggregator import AggregatorCore
from stillwatch.settings import DetectionSettings
from stillwatch.summary import AccountSummary

CELLS = 256


def people(
    rng: np.random.Generator, count: int, conversations: int = 40, prefix: str = "p", breadth: float = 8
) -> list[AccountSummary]:
    """Individuals: each has interests of its own (Dirichlet), shares a popular client, sometimes a cohort."""
    out = []
    for number in range(count):
        mixture = rng.dirichlet(np.full(CELLS, breadth / CELLS))
        links = [("client", f"sdk-{rng.integers(4)}"), ("signup", f"promo-{rng.integers(max(count // 12, 1))}")]
        counts = topic_counts(rng, mixture, int(rng.integers(conversations // 2, conversations * 2)))
        out.append(a_summary(f"{prefix}{number:04d}", counts, tuple(links)))
    return out


def pool_accounts(
    rng: np.random.Generator, count: int, conversations: int = 40, topics: int = 120, prefix: str = "x", **known: str
) -> list[AccountSummary]:
    """Accounts that one dispatcher feeds from one pool; four cohorts, one client that honest people use too."""
    weights = rng.dirichlet(np.full(topics, 2.0))
    return pool_of(rng, count, rng.permutation(CELLS)[:topics], weights, conversations, prefix, **known)


def pool_of(
    rng: np.random.Generator, count: int, cells: np.ndarray, weights: np.ndarray, conversations: int = 40,
    prefix: str = "x", **known: str,
) -> list[AccountSummary]:  # fmt: skip
    """The same with a pool of these topics."""
    mixture = np.zeros(CELLS)
    mixture[cells] = weights
    return [
        a_summary(
            f"{prefix}{n:04d}", topic_counts(rng, mixture, conversations),
            (("client", "sdk-1"), ("signup", f"batch-{n % 3}")), **known,
        )
        for n in range(count)
    ]  # fmt: skip


def evaluated(*groups: list[AccountSummary], seed: int = 7) -> AggregatorCore:
    core = AggregatorCore(DetectionSettings(seed=seed))
    core.fold(summary for group in groups for summary in group)
    core.evaluate()
    return core
