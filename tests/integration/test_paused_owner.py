"""A process that is stopped (SIGSTOP) past the end of its leases and goes on later does no harm: a real process, a real NATS."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from recovery_worlds import EVENTS, PARTITIONS, Cluster, in_the_backtest, over_nats

from launch.embedded import EmbeddedNats

SCRIPT = Path(__file__).parents[1] / "support" / "paused_owner.py"
CAMPAIGNS, VERDICTS, LAST_TICK = in_the_backtest()


@asynccontextmanager
async def the_old_cluster(url: str, snapshots: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    path = os.pathsep.join([str(SCRIPT.parents[2]), str(SCRIPT.parent)])
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SCRIPT), url, str(snapshots), stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def said(process: asyncio.subprocess.Process, word: str) -> str:
    """The next line with this word."""
    assert process.stdout is not None
    async with asyncio.timeout(60):
        while word not in (line := (await process.stdout.readline()).decode()):
            assert line, f"it ended without saying {word!r}"
    return line


async def test_what_wakes_up_after_its_leases_are_over_is_refused_and_gives_way(
    nats_server: EmbeddedNats, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        broker = await over_nats(nats_server.url, str(tmp_path / "snapshots"), stack)
        old = await stack.enter_async_context(the_old_cluster(nats_server.url, tmp_path / "snapshots"))
        await said(old, "stored")
        new = Cluster(broker, "new")
        stack.push_async_callback(new.stop)
        async with broker.feeding(6.0) as feed:
            await feed.has_reached(0.3)
            assert await new.owned() == {}
            old.send_signal(signal.SIGSTOP)
            await new.start()
            async with asyncio.timeout(30):
                while len(await new.owned()) < PARTITIONS or await new.evaluated() == 0:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            before = {one.id for one in await broker.hub.verdicts.verdicts(limit=10_000)}
            old.send_signal(signal.SIGCONT)
            await said(old, "refused")
            await said(old, "owns 0 leads False")
        await new.has_evaluated(LAST_TICK)
        assert len(await new.owned()) == PARTITIONS
        after = {one.id for one in await broker.hub.verdicts.verdicts(limit=10_000)}
        assert {one for one in after - before if one.startswith("v-old")} == set()
        campaigns, verdicts = await new.found()
        assert campaigns == CAMPAIGNS
        assert {one for one in verdicts if not one.startswith("v-old")} == VERDICTS
        assert new.aggregator is not None
        assert (await new.aggregator.status()).accounts == len({event.account for event in EVENTS})
