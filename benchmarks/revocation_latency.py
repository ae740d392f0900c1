"""`python -m benchmarks.revocation_latency`: from a decision to its refusal at a hundred enforcers, also over restarts.

A real nats-server; each enforcer has a connection of its own, all in one process, so the last of a hundred is told after
ninety-nine others were: the figures are of the whole fan-out. It ends within two minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from launch.embedded import EmbeddedNats
from launch.telemetry import SystemClock
from stillwatch.errors import Unavailable
from stillwatch.gateway import Enforcer, refuses
from stillwatch.ports import RevocationStore
from stillwatch.revocation import Revocation
from stillwatch.settings import NatsSettings, Settings
from streams.connection import close, connect
from streams.hub import jetstream_hub
from streams.topology import ensure

_LIMIT_S: Final = 120.0
_TTL_S: Final = 3_600
_LOAD_S: Final = 30.0
_CAUGHT_UP_S: Final = 20.0
_AWAY_S: Final = 0.5
_BETWEEN_S: Final = 0.02


@dataclass(slots=True)
class Latencies:
    """In seconds. ``each``: of every enforcer and revocation; ``last``: until the last enforcer refuses.
    ``caught_up``: after a restart, from the server's readiness until all know all; ``lost``: known to some only."""

    enforcers: int
    each: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=list)
    caught_up: list[float] = field(default_factory=list)
    in_outages: int = 0
    lost: int = 0


def percentile(values: Sequence[float], share: float) -> float:
    """
    >>> percentile([3.0, 1.0, 2.0], 0.5)
    2.0
    """
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def revocation(number: int) -> Revocation:
    now = int(time.time())
    account = f"latency-{number}"
    return Revocation(
        id=f"r-latency-{number}", target_kind="account", target=account, accounts=(account,), action="revoke",
        reason="a measurement", mode="enforce", dry_run=False, created_unix_s=now, expires_unix_s=now + _TTL_S,
        actor="benchmark",
    )  # fmt: skip


async def measure(enforcers: int, revocations: int, restarts: int) -> Latencies:
    out = Latencies(enforcers)
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="stillwatch-latency-"))
        server = EmbeddedNats(Path(directory) / "nats")
        thread = stack.enter_context(ThreadPoolExecutor(1))  # the server ends with the thread that started it
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(thread, server.start)
        stack.callback(lambda: thread.submit(server.stop).result())
        settings = Settings(partitions=1, shards=1, nats=NatsSettings(urls=(server.url,)))
        client = await connect(settings.nats, "latency")
        stack.push_async_callback(close, client)
        await ensure(client, settings)
        store = jetstream_hub(client, settings, SystemClock()).revocations
        gateways = [await _gateway(stack, settings, number) for number in range(enforcers)]
        for number in range(revocations):
            await _one(store, gateways, number, out)
        known = revocations
        for _ in range(restarts):
            known = await _restart(server, thread, store, gateways, known, out)
    return out


async def _gateway(stack: AsyncExitStack, settings: Settings, number: int) -> Enforcer:
    client = await connect(settings.nats, f"gateway-{number}")
    stack.push_async_callback(close, client)
    enforcer = await stack.enter_async_context(Enforcer(client))
    if not await enforcer.wait_loaded(_LOAD_S):
        raise TimeoutError(f"enforcer {number} did not load within {_LOAD_S:g} s")
    return enforcer


async def _one(store: RevocationStore, gateways: Sequence[Enforcer], number: int, out: Latencies) -> None:
    """The clock starts before the decision is stored: what a person or the policy waits for."""
    made = revocation(number)
    started = time.perf_counter()
    storing = asyncio.create_task(store.put(made))
    open_ = list(gateways)
    async with asyncio.timeout(_CAUGHT_UP_S):
        while open_:
            left = [one for one in open_ if not refuses(one.check(made.target))]
            out.each += [time.perf_counter() - started] * (len(open_) - len(left))
            open_ = left
            await asyncio.sleep(0)
    out.last.append(time.perf_counter() - started)
    await storing


async def _restart(
    server: EmbeddedNats, thread: ThreadPoolExecutor, store: RevocationStore, gateways: Sequence[Enforcer], known: int,
    out: Latencies,
) -> int:  # fmt: skip
    """kill -9, away for a moment, back; decisions go on all the time, each tried until it is stored."""
    loop = asyncio.get_running_loop()
    deciding = asyncio.create_task(_decide(store, known, over := asyncio.Event()))
    await asyncio.sleep(0.2)
    await loop.run_in_executor(thread, server.kill)
    await asyncio.sleep(_AWAY_S)
    await loop.run_in_executor(thread, server.start)
    back = time.perf_counter()
    await asyncio.sleep(0.5)
    over.set()
    stored = await deciding
    wanted = [f"latency-{number}" for number in range(stored)]
    behind = list(gateways)
    while behind and time.perf_counter() < back + _CAUGHT_UP_S:
        behind = [one for one in behind if not all(refuses(one.check(account)) for account in wanted)]
        await asyncio.sleep(0.01)
    out.caught_up.append(time.perf_counter() - back)
    out.in_outages += stored - known
    out.lost += sum(not refuses(one.check(account)) for one in behind for account in wanted)
    return stored


async def _decide(store: RevocationStore, number: int, over: asyncio.Event) -> int:
    while not over.is_set():
        try:
            await store.put(revocation(number))
            number += 1
        except Unavailable:
            pass
        await asyncio.sleep(_BETWEEN_S)
    return number


def report(found: Latencies) -> str:
    def row(name: str, values: Sequence[float]) -> str:
        p50, p99 = percentile(values, 0.5) * 1e3, percentile(values, 0.99) * 1e3
        return f"{name:<46}{len(values):>7}{p50:>9.1f}{p99:>9.1f}{max(values) * 1e3:>9.1f}"

    lines = [
        f"{found.enforcers} enforcers, each with a connection of its own, in one process; milliseconds",
        f"{'':<46}{'number':>7}{'p50':>9}{'p99':>9}{'max':>9}",
        row("decision → refused, each enforcer", found.each),
        row(f"decision → refused by all {found.enforcers}", found.last),
    ]
    if found.caught_up:
        lines += [
            row("nats-server killed, ready again → all refuse all", found.caught_up),
            f"decided while it restarted: {found.in_outages}; refused by some only: {found.lost}",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--enforcers", type=int, default=100)
    options.add_argument("--revocations", type=int, default=200)
    options.add_argument("--restarts", type=int, default=5)
    asked = options.parse_args()

    async def bounded() -> Latencies:
        async with asyncio.timeout(_LIMIT_S):
            return await measure(asked.enforcers, asked.revocations, asked.restarts)

    measured = asyncio.run(bounded())
    print(report(measured))
    raise SystemExit(1 if measured.lost else 0)
