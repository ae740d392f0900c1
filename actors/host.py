"""Ray's side of the actors: thin hosts that run a Shard or an Aggregator on a loop of their own, and their options.

``ray.remote`` is applied under another name: a decorated class would be pickled by value, with its globals.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import ray
import uvloop

from actors.aggregator import Aggregator
from actors.loop import LoopThread
from actors.shard import Shard
from stillwatch.event import RequestEvent
from stillwatch.indicators import Imported, Indicator, Refused
from stillwatch.ownership import shard_name
from stillwatch.ports import AccountView, AggregatorStatus, Folded, Mark, Part, ShardStatus
from stillwatch.settings import Settings
from stillwatch.verdict import AccountScore, Campaign

MakeShard = Callable[[str, str, Settings], Awaitable[Shard]]  # name, cluster
MakeAggregator = Callable[[str, Settings], Awaitable[Aggregator]]  # cluster

# A question that waits longer than this is better answered "try again": batches are processed in slices of 15 ms.
_CALL_TIMEOUT_S: Final = 10.0
# Connecting retries inside; a host that can not connect at all is restarted by Ray.
_START_TIMEOUT_S: Final = 60.0


class ShardHost:
    def __init__(self, make: MakeShard, name: str, settings: Settings) -> None:
        self._loop = LoopThread(name, uvloop.new_event_loop)
        self._shard = self._loop.call(self._begin(make, name, settings), _START_TIMEOUT_S)

    async def _begin(self, make: MakeShard, name: str, settings: Settings) -> Shard:
        shard = await make(name, cluster_id(), settings)
        await shard.start()
        return shard

    def account(self, account: str) -> AccountView | None:
        return self._loop.call(self._shard.account(account), _CALL_TIMEOUT_S)

    def score(self, event: RequestEvent) -> AccountScore:
        return self._loop.call(self._shard.score(event), _CALL_TIMEOUT_S)

    def status(self) -> ShardStatus:
        return self._loop.call(self._shard.status(), _CALL_TIMEOUT_S)

    def pid(self) -> int:
        return os.getpid()

    def stop(self) -> None:
        self._loop.call(self._shard.stop(), _CALL_TIMEOUT_S)
        self._loop.stop()


class AggregatorHost:
    def __init__(self, make: MakeAggregator, settings: Settings) -> None:
        self._loop = LoopThread("aggregator", uvloop.new_event_loop)
        self._aggregator = self._loop.call(self._begin(make, settings), _START_TIMEOUT_S)

    async def _begin(self, make: MakeAggregator, settings: Settings) -> Aggregator:
        aggregator = await make(cluster_id(), settings)
        await aggregator.start()
        return aggregator

    def fold(self, shard: str, life: str, part: Part | None, marks: Sequence[Mark]) -> Folded:
        return self._loop.call(self._aggregator.fold(shard, life, part, marks), _CALL_TIMEOUT_S)

    def campaigns(self) -> list[Campaign]:
        return self._loop.call(self._aggregator.campaigns(), _CALL_TIMEOUT_S)

    def campaign(self, campaign_id: str) -> Campaign:
        return self._loop.call(self._aggregator.campaign(campaign_id), _CALL_TIMEOUT_S)

    def campaign_of(self, account: str) -> str | None:
        return self._loop.call(self._aggregator.campaign_of(account), _CALL_TIMEOUT_S)

    def export_indicator(self, campaign: str, key: str | None) -> Indicator | Refused:
        return self._loop.call(self._aggregator.export_indicator(campaign, key), _CALL_TIMEOUT_S)

    def indicators(self) -> list[Imported]:
        return self._loop.call(self._aggregator.indicators(), _CALL_TIMEOUT_S)

    def import_indicator(self, document: object, by: str) -> Imported | Refused:
        return self._loop.call(self._aggregator.import_indicator(document, by), _CALL_TIMEOUT_S)

    def remove_indicator(self, id: str, by: str) -> None:
        self._loop.call(self._aggregator.remove_indicator(id, by), _CALL_TIMEOUT_S)

    def status(self) -> AggregatorStatus:
        return self._loop.call(self._aggregator.status(), _CALL_TIMEOUT_S)

    def pid(self) -> int:
        return os.getpid()

    def stop(self) -> None:
        self._loop.call(self._aggregator.stop(), _CALL_TIMEOUT_S)
        self._loop.stop()


AGGREGATOR_NAME: Final = "aggregator"


def cluster_id() -> str:
    """Of this start of the Ray cluster: the same for an actor that Ray restarts, another one for each cluster on the NATS."""
    session = ray.get_runtime_context().get_session_name()
    return hashlib.blake2b(session.encode(), digest_size=6).hexdigest()


def _options(name: str, settings: Settings) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": settings.deployment,
        "lifetime": "detached",
        "get_if_exists": True,
        "max_restarts": -1,
        "max_task_retries": 0,  # the stream is the retry; a repeated call would count twice
        # Placed by SPREAD, not by reservation: the work is in its own thread and bounded by the stream. Not 0, though: a
        # head node on Kubernetes offers no CPU so that nothing runs there, and what asks for none would.
        "num_cpus": 0.01,
        "max_concurrency": 8,  # questions in parallel; ingest does not go through Ray calls
        "max_pending_calls": 1_000,
        "enable_task_events": False,
        "scheduling_strategy": "SPREAD",
    }


def start_actors(settings: Settings, make_shard: MakeShard, make_aggregator: MakeAggregator) -> None:
    """Creates what is missing; actors that exist are left alone. Shards share the partitions among themselves."""
    aggregator_class = ray.remote(AggregatorHost)
    shard_class = ray.remote(ShardHost)
    aggregator_class.options(**_options(AGGREGATOR_NAME, settings)).remote(make_aggregator, settings)
    for index in range(settings.shards):
        name = shard_name(index)
        shard_class.options(**_options(name, settings)).remote(make_shard, name, settings)


def stop_actors(settings: Settings) -> None:
    """Stops shards first, so that their last summaries find the aggregator."""
    names = [shard_name(index) for index in range(settings.shards)] + [AGGREGATOR_NAME]
    for name in names:
        with contextlib.suppress(Exception):  # a dead or unreachable actor needs no stopping
            handle = ray.get_actor(name, namespace=settings.deployment)
            ray.get(handle.stop.remote(), timeout=15)
        _kill(name, settings.deployment)


def _kill(name: str, namespace: str) -> None:
    with contextlib.suppress(ValueError):
        ray.kill(ray.get_actor(name, namespace=namespace), no_restart=True)
