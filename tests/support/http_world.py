"""A whole deployment for tests of the HTTP shell: the app over ports that really behave.

Shards are real partition cores that read the stream's feeds; NATS is ``streams``' in-memory twin, or the real one. Every
part can be taken down, and then raises what a real one raises, or hang, as a real one does when the network eats packets.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from indicator_values import an_indicator
from manual_clock import ManualClock
from opentelemetry.trace import NoOpTracer

from actors.aggregator import Aggregator, AggregatorPorts
from launch.settings import load_policy
from serve.app import build
from serve.key_watch import Load
from serve.keys import SCOPES, KeyRing, Scope, mint, parse_key_ring
from serve.ports import About, Enforcer, ServePorts
from stillwatch.errors import NotFound, Unavailable
from stillwatch.event import RequestEvent
from stillwatch.indicators import Indicator, Refused
from stillwatch.partition import partition_of
from stillwatch.ports import (
    AccountView,
    AggregatorStatus,
    Clock,
    EventStream,
    PartitionFeed,
    RevocationStore,
    ShardStatus,
)
from stillwatch.revocation import Enforcement, stronger
from stillwatch.settings import DetectionSettings, IngestSettings, ServeSettings, Settings
from stillwatch.shard import PartitionCore
from stillwatch.subjects import account_key, organisation_key
from stillwatch.verdict import AccountScore, Campaign, Verdict, strength
from streams.hub import Hub, memory_hub
from streams.memory import MemoryNats

PARTITIONS = 4
NOW_UNIX_S = 1_790_000_000.0
QUOTED = "a bug whose message quotes what a customer sent: SECRET PROMPT"


class Part:
    """A port that can be down or hang. ``after`` is awaited behind every call."""

    def __init__(self, port: Any, after: Callable[[], Awaitable[None]] | None = None) -> None:
        self._port, self._after = port, after
        self.down = self.stuck = self.broken = False

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        async def call(*args: Any, **named: Any) -> Any:
            if self.stuck:
                await asyncio.Event().wait()
            if self.down:
                raise Unavailable(type(self._port).__name__, "it was taken down", retry_after_s=3)
            if self.broken:
                raise RuntimeError(QUOTED)
            answer = await method(*args, **named)
            if self._after is not None:
                await self._after()
            return answer

        return call


# A Ray Serve replica runs elsewhere.
_ROOT = Path(__file__).parents[2]


class LocalShards:
    """Two shards over real partition cores. They take what the stream has whenever they are asked something."""

    def __init__(self, stream: EventStream) -> None:
        self._stream = stream
        self._feeds: dict[int, PartitionFeed] = {}
        self.cores = [PartitionCore(p, PARTITIONS, IngestSettings(), DetectionSettings()) for p in range(PARTITIONS)]
        self.unowned: set[int] = set()

    async def account(self, account: str) -> AccountView | None:
        return (await self._core(account)).account(account)

    async def score(self, event: RequestEvent) -> AccountScore:
        return (await self._core(event.account)).score(event)

    async def status(self) -> list[ShardStatus]:
        found: list[list[Any]] = [[], []]
        for partition, core in enumerate(self.cores):
            await self._take(partition)
            if partition not in self.unowned:
                found[partition % 2].append(core.status(waiting=0, owned=True))
        return [ShardStatus(f"shard-{n}", tuple(partitions), 100 + n) for n, partitions in enumerate(found)]

    async def _core(self, account: str) -> PartitionCore:
        partition = partition_of(account, PARTITIONS)
        await self._take(partition)
        return self.cores[partition]

    async def _take(self, partition: int) -> None:
        if partition not in self._feeds:
            self._feeds[partition] = await self._stream.open(partition, 0)
        while await self._feeds[partition].waiting():
            self.cores[partition].observe(await self._feeds[partition].fetch(1_000, 2.0))


class LocalCampaigns:
    """Campaigns are put here by tests; indicators of others are the real aggregator's business."""

    def __init__(self, hub: Hub, clock: Clock) -> None:
        self.all: dict[str, Campaign] = {}
        self.stale: tuple[str, ...] = ("lag: old",)
        self.not_leading = self.waits_because = ""
        self.audit: Any = Part(hub.audit)
        ports = AggregatorPorts(
            hub.verdicts, hub.revocations, self.audit, hub.indicators, clock, NoOpTracer(), hub.never_act, hub.control
        )
        policy = load_policy(str(_ROOT / "configs/policies/default.yaml"))
        self.aggregator = Aggregator(Settings(partitions=PARTITIONS), policy, ports)
        self.indicators = self.aggregator.indicators
        self.import_indicator = self.aggregator.import_indicator
        self.remove_indicator = self.aggregator.remove_indicator

    async def export_indicator(self, campaign: str, key: str | None) -> Indicator | Refused:
        """Of a campaign large enough; a small one is refused as the aggregator does it."""
        if len((await self.campaign(campaign)).members) < 2:
            return Refused("campaign", "too few organisations are surely members; wait for more")
        return an_indicator()

    def put(self, campaign: Campaign) -> None:
        self.all[campaign.id] = campaign

    async def campaigns(self) -> list[Campaign]:
        return sorted(self.all.values(), key=lambda item: -item.detected_at_unix_nano)

    async def campaign(self, id: str) -> Campaign:
        if id not in self.all:
            raise NotFound("campaign", id)
        return self.all[id]

    async def campaign_of(self, account: str) -> str | None:
        return next((c.id for c in self.all.values() if any(m.account == account for m in c.members)), None)

    async def status(self) -> AggregatorStatus:
        accounts = sum(len(item.members) for item in self.all.values())
        return AggregatorStatus(
            accounts, len(self.all), 12, 34, 5, 1, 99, groups_waiting=7, evicted_accounts=3,
            held_back={"accounts_per_minute": 1}, stale=self.stale, waiting=2,
            not_leading=self.not_leading,
            waits_because=self.waits_because,
        )  # fmt: skip


