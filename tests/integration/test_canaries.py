"""No prompt and no secret in anything that comes out: canaries are sent through the whole line, then all of it is searched.

In: events over HTTP, over the gateway's middleware and publisher, and raw on NATS, good ones and broken ones; keys that are
right, wrong and misplaced; a bug that quotes what it was given. Out: logs of every level with their stacks, spans as a
collector gets them, every HTTP answer, metrics, every message of every stream and bucket, snapshots, what is printed.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgpack
import pytest
import yaml
from api_key_text import end_of_secret
from http_world import KEYS, QUOTED, World, on_loopback, until
from nats.aio.client import Client
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from otlp_receiver import OtlpReceiver

from actors.aggregator import Aggregator, AggregatorPorts
from actors.shard import Shard, ShardPorts
from launch.cli import app_for
from launch.embedded import EmbeddedNats
from launch.settings import load_policy, load_settings
from launch.telemetry import SystemClock
from stillwatch import subjects
from stillwatch.errors import SettingsError, Unavailable
from stillwatch.gateway import Enforcer, Publisher, RequestEvent, StillwatchMiddleware
from stillwatch.settings import IngestSettings, NatsSettings, OidcSettings, ServeSettings, Settings
from streams import topology
from streams.connection import close, connect
from streams.hub import jetstream_hub
from streams.scan import read_all

PASSWORD, HMAC_KEY = "canary-nats-password-7f3a", b"canary-hmac-key-of-the-gateway-51"
USER_KEY, WRONG_KEY = "sk-canary-user-key-99e1", "swk_everything_canary-wrong-secret-12ab"
STRAY_KEY = "Basic canary-stray-secret-77c0"
# Names of places that a text can stand in; `word(place)` stands there and nowhere else.
PLACES = (
    "http", "system", "score", "middleware", "answer", "published", "raw", "raw-system", "value", "key", "nested", "account",
    "bytes", "body", "query", "label-field", "wrong-type", "idempotency", "long",
)  # fmt: skip
NOT_TO_BE_FOUND = [
    QUOTED,
    PASSWORD,
    HMAC_KEY.decode(),
    USER_KEY,
    "canary-wrong-secret-12ab",
    "canary-stray-secret-77c0",
]


def word(place: str) -> str:
    return f"canaryword-{place}-x"


def prompt(place: str) -> str:
    return f"Write a poem about {word(place)} and explain {word(place)} to a child, then translate {word(place)}"


@dataclass
class Line:
    """Everything that came out, by where it did."""

    outputs: list[tuple[str, str]] = field(default_factory=list)

    def add(self, where: str, what: bytes | str) -> None:
        self.outputs.append((where, what if isinstance(what, str) else what.decode("latin-1")))

    def findings(self) -> list[str]:
        secrets = [*NOT_TO_BE_FOUND, end_of_secret(KEYS.everything)]
        words = [word(place) for place in PLACES]
        return [
            f"{canary} in {where}" for where, what in self.outputs for canary in (*secrets, *words) if canary in what
        ]


class Ear(logging.Handler):
    """Hears every logger at every level, with stacks. Not httpx and httpcore: they are the test's own client."""

    def __init__(self, line: Line) -> None:
        super().__init__(logging.DEBUG)
        self._line = line
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith(("httpx", "httpcore")):
            self._line.add("a log", self.format(record))


class GuardedNats(EmbeddedNats):
    def _config(self) -> dict[str, object]:
        return {**super()._config(), "authorization": {"user": "all", "password": PASSWORD}}


