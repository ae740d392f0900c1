"""Builds the ports of each process. These functions travel to Ray by reference and connect where they run."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from nats.aio.client import Client

from actors.aggregator import Aggregator, AggregatorPorts
from actors.handles import RayAggregator, RayShards
from actors.shard import Shard, ShardPorts
from actors.snapshots import Snapshots
from launch.exchange import read_exchange_keys
from launch.settings import load_policy
from launch.snapshot_key import read_snapshot_key
from launch.telemetry import SystemClock, configure_logging, make_tracer
from serve.ports import ServePorts
from stillwatch.errors import Unavailable
from stillwatch.gateway import Enforcer
from stillwatch.indicators import ExchangeKeys
from stillwatch.revocation import Enforcement
from stillwatch.settings import NatsSettings, Policy, Settings
from streams.connection import close, connect
from streams.hub import Hub, jetstream_hub
from streams.snapshots import snapshot_store

log = logging.getLogger("stillwatch.launch")

_RETRY_S: Final = 1.0


def shard_factory(settings: Settings) -> Callable[[str, str, Settings], Awaitable[Shard]]:
    """The key is read once, here: nodes need not have the file."""
    return functools.partial(_make_shard_with, read_snapshot_key(settings))


async def _make_shard_with(snapshot_key: bytes, name: str, cluster: str, settings: Settings) -> Shard:
    return await make_shard(name, settings, snapshot_key, cluster=cluster)


async def make_shard(
    name: str, settings: Settings, snapshot_key: bytes, *, cluster: str = "", partitions: Sequence[int] | None = None
) -> Shard:
    configure_logging(settings.telemetry)
    clock = SystemClock()
    client = await _connected(settings, name)
    hub = jetstream_hub(client, settings, clock)
    tracer = make_tracer(settings.telemetry, "stillwatch-shard")
    aggregator = RayAggregator(settings)
    snapshots = await _snapshots(client, hub, settings, snapshot_key, clock)
    ports = ShardPorts(hub.events, hub.dead_letters, hub.leases, aggregator, clock, tracer, snapshots)
    return Shard(name, partitions, settings, ports, cluster)


async def make_aggregator(
    settings: Settings,
    policy: Policy,
    snapshot_key: bytes,
    exchange_keys: ExchangeKeys | None = None,
    *,
    cluster: str = "",
) -> Aggregator:
    configure_logging(settings.telemetry)
    clock = SystemClock()
    client = await _connected(settings, "aggregator")
    hub = jetstream_hub(client, settings, clock, policy.never_act)
    tracer = make_tracer(settings.telemetry, "stillwatch-aggregator")
    ports = AggregatorPorts(
        hub.verdicts, hub.revocations, hub.audit, hub.indicators, clock, tracer, hub.never_act, hub.control, hub.leases, hub.fence,
        await _snapshots(client, hub, settings, snapshot_key, clock),
    )  # fmt: skip
    return Aggregator(settings, policy, ports, exchange_keys, cluster)


async def _snapshots(client: Client, hub: Hub, settings: Settings, key: bytes, clock: SystemClock) -> Snapshots | None:
    store = snapshot_store(client, settings)
    while store is not None:
        try:
            return Snapshots(store, key, settings.snapshots.keep, clock, await hub.events.identity())
        except Unavailable as error:
            log.warning("snapshots: %s", error)
            await asyncio.sleep(_RETRY_S)
    return None


def aggregator_factory(settings: Settings) -> Callable[[str, Settings], Awaitable[Aggregator]]:
    """Policy and keys are read once, here: every life of the aggregator decides by the same ones."""
    return functools.partial(
        _make_aggregator_with,
        load_policy(settings.policy_file),
        read_exchange_keys(settings),
        read_snapshot_key(settings),
    )


async def _make_aggregator_with(
    policy: Policy, exchange_keys: ExchangeKeys, snapshot_key: bytes, cluster: str, settings: Settings
) -> Aggregator:
    return await make_aggregator(settings, policy, snapshot_key, exchange_keys, cluster=cluster)


async def make_serve_ports(settings: Settings, never_act: Sequence[str]) -> ServePorts:
    """``never_act``: accounts that the policy names. What people ask for does not touch them either."""
    configure_logging(settings.telemetry)
    clock = SystemClock()
    client = await _connected(settings, "serve", settings.nats.of_api())
    hub = jetstream_hub(client, settings, clock, never_act)
    tracer = make_tracer(settings.telemetry, "stillwatch-serve")
    enforcer = Enforcer(client, clock=lambda: clock.unix_nano() / 1e9, tracer=tracer)
    await enforcer.start()

    async def shut_down() -> None:
        await enforcer.stop()
        await close(client)

    return ServePorts(
        clock=clock,
        events=hub.publisher,
        shards=RayShards(settings, hub.leases, clock.monotonic_s),
        campaigns=RayAggregator(settings),
        revocations=hub.revocations,
        verdicts=hub.verdicts,
        audit=hub.audit,
        control=hub.control,
        never_act=hub.never_act,
        dead_letters=hub.dead_letters,
        enforcer=InRam(enforcer),
        close=shut_down,
    )


@dataclass(frozen=True, slots=True)
class InRam:
    """serve.ports.Enforcer over the gateway's: /authz answers from the same RAM as a gateway does."""

    enforcer: Enforcer

    @property
    def loaded(self) -> bool:
        return self.enforcer.stats.loaded

    @property
    def silent_s(self) -> float:
        return self.enforcer.silent_s

    @property
    def interruptions(self) -> int:
        return self.enforcer.stats.interruptions

    @property
    def active(self) -> int:
        return self.enforcer.stats.keys

    def check(self, account: str | None, organisation: str | None, now_unix_s: float) -> Enforcement | None:
        return self.enforcer.check(account or "", organisation, now_unix_s)


async def _connected(settings: Settings, name: str, login: NatsSettings | None = None) -> Client:
    """An actor that starts before NATS waits for it: Ray would restart it anyway, with more noise."""
    while True:
        try:
            return await connect(login or settings.nats, f"{settings.deployment}-{name}")
        except Unavailable as error:
            log.warning("%s: %s", name, error)
            await asyncio.sleep(_RETRY_S)
