"""Whether the line works again, seen from outside: by what the broker says of the consumers, and by what the API says."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import UTC, datetime, timedelta
from typing import Final

from chaos.load import Load
from chaos.site import Site
from stillwatch.errors import Unavailable
from stillwatch.subjects import REQUESTS, consumer_name
from streams.connection import reaching, require_connection

_LOOK_S: Final = 0.1
GIVEN_UP_S: Final = 90.0


async def floors(site: Site) -> dict[int, int]:
    """By partition: everything up to this place of the stream is acknowledged, hence in state. Raises ``Unavailable``."""
    require_connection(site.client, "the broker")
    with reaching("the broker"):
        context = site.client.jetstream()
        infos = [await context.consumer_info(REQUESTS, consumer_name(number)) for number in site.partitions]
    return {n: info.ack_floor.stream_seq or 0 if info.ack_floor else 0 for n, info in enumerate(infos)}


async def into_state(site: Site, load: Load, since_s: float) -> float | None:
    """Seconds until each partition had an event in state that was acknowledged to its publisher after ``since_s``: it has
    an owner, its state is whole again, and it reads on. ``None``: not within the time that is given."""
    wanted: dict[int, int] = {}
    while (now_s := time.monotonic()) < since_s + GIVEN_UP_S:
        for number, (acknowledged_s, sequence) in load.newest.items():
            if acknowledged_s > since_s:
                wanted.setdefault(number, sequence)
        if len(wanted) == len(site.partitions):
            with contextlib.suppress(Unavailable):
                found = await floors(site)
                if all(found[number] >= sequence for number, sequence in wanted.items()):
                    return time.monotonic() - since_s
        await asyncio.sleep(max(_LOOK_S - (time.monotonic() - now_s), 0.01))
    return None


async def all_answers(site: Site, since_s: float) -> float | None:
    """Seconds until the API, the aggregator and every shard answer and every partition has an owner."""
    since = datetime.now(UTC) - timedelta(seconds=time.monotonic() - since_s)
    while time.monotonic() < since_s + GIVEN_UP_S:
        status = await site.ask("/v1/status")
        # The API asks its parts once a second: an answer may be older than the fault.
        fresh = status is not None and datetime.fromisoformat(status["as_of"]) >= since
        if (
            status
            and fresh
            and status["ready"]
            and status["aggregator"]
            and len(status["shards"] or []) == site.settings.shards
        ):
            return time.monotonic() - since_s
        await asyncio.sleep(_LOOK_S)
    return None


async def settled(site: Site, last_tick_unix_nano: int, within_s: float = 120.0) -> bool:
    """Nothing waits in the stream, and the last tick has been evaluated."""
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s:
        status = await site.ask("/v1/status")
        aggregator = (status or {}).get("aggregator")
        if aggregator and status and status["waiting"] == 0:
            evaluated: int = aggregator["evaluated_unix_nano"]
            if evaluated >= last_tick_unix_nano:
                return True
        await asyncio.sleep(_LOOK_S)
    return False
