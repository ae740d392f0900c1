"""How often an evaluation may fail before what fails in it is left out.

What an evaluation raises is a bug of ours, or something that no store takes (a message beyond its limit). Its tick is gone through
once more from the newest snapshot, because half of it is done. One that fails each time must not keep all that comes after it
from being decided.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from stillwatch.errors import Fenced

log = logging.getLogger("stillwatch.aggregator")

TRIES: Final = 3  # a second for what was a moment's matter, a third for two of those at once
_MAX_TICKS: Final = (
    100  # a day of ticks that fail each time; a snapshot is stored every few minutes, and ends their memory
)


class Tries:
    """Of one process: its lives share it. Ticks in nanoseconds of event time.

    >>> tries = Tries()
    >>> tries.failed_at(900), tries.failed_at(900), tries.failed
    (1, 2, 2)
    >>> with tries.part(900, "a verdict"):
    ...     raise ValueError
    >>> tries.left_out
    1
    """

    def __init__(self) -> None:
        self._failed: Counter[int] = Counter()
        self.failed = 0  # evaluations
        self.left_out = 0  # parts of them

    def failed_at(self, tick_unix_nano: int) -> int:
        """How often that tick has, with this time."""
        self.failed += 1
        self._failed[tick_unix_nano] += 1
        while len(self._failed) > _MAX_TICKS:
            del self._failed[min(self._failed)]
        return self._failed[tick_unix_nano]

    @contextmanager
    def part(self, tick_unix_nano: int, what: str) -> Iterator[None]:
        """At the last try what it raises ends here, so that the rest of the evaluation is done."""
        try:
            yield
        except Fenced:
            raise
        except Exception:
            if self._failed[tick_unix_nano] + 1 < TRIES:
                raise
            self.left_out += 1
            log.exception("%s failed %d times at tick %d; it is left out", what, TRIES, tick_unix_nano)

    def stored(self, tick_unix_nano: int) -> None:
        """Up to here no tick comes again: a snapshot is behind it."""
        for tick in [one for one in self._failed if one <= tick_unix_nano]:
            del self._failed[tick]
