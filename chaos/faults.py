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
from chaos.processes import AGGREGATOR, REPLICA, SHARD, Process, titled
from chaos.site import Site
from stillwatch.errors import Unavailable

# Of one fault that touches single messages.
_MESSAGES: Final = 20
_BROKER_AWAY_S: Final = 1.5
_SILENT_S: Final = 4.0  # above the 3 s after which a feed holds an unanswered request for lost
_FULL_S: Final = 3.0
_BEYOND_LEASE_S: Final = 1.0
_RETRIES: Final = 50
_RETRY_S: Final = 0.2
_VICTIM_S: Final = 60.0  # a whole cluster starts in less


@dataclass(slots=True)
class Ground:
    """What a fault works on. ``draw`` in [0, 1) is the plan's."""

    site: Site
    load: Load
    rng: random.Random
    draw: float = 0.0
    over_s: float | None = None  # when the fault was over, where that is before its function returns


# Whether it has broken something; asked at the end of the run, since some faults wait for the next delivery or batch.
Took = Callable[[], bool]
Inject = Callable[[Ground], Awaitable[Took]]


class GivenUp(Exception):
    """What a fault took could not be given back, so the run says nothing."""


def _always(took: bool) -> Took:
    return lambda: took


async def _send(ground: Ground, title: str, number: signal.Signals) -> Process | None:
    """To one of these, as soon as there is one: the fault before may have killed it. ``None``: none came."""
    until_s = time.monotonic() + _VICTIM_S
    while True:
        victims = titled(ground.site.processes(), title)
        if victims and (victim := victims[int(ground.draw * len(victims))]).send(number):
            return victim
        if time.monotonic() > until_s:
            return None
        await asyncio.sleep(0.2)


async def _kill(ground: Ground, title: str) -> Took:
    return _always(await _send(ground, title, signal.SIGKILL) is not None)


async def kill_shard(ground: Ground) -> Took:
    return await _kill(ground, SHARD)


async def kill_aggregator(ground: Ground) -> Took:
    return await _kill(ground, AGGREGATOR)


async def kill_replica(ground: Ground) -> Took:
    return await _kill(ground, REPLICA)


async def kill_nats(ground: Ground) -> Took:
    await ground.site.on_nats(ground.site.nats.kill)
    await ground.site.on_nats(ground.site.nats.start)
    return _always(True)


async def restart_nats(ground: Ground) -> Took:
    await ground.site.on_nats(ground.site.nats.stop)
    await asyncio.sleep(ground.draw * _BROKER_AWAY_S)
    await ground.site.on_nats(ground.site.nats.start)
    return _always(True)


async def kill_cluster(ground: Ground) -> Took:
    await ground.site.kill_line()
    ground.over_s = time.monotonic()
    await ground.site.start_line()
    return _always(True)


async def pause_shard(ground: Ground) -> Took:
    victim = await _send(ground, SHARD, signal.SIGSTOP)
    if victim is None:
        return _always(False)
    try:
        await asyncio.sleep(ground.site.settings.ingest.lease_ttl_s + _BEYOND_LEASE_S)
    finally:
        goes_on = victim.send(signal.SIGCONT)
    return _always(goes_on)


async def fill_disk(ground: Ground) -> Took:
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

    try:
        full = await _persist(fill)
        await asyncio.sleep(_FULL_S if full else 0.0)
    finally:
        room = await _persist(make_room)
    if not room:
        raise GivenUp("streams that were full could not be given their limits back: the broker did not take it")
    return _always(full and bool(before))


async def _persist(do: Callable[[], Awaitable[None]]) -> bool:
    """The broker may be away for a moment, since faults overlap; what was taken must be given back all the same. ``False``: it
    could not be done."""
    for _ in range(_RETRIES):
        with contextlib.suppress(nats.errors.Error, OSError):
            await do()
            return True
        await asyncio.sleep(_RETRY_S)
    return False


async def publish_again(ground: Ground) -> Took:
    return await _again(ground, with_ids=True)


async def publish_again_without_ids(ground: Ground) -> Took:
    return await _again(ground, with_ids=False)


async def _again(ground: Ground, *, with_ids: bool) -> Took:
    events = ground.load.some_of_before(ground.rng, _MESSAGES)
    for _ in range(_RETRIES if events else 0):
        with contextlib.suppress(Unavailable):
            await ground.load.publish(events, with_ids=with_ids)
            return _always(True)
        await asyncio.sleep(_RETRY_S)
    return _always(False)


async def publish_out_of_order(ground: Ground) -> Took:
    load, before = ground.load, ground.load.shuffled
    load.shuffle = _MESSAGES
    return lambda: load.shuffled > before


async def deliver_twice(ground: Ground) -> Took:
    return ground.site.proxy.arm("twice", _MESSAGES)


async def deliver_out_of_order(ground: Ground) -> Took:
    return ground.site.proxy.arm("swapped", 3)


async def lose_delivery(ground: Ground) -> Took:
    return ground.site.proxy.arm("lost", 3)


async def cut_connections(ground: Ground) -> Took:
    return _always(ground.site.proxy.cut() > 0)


async def silence_broker(ground: Ground) -> Took:
    await ground.site.proxy.silence(_SILENT_S)
    return _always(True)


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
