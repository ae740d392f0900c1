"""How long the kill switch takes: from the PUT to each of many gateways that lets everybody pass, or refuses again.

``python -m benchmarks.kill_switch`` starts a cluster on this machine, with a real nats-server and Ray Serve. The gateways
have a connection each and share a process, as they would share two cores here anyway.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import tempfile
import time
from contextlib import AsyncExitStack

import httpx
import nats
import numpy as np

from launch.cluster import Running, cluster
from launch.keys import with_local_key
from launch.settings import load_settings
from stillwatch.gateway import Enforcer

_LOOK_EVERY_S = 0.0005
_LOADED_WITHIN_S = 20.0


async def measure(running: Running, key: str, gateways: int, times: int) -> list[list[float]]:
    """For each switch, how many ms it took at each gateway."""
    async with AsyncExitStack() as stack:
        enforcers = []
        for _ in range(gateways):
            client = await nats.connect(running.nats_url, max_reconnect_attempts=-1)
            stack.push_async_callback(client.close)
            enforcers.append(await stack.enter_async_context(Enforcer(client)))
        for enforcer in enforcers:
            assert await enforcer.wait_loaded(_LOADED_WITHIN_S)
        headers = {"authorization": f"Bearer {key}"}
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=running.http_url, headers=headers))
        return [await _switched(http, enforcers, on=bool(number % 2)) for number in range(2 * times)]


async def _switched(http: httpx.AsyncClient, enforcers: list[Enforcer], *, on: bool) -> list[float]:
    started = time.perf_counter()
    asked = asyncio.create_task(http.put("/v1/control/enforcement", json={"enforcement": "on" if on else "off"}))
    seen: dict[int, float] = {}
    while len(seen) < len(enforcers):
        for number, enforcer in enumerate(enforcers):
            if number not in seen and enforcer.enforcing == on:
                seen[number] = (time.perf_counter() - started) * 1_000
        await asyncio.sleep(_LOOK_EVERY_S)
    (await asked).raise_for_status()
    return list(seen.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gateways", type=int, default=20)
    parser.add_argument("--times", type=int, default=50, help="how often off and on again")
    chosen = parser.parse_args()
    logging.getLogger("stillwatch.gateway").setLevel(logging.ERROR)  # each gateway warns of each switch
    with tempfile.TemporaryDirectory(prefix="stillwatch-bench-") as directory:
        settings, key = with_local_key(load_settings("configs/profiles/demo.yaml", {"data_dir": directory}))
        with cluster(settings) as running:
            found = asyncio.run(measure(running, key, chosen.gateways, chosen.times))
    every, last = np.array(found).ravel(), np.array([max(one) for one in found])
    print(f"{len(found)} switches at {chosen.gateways} gateways, ms from the PUT")
    for name, values in (("each gateway", every), ("the last one of each switch", last)):
        p50, p99 = np.percentile(values, [50, 99])
        print(f"  {name}: p50 {p50:.1f}, p99 {p99:.1f}, max {values.max():.1f}")


if __name__ == "__main__":
    main()
