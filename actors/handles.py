"""Typed adapters from Ray handles to the ports: the only casts, timeouts and error mapping."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from actors.host import AGGREGATOR_NAME, cluster_id
from stillwatch.errors import NotOwner, StillwatchError, Unavailable
from stillwatch.event import RequestEvent
from stillwatch.indicators import Imported, Indicator, Refused
from stillwatch.ownership import shard_name, split
from stillwatch.partition import partition_of
from stillwatch.ports import AccountView, AggregatorStatus, Folded, Leases, Mark, Part, ShardStatus
from stillwatch.settings import Settings
from stillwatch.subjects import lease_key
from stillwatch.verdict import AccountScore, Campaign

_TIMEOUT_S: Final = 12.0  # above the hosts' own 10 s, so that their error arrives instead of ours
_STATUS_WITHIN_S: Final = 1.5  # below the API's 2 s, so that one hung shard does not hide the others
_OWNER_CACHE_S: Final = 2.0  # an owner changes rarely; a stale one answers NotOwner and is looked up again


class _Actor:
    """One named actor; the handle is looked up again after it failed."""

    def __init__(self, name: str, namespace: str) -> None:
        self._name, self._namespace = name, namespace
        self._handle: Any = None

    async def call(self, method: str, *args: object, within_s: float = _TIMEOUT_S) -> Any:
        try:
            if self._handle is None:
                # get_actor is a blocking call to the GCS
                self._handle = await asyncio.to_thread(ray.get_actor, self._name, namespace=self._namespace)
            reference = getattr(self._handle, method).remote(*args)
            return await asyncio.wait_for(asyncio.wrap_future(reference.future()), within_s)
        except RayTaskError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, StillwatchError):
                raise cause from None
            raise Unavailable(self._name, f"{method} failed: {cause!r}") from error
        except (RayActorError, RayError, ValueError) as error:
            self._handle = None
            raise Unavailable(self._name, "the actor is down or restarting") from error
        except TimeoutError as error:
            raise Unavailable(self._name, f"no answer to {method} in {within_s:g} s") from error


class RayShards:
    """ports.Shards: asks the holder of the partition's lease, wherever it runs."""

    def __init__(self, settings: Settings, leases: Leases, monotonic_s: Callable[[], float]) -> None:
        self._settings, self._leases, self._monotonic_s = settings, leases, monotonic_s
        self._actors: dict[str, _Actor] = {}
        self._owners: dict[int, tuple[str, float]] = {}

    async def account(self, account: str) -> AccountView | None:
        found: AccountView | None = await self._ask(account, "account", account)
        return found

    async def score(self, event: RequestEvent) -> AccountScore:
        score: AccountScore = await self._ask(event.account, "score", event)
        return score

    async def status(self) -> list[ShardStatus]:
        names = [shard_name(index) for index in range(self._settings.shards)]
        asked = (self._actor(name).call("status", within_s=_STATUS_WITHIN_S) for name in names)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        return [answer for answer in answers if isinstance(answer, ShardStatus)]

    async def _ask(self, account: str, method: str, argument: object) -> Any:
        partition = partition_of(account, self._settings.partitions)
        try:
            return await self._actor(await self._owner(partition)).call(method, argument)
        except NotOwner:
            self._owners.pop(partition, None)
            return await self._actor(await self._owner(partition)).call(method, argument)

    async def _owner(self, partition: int) -> str:
        known = self._owners.get(partition)
        if known is not None and self._monotonic_s() < known[1]:
            return known[0]
        holder = await self._leases.holder(lease_key(partition))
        if holder is None:
            raise Unavailable(f"partition {partition}", "no shard owns it at the moment", retry_after_s=5.0)
        name, cluster = split(holder)
        if cluster != cluster_id():
            raise Unavailable(
                f"partition {partition}", "another cluster owns it, this one stands by", retry_after_s=5.0
            )
        self._owners[partition] = (name, self._monotonic_s() + _OWNER_CACHE_S)
        return name

    def _actor(self, name: str) -> _Actor:
        return self._actors.setdefault(name, _Actor(name, self._settings.deployment))


class RayAggregator:
    """ports.CampaignBook for the API and ports.AggregatorClient for the shards."""

    def __init__(self, settings: Settings) -> None:
        self._actor = _Actor(AGGREGATOR_NAME, settings.deployment)

    async def fold(self, shard: str, life: str, part: Part | None, marks: Sequence[Mark]) -> Folded:
        answer: Folded = await self._actor.call("fold", shard, life, part, marks)
        return answer

    async def campaigns(self) -> list[Campaign]:
        found: list[Campaign] = await self._actor.call("campaigns")
        return found

    async def campaign(self, campaign_id: str) -> Campaign:
        found: Campaign = await self._actor.call("campaign", campaign_id)
        return found

    async def campaign_of(self, account: str) -> str | None:
        found: str | None = await self._actor.call("campaign_of", account)
        return found

    async def export_indicator(self, campaign: str, key: str | None) -> Indicator | Refused:
        found: Indicator | Refused = await self._actor.call("export_indicator", campaign, key)
        return found

    async def indicators(self) -> list[Imported]:
        found: list[Imported] = await self._actor.call("indicators")
        return found

    async def import_indicator(self, document: object, by: str) -> Imported | Refused:
        found: Imported | Refused = await self._actor.call("import_indicator", document, by)
        return found

    async def remove_indicator(self, id: str, by: str) -> None:
        await self._actor.call("remove_indicator", id, by)

    async def status(self) -> AggregatorStatus:
        found: AggregatorStatus = await self._actor.call("status")
        return found
