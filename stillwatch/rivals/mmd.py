"""Windowed maximum mean discrepancy against honest traffic (arXiv 2606.05725; Gretton et al. 2012, JMLR 13:723).

Windows of 100 requests an account give the score: the largest of its windows' MMD², in standard errors under honesty.
Windows of 1,500 requests of everybody, the paper's own setting, say that something is wrong and not who it is: one that
deviates more than one honest window in a thousand is a campaign without members. The reference is honest traffic when the caller has some, as in the paper; else the first requests
of the traffic itself, where a campaign that is there from the start weakens its own detection.

Embeddings are hashed n-grams here, not bge-small (see ``embedding``). Published power at windows of 100 and attack
shares of 5 / 10 / 25 %: 1.3 / 4.6 / 76 %; at 1,500: 57 to 61 / 91 to 95 / 100 % (the repository's result files).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from stillwatch.correlation.evidence import e_from_p
from stillwatch.event import RequestEvent
from stillwatch.rivals.base import Rival
from stillwatch.rivals.embedding import Vector, embed
from stillwatch.verdict import Campaign, Signal

ACCOUNT_WINDOW: Final = 100
POOLED_WINDOW: Final = 1_500
_REFERENCE: Final = 2_000  # vectors; 2 MB
_REFERENCE_PER_ACCOUNT: Final = 4  # so that no loud account is the norm
_REFERENCE_LEAST: Final = 200
_REFERENCE_REQUESTS: Final = 10_000  # after so many requests the reference is what there is
_NULL_DRAWS: Final = 200
_POOLED_P: Final = 1e-3  # by the normal approximation of an honest window's deviation
_MAX_ALARMS: Final = 100

Sample = npt.NDArray[np.float32]  # shape (requests, dimensions)


def kernel(x: Sample, y: Sample, gamma: float) -> npt.NDArray[np.float32]:
    """Gaussian: exp(-gamma |x - y|²), shape (len(x), len(y))."""
    squared = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1)[None, :] - 2 * (x @ y.T)
    return np.asarray(np.exp(-gamma * np.maximum(squared, 0.0)), dtype=np.float32)


def median_gamma(x: Sample) -> float:
    """The median heuristic: one over the median squared distance of (at most 500 of) the sample."""
    some = x[:500]
    square = (some**2).sum(axis=1)
    squared = square[:, None] + square[None, :] - 2 * some @ some.T
    middle = float(np.median(squared[np.triu_indices(len(some), 1)])) if len(some) > 1 else 1.0
    return 1.0 / max(middle, 1e-6)


def mmd2(x: Sample, y: Sample, gamma: float, within_y: float | None = None) -> float:
    """The unbiased estimate (Gretton et al. 2012, equation 3); its mean is 0 when both samples are from one source.

    ``within_y``: :func:`within` of ``y``, where many windows meet one reference.
    """
    across = float(kernel(x, y, gamma).mean(dtype=np.float64))
    return within(x, gamma) + (within(y, gamma) if within_y is None else within_y) - 2 * across


def within(x: Sample, gamma: float) -> float:
    """Mean kernel over pairs of different members."""
    n = len(x)
    return float((kernel(x, x, gamma).sum(dtype=np.float64) - n) / (n * (n - 1)))


class Reference:
    """Honest vectors, their kernel, and what windows of honest traffic come to (mean and spread of MMD²)."""

    def __init__(self, vectors: Sample, seed: int) -> None:
        self.vectors = vectors
        self.gamma = median_gamma(vectors)
        self._within = within(vectors, self.gamma)
        self._spread: dict[int, float] = {}
        self._seed = seed

    def deviation(self, window: Sample) -> float:
        """MMD² of the window in standard deviations of honest windows of its size."""
        spread = self._spread.get(len(window))
        if spread is None:
            spread = self._spread[len(window)] = self._honest_spread(len(window))
        return mmd2(window, self.vectors, self.gamma, self._within) / spread

    def _honest_spread(self, size: int) -> float:
        """By splitting the reference: each draw is compared with what is left of it."""
        rng = np.random.default_rng(self._seed)
        total = len(self.vectors)
        size = min(size, total // 2)
        left = total - size
        drawn = np.zeros((_NULL_DRAWS, total), dtype=np.float32)
        for row in drawn:
            row[rng.choice(total, size, replace=False)] = 1.0
        # All draws at once: sums of the kernel within the draw, across, and within what is left.
        rows = (drawn @ kernel(self.vectors, self.vectors, self.gamma)).astype(np.float64)
        inside = (rows * drawn).sum(axis=1)
        across = rows.sum(axis=1) - inside
        rest = (self._within * total * (total - 1) + total) - inside - 2 * across
        found = (inside - size) / (size * (size - 1)) + (rest - left) / (left * (left - 1)) - 2 * across / (size * left)
        return max(float(np.std(found)), 1e-9)


def reference_of(events: Iterable[RequestEvent]) -> Sample:
    """Vectors of honest traffic: the first 2,000 texts, at most four an account."""
    taken: Counter[str] = Counter()
    vectors: list[Vector] = []
    for event in events:
        text = event.text("stillwatch.prompt.text")
        if text is not None and taken[event.account] < _REFERENCE_PER_ACCOUNT:
            taken[event.account] += 1
            vectors.append(embed(text))
            if len(vectors) == _REFERENCE:
                break
    return np.stack(vectors) if vectors else np.zeros((0, 0), dtype=np.float32)


class WindowedMmd(Rival):
    """Needs raw text; a stream of fingerprints leaves it without an opinion."""

    name = "mmd"

    def __init__(self, threshold: float | None = None, reference: Sample | None = None, seed: int = 7) -> None:
        super().__init__(threshold)
        self._seed = seed
        self._reference = (
            Reference(reference, seed) if reference is not None and len(reference) >= _REFERENCE_LEAST else None
        )
        self._head: list[Vector] = []
        self._taken: Counter[str] = Counter()
        self._seen = 0
        # At most 100 vectors an account, in half precision: 50 KB.
        self._windows: dict[str, list[npt.NDArray[np.float16]]] = {}
        self._pool: list[Vector] = []
        self._alarms: list[Campaign] = []
        self._changed: set[str] = set()

    def observe(self, event: RequestEvent) -> None:
        text = event.text("stillwatch.prompt.text")
        if text is None:
            return
        vector = embed(text)
        if self._reference is None:
            self._gather(event.account, vector)
            return
        window = self._windows.setdefault(event.account, [])
        window.append(vector.astype(np.float16))
        if len(window) == ACCOUNT_WINDOW:
            deviation = self._reference.deviation(np.stack(window).astype(np.float32))
            self._score[event.account] = max(deviation, self._score.get(event.account, deviation))
            self._changed.add(event.account)
            window.clear()
        self._pool.append(vector)
        if len(self._pool) == POOLED_WINDOW:
            self._judge_pool(self._reference.deviation(np.stack(self._pool)), event.time_unix_nano)
            self._pool.clear()

    def _judge_pool(self, deviation: float, now: int) -> None:
        p_value = float(norm.sf(deviation))
        if p_value > _POOLED_P or len(self._alarms) >= _MAX_ALARMS:
            return
        words = (
            f"{POOLED_WINDOW:,} requests of all accounts together are {deviation:.1f} standard deviations away from "
            "honest traffic; which accounts it comes from is not known"
        )
        signal = Signal("pooled_mmd", deviation, (-1.645, 1.645), -math.log10(max(p_value, 1e-300)), words)
        self._alarms.append(
            Campaign(f"mmd-{len(self._alarms) + 1}", now, now, (), (signal,), e_from_p(p_value), (), POOLED_WINDOW, 0)
        )

    def campaigns(self) -> list[Campaign]:
        return list(self._alarms)

    def _gather(self, account: str, vector: Vector) -> None:
        if self._taken[account] < _REFERENCE_PER_ACCOUNT:
            self._taken[account] += 1
            self._head.append(vector)
        self._seen += 1
        enough = self._seen >= _REFERENCE_REQUESTS and len(self._head) >= _REFERENCE_LEAST
        if len(self._head) == _REFERENCE or enough:
            self._reference = Reference(np.stack(self._head), self._seed)
            self._head = []

    def _evaluate(self, now_unix_nano: int) -> set[str]:
        changed, self._changed = self._changed, set()
        return changed


def detection_rate(deviations: Sequence[float], honest: Sequence[float], false_positive_rate: float) -> float:
    """Share of windows above the honest quantile: how the paper counts power."""
    line = float(np.quantile(np.asarray(honest), 1 - false_positive_rate))
    return float((np.asarray(deviations) > line).mean())
