"""What a shard does about a feed from which nothing comes."""

from __future__ import annotations

import asyncio

import pytest

from actors.progress import Progress
from stillwatch.errors import Unavailable
from stillwatch.ports import RawMessage

MESSAGE = RawMessage(1, "stillwatch.partition.0.a", b"", 0)


class Hangs:
    """ports.PartitionFeed whose fetches do not end until it is made anew; ``away``: so many times it can not be."""

    def __init__(self, away: int = 0) -> None:
        self.away, self.restarts, self.fetches = away, 0, 0

    async def fetch(self, max_messages: int, timeout_s: float) -> list[RawMessage]:
        self.fetches += 1
        if not self.restarts:
            await asyncio.Event().wait()
        return [MESSAGE]

    async def renew(self) -> None:
        if self.away:
            self.away -= 1
            raise Unavailable("the feed", "the broker is away")
        self.restarts += 1

    async def ack(self, sequence: int) -> None: ...

    async def waiting(self) -> int:
        return 1

    async def close(self) -> None: ...


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.progress._HUNG_S", 0.05)


async def test_behind_a_fetch_that_did_not_end_the_feed_is_made_anew_and_counted() -> None:
    feed, progress = Hangs(), Progress()
    with pytest.raises(Unavailable, match="did not end"):
        await progress.fetch(feed, 10, 0.0)
    assert (feed.restarts, progress.rebuilds) == (0, 0)
    assert await progress.fetch(feed, 10, 0.0) == [MESSAGE]
    assert await progress.fetch(feed, 10, 0.0) == [MESSAGE]
    assert (feed.restarts, progress.rebuilds) == (1, 1)


async def test_nothing_is_fetched_from_it_until_it_could_be_made_anew() -> None:
    feed, progress = Hangs(away=2), Progress()
    for why in ("did not end", "broker is away", "broker is away"):
        with pytest.raises(Unavailable, match=why):
            await progress.fetch(feed, 10, 0.0)
    assert feed.fetches == 1
    assert await progress.fetch(feed, 10, 0.0) == [MESSAGE]
    assert (feed.restarts, progress.rebuilds) == (1, 3)