class LocalEnforcer:
    """What the store's records say, in RAM; ``refresh`` is the watch that brings a change."""

    def __init__(self, store: RevocationStore, control: Any, clock: Clock) -> None:
        self._store, self._control, self._clock = store, control, clock
        self._keys: dict[str, Enforcement] = {}
        self._on = self.loaded = True
        self.silent_s, self.interruptions = 0.0, 0
        self.broken = False

    async def refresh(self) -> None:
        self._on = await self._control.enforcement()
        self._keys = {}
        for record in await self._store.list():
            if record.state(self._clock.unix_nano() / 1e9) == "active":
                for key in record.keys():  # noqa: SIM118  not a dict
                    held = self._keys.get(key)
                    if held is None or strength(held.action) < strength(record.action):
                        self._keys[key] = record.enforcement()

    @property
    def active(self) -> int:
        return len(self._keys)

    def check(self, account: str | None, organisation: str | None, now_unix_s: float) -> Enforcement | None:
        if self.broken:
            raise RuntimeError("a bug")
        if not self._on:
            return None
        of_account = self._keys.get(account_key(account)) if account else None
        of_organisation = self._keys.get(organisation_key(organisation)) if organisation else None
        return stronger(of_account, of_organisation, now_unix_s, account)


@dataclass
class Keys:
    """One key per scope, and one that may do everything."""

    ring: KeyRing
    by_scope: dict[Scope, str]
    everything: str

    @classmethod
    def make(cls) -> Keys:
        minted = {scope: mint(id, [scope], "test", owner=f"{id}@example.com") for scope, id in _ids().items()}
        everything = mint("everything", SCOPES, owner="everything@example.com")
        text = "keys:\n" + "".join([entry for _, entry in minted.values()] + [everything[1]])
        return cls(parse_key_ring(text), {scope: key for scope, (key, _) in minted.items()}, everything[0])


def _ids() -> dict[Scope, str]:
    return {scope: scope.replace(":", "-") for scope in SCOPES}


KEYS = Keys.make()


