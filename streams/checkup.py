"""NATS as a checkup finds it: server, sync policy, replicas, drift, clocks, dead letters. Reads only."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgpack
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js.api import ConsumerConfig

from stillwatch import checkup, subjects
from stillwatch.checkup import Check
from stillwatch.errors import Unavailable
from stillwatch.settings import Settings
from streams import topology
from streams.connection import reaching
from streams.scan import Stored, read_page

_WITHIN_S: Final = 2.0
_TELLS_WITHIN_S: Final = 0.7  # of who may not ask, the server says nothing at all
_NANO: Final = 1e9
# Of a consumer, what decides whether anything is lost or stalls; the rest is the server's bookkeeping.
_CONSUMER_FIELDS: Final = ("ack_policy", "ack_wait", "max_ack_pending", "deliver_policy")


async def checks(client: Client, settings: Settings, varz: Mapping[str, Any] | None, source: str) -> list[Check]:
    """``varz``: of the monitoring endpoint, when somebody could read it; else the server is asked for it, which only its
    system account may. Raises ``Unavailable`` when NATS goes away meanwhile."""
    found = client.connected_server_version
    out = [
        checkup.version((found.major, found.minor), topology.MIN_SERVER, f"{found.major}.{found.minor}.{found.patch}")
    ]
    infos = await _infos(client, settings)
    servers = _servers(client, infos)
    # A server that will not tell does not answer either: others are asked meanwhile.
    sync = asyncio.create_task(sync_check(client, varz, source, servers))
    known = {name: info["config"]["num_replicas"] for name, info in infos.items() if info is not None}
    out.append(checkup.replicas(known, servers, settings.nats.replicas))
    out += _behind(infos)
    out.append(checkup.drift(await _differences(client, settings)))
    out += await _clocks(client, settings)
    out.append(await _dead_letters(client, infos.get(subjects.DEADLETTER)))
    return [*out, await sync]


async def _infos(client: Client, settings: Settings) -> dict[str, dict[str, Any] | None]:
    """By stream, as the server says it; ``None``: it does not exist, or this login may not look at it."""
    names = [config.name or "" for config in topology.everything(settings)]
    return {name: await _request(client, f"$JS.API.STREAM.INFO.{name}") for name in names}


async def _request(client: Client, subject: str, within_s: float = _WITHIN_S) -> dict[str, Any] | None:
    try:
        with reaching(subject):
            answer = json.loads((await client.request(subject, b"", timeout=within_s)).data)
    except (Unavailable, ValueError):
        return None
    return None if not isinstance(answer, dict) or "error" in answer else answer


def _servers(client: Client, infos: Mapping[str, Mapping[str, Any] | None]) -> int:
    """Those that this client was told of, and those that hold a copy of some stream."""
    holders = set()
    for info in infos.values():
        cluster = (info or {}).get("cluster") or {}
        holders |= {cluster.get("leader"), *(replica["name"] for replica in cluster.get("replicas") or ())}
    return max(1, len(holders - {None}), len({str(server.netloc) for server in client.discovered_servers}))


async def sync_check(client: Client, varz: Mapping[str, Any] | None, source: str, servers: int) -> Check:
    if varz is None:
        answer, source = await _request(client, "$SYS.REQ.SERVER.PING.VARZ", _TELLS_WITHIN_S), "$SYS"
        varz = (answer or {}).get("data")
    config = ((varz or {}).get("jetstream") or {}).get("config")
    if config is None:
        return Check(
            "sync policy", "unknown", "the server tells it to its system account and its monitoring port only",
            "Name the port, if there is one: --monitor http://nats:8222",
        )  # fmt: skip
    interval_s = config.get("sync_interval", 0) / _NANO
    return checkup.sync_policy(interval_s, always=bool(config.get("sync_always")), servers=servers, source=source)


def _behind(infos: Mapping[str, Mapping[str, Any] | None]) -> list[Check]:
    late = sorted(
        f"{name} on {replica['name']}"
        for name, info in infos.items()
        for replica in ((info or {}).get("cluster") or {}).get("replicas") or ()
        if not replica.get("current") or replica.get("offline")
    )
    remedy = "Wait if that server has just come back; else look at its log and its disk"
    return [Check("copies", "warning", f"not up to date: {', '.join(late)}", remedy)] if late else []


async def _differences(client: Client, settings: Settings) -> list[str]:
    context = client.jetstream()
    out = []
    for wanted in topology.everything(settings):
        name = wanted.name or ""
        try:
            with reaching(name):
                existing = await topology.config_of(context, name)
        except (Unavailable, nats.js.errors.APIError) as error:
            out.append(f"{name} can not be looked at: {error}")
            continue
        if existing is None:
            out.append(f"{name} is missing")
            continue
        for field, value in sorted(topology.changes_of(existing, wanted).items()):
            out.append(f"{name}: {field} is {getattr(existing, field)!r}, wanted {value!r}")
    return out + await _consumer_differences(client, settings)


async def _consumer_differences(client: Client, settings: Settings) -> list[str]:
    missing: list[str] = []
    out: list[str] = []
    for partition in range(settings.partitions):
        wanted = topology.consumer(settings, partition)
        name = wanted.name or ""
        try:
            existing = await _consumer(client, name)
        except Unavailable as error:
            return [*out, f"consumers can not be looked at: {error}"]
        if existing is None:
            missing.append(name)
        else:
            out += [f"{name}: {text}" for text in _other(existing, wanted)]
    return [*out, *([f"no consumer {', '.join(missing)}"] if missing else [])]


async def _consumer(client: Client, name: str) -> ConsumerConfig | None:
    with reaching("the consumers"):
        try:
            found: ConsumerConfig | None = (await client.jetstream().consumer_info(subjects.REQUESTS, name)).config
        except nats.js.errors.NotFoundError:
            return None
        return found


def _other(existing: ConsumerConfig, wanted: ConsumerConfig) -> list[str]:
    out = [
        f"{field} is {getattr(existing, field)!r}, wanted {getattr(wanted, field)!r}"
        for field in _CONSUMER_FIELDS
        if getattr(existing, field) != getattr(wanted, field)
    ]
    if set(existing.filter_subjects or ()) != set(wanted.filter_subjects or ()):
        out.append("it reads other subjects")
    return out


async def _clocks(client: Client, settings: Settings) -> list[Check]:
    before = time.time()
    info = await _request(client, f"$JS.API.STREAM.INFO.{subjects.REQUESTS}")
    after = time.time()
    if info is None or "ts" not in info:
        return [Check("clock of NATS", "unknown", "this login may not look at the stream of requests")]
    ahead_s = _unix_s(info["ts"]) - (before + after) / 2
    out = [checkup.clock("NATS", ahead_s, (after - before) / 2, settings.ingest.lease_ttl_s / 2)]
    newest = await _last(client, subjects.REQUESTS, info)
    ended = None if newest is None else _newest_end_s(newest.payload)
    if newest is None or ended is None:
        return [*out, Check("clocks of gateways", "unknown", "there is no event to look at, or this login may not")]
    return [*out, checkup.event_times(ended - _unix_s(newest.headers["Nats-Time-Stamp"]))]


async def _last(client: Client, stream: str, info: Mapping[str, Any]) -> Stored | None:
    if not info["state"]["messages"]:
        return None
    try:
        page = await read_page(client, stream, ">", info["state"]["last_seq"], 1)
    except Unavailable:
        return None
    return page.messages[-1] if page.messages else None


def _newest_end_s(payload: bytes) -> float | None:
    """Of an event, or of an envelope's newest one. ``None`` for what is neither: a label, or a dead letter to be."""
    try:
        value = msgpack.unpackb(payload, raw=False)
        events = value if isinstance(value, list) else [value]
        return max(int(event["time_unix_nano"]) for event in events) / _NANO
    except (ValueError, TypeError, KeyError, msgpack.exceptions.UnpackException):
        return None


async def _dead_letters(client: Client, info: Mapping[str, Any] | None) -> Check:
    if info is None:
        return Check("dead letters", "unknown", "this login may not look at them")
    count = info["state"]["messages"]
    if not count:
        return checkup.dead_letters(0, None, "")
    newest = await _last(client, subjects.DEADLETTER, info)
    headers = {} if newest is None else newest.headers
    why = " ".join(filter(None, (headers.get(subjects.H_REASON), headers.get(subjects.H_FIELD))))
    return checkup.dead_letters(count, time.time() - _unix_s(info["state"]["last_ts"]), why)


def _unix_s(moment: str) -> float:
    """RFC 3339 with nanoseconds, of which Python keeps six digits.

    >>> _unix_s("2026-09-21T14:13:20.123456789Z")
    1790000000.123456
    """
    whole, _, rest = moment.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{rest[:6] or '0':0<6}+00:00").timestamp()
