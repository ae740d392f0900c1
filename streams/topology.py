"""Streams, buckets and consumers as data, and the one function that makes a NATS account look like them.

``ensure`` is idempotent and safe to run from several processes at once: it creates what is missing, updates what may be
updated, and refuses a deployment whose partition count differs, before it has touched anything.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any, Final

import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
    SubjectTransform,
)

from stillwatch import subjects
from stillwatch.errors import DeploymentMismatch, SettingsError, Unavailable
from stillwatch.revocation import MAX_TTL_S
from stillwatch.settings import Settings
from streams.connection import reaching

_log = logging.getLogger(__name__)

_DAY_S: Final = 24 * 3600
_GIB: Final = 1024**3
# The oldest server with the reset API, by which a feed starts where its state ends.
MIN_SERVER: Final = (2, 14)
# Nothing reads a verdict once no revocation made from it can be in force; audits are asked for a year later.
_VERDICTS_MAX_AGE_S: Final = MAX_TTL_S
_AUDIT_MAX_AGE_S: Final = 400 * _DAY_S
# Dead letters are evidence for a publisher's bug report; hostile traffic must not fill a disk with them.
_DEADLETTER_MAX_AGE_S: Final = 14 * _DAY_S
_KEPT_MAX_BYTES: Final = 1 * _GIB
_DUPLICATE_WINDOW_S: Final = 120.0  # the server's default, spelt out so that it can be compared
# Redelivery is for a feed that hangs; a batch, a garbage collection and a snapshot together take seconds.
_ACK_WAIT_S: Final = 60.0
_CONCURRENT_REQUESTS: Final = 32
# Account tokens have one subject token, so partition(N,1) hashes exactly what `partition_of` hashes.
_TRANSFORM = "stillwatch.partition.{{{{partition({partitions},1)}}}}.{{{{wildcard(1)}}}}"
_PARTITIONS_IN_TRANSFORM = re.compile(r"partition\((\d+)\s*,")


def requests_stream(settings: Settings) -> StreamConfig:
    return _stream(
        settings, subjects.REQUESTS, [subjects.REQUESTS_IN, subjects.ENVELOPES_IN, subjects.LABELS_IN],
        max_age=settings.nats.requests_max_age_s,
        max_bytes=settings.nats.requests_max_bytes,
        duplicate_window=settings.nats.duplicate_window_s,
        subject_transform=SubjectTransform(
            src=subjects.REQUESTS_IN, dest=_TRANSFORM.format(partitions=settings.partitions)
        ),
    )  # fmt: skip


def streams(settings: Settings) -> list[StreamConfig]:
    """All streams. One message per subject makes a verdict and a dead letter idempotent for as long as it is kept."""
    return [
        requests_stream(settings),
        _stream(
            settings, subjects.VERDICTS, [subjects.VERDICTS_IN],
            max_age=_VERDICTS_MAX_AGE_S, max_bytes=_KEPT_MAX_BYTES, max_msgs_per_subject=1,
        ),
        _stream(
            settings, subjects.DEADLETTER, [subjects.DEADLETTER_IN],
            max_age=_DEADLETTER_MAX_AGE_S, max_bytes=_KEPT_MAX_BYTES, max_msgs_per_subject=1,
        ),
        _stream(
            settings, subjects.AUDIT, [subjects.AUDIT_IN],
            max_age=_AUDIT_MAX_AGE_S, max_bytes=_KEPT_MAX_BYTES, deny_delete=True, deny_purge=True,
        ),
    ]  # fmt: skip


def buckets(settings: Settings) -> list[StreamConfig]:
    """The KV buckets, as the streams they are. Five revisions of an account's key tell an operator its story; leases
    change every two seconds and need none. Age is garbage collection only: values carry their own expiry."""
    return [
        _bucket(settings, subjects.REVOCATIONS_BUCKET, history=5, max_age=MAX_TTL_S + _DAY_S),
        _bucket(settings, subjects.CONTROL_BUCKET, history=1, max_age=0),
    ]


def object_stores(settings: Settings) -> list[StreamConfig]:
    """As every NATS client makes an object store (ADR-20), where snapshots are kept in one. Snapshots of partitions that are
    older than what the stream retains are of no use, and neither are the pieces of one that was never finished."""
    if settings.snapshots.store != "jetstream":
        return []
    name = subjects.SNAPSHOTS_BUCKET
    return [
        StreamConfig(
            name=f"OBJ_{name}",
            subjects=[f"$O.{name}.C.>", f"$O.{name}.M.>"],
            storage=StorageType.FILE,
            discard=DiscardPolicy.NEW,
            max_age=settings.nats.requests_max_age_s,
            max_bytes=settings.snapshots.jetstream_max_bytes,
            duplicate_window=min(_DUPLICATE_WINDOW_S, settings.nats.requests_max_age_s),
            num_replicas=settings.nats.replicas,
            allow_rollup_hdrs=True,
            allow_direct=True,
        )
    ]


def everything(settings: Settings) -> list[StreamConfig]:
    """All that the server keeps for a deployment, as the streams it is kept in."""
    return [*streams(settings), *buckets(settings), *object_stores(settings)]


def consumer(settings: Settings, partition: int) -> ConsumerConfig:
    """The durable pull consumer of one partition."""
    name = subjects.consumer_name(partition)
    return ConsumerConfig(
        name=name,
        durable_name=name,
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.ALL,
        ack_wait=_ACK_WAIT_S,
        # Above the batch, or a fetch is refused; four batches leave room for what is fetched but not yet in state.
        max_ack_pending=4 * settings.ingest.batch_messages,
        filter_subjects=subjects.partition_subjects(partition),
    )


async def ensure(client: Client, settings: Settings) -> None:
    """Everything above exists and is as configured. Raises ``DeploymentMismatch``, ``SettingsError``, ``Unavailable``."""
    version = client.connected_server_version
    if (version.major, version.minor) < MIN_SERVER:
        wanted = ".".join(map(str, MIN_SERVER))
        raise SettingsError(
            "nats.urls", f"this is {version}", f"Use nats-server {wanted} or later: feeds need its reset"
        )
    context = client.jetstream()
    with reaching("JetStream"):
        await _require_jetstream(context)
        await _refuse_other_partitions(context, settings)
        for config in everything(settings):
            await _ensure_stream(context, config)
        gate = asyncio.Semaphore(_CONCURRENT_REQUESTS)

        async def one(partition: int) -> None:
            async with gate:
                await context.add_consumer(subjects.REQUESTS, consumer(settings, partition))

        await asyncio.gather(*(one(partition) for partition in range(settings.partitions)))


async def _require_jetstream(context: JetStreamContext) -> None:
    try:
        await context.account_info()
    except nats.js.errors.APIError as error:
        problem = "it does not answer: is it enabled on this server (`jetstream {}`) and for this account?"
        raise Unavailable("JetStream", problem) from error


async def _refuse_other_partitions(context: JetStreamContext, settings: Settings) -> None:
    # The server would let us change the transform: accounts would move away from the partitions that know them.
    existing = await config_of(context, subjects.REQUESTS)
    if existing is None:
        return
    transform = existing.subject_transform
    found = _PARTITIONS_IN_TRANSFORM.search(transform.dest) if transform else None
    partitions = int(found.group(1)) if found else 0
    if partitions != settings.partitions:
        raise DeploymentMismatch(subjects.REQUESTS, partitions, settings.partitions)


async def _ensure_stream(context: JetStreamContext, wanted: StreamConfig) -> None:
    name = wanted.name or ""
    try:
        existing = await config_of(context, name)
        if existing is None:
            # Two processes may both find it missing; creating the same stream twice is one stream.
            await context.add_stream(wanted)
            _log.info("created stream %s", name)
            return
        changes = changes_of(existing, wanted)
        if changes:
            await context.update_stream(existing.evolve(**changes))
            _log.info("updated stream %s: %s", name, ", ".join(sorted(changes)))
    except nats.js.errors.ServiceUnavailableError:
        raise  # a cluster that elects; not a matter of settings
    except nats.js.errors.APIError as error:
        raise SettingsError(f"stream {name}", f"refused: {error.description}", _remedy(error)) from error


async def config_of(context: JetStreamContext, name: str) -> StreamConfig | None:
    try:
        return (await context.stream_info(name)).config
    except nats.js.errors.NotFoundError:
        return None


def changes_of(existing: StreamConfig, wanted: StreamConfig) -> dict[str, Any]:
    """The fields that we set and that differ; what an operator added to the stream (tags, mirrors) stays."""
    found, ours = existing.as_dict(), wanted.as_dict()
    return {field: getattr(wanted, field) for field, value in ours.items() if found.get(field) != value}


def _remedy(error: nats.js.errors.APIError) -> str:
    if error.err_code == 10047:  # streams reserve their max_bytes when they are made
        return "Lower nats.requests_max_bytes or snapshots.jetstream_max_bytes, or raise the server's jetstream max_file_store"
    if error.err_code == 10074:
        return "Set nats.replicas to 1: this server is not part of a cluster"
    return "Change the setting back, or change the stream with the nats command line"


def _stream(
    settings: Settings, name: str, on: list[str], duplicate_window: float = _DUPLICATE_WINDOW_S, **limits: Any
) -> StreamConfig:
    return StreamConfig(
        name=name,
        subjects=on,
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        num_replicas=settings.nats.replicas,
        duplicate_window=duplicate_window,
        allow_direct=True,  # reading back many messages in one request (streams.scan)
        **limits,
    )


def _bucket(settings: Settings, name: str, history: int, max_age: float) -> StreamConfig:
    """As every NATS client makes a KV bucket (ADR-8), so that any of them can read it."""
    return StreamConfig(
        name=f"KV_{name}",
        subjects=[f"$KV.{name}.>"],
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        max_msgs_per_subject=history,
        max_age=max_age,
        duplicate_window=_DUPLICATE_WINDOW_S,
        num_replicas=settings.nats.replicas,
        allow_rollup_hdrs=True,
        allow_direct=True,
        allow_msg_ttl=True,
        deny_delete=True,
    )
