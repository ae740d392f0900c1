"""How long a shard of 100,000 accounts is away: ``python -m benchmarks.recovery [ACCOUNTS [PARTITIONS]]``.

Real states: accounts of simulated traffic, copied under new names until there are as many; in each partition as many of them as
objects, and as many remembered ids, as the settings allow. A real nats-server, and a shard as it runs in the cluster, without
Ray around it: the time is from its start until it takes events of every partition. Both stores that need nothing else are
measured; S3 adds the time of the network.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final, Literal

from opentelemetry.trace import NoOpTracer

from actors.outbox import Outbox
from actors.recovery import PartitionSnapshots
from actors.shard import Shard, ShardPorts
from actors.snapshots import Snapshots
from benchmarks.workload import SCENARIO
from launch.embedded import EmbeddedNats
from launch.scenarios import load_scenario
from launch.telemetry import SystemClock
from stillwatch.account import AccountState
from stillwatch.event import RequestEvent
from stillwatch.partition import partition_of
from stillwatch.ports import Folded, Lease, Mark, Part, RawMessage
from stillwatch.settings import NatsSettings, Settings, SnapshotSettings
from stillwatch.shard import PartitionCore
from stillwatch.simulator import BuiltinTexts, simulate
from stillwatch.wire import encode_event
from streams import topology
from streams.connection import close, connect
from streams.hub import Hub, jetstream_hub
from streams.snapshots import snapshot_store

GOAL_S: Final = 5.0
_KEY: Final = b"only of this benchmark, 32 bytes"


class _Nobody:
    """ports.AggregatorClient: has nothing, and asks for nothing."""

    async def fold(self, shard: str, life: str, part: Part | None, marks: Sequence[Mark]) -> Folded:
        return Folded("a", True, 0, {mark.partition: 0 for mark in marks}, "a", {mark.partition: 0 for mark in marks})


def filled(core: PartitionCore, events: list[RequestEvent], accounts: int, busy: int, ids: int) -> PartitionCore:
    """A partition that has learned from the events, with as many accounts and ids as are wanted."""
    for sequence, event in enumerate(events, start=1):
        subject = f"stillwatch.partition.{core.partition}.{event.account}"
        core.observe([RawMessage(sequence, subject, encode_event(event), event.time_unix_nano)])
    store = core._accounts
    originals = {name: state.pack() for name in list(store.names()) if (state := store.get(name)) is not None}
    packed, random = list(originals.values()), Random(core.partition)
    for number in range(accounts - len(originals)):
        name = f"{core.partition:03d}-account-{number:08d}"
        store.restore_idle(name, another(name, packed[number % len(packed)], random))
    for number in range(min(busy, accounts - len(originals))):
        store.open(f"{core.partition:03d}-account-{number:08d}", events[-1].time_unix_nano)
    for number in range(ids):
        core._recent.add(f"{core.partition}-{number}")
    core.take_cuts()
    core.last_sequence = 1  # of a stream that holds one message
    return core


def another(name: str, packed: bytes, random: Random) -> bytes:
    """As large, and with hashes and times of its own: copies would compress to nothing."""
    state = AccountState.unpack(name, packed)
    state.last_seen_unix_nano += random.getrandbits(40)
    state.last_openings = [(random.getrandbits(63), topics) for _, topics in state.last_openings]
    state.open_conversations = {random.getrandbits(32): random.getrandbits(63) for _ in state.open_conversations}
    state.begun = [(at + random.getrandbits(20), random.getrandbits(32)) for at, _ in state.begun]
    state.links = {view: {f"{random.getrandbits(48):x}": n for n in of.values()} for view, of in state.links.items()}
    for table in (state.profile.templates, state.profile.systems, state.profile.parameters):
        for key in list(table):
            table[random.getrandbits(32)] = table.pop(key)
    return state.pack()


async def measure(settings: Settings, hub: Hub, snapshots: Snapshots, cores: list[PartitionCore]) -> float:
    clock = SystemClock()
    saving = PartitionSnapshots(settings, snapshots, hub.events, clock)
    held, stored, size = 0.0, 0.0, 0
    for core in cores:
        outbox, lease = Outbox(core), Lease("", "", 1, 0.0)
        begun = time.perf_counter()
        header, place, body = saving._taken(core, outbox, lease)
        held = max(held, time.perf_counter() - begun)
        await saving._save(snapshots, header, place, body)
        stored += time.perf_counter() - begun
        size += snapshots.counts.bytes
    ports = ShardPorts(hub.events, hub.dead_letters, hub.leases, _Nobody(), clock, NoOpTracer(), snapshots)
    shard = Shard("shard-000", range(len(cores)), settings, ports)
    begun = time.perf_counter()
    await shard.start()
    while sum(one.owned for one in (await shard.status()).partitions) < len(cores):  # noqa: ASYNC110 - nobody signals it
        await asyncio.sleep(0.005)
    ready = time.perf_counter() - begun
    restored = sum(one.accounts for one in (await shard.status()).partitions)
    for task in (*shard._tasks, *shard._owners.values()):  # as a crash ends it: nothing more is written
        task.cancel()
    await asyncio.gather(*shard._tasks, *shard._owners.values(), return_exceptions=True)
    assert snapshots.counts.restored == len(cores)
    print(
        f"{settings.snapshots.store:>9}: ready in {ready:.2f} s with {restored:,} accounts in {len(cores)} partitions; snapshots "
        f"{size / 1e6:.1f} MB ({size / restored:.0f} B an account), taken and stored in {stored:.2f} s, of which events of a "
        f"partition wait {held * 1e3:.0f} ms"
    )
    return ready


async def run(accounts: int, partitions: int) -> list[float]:
    base = Settings(partitions=partitions, shards=1)
    events = list(simulate(load_scenario(SCENARIO), BuiltinTexts()))
    cores = [
        filled(
            PartitionCore(number, partitions, base.ingest, base.detection),
            [event for event in events if partition_of(event.account, partitions) == number],
            accounts // partitions, base.ingest.max_busy_accounts_per_partition, 2 * base.ingest.dedup_ids - 1,
        )
        for number in range(partitions)
    ]  # fmt: skip
    out = []
    stores: tuple[Literal["directory", "jetstream"], ...] = ("directory", "jetstream")
    for store in stores:
        with tempfile.TemporaryDirectory() as directory, EmbeddedNats(Path(directory) / "nats") as server:
            settings = base.model_copy(
                update={
                    "nats": NatsSettings(urls=(server.url,)),
                    "snapshots": SnapshotSettings(store=store, directory=str(Path(directory) / "snapshots")),
                }
            )
            client = await connect(settings.nats, "benchmark")
            try:
                await topology.ensure(client, settings)
                hub = jetstream_hub(client, settings, SystemClock())
                await hub.publisher.publish(events[:1])
                made = snapshot_store(client, settings)
                assert made is not None
                snapshots = Snapshots(made, _KEY, 3, SystemClock(), await hub.events.identity())
                out.append(await measure(settings, hub, snapshots, cores))
            finally:
                with contextlib.suppress(Exception):
                    await close(client)
    return out


def main(accounts: int, partitions: int) -> int:
    slowest = max(asyncio.run(run(accounts, partitions)))
    print(f"goal: {GOAL_S:g} s; {'reached' if slowest <= GOAL_S else 'missed'}")
    return 0 if slowest <= GOAL_S else 1


if __name__ == "__main__":
    sys.exit(main(*(int(given) for given in (sys.argv[1:] + ["100000", "8"][len(sys.argv) - 1 :])[:2])))
