"""What each kind of fault does. Each returns when the fault itself is over: what was killed stays killed, what was stopped
goes on, the disk has room again. From then on, recovery is the line's own work."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import nats.errors
from nats.js.api import DiscardPolicy, StreamConfig

from chaos.load import Load
from chaos.processes import AGGREGATOR, REPLICA, SHARD, titled
from chaos.site import Site
from stillwatch.errors import Unavailable

# Of one fault that touches single messages.
_MESSAGES: Final = 20
_BROKER_AWAY_S: Final = 1.5
_SILENT_S: Final = 4.0  # above the 3 s after which a feed holds an unanswered request for lost
_FULL_S: Final = 3.0
_BEYOND_LEASE_S: Final = 1.0
_RETRIES: Final = 50


@dataclass(slots=True)
class Ground:
    """What a fault works on. ``draw`` in [0, 1) is the plan's."""

    site: Site
    load: Load
    rng: random.Random
    draw: float = 0.0
    over_s: float | None = None  # when the fault was over, where that is before its function returns


Inject = Callable[[Ground], Awaitable[bool]]  # whether there was something to break


async def _kill(ground: Ground, title: str) -> bool:
    victims = titled(ground.site.processes(), title)
    return bool(victims) and victims[int(ground.draw * len(victims))].send(signal.SIGKILL)


async def kill_shard(ground: Ground) -> bool:
    return await _kill(ground, SHARD)


async def kill_aggregator(ground: Ground) -> bool:
    return await _kill(ground, AGGREGATOR)


async def kill_replica(ground: Ground) -> bool:
    return await _kill(ground, REPLICA)


async def kill_nats(ground: Ground) -> bool:
    await ground.site.on_nats(ground.site.nats.kill)
    await ground.site.on_nats(ground.site.nats.start)
    return True


async def restart_nats(ground: Ground) -> bool:
    await ground.site.on_nats(ground.site.nats.stop)
    await asyncio.sleep(ground.draw * _BROKER_AWAY_S)
    await ground.site.on_nats(ground.site.nats.start)
    return True


async def kill_cluster(ground: Ground) -> bool:
    await ground.site.kill_line()
    ground.over_s = time.monotonic()
    await ground.site.start_line()
    return True


async def pause_shard(ground: Ground) -> bool:
    victims = titled(ground.site.processes(), SHARD)
    if not victims:
        return False
    victim = victims[int(ground.draw * len(victims))]
    paused = victim.send(signal.SIGSTOP)
    try:
        await asyncio.sleep(ground.site.settings.ingest.lease_ttl_s + _BEYOND_LEASE_S)
    finally:
        victim.send(signal.SIGCONT)
    return paused


async def fill_disk(ground: Ground) -> bool:
    """Every stream is at its limit and takes nothing: requests, verdicts, leases, revocations, snapshots. Then there is
    room again."""
    before: list[StreamConfig] = []

    async def fill() -> None:
        """Not twice: what a stream was before is what it gets back."""
        known = {config.name for config in before}
        for info in await ground.site.client.jetstream().streams_info():
            if info.config.name not in known:
                full = info.config.evolve(discard=DiscardPolicy.NEW, max_bytes=max(1, info.state.bytes))
                await ground.site.client.jetstream().update_stream(full)
                before.append(info.config)

    async def make_room() -> None:
        for config in before:
            await ground.site.client.jetstream().update_stream(config)

    await _persist(fill)
    await asyncio.sleep(_FULL_S)
    await _persist(make_room)
    return bool(before)


async def _persist(do: Callable[[], Awaitable[None]]) -> None:
    """The broker may be away for a moment, since faults overlap; what was taken must be given back all the same."""
    for _ in range(_RETRIES):
        with contextlib.suppress(nats.errors.Error, OSError):
            return await do()
        await asyncio.sleep(0.2)


async def publish_again(ground: Ground) -> bool:
    return await _again(ground, with_ids=True)


async def publish_again_without_ids(ground: Ground) -> bool:
    return await _again(ground, with_ids=False)


async def _again(ground: Ground, *, with_ids: bool) -> bool:
    events = ground.load.some_of_before(ground.rng, _MESSAGES)
    for _ in range(_RETRIES):
        with contextlib.suppress(Unavailable):
            await ground.load.publish(events, with_ids=with_ids)
            break
        await asyncio.sleep(0.2)
    return bool(events)


async def publish_out_of_order(ground: Ground) -> bool:
    ground.load.shuffle = _MESSAGES
    return True


async def deliver_twice(ground: Ground) -> bool:
    ground.site.proxy.arm("twice", _MESSAGES)
    return True


async def deliver_out_of_order(ground: Ground) -> bool:
    ground.site.proxy.arm("swapped", 3)
    return True


async def lose_delivery(ground: Ground) -> bool:
    ground.site.proxy.arm("lost", 3)
    return True


async def cut_connections(ground: Ground) -> bool:
    ground.site.proxy.cut()
    return True


async def silence_broker(ground: Ground) -> bool:
    await ground.site.proxy.silence(_SILENT_S)
    return True


INJECT: Final[dict[str, Inject]] = {
    "shard killed": kill_shard,
    "aggregator killed": kill_aggregator,
    "serve replica killed": kill_replica,
    "nats-server killed": kill_nats,
    "nats-server restarted": restart_nats,
    "ray cluster killed": kill_cluster,
    "shard paused past its lease": pause_shard,
    "disk full": fill_disk,
    "published again, same id": publish_again,
    "published again, without id": publish_again_without_ids,
    "published out of order": publish_out_of_order,
    "delivered twice": deliver_twice,
    "delivered out of order": deliver_out_of_order,
    "delivery lost": lose_delivery,
    "connections cut": cut_connections,
    "broker silent": silence_broker,
}
