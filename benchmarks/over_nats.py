"""What a hop costs, and events per second end to end, beside a plain River loop over the very same stream."""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import dataclass
from typing import cast

import ray
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig

from benchmarks.in_process import PlainRiver
from benchmarks.workload import events, fingerprinted
from launch.cluster import Running, cluster
from launch.keys import with_local_key
from launch.replay import rebased
from launch.settings import load_settings
from launch.telemetry import SystemClock
from stillwatch.event import RequestEvent
from stillwatch.gateway import Enforcer, refuses
from stillwatch.ports import AggregatorStatus
from stillwatch.revocation import Revocation
from stillwatch.settings import Settings
from stillwatch.subjects import REQUESTS, consumer_name
from stillwatch.ticks import nano_of
from stillwatch.wire import decode_message
from streams.connection import close, connect
from streams.hub import jetstream_hub

# Fewer would be a second of work: too short to be a rate.
_ENOUGH_WAITING = 4_000


@dataclass(frozen=True, slots=True)
class EndToEnd:
    events: int
    published_per_s: float
    cluster_per_s: float
    evaluated_per_s: float  # the same events, until the evaluations of their ticks are done too
    evaluations: int
    plain_river_per_s: float
    ray_call_us: float
    decision_to_refusal_ms: list[float]


def measure(count: int = 24_000) -> EndToEnd:
    made = [fingerprinted(event) for event in events(count)]
    newest = max(event.time_unix_nano for event in made)
    # Its three days end now: what is older than a year would be clamped to one moment, and that has no ticks.
    made = list(rebased(made, time.time_ns() - newest))
    with tempfile.TemporaryDirectory(prefix="stillwatch-bench-") as directory:
        overrides = {"data_dir": directory, "ingest": {"fetch_timeout_s": 0.2}}
        settings, _ = with_local_key(load_settings("configs/profiles/demo.yaml", overrides))
        with cluster(settings) as running:
            published = asyncio.run(_publish(running.settings, made))
            at_start, started = asyncio.run(_waiting(running.settings)), time.perf_counter()
            asyncio.run(_drained(running.settings))
            drained_s = time.perf_counter() - started
            evaluations = _evaluated(running.settings, max(event.time_unix_nano for event in made))
            evaluated_s = time.perf_counter() - started
            plain = asyncio.run(_plain_river(running.settings, count))
            call = _ray_call(running.settings)
            refusals = asyncio.run(_refusals(running))
    return EndToEnd(
        count, count / published, at_start / drained_s, at_start / evaluated_s, evaluations, count / plain, call, refusals
    )  # fmt: skip


async def _publish(settings: Settings, made: list[RequestEvent]) -> float:
    client = await connect(settings.nats, "bench")
    hub = jetstream_hub(client, settings, SystemClock())
    started = time.perf_counter()
    for start in range(0, len(made), 500):
        await hub.publisher.publish(made[start : start + 500])
    taken = time.perf_counter() - started
    await close(client)
    return taken


async def _waiting(settings: Settings) -> int:
    client = await connect(settings.nats, "bench-count")
    waiting = await not_in_state(client.jetstream(), settings)
    await close(client)
    if waiting < _ENOUGH_WAITING:
        raise RuntimeError(f"only {waiting} events waited when the last was published: publish more than that")
    return waiting


async def _drained(settings: Settings, within_s: float = 180.0) -> None:
    """Until nothing waits, while nobody publishes.

    The broker counts, not the shards: an event leaves the count when it is acknowledged, which is after it is in state.
    """
    client = await connect(settings.nats, "bench-count")
    jetstream = client.jetstream()
    async with asyncio.timeout(within_s):
        while await not_in_state(jetstream, settings):  # noqa: ASYNC110 - the shards are other processes
            await asyncio.sleep(0.02)
    await close(client)


def _evaluated(settings: Settings, newest_unix_nano: int, within_s: float = 180.0) -> int:
    """Until the ticks are evaluated that every partition has passed; the last one or two wait for its silence. How many."""
    actor = ray.get_actor("aggregator", namespace=settings.deployment)
    until_unix_nano = newest_unix_nano - 3 * nano_of(settings.detection.evaluation_tick_s)
    ends_s = time.monotonic() + within_s
    while True:
        status = cast(AggregatorStatus, ray.get(actor.status.remote(), timeout=10))
        if status.evaluated_unix_nano >= until_unix_nano:
            return status.evaluations
        if time.monotonic() > ends_s:
            raise TimeoutError(f"ticks were not evaluated within {within_s:g} s: {status}")
        time.sleep(0.05)


async def not_in_state(jetstream: JetStreamContext, settings: Settings) -> int:
    """Messages that no shard has acknowledged."""
    names = [consumer_name(partition) for partition in range(settings.partitions)]
    infos = await asyncio.gather(*(jetstream.consumer_info(REQUESTS, name) for name in names))
    return sum((info.num_pending or 0) + (info.num_ack_pending or 0) for info in infos)


async def _plain_river(settings: Settings, count: int) -> float:
    """One process, one consumer over everything, the models of a first draft, one acknowledgement per batch."""
    client = await connect(settings.nats, "plain")
    config = ConsumerConfig(ack_policy=AckPolicy.ALL, max_ack_pending=10_000)
    subscription = await client.jetstream().pull_subscribe(
        "stillwatch.partition.>", durable="plain", stream=REQUESTS, config=config
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


async def _refusals(running: Running, times: int = 40) -> list[float]:
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
