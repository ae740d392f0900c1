"""Two platforms that share nothing but the attacker: other people with other interests, other tokens, the same pool."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from factories import T0, a_summary, topic_counts
from summary_worlds import CELLS, pool_of

from stillwatch.aggregator import AggregatorCore
from stillwatch.correlation.linkage import Key
from stillwatch.indicators import Imported, Indicator
from stillwatch.settings import DetectionSettings
from stillwatch.summary import AccountSummary

KEYS = {"alliance": bytes(range(32))}
SETTINGS = DetectionSettings(null_sets=20)
POOL_CELLS = np.random.default_rng(99).permutation(CELLS)[:120]
POOL_WEIGHTS = np.random.default_rng(98).dirichlet(np.full(120, 2.0))
NOW_S = T0 // 10**9


def crowd(rng: np.random.Generator, count: int, prefix: str, taste: np.ndarray) -> list[AccountSummary]:
    """Individuals around a platform's taste; a popular client each, a promotion that a dozen of them share."""
    out = []
    for number in range(count):
        mixture = rng.dirichlet(np.maximum(8 * taste, 1e-3))
        links = (("client", f"sdk-{rng.integers(4)}"), ("signup", f"{prefix}promo-{rng.integers(count // 12)}"))
        out.append(a_summary(f"{prefix}{number:04d}", topic_counts(rng, mixture, int(rng.integers(20, 80))), links))
    return out


def taste(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.full(CELLS, 2.0))


def attackers(
    rng: np.random.Generator, count: int, prefix: str, conversations: int = 40, *shared: Key
) -> list[AccountSummary]:
    """Of the one pool, in batches of this platform's sign-ups."""
    summaries = pool_of(rng, count, POOL_CELLS, POOL_WEIGHTS, conversations, prefix)
    return [
        replace(summary, links=(("client", "sdk-1"), ("signup", f"{prefix}batch-{number % 2}"), *shared))
        for number, summary in enumerate(summaries)
    ]


def looked_at(*groups: list[AccountSummary], indicators: tuple[Indicator, ...] = ()) -> AggregatorCore:
    core = AggregatorCore(SETTINGS, KEYS)
    for one in indicators:
        core.exchange.shelf.put(Imported(one, NOW_S, "a test"))
    core.fold(summary for group in groups for summary in group)
    core.evaluate()
    return core


def exported(seed: int = 1, *shared: Key, key_name: str | None = None) -> Indicator:
    """From the first platform, which has found the campaign by itself."""
    rng = np.random.default_rng(seed)
    core = looked_at(crowd(rng, 300, "a", taste(1)), attackers(rng, 60, "x", 40, *shared))
    found = core.indicator(core.campaigns()[0].id, "first.example", key_name)
    assert isinstance(found, Indicator)
    return found


def matched_groups(core: AggregatorCore) -> tuple[set[Key], set[Key]]:
    """(groups that an indicator is like, all groups), as the last evaluation saw them."""
    matcher = core.exchange._matcher
    assert matcher is not None
    groups = core._normality.groups(core.table.with_at_least(2))
    like = {key for key, slots in groups if any(match is not None for match in matcher.best(slots, half=0))}
    return like, {key for key, _ in groups}
