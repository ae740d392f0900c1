"""Over HTTP: schemathesis makes requests from the OpenAPI document, right ones and wrong ones, for the whole API over a real
nats-server, a real shard and a real aggregator, without Ray. Any 5xx, any answer without its problem, and any event of a list
without an outcome is a failure.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import httpx
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from opentelemetry.trace import NoOpTracer
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from actors.aggregator import Aggregator, AggregatorPorts
from actors.shard import Shard, ShardPorts
from benchmarks.fuzz_report import Door
from launch.embedded import EmbeddedNats
from launch.settings import load_policy
from launch.telemetry import SystemClock
from launch.wiring import InRam
from serve.app import build
from serve.keys import SCOPES, mint, parse_key_ring
from serve.ports import About, ServePorts
from stillwatch.event import RequestEvent
from stillwatch.gateway import Enforcer
from stillwatch.ports import AccountView, ShardStatus
from stillwatch.settings import IngestSettings, NatsSettings, ServeSettings, Settings
from stillwatch.verdict import AccountScore
from streams.connection import close, connect
from streams.hub import jetstream_hub
from streams.topology import ensure

_PARTITIONS: Final = 2
_READY_S: Final = 20.0
_WITHOUT_KEY: Final = 20
_WITHIN_S: Final = 15.0  # for one answer: beyond it, a stall


def fuzz_http(inputs: int, number: int, directory: Path) -> Door:
    door = Door("HTTP, schemathesis", 0)
    with EmbeddedNats(directory / "nats-http") as server:
        running = _Running(server.url)
        try:
            _ask_everything(running, inputs, number, door)
        finally:
            running.stop()
    return door


def _ask_everything(running: _Running, inputs: int, number: int, door: Door) -> None:
    schema = schemathesis.openapi.from_url(f"{running.url}/openapi.json")
    found = list(schema.get_all_operations())
    operations = [one.ok() for one in found if isinstance(one, Ok)]
    door.failures += [f"not in order in the document: {one.err()}" for one in found if not isinstance(one, Ok)]
    modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    each = max(1, inputs // (len(operations) * len(modes)))
    statuses: Counter[str] = Counter()
    with httpx.Client(timeout=_WITHIN_S, headers={"authorization": f"Bearer {running.key}"}) as http:
        for operation in operations:
            for mode in modes:
                _ask(operation, mode, each, number, lambda case: _send(case, http, running.url, door, statuses), door)
        if http.get(f"{running.url}/readyz").status_code != 200:
            door.failures.append("not ready at the end: " + http.get(f"{running.url}/readyz").text[:500])
    door.outcomes = dict(statuses)


def _ask(operation: Any, mode: Any, each: int, number: int, send: Callable[[Any], None], door: Door) -> None:
    try:
        strategy = operation.as_strategy(generation_mode=mode)
    except Exception:  # an operation that can not be asked wrongly
        return

    @seed(number)
    @settings(
        max_examples=each, deadline=None, database=None, phases=[Phase.generate], verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=strategy)
    def asked(case: Any) -> None:
        send(case)

    try:
        asked()
    except Exception as error:
        if "Unsatisfiable" not in type(error).__name__:
            door.failures.append(f"{operation.method} {operation.path}: {type(error).__name__}: {str(error)[:200]}")


def _send(case: Any, http: httpx.Client, url: str, door: Door, statuses: Counter[str]) -> None:
    """One request. What a client library refuses to send at all is no input."""
    arguments = case.as_transport_kwargs(base_url=url)
    headers = {str(name).lower(): value for name, value in dict(arguments.get("headers") or {}).items()}
    if door.inputs % _WITHOUT_KEY:  # now and then whatever was made up stays
        headers.pop("x-api-key", None)
        headers["authorization"] = http.headers["authorization"]
    try:
        request = http.build_request(
            arguments["method"], arguments["url"], params=arguments.get("params"), headers=_plain(headers),
            json=arguments.get("json"), content=arguments.get("data") if isinstance(arguments.get("data"), bytes) else None,
        )  # fmt: skip
    except Exception:
        statuses["(could not be sent)"] += 1
        return
    where = f"{arguments['method']} {case.operation.path}"
    try:
        answer = http.send(request)
    except httpx.LocalProtocolError:
        statuses["(could not be sent)"] += 1
        return
    except httpx.TimeoutException:
        door.inputs += 1
        door.failures.append(f"{where}: no answer within {_WITHIN_S:g} s")
        return
    except httpx.HTTPError as error:
        door.inputs += 1
        door.failures.append(f"{where}: {type(error).__name__}: {error}")
        return
    door.inputs += 1
    statuses[str(answer.status_code)] += 1
    if answer.status_code >= 500:
        door.failures.append(f"{where}: {answer.status_code} {answer.text[:300]}")
    elif answer.status_code >= 400 and not case.operation.path.startswith("/authz"):
        if answer.headers.get("content-type") != "application/problem+json":
            door.failures.append(f"{where}: {answer.status_code} is no problem: {answer.text[:200]}")
    elif answer.status_code == 202 and case.operation.path == "/v1/events":
        sent, said = arguments.get("json"), answer.json()
        offered = len(sent) if isinstance(sent, list) else 1
        if said["accepted"] + said["duplicates"] + len(said["rejected"]) != offered:
            door.failures.append(f"{where}: {offered} offered, {said}")


def _plain(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(str(name).encode("latin-1"), str(value).encode("latin-1")) for name, value in headers.items()]


class _Running:
    """The API in a thread, with a loop of its own."""

    def __init__(self, nats_url: str) -> None:
        self.key, entry = mint("fuzz", SCOPES)
        self._keys = parse_key_ring("keys:\n" + entry)
        self._nats_url, self.url = nats_url, ""
        self._server: uvicorn.Server | None = None
        self._ready = threading.Event()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="fuzz-api", daemon=True)
        self._thread.start()
        if not self._ready.wait(_READY_S) or not self.url:
            raise RuntimeError(f"the API did not start: {self._failed}")

    def stop(self) -> None:
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join(_READY_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._failed = error
            self._ready.set()

    async def _serve(self) -> None:
        settings = Settings(
            partitions=_PARTITIONS, shards=1, nats=NatsSettings(urls=(self._nats_url,)),
            ingest=IngestSettings(fetch_timeout_s=0.2, lease_ttl_s=30),
        )  # fmt: skip
        client = await connect(settings.nats, "fuzz-http")
        await ensure(client, settings)
        clock, tracer = SystemClock(), NoOpTracer()
        hub = jetstream_hub(client, settings, clock)
        policy = load_policy("configs/policies/default.yaml")
        ports_of_it = AggregatorPorts(
            hub.verdicts, hub.revocations, hub.audit, hub.indicators, clock, tracer, hub.never_act, hub.control
        )
        aggregator = Aggregator(settings, policy, ports_of_it)
        await aggregator.start()
        ports = ShardPorts(hub.events, hub.dead_letters, hub.leases, aggregator, clock, tracer)
        shard = Shard("shard-000", range(_PARTITIONS), settings, ports)
        await shard.start()
        enforcer = Enforcer(client)
        await enforcer.start()
        app = build(
            ServePorts(
                clock=clock, events=hub.publisher, shards=_One(shard), campaigns=aggregator, revocations=hub.revocations,
                verdicts=hub.verdicts, audit=hub.audit, control=hub.control, never_act=hub.never_act,
                dead_letters=hub.dead_letters, enforcer=InRam(enforcer), close=_nothing,
            ),
            ServeSettings(), self._keys, About("fuzz", _PARTITIONS, policy.mode, policy.version),
        )  # fmt: skip
        server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", ws="none"))
        self._server = server
        serving = asyncio.create_task(server.serve())
        while not server.started or len((await shard.status()).partitions) < _PARTITIONS:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        self.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        self._ready.set()
        await serving
        await enforcer.stop()
        await shard.stop()
        await aggregator.stop()
        await close(client)


class _One:
    """ports.Shards over the only one."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard

    async def account(self, account: str) -> AccountView | None:
        return await self._shard.account(account)

    async def score(self, event: RequestEvent) -> AccountScore:
        return await self._shard.score(event)

    async def status(self) -> list[ShardStatus]:
        return [await self._shard.status()]


async def _nothing() -> None:
    return None