class World:
    """The app, its parts, and a client that may do everything."""

    def __init__(
        self,
        settings: ServeSettings | None = None,
        *,
        deadline_s: float = 30.0,
        clock: Clock | None = None,
        hub: Hub | None = None,
        enforcer: Enforcer | None = None,
        reread_keys: Load | None = None,
        keys: KeyRing | None = None,
    ) -> None:
        self.clock: Any = clock or ManualClock(NOW_UNIX_S)
        self.hub = hub or memory_hub(MemoryNats(Settings(partitions=PARTITIONS), self.clock))
        self.local_shards, self.book = LocalShards(self.hub.events), LocalCampaigns(self.hub, self.clock)
        local = LocalEnforcer(self.hub.revocations, self.hub.control, self.clock)
        self.enforcer: Any = enforcer or local
        self.events, self.shards, self.campaigns = map(Part, (self.hub.publisher, self.local_shards, self.book))
        self.verdicts, self.audit = Part(self.hub.verdicts), Part(self.hub.audit)
        self.never_act = Part(self.hub.never_act)
        self.revocations = Part(self.hub.revocations, local.refresh)
        self.control = Part(self.hub.control, local.refresh)
        self.dead_letters = Part(self.hub.dead_letters)
        self.closed = 0
        self.app: FastAPI = build(
            self.ports(), settings or ServeSettings(), keys or KEYS.ring, About("test", PARTITIONS, "shadow", "2026.11.1"),
            reread_keys=reread_keys, deadline_s=deadline_s,
        )  # fmt: skip
        self.http = self.client(KEYS.everything)

    def ports(self) -> ServePorts:
        return ServePorts(
            self.clock, self.events, self.shards, self.campaigns, self.revocations, self.verdicts, self.audit,
            self.control, self.never_act, self.dead_letters, self.enforcer, self._close,
        )  # type: ignore[arg-type]  # fmt: skip

    async def _close(self) -> None:
        self.closed += 1

    def client(self, key: str | None = None, **headers: str) -> httpx.AsyncClient:
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        transport = httpx.ASGITransport(self.app)
        return httpx.AsyncClient(transport=transport, base_url="http://stillwatch.test", headers=headers)

    def event(self, id: str = "r-1", account: str = "acct-1", **attributes: Any) -> dict[str, Any]:
        """Attribute names with dots are given with double underscores."""
        named = {name.replace("__", "."): value for name, value in attributes.items()}
        ended = self.clock.unix_nano() - 1_000_000_000
        return {"v": 1, "id": id, "time_unix_nano": ended, "account": account, "attributes": named}


def a_campaign(id: str = "c-1", members: Sequence[tuple[str, float]] = (("acct-1", 0.99), ("acct-2", 0.5))) -> Campaign:
    evidence = {
        "name": "topic_homogeneity", "value": 2.4, "normal": (0.8, 1.2), "surprise": 6.1,
        "sentence": "The accounts draw from one pool of prompts: 2.4 times as alike as groups of strangers",
    }  # fmt: skip
    raw = {
        "id": id, "detected_at_unix_nano": int((NOW_UNIX_S - 3_600) * 1e9),
        "updated_at_unix_nano": int(NOW_UNIX_S * 1e9),
        "members": [
            {"account": name, "confidence": confidence, "requests": 300, "tokens": 90_000, "organisation": None}
            for name, confidence in members
        ],
        "signals": [evidence], "e_value": 250_000.0, "linkage": ["system=1f2e3d4c"],
        "requests": 300 * len(members), "tokens": 90_000 * len(members), "action": "throttle",
        "growth": [[int(NOW_UNIX_S) - 3_600, 2, 100], [int(NOW_UNIX_S), len(members), 300 * len(members)]],
    }  # fmt: skip
    return Campaign.from_map(raw)


def a_verdict(id: str, subject: str, kind: str = "account", members: Sequence[str] = (), at_s: float = 0.0) -> Verdict:
    return Verdict(
        id=id, kind=kind, subject=subject, action="throttle", mode="shadow", reason="because of the evidence",
        signals=(), campaign=None, members=tuple(members), decided_at_unix_nano=int((NOW_UNIX_S + at_s) * 1e9),
        policy_version="2026.11.1", rule="campaign-throttle", detector_version="0.1.0", config_sha256="00", ttl_s=3_600,
    )  # type: ignore[arg-type]  # fmt: skip


@asynccontextmanager
async def on_loopback(app: FastAPI) -> AsyncIterator[str]:
    """The app behind a real server and a real socket; its URL."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", ws="none"))
    running = asyncio.create_task(server.serve())
    try:
        await until(lambda: server.started or running.done())
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await running


async def until(condition: Callable[[], object], within_s: float = 20.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  nobody signals what happens in another task
            await asyncio.sleep(0.01)


async def memory_ports() -> ServePorts:
    """For a process that is given a function and not a world: it travels to a Ray Serve replica by reference."""
    return World().ports()
