"""Whether a partition gets on: what its shard does about a feed from which nothing comes, and what it says about it.

A feed mends by itself what it can notice: a lost connection, a gap, silence, a consumer that is gone. This is the second
line: messages wait and none comes, or a fetch does not end, whatever the reason, so the feed is made anew.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from stillwatch.errors import StillwatchError, Unavailable
from stillwatch.ports import PartitionFeed, RawMessage

# Five fetches that wait a second each: a server that has messages answers the first one in milliseconds.
STALL_S: Final = 5.0
# Beyond what a fetch was given. Four requests to the server, of five seconds each, are the most that a feed makes in one.
_HUNG_S: Final = 25.0


@dataclass(slots=True)
class Progress:
    """Of one feed."""

    rebuilds: int = 0
    problem: str = ""
    waiting: int = 0  # as it was known last
    _hung: bool = False  # the last fetch did not end
    _since_s: float | None = None  # monotonic: nothing has come since, or nothing was known to wait then

    def came(self) -> None:
        self._since_s, self.problem = None, ""

    async def fetch(self, feed: PartitionFeed, max_messages: int, timeout_s: float) -> list[RawMessage]:
        """As the feed's, but it ends; behind one that did not end with a feed made anew. Raises ``Unavailable``."""
        try:
            async with asyncio.timeout(timeout_s + _HUNG_S):
                if self._hung:
                    self.rebuilds += 1
                    await feed.renew()
                    self._hung = False
                return await feed.fetch(max_messages, timeout_s)
        except TimeoutError as error:
            self._hung = True
            raise Unavailable("the feed", "a fetch did not end; it is made anew") from error

    async def nothing_came(self, feed: PartitionFeed, now_s: float) -> None:
        """Makes the feed anew where messages wait. Raises ``Unavailable``."""
        if self._since_s is None:
            self._since_s = now_s
        if now_s - self._since_s < STALL_S:
            return
        self._since_s = now_s
        self.waiting = await feed.waiting()
        if self.waiting == 0:
            self.problem = ""
            return
        self.rebuilds += 1
        self.problem = (
            f"{self.waiting} messages wait and none has come for {STALL_S:g} s; its feed is made anew. If that does not help: "
            "is the consumer paused?"
        )
        await feed.renew()

    async def look(self, feed: PartitionFeed, within_s: float) -> None:
        """How many wait, for a status that must not wait for it: what was known last stands until then."""
        try:
            async with asyncio.timeout(within_s):
                self.waiting = await feed.waiting()
        except TimeoutError:
            self.problem = self.problem or f"NATS did not say within {within_s:g} s how many messages wait"
        except StillwatchError as error:
            self.problem = str(error)
