"""How much topic cells tell: agreement with known categories, and how far people stand from one shared pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from stillwatch.fingerprint import FINE_CELLS

Floats = npt.NDArray[np.float64]
_WEIGHT_CAP = 64.0  # as in stillwatch.correlation.homogeneity: no single loud account decides


def agreement(cells: Sequence[int], labels: Sequence[str]) -> tuple[float, float, float]:
    """(normalised mutual information, kNN recall, effective number of cells).

    kNN recall: how often another prompt of the same cell, drawn at random, is of the same category; 0 for a prompt that
    is alone in its cell. Effective: 1 / probability that two prompts share a cell.
    """
    names = np.unique(labels, return_inverse=True)[1]
    table = np.zeros((names.max() + 1, FINE_CELLS))
    np.add.at(table, (names, np.asarray(cells)), 1)
    one, two, both = _entropy(table.sum(axis=1)), _entropy(table.sum(axis=0)), _entropy(table.ravel())
    held = table.sum(axis=0)
    recall = (table * (table - 1) / np.maximum(held - 1, 1)).sum() / table.sum()
    return 2 * (one + two - both) / (one + two), float(recall), float(1 / ((held / held.sum()) ** 2).sum())


def _entropy(counts: Floats) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


@dataclass(frozen=True, slots=True)
class Distance:
    """How far the owners of prompts are from one shared pool."""

    f: float
    pool_error: float  # standard deviation of F when the same prompts are dealt out at random

    @property
    def ratio(self) -> float:
        return self.f / self.pool_error if self.pool_error else float("nan")


def distance(vectors: Sequence[Sequence[int]], owners: Sequence[str], deals: int = 60, seed: int = 1) -> Distance:
    """F = (w - c) / (1 - c) of owners, and its standard error for an exchangeable group of the same sizes.

    ``vectors`` are the distinct topics 0..1023 of each prompt. w and c are the mean inner product of two prompts of one
    owner and of different owners, vectors scaled to length 1; with one topic each this is F_ST of cells.
    """
    where = np.repeat(np.arange(len(vectors)), [len(one) for one in vectors])
    values = np.repeat([len(one) ** -0.5 for one in vectors], [len(one) for one in vectors])
    topics = [topic for one in vectors for topic in one]
    matrix = sp.csr_matrix((values, (where, topics)), shape=(len(vectors), FINE_CELLS))
    names = np.unique(owners, return_inverse=True)[1]
    rng = np.random.default_rng(seed)
    dealt = [_f(matrix, rng.permutation(names)) for _ in range(deals)]
    return Distance(_f(matrix, names), float(np.std(dealt)))


def _f(matrix: sp.csr_matrix, names: npt.NDArray[np.intp]) -> float:
    count = np.bincount(names).astype(np.float64)
    members = sp.csr_matrix((np.ones(len(names)), (names, np.arange(len(names)))), shape=(len(count), len(names)))
    sums: Floats = (members @ matrix).toarray()
    weight = np.minimum(count, _WEIGHT_CAP) * (count >= 2)
    within = ((sums**2).sum(axis=1) - count) / np.maximum(count * (count - 1), 1)
    w = float(within @ weight / weight.sum())
    means = sums / count[:, None] * weight[:, None]
    total = means.sum(axis=0)
    c = float((total @ total - (means**2).sum()) / (weight.sum() ** 2 - (weight**2).sum()))
    return (w - c) / (1 - c)


def dealt_out(labels: Sequence[str], accounts: int, concentration: float = 10.0, seed: int = 5) -> list[str]:
    """An owner for each prompt: made-up accounts whose interests are Dirichlet over the categories.

    Each prompt is used once, and goes to an account with the chance that the account's interest in its category gives.
    """
    rng = np.random.default_rng(seed)
    names = np.unique(labels, return_inverse=True)[1]
    kinds = int(names.max()) + 1
    interest = np.cumsum(rng.dirichlet(np.full(kinds, concentration / kinds), size=accounts) + 1e-12, axis=0)
    return [str(np.searchsorted(interest[:, name], rng.random() * interest[-1, name])) for name in names]
