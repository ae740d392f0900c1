"""Accounts before and after the release of a model, and accounts with volumes: tables for tests of groups."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from factories import HOUR, T0, a_summary
from moment_worlds import World

from stillwatch.summary import AccountSummary

OLD, NEW = 0x0111, 0x0222
DAY = 24 * HOUR
RELEASE = T0 - 3 * DAY
BEGAN = T0 - 10 * DAY
Links = tuple[tuple[str, str], ...]


def an_account(
    name: str, conversations: int, links: Links = (), adopts_after_h: float | None = None,
    organisation: str | None = None, began: int = BEGAN,
) -> AccountSummary:  # fmt: skip
    """There since ``began``; uses the new model so many hours after its release, or never."""
    counts = np.zeros((2, 256), dtype=np.int64)
    counts[0, 0] = conversations
    models = [(OLD, began // 10**9)]
    if adopts_after_h is not None:
        models.append((NEW, int(RELEASE + adopts_after_h * HOUR) // 10**9))
    made = a_summary(name, counts, links, organisation=organisation)
    return replace(made, first_seen_unix_nano=began, window_from_unix_nano=began, models=tuple(models))


def crowd(
    rng: np.random.Generator, count: int = 600, within_a_day: float = 0.1, prefix: str = "h"
) -> list[AccountSummary]:
    """Honest people in groups of twenty or so, of all volumes, on a few clients; a share of them adopts within a day."""
    out = []
    for number in range(count):
        links = (("client", f"sdk-{rng.integers(5)}"), ("signup", f"promo-{rng.integers(count // 20)}"))
        after_h = float(rng.uniform(0, 24) if rng.random() < within_a_day else rng.uniform(24, 400))
        # A release begins with the third unit to use it.
        after_h = 0.0 if number < 3 else after_h
        volume = int(np.ceil(rng.lognormal(3.0, 1.2)))
        out.append(an_account(f"{prefix}{number:04d}", volume, links, after_h if after_h < 72 else None))
    return out


def groups_of(world: World) -> list[np.ndarray]:
    """Those that share a sign-up, from ten accounts on."""
    known = world.table.with_at_least(1)
    keys, has = world.links.among(known, fewest=10, at_most=len(known))
    return [known[has[:, [at]].indices] for at, key in enumerate(keys) if key[0] == "signup"]
