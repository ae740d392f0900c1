"""What a hop costs, and events per second end to end, beside a plain River loop over the very same stream."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

import ray
from nats.js.api import AckPolicy, ConsumerConfig

from benchmarks.in_process import PlainRiver
from benchmarks.workload import events, fingerprinted
from launch.client import Api
from launch.cluster import Running, cluster
from launch.keys import with_local_key
from launch.running import Address
from launch.settings import load_settings
from launch.telemetry import SystemClock
from stillwatch.event import RequestEvent
from stillwatch.gateway import Enforcer, refuses
from stillwatch.revocation import Revocation
from stillwatch.settings import Settings
from stillwatch.wire import decode_message
from streams.connection import close, connect
from streams.hub import jetstream_hub


@dataclass(frozen=True, slots=True)
class EndToEnd:
    published_per_s: float
    cluster_per_s: float
    plain_river_per_s: float
    ray_call_us: float
    decision_to_refusal_ms: list[float]


def measure(count: int = 12_000) -> EndToEnd:
    made = [fingerprinted(event) for event in events(count)]
    with tempfile.TemporaryDirectory(prefix="stillwatch-bench-") as directory:
        overrides = {"data_dir": directory, "ingest": {"fetch_timeout_s": 0.2}}
        settings, key = with_local_key(load_settings("configs/profiles/demo.yaml", overrides))
        with cluster(settings) as running:
            published = asyncio.run(_publish(running.settings, made))
            in_cluster = _until_in_state(running, key, count)
            plain = asyncio.run(_plain_river(running.settings, count))
            call = _ray_call(running.settings)
            refusals = asyncio.run(_refusals(running, key))
    return EndToEnd(count / published, count / in_cluster, count / plain, call, refusals)


async def _publish(settings: Settings, made: list[RequestEvent]) -> float:
    client = await connect(settings.nats, "bench")
    hub = jetstream_hub(client, settings, SystemClock())
    started = time.perf_counter()
    for start in range(0, len(made), 500):
        await hub.publisher.publish(made[start : start + 500])
    taken = time.perf_counter() - started
    await close(client)
    return taken


def _until_in_state(running: Running, key: str, count: int) -> float:
    """Shards start over from the first message: kill them, and time the replay of the whole stream."""
    api = Api(Address(running.http_url, key, "", 0))
    _wait_for(api, lambda now: now >= count)
    for shard in api.call("GET", "/v1/status")["shards"]:
        os.kill(shard["pid"], signal.SIGKILL)
    _wait_for(api, lambda now: now < count)  # they are gone; the API's answer may be a second old
    first = _wait_for(api, lambda now: 0 < now < count)
    return _wait_for(api, lambda now: now >= count) - first


def _wait_for(api: Api, reached: Callable[[int], bool], within_s: float = 180.0) -> float:
    deadline = time.perf_counter() + within_s
    while not reached(api.call("GET", "/v1/status")["events"]):
        if time.perf_counter() > deadline:
            raise TimeoutError(f"the expected number of events was not in state within {within_s:g} s")
        time.sleep(0.05)
    return time.perf_counter()


async def _plain_river(settings: Settings, count: int) -> float:
    """One process, one consumer over everything, the models of a first draft, one acknowledgement per batch."""
    client = await connect(settings.nats, "plain")
    config = ConsumerConfig(ack_policy=AckPolicy.ALL, max_ack_pending=10_000)
    subscription = await client.jetstream().pull_subscribe(
        "stillwatch.partition.>", durable="plain", stream="STILLWATCH_REQUESTS", config=config
    )
    loop, seen = PlainRiver(), 0
    started = time.perf_counter()
    while seen < count:
        batch = await subscription.fetch(500, timeout=5)
        for message in batch:
            for event in decode_message(message.data):
                if isinstance(event, RequestEvent):
                    loop.take(event)
        seen += len(batch)
        await batch[-1].ack()
    taken = time.perf_counter() - started
    await close(client)
    return taken


def _ray_call(settings: Settings, times: int = 200) -> float:
    """A question to an actor and its answer, in microseconds: the hop that events do not take."""
    actor = ray.get_actor("aggregator", namespace=settings.deployment)
    ray.get(actor.pid.remote(), timeout=10)
    started = time.perf_counter()
    for _ in range(times):
        ray.get(actor.pid.remote(), timeout=10)
    return (time.perf_counter() - started) / times * 1e6


async def _refusals(running: Running, key: str, times: int = 40) -> list[float]:
    """From the moment the decision is asked for over HTTP to the moment a gateway's enforcer refuses."""
    client = await connect(running.settings.nats, "bench-gateway")
    hub = jetstream_hub(client, running.settings, SystemClock())
    out = []
    async with Enforcer(client) as enforcer:
        if not await enforcer.wait_loaded(10):
            raise TimeoutError("the enforcer did not load within 10 s")
        for number in range(times):
            account, now = f"bench-{number}", int(time.time())
            revocation = Revocation(
                id=f"r-bench-{number}", target_kind="account", target=account, accounts=(account,), action="revoke",
                reason="bench", mode="enforce", dry_run=False, created_unix_s=now, expires_unix_s=now + 60, actor="bench",
            )  # fmt: skip
            started = time.perf_counter()
            await hub.revocations.put(revocation)
            async with asyncio.timeout(5):
                while not refuses(enforcer.check(account)):  # noqa: ASYNC110 - the watch's task runs in between
                    await asyncio.sleep(0)
            out.append((time.perf_counter() - started) * 1e3)
    await close(client)
    return out