class OneShard:
    """serve's port over the real actor, without Ray between them."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self.account, self.score = shard.account, shard.score

    async def status(self) -> list[Any]:
        return [await self._shard.status()]


@pytest.fixture
def line() -> Iterator[Line]:
    found = Line()
    root, ear = logging.getLogger(), Ear(found)
    level = root.level
    root.addHandler(ear)
    root.setLevel(logging.DEBUG)
    try:
        yield found
    finally:
        root.removeHandler(ear)
        root.setLevel(level)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[GuardedNats]:
    async with GuardedNats(tmp_path / "nats") as running:
        yield running


def settings_of(server: EmbeddedNats) -> Settings:
    url = server.url.replace("//", f"//all:{PASSWORD}@")
    ingest = IngestSettings(fetch_timeout_s=0.05, summary_period_s=0.05, silence_s=0.2)
    return Settings(partitions=4, shards=1, nats=NatsSettings(urls=(url,)), ingest=ingest)


def raw_event(place: str, **changes: Any) -> dict[str, Any]:
    attributes = {"stillwatch.prompt.text": prompt(place), "stillwatch.system.text": prompt(f"{place}-system")}
    now = SystemClock().unix_nano()
    return {
        "v": 1,
        "id": f"r-{place}",
        "account": "acct-raw",
        "time_unix_nano": now,
        "attributes": attributes,
    } | changes


async def an_app(scope: Any, receive: Any, send: Any) -> None:
    """A platform that answers with what could be secret, too."""
    await receive()
    body = json.dumps({"model": "m", "usage": {"prompt_tokens": 9, "completion_tokens": 9},
                       "choices": [{"message": {"role": "assistant", "content": prompt("answer")}}]}).encode()  # fmt: skip
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})


async def over_http(url: str, world: World, line: Line) -> None:
    good = {"authorization": f"Bearer {KEYS.everything}"}
    text = {"stillwatch.prompt.text": prompt("http"), "stillwatch.system.text": prompt("system")}
    event = {
        "v": 1,
        "id": "h-1",
        "account": "acct-http",
        "time_unix_nano": SystemClock().unix_nano(),
        "attributes": text,
    }
    scored = {**event, "id": "h-2", "attributes": {"stillwatch.prompt.text": prompt("score")}}
    broken: list[Any] = [
        {**event, "account": prompt("account")},
        {**event, "attributes": {"gen_ai.usage.input_tokens": prompt("value")}},
        {**event, "attributes": {prompt("key"): {"a": prompt("nested")}}},
        {**event, "attributes": {"stillwatch.prompt.text": [prompt("wrong-type")]}},
        {**event, "time_unix_nano": prompt("wrong-type"), prompt("key"): 1},
        {**event, "id": "h-3", "attributes": {"stillwatch.prompt.text": prompt("long") * 20_000}},
    ]
    bodies: list[tuple[str, str, Any, dict[str, str]]] = [
        ("POST", "/v1/events", [event, *broken], good),
        ("POST", "/v1/events", broken, good),
        *(("POST", "/v1/events", one, good) for one in broken),
        *(("POST", "/v1/score", one, good) for one in [*broken, scored]),
        ("POST", "/v1/labels", {"account": "acct-http", "kind": prompt("label-field"), prompt("key"): 1}, good),
        ("POST", "/v1/revocations", {"account": prompt("account"), "reason": 7, "action": prompt("value")}, good),
        ("POST", "/v1/revocations", {"account": "a", "action": "revoke", "reason": "r", "ttl_s": 60},
         {**good, "idempotency-key": prompt("idempotency")}),
        ("GET", f"/v1/revocations?state={prompt('query')}&limit={prompt('query')}", None, good),
        ("GET", "/v1/accounts/acct%20x", None, good),
        ("GET", "/v1/campaigns", None, {"authorization": f"Bearer {WRONG_KEY}"}),
        ("GET", "/v1/campaigns", None, {"authorization": STRAY_KEY, "x-api-key": WRONG_KEY}),
        ("GET", "/v1/campaigns", None, {"authorization": f"Bearer {'.'.join(['canary-stray-secret-77c0'] * 3)}"}),
        ("GET", "/v1/accounts/acct-http", None, good),
        ("GET", "/v1/status", None, good), ("GET", "/metrics", None, good), ("GET", "/readyz", None, {}),
    ]  # fmt: skip
    async with httpx.AsyncClient(base_url=url) as http:
        for method, path, body, headers in bodies:
            answer = await http.request(method, path, json=body, headers=headers)
            line.add(f"the answer to {method} {path[:20]}", f"{answer.headers} {answer.text}")
        for raw in (b'{"a": "' + prompt("body").encode(), b"\xff" + prompt("bytes").encode()):
            for kind in ("application/json", "application/msgpack", prompt("body")):
                answer = await http.post("/v1/events", content=raw, headers={**good, "content-type": kind})
                line.add("the answer to a broken body", answer.text)
        world.shards.broken = True  # its message quotes a prompt
        answer = await http.post("/v1/score", json=scored, headers=good)
        assert answer.status_code == 500
        line.add("the answer to a bug", answer.text)
        world.shards.broken = False


async def over_nats(client: Client) -> None:
    """As somebody without our code publishes. The last four never become events."""
    poison = [
        msgpack.packb(raw_event("raw")),
        msgpack.packb(raw_event("raw", id="r-2", attributes={"gen_ai.usage.input_tokens": prompt("value")})),
        msgpack.packb(raw_event("raw", id=prompt("value") * 9)),
        b"\xc1" + prompt("bytes").encode(),
        json.dumps(raw_event("raw", id="r-3")).encode(),
        msgpack.packb(raw_event("raw", id="r-4", account=prompt("account"))),
    ]
    for payload in poison:
        await client.jetstream().publish(subjects.request_subject("acct-raw"), payload)
    await client.jetstream().publish(subjects.envelope_subject(0), msgpack.packb([prompt("value"), {prompt("key"): 1}]))


async def stored(client: Client, line: Line) -> None:
    """Payloads too, but for what the outside wrote itself: dead letters keep the bytes, and raw events are as published."""
    for stream in (subjects.REQUESTS, subjects.VERDICTS, subjects.DEADLETTER, subjects.AUDIT):
        async for message in read_all(client, stream, ">"):
            line.add(f"headers in {stream}", f"{message.subject} {message.headers}")
            raw = stream == subjects.DEADLETTER or "acct-raw" in message.subject or "envelopes" in message.subject
            line.add(f"a message of {stream}", b"" if raw else message.payload)
    for bucket in (subjects.REVOCATIONS_BUCKET, subjects.CONTROL_BUCKET):
        async for message in read_all(client, f"KV_{bucket}", ">"):
            line.add(f"the bucket {bucket}", f"{message.subject} {message.headers} {message.payload!r}")


async def test_no_prompt_and_no_secret_comes_out_anywhere(
    line: Line, server: GuardedNats, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    settings, clock, otlp = settings_of(server), SystemClock(), OtlpReceiver()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{otlp.endpoint}/v1/traces")))
    tracer = provider.get_tracer("canaries")
    client = await connect(settings.nats, "canaries")
    await topology.ensure(client, settings)
    hub = jetstream_hub(client, settings, clock)
    ports = AggregatorPorts(
        hub.verdicts, hub.revocations, hub.audit, hub.indicators, clock, tracer, hub.never_act, hub.control
    )
    aggregator = Aggregator(settings, load_policy(settings.policy_file), ports)
    await aggregator.start()
    shard_ports = ShardPorts(hub.events, hub.dead_letters, hub.leases, aggregator, clock, tracer)
    shard = Shard("shard-000", range(4), settings, shard_ports)
    await shard.start()
    oidc = OidcSettings(issuer="http://127.0.0.1:1", audience="stillwatch")
    world = World(ServeSettings(oidc=oidc), clock=clock, hub=hub)
    world.shards._port = OneShard(shard)
    try:
        async with (
            on_loopback(world.app) as url,
            Publisher(client, tracer=tracer) as publisher,
            Enforcer(client, tracer=tracer) as enforcer,
        ):
            await over_http(url, world, line)
            await over_nats(client)
            publisher.publish(
                RequestEvent("p-1", "acct-sdk", clock.unix_nano(), {"stillwatch.prompt.text": prompt("published")})
            )
            publisher.publish("no event: " + prompt("published"))  # type: ignore[arg-type]
            gateway = StillwatchMiddleware(an_app, publisher, enforcer, secret=HMAC_KEY)
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(gateway), base_url="http://platform"
            ) as platform:
                call = {"model": "m", "messages": [{"role": "user", "content": prompt("middleware")}]}
                for body in (json.dumps(call).encode(), b'{"messages": "' + prompt("middleware").encode()):
                    await platform.post(
                        "/v1/chat/completions", content=body,
                        headers={"authorization": f"Bearer {USER_KEY}", "content-type": "application/json"},
                    )  # fmt: skip
            await until(lambda: publisher.stats.queued_events == 0)
            assert publisher.stats.published >= 2
            assert gateway.stats.observed >= 1
            await dead_lettered(hub, 6)
            await worked_off(shard)
            wrong = NatsSettings(urls=(settings.nats.urls[0].replace("all:", "nobody:"),))
            with pytest.raises(Unavailable) as refused:
                await connect(wrong, "nobody", within_s=0.5)
            line.add("an error", f"{refused.value!r} {refused.value}")
        for name, owned in shard._owned.items():
            line.add(f"the snapshot of partition {name}", owned.core.snapshot())
        await stored(client, line)
        line.add("the traces", otlp.raw())
        assert len(otlp.raw()) > 1_000
    finally:
        await shard.stop()
        await aggregator.stop()
        await close(client)
        await asyncio.to_thread(provider.shutdown)
        otlp.close()
    line.add("what was printed", "".join(capfd.readouterr()))
    for warning in recwarn:
        line.add("a warning", str(warning.message))
    assert line.findings() == []
    # The search itself: it finds what is there.
    line.add("a made-up log", f"received {prompt('http')}")
    assert line.findings() == [f"{word('http')} in a made-up log"]


async def dead_lettered(hub: Any, count: int) -> None:
    async with asyncio.timeout(20):
        while await hub.dead_letters.count() < count:  # noqa: ASYNC110  another task writes them
            await asyncio.sleep(0.02)


async def worked_off(shard: Shard) -> None:
    async with asyncio.timeout(20):
        while any(partition.waiting for partition in (await shard.status()).partitions):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def test_the_printed_configuration_hides_passwords(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STILLWATCH_NATS__URLS", json.dumps([f"nats://scorer:{PASSWORD}@n-1:4222", "nats://n-2:4222"]))
    monkeypatch.setenv("STILLWATCH_NATS__API__URLS", json.dumps([f"nats://api:{PASSWORD}@n-1:4222"]))
    app_for(["config", "print"])(["config", "print"], standalone_mode=False)
    said = capsys.readouterr().out
    assert PASSWORD not in said
    assert yaml.safe_load(said)["nats"]["urls"] == ["nats://scorer:…@n-1:4222", "nats://n-2:4222"]


@pytest.mark.parametrize(
    "text", [f"nats: {{urls: ['nats://a:{PASSWORD}@n'", f"nats: {{urls: 7, credentials_file: ['{PASSWORD}']}}"]
)
def test_a_configuration_that_can_not_be_read_is_not_quoted(text: str, tmp_path: Path) -> None:
    file = tmp_path / "stillwatch.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(str(file), environment={})
    assert PASSWORD not in f"{caught.value} {caught.value!r}"
