"""Accounts whose topics are told by the hour: summaries at the end of each, as ticks make them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from factories import HOUR, T0, a_summary

from stillwatch.summary import AccountSummary

CELLS = 256
NOTHING = np.zeros((2, 1), dtype=np.int64)
FROM = T0 - T0 % (24 * HOUR)  # a midnight

Conversation = tuple[int, int]  # hour since then, topic cell


def told(
    account: str, conversations: Iterable[Conversation], links: tuple[tuple[str, str], ...] = (), window_h: int = -24
) -> list[AccountSummary]:
    """One summary an hour in which the account began something; the first, before all hours, counts nothing."""
    counts, out = Counter[int](), [_summary(account, Counter(), -1, links, window_h)]
    by_hour: dict[int, list[int]] = {}
    for hour, cell in conversations:
        by_hour.setdefault(hour, []).append(cell)
    for hour in sorted(by_hour):
        counts.update(by_hour[hour])
        out.append(_summary(account, counts, hour, links, window_h))
    return out


def _summary(
    account: str, counts: Counter[int], hour: int, links: tuple[tuple[str, str], ...], window_h: int
) -> AccountSummary:
    cells = sorted(counts.items())
    halves = tuple((c, n // 2) for c, n in cells if n > 1), tuple((c, n - n // 2) for c, n in cells)
    many, since = counts.total(), FROM + window_h * HOUR
    return replace(
        a_summary(account, NOTHING, links, now=FROM + hour * HOUR + HOUR // 2), cells=halves, events=many, conversations=many,
        first_seen_unix_nano=since, window_from_unix_nano=since,
    )  # fmt: skip


def group(
    rng: np.random.Generator, name: str, accounts: int, days: int, of_hour: Sequence[int] | None = None,
    share: float = 0.5, a_day: int = 12,
) -> list[AccountSummary]:  # fmt: skip
    """Strangers who share a sign-up; ``of_hour``: what this share of their conversations is about in each hour."""
    out = []
    for number in range(accounts):
        own = rng.choice(CELLS, size=60, replace=False)
        hours, cells = rng.integers(0, days * 24, days * a_day), rng.choice(own, days * a_day)
        if of_hour is not None:
            cells = np.where(rng.random(len(cells)) < share, np.asarray(of_hour)[hours], cells)
        out += told(f"{name}-{number:03d}", zip(hours.tolist(), cells.tolist(), strict=True), (("signup", name),))
    return out
