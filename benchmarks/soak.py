"""`python -m benchmarks.soak --minutes M`: the whole cluster at half of what it was measured to take, and what leans.

Real processes: nats-server, Ray, two shards, the aggregator, the API. First the maximum is measured; then events come at half of that, by the clock, until the time is over. Memory of every process and the lag of the partitions
are sampled every few seconds. It exits 1 when a process has ended, the lag has grown or was never seen, less was published than was due,
or, in half an hour and more, the memory of a process grows.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import httpx

from benchmarks.over_nats import not_in_state
from benchmarks.soak_samples import Series, lean, memory_mib, table, tree
from benchmarks.workload import events, fingerprinted
from launch.cluster import Running, cluster
from launch.keys import with_local_key
from launch.settings import load_settings
from launch.telemetry import SystemClock
from stillwatch.errors import Unavailable
from stillwatch.event import RequestEvent
from streams.connection import close, connect
from streams.hub import jetstream_hub

_WORKLOAD: Final = 24_000
_TURN_S: Final = 0.1
_SAMPLE_S: Final = 5.0
# Of the time: what begins (caches, the first eras of allocators, 60 s of ids) is no lean. At most ten minutes.
_WARM_UP_SHARE: Final = 0.25
_MAX_WARM_UP_S: Final = 600.0
# Of what was due. Less is another load than the one that is named, and its lag says nothing about that.
_PUBLISHED_SHARE: Final = 0.95
# Before, what is left behind the warm-up is too short to tell a leak from the day's habits of an allocator.
_JUDGE_MEMORY_MINUTES: Final = 30.0
# MiB an hour. The smallest leak, one pointer (8 B) of each event, is 20 in each of two shards at 1,500 events a second.
_MAX_LEAN: Final = 16.0
_LAG_S: Final = 2.0  # a batch and a slow moment; an hour at half the maximum must not leave more behind


@dataclass(slots=True)
class Soak:
    minutes: float
    maximum_per_s: float = 0.0
    rate_per_s: float = 0.0
    published: int = 0
    refused: int = 0  # publishes that were tried again
    series: dict[int, Series] = field(default_factory=dict)
    waiting: list[tuple[float, float]] = field(default_factory=list)
    lag: list[tuple[float, float]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    @property
    def warm_up_s(self) -> float:
        return min(_MAX_WARM_UP_S, self.minutes * 60 * _WARM_UP_SHARE)

    @property
    def due(self) -> float:
        """Events that had to be published in the whole of it."""
        return self.minutes * 60 * self.rate_per_s

    @property
    def lag_grew(self) -> bool:
        """The last quarter lags by more than two seconds, and by twice as much as the quarter behind the warm-up."""
        lags = [value for at_s, value in self.lag if at_s >= self.warm_up_s]
        quarter = max(1, len(lags) // 4)
        early, late = sorted(lags[:quarter]), sorted(lags[-quarter:])
        return bool(lags) and late[len(late) // 2] > max(_LAG_S, 2 * early[len(early) // 2])


def run(minutes: float, rate_per_s: float | None = None) -> Soak:
    soak = Soak(minutes)
    made = [fingerprinted(event) for event in events(_WORKLOAD)]
    with tempfile.TemporaryDirectory(prefix="stillwatch-soak-") as directory:
        overrides = {"data_dir": directory, "ingest": {"fetch_timeout_s": 0.2}}
        settings, key = with_local_key(load_settings("configs/profiles/demo.yaml", overrides))
        with cluster(settings) as running:
            if rate_per_s is None:
                soak.maximum_per_s = asyncio.run(_maximum(running, made))
                rate_per_s = soak.maximum_per_s / 2
            soak.rate_per_s = rate_per_s
            asyncio.run(_soak(running, key, made, soak))
    return soak


async def _maximum(running: Running, made: list[RequestEvent]) -> float:
    """Events a second from the first publish until all are in state: the publisher has its share of this machine, as later."""
    client = await connect(running.settings.nats, "soak-fill")
    started_s = time.monotonic()
    hub = jetstream_hub(client, running.settings, SystemClock())
    for start in range(0, len(made), 500):
        await hub.publisher.publish([_again(made, n, "fill") for n in range(start, min(start + 500, len(made)))])
    while await not_in_state(client.jetstream(), running.settings):  # noqa: ASYNC110 - the shards are other processes
        await asyncio.sleep(0.02)
    taken_s = time.monotonic() - started_s
    await close(client)
    return len(made) / taken_s


async def _soak(running: Running, key: str, made: list[RequestEvent], soak: Soak) -> None:
    started_s, stop = time.monotonic(), asyncio.Event()
    sampling = asyncio.create_task(_sample(running, key, soak, started_s, stop))
    client = await connect(running.settings.nats, "soak")
    hub = jetstream_hub(client, running.settings, SystemClock())
    end_s = started_s + soak.minutes * 60
    while (now_s := time.monotonic()) < end_s:
        due = int((now_s - started_s) * soak.rate_per_s)
        batch = [_again(made, number) for number in range(soak.published, min(due, soak.published + 2_000))]
        if batch:
            try:
                await hub.publisher.publish(batch)
                soak.published += len(batch)
            except Unavailable:
                soak.refused += 1
        await asyncio.sleep(_TURN_S)
    stop.set()
    await sampling
    await close(client)


def _again(made: list[RequestEvent], number: int, of: str = "soak") -> RequestEvent:
    """The same accounts for ever, with new requests of now: their state is bounded, so memory has no reason to grow."""
    event = made[number % len(made)]
    return replace(event, id=f"{of}-{number}", time_unix_nano=time.time_ns())


async def _sample(running: Running, key: str, soak: Soak, started_s: float, stop: asyncio.Event) -> None:
    async with httpx.AsyncClient(timeout=10, headers={"authorization": f"Bearer {key}"}) as http:
        while not stop.is_set():
            at_s = time.monotonic() - started_s
            there = tree(os.getpid())
            for pid, name in there.items():
                used = memory_mib(pid)
                if used is not None:
                    soak.series.setdefault(pid, Series(name, pid)).samples.append((at_s, used))
            status: dict[str, Any] = {}
            try:
                status = (await http.get(f"{running.http_url}/v1/status")).json()
            except (httpx.HTTPError, ValueError):
                soak.ended.append(f"after {at_s:.0f} s: no answer to /v1/status")
            if status.get("shards") is not None:
                soak.waiting.append((at_s, float(status["waiting"])))
                soak.lag.append((at_s, float(status["lag_s"])))
            try:
                async with asyncio.timeout(_SAMPLE_S):
                    await stop.wait()
            except TimeoutError:
                continue
    gone = [one for pid, one in soak.series.items() if pid not in there and one.name.startswith(("ray::", "nats"))]
    soak.ended += [f"{one.name} ({one.pid}) is gone" for one in gone if "IDLE" not in one.name]


def problems(soak: Soak) -> list[str]:
    """Empty: it passes. Of memory, the slope is judged that three quarters of all pairs of blocks exceed, so that a single step
    up is no leak."""
    found = list(soak.ended)
    if not [at_s for at_s, _ in soak.lag if at_s >= soak.warm_up_s]:
        found.append("the lag was not seen once behind the warm-up, so nothing is known of it")
    if soak.lag_grew:
        found.append("the lag grew")
    if soak.published < _PUBLISHED_SHARE * soak.due:
        found.append(f"{soak.published:,} events were published and {soak.due:,.0f} were due")
    for one in soak.series.values() if soak.minutes >= _JUDGE_MEMORY_MINUTES else ():
        leaning = lean(one.samples, soak.warm_up_s)
        if leaning is not None and leaning.low > _MAX_LEAN:
            found.append(f"the memory of {one.name} ({one.pid}) grows by {leaning.slope:.1f} MiB/h")
    return found


def report(soak: Soak) -> str:
    """Pure: what a person reads."""
    leaning = lean(soak.lag, soak.warm_up_s)
    lags = [value for at_s, value in soak.lag if at_s >= soak.warm_up_s] or [0.0]
    waits = [value for at_s, value in soak.waiting if at_s >= soak.warm_up_s] or [0.0]
    measured = f", half of {soak.maximum_per_s:,.0f}" if soak.maximum_per_s else ""
    lines = [
        f"{soak.minutes:g} minutes at {soak.rate_per_s:,.0f} events/s{measured}; {soak.published:,} published, "
        + f"{soak.refused} publishes tried again; slopes behind a warm-up of {soak.warm_up_s:.0f} s",
        "",
        table(sorted(soak.series.values(), key=lambda one: (one.name, one.pid)), soak.warm_up_s),
        "",
        f"lag: median {sorted(lags)[len(lags) // 2]:.2f} s, most {max(lags):.2f} s; waiting: most {max(waits):,.0f} messages; "
        + (
            "slope not known"
            if leaning is None
            else f"slope {leaning.slope:.2f} s/h ({leaning.low:.2f} to {leaning.high:.2f})"
        ),
        f"growing lag: {'yes' if soak.lag_grew else 'no'}",
        *(f"PROBLEM: {one}" for one in problems(soak)),
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, help="events a second instead of half of the measured maximum")
    chosen = parser.parse_args(arguments)
    soak = run(chosen.minutes, chosen.rate)
    print(report(soak))
    return 1 if problems(soak) else 0


if __name__ == "__main__":
    sys.exit(main())
