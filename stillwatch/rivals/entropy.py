"""Topic entropy alone: how evenly an account's conversations spread over topics, at a fixed number of them.

Plain entropy grows with volume, so it is rarefied (Hurlbert 1971, Ecology 52:577): the expected Shannon entropy of
``SAMPLE`` conversations drawn without replacement from the account's own. A campaign's accounts draw from a broad pool
and stand high; so do honest people with broad interests. At strict rates it can not act at all: more than one honest
account in a thousand asks 32 different things in a row, which is the highest score there is.
"""

from __future__ import annotations

import math
from collections import Counter
from functools import lru_cache
from typing import Final

from stillwatch.event import RequestEvent
from stillwatch.fingerprint import event_fingerprint
from stillwatch.rivals.base import Rival, opens_conversation

SAMPLE: Final = 16  # conversations
# With no more than are drawn, "all different" is common among broad honest people and nothing can stand above it; of
# twice as many it is rare (1 in 100 at a chance of 1 in 100 that two are about one topic).
MIN_CONVERSATIONS: Final = 32


class TopicEntropy(Rival):
    name = "entropy"
    version = "2"

    def __init__(self, threshold: float | None = None) -> None:
        super().__init__(threshold)
        self._cells: dict[str, Counter[int]] = {}  # at most 256 counters an account
        self._changed: set[str] = set()

    def observe(self, event: RequestEvent) -> None:
        if not opens_conversation(event):
            return
        found = event_fingerprint(event)
        if found is not None:
            self._cells.setdefault(event.account, Counter())[found.cell] += 1
            self._changed.add(event.account)

    def _evaluate(self, now_unix_nano: int) -> set[str]:
        changed, self._changed = self._changed, set()
        for account in changed:
            counts = self._cells[account]
            entropy = rarefied_entropy(counts) if counts.total() >= MIN_CONVERSATIONS else None
            if entropy is not None:
                self._score[account] = entropy
        return changed


def rarefied_entropy(counts: Counter[int], sample: int = SAMPLE) -> float | None:
    """Expected entropy in bits, 0..log2(sample), of ``sample`` of the counted items; ``None`` with fewer than that.

    >>> rarefied_entropy(Counter(range(100)), sample=16)  # all different, whatever is drawn
    4.0
    >>> rarefied_entropy(Counter({1: 50}), sample=16)
    0.0
    """
    total = counts.total()
    if total < sample:
        return None
    multiplicity = Counter(counts.values())
    bits = math.fsum(times * _expected_bits(total, count, sample) for count, times in multiplicity.items())
    return round(abs(bits), 9)


@lru_cache(maxsize=65_536)
def _expected_bits(total: int, count: int, sample: int) -> float:
    """E[-(j/m) log2(j/m)] for j hypergeometric: what one topic with ``count`` of ``total`` contributes."""
    ways = math.comb(total, sample)
    return math.fsum(
        math.comb(count, j) * math.comb(total - count, sample - j) / ways * -(j / sample) * math.log2(j / sample)
        for j in range(1, min(count, sample) + 1)
        if sample - j <= total - count
    )
