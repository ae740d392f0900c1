"""A whole cluster in one process of its own, over a real NATS, that also announces a verdict every few milliseconds.

``python paused_owner.py NATS_URL SNAPSHOTS`` prints when the server has taken the first verdict, when it refuses one, and from
then on what the process owns. For tests that stop it and let it go on: in the midst of writing, without knowing that time passed.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from dataclasses import replace

from recovery_worlds import Cluster, over_nats
from stream_values import a_verdict

from stillwatch.errors import Fenced


async def run(url: str, directory: str) -> None:
    async with AsyncExitStack() as stack:
        broker = await over_nats(url, directory, stack)
        cluster = Cluster(broker, "old")
        await cluster.start()
        aggregator = cluster.aggregator
        assert aggregator is not None
        while not aggregator._leads.holds:  # noqa: ASYNC110 - what another task does
            await asyncio.sleep(0.01)
        for number in range(1_000_000):
            try:
                await broker.hub.verdicts.publish_verdict(replace(a_verdict(number), id=f"v-old{number:06d}"))
            except Fenced:
                print(f"refused {number}", flush=True)  # noqa: T201 - the parent reads it
                break
            if number == 0:
                print("stored", flush=True)  # noqa: T201
            await asyncio.sleep(0.005)
        while True:  # what the actors do now is what is tested
            owned, leads = await cluster.owned(), aggregator._leads.holds
            print(f"owns {len(owned)} leads {leads}", flush=True)  # noqa: T201
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2]))
