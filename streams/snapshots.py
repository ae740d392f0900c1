"""Snapshot stores: a directory, S3 or memory by the library `obstore`, JetStream's object store by nats-py.

Each writes aside and then flips: a file is renamed into place, S3 shows an object when all of it is there, JetStream's
description of an object is one message behind its pieces. No directory is synced: a power failure can tear the newest, which
its signature shows, and the one before it counts.
"""

from __future__ import annotations

import asyncio
import base64
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import nats.js.errors
import obstore
import obstore.exceptions
from nats.aio.client import Client
from nats.js.object_store import ObjectStore
from obstore.store import LocalStore, MemoryStore, S3Store

from stillwatch.errors import NotFound, Unavailable
from stillwatch.ports import SnapshotName, SnapshotStore
from stillwatch.settings import Settings
from stillwatch.subjects import SNAPSHOTS_BUCKET
from streams.connection import reaching, require_connection

# Zero-padded, so that stores that list by name list by age.
_FILE: Final = re.compile(r"(?P<subject>[a-z0-9-]+)/(?P<epoch>\d{20})-(?P<place>\d{20})\.snapshot\Z")
# A gigabyte over a slow link. nats-py waits without a bound for pieces that are gone.
_WITHIN_S: Final = 120.0
_WHAT: Final = "the snapshot store"


def path_of(name: SnapshotName) -> str:
    """
    >>> path_of(SnapshotName("partition-003", 41, 7))
    'partition-003/00000000000000000041-00000000000000000007.snapshot'
    >>> name_of(path_of(SnapshotName("partition-003", 41, 7)))
    SnapshotName(subject='partition-003', epoch=41, place=7)
    """
    return f"{name.subject}/{name.epoch:020}-{name.place:020}.snapshot"


def name_of(path: str) -> SnapshotName | None:
    """``None`` for what is no snapshot: a file that was not finished, or somebody else's."""
    found = _FILE.match(path)
    return SnapshotName(found["subject"], int(found["epoch"]), int(found["place"])) if found else None


class ObstoreSnapshots:
    """ports.SnapshotStore over any store that `obstore` knows."""

    def __init__(self, store: LocalStore | MemoryStore | S3Store) -> None:
        self._store = store

    async def put(self, name: SnapshotName, sealed: bytes) -> None:
        with _reaching_store():
            await obstore.put_async(self._store, path_of(name), sealed)

    async def get(self, name: SnapshotName) -> bytes:
        with _reaching_store():
            try:
                return bytes(await (await obstore.get_async(self._store, path_of(name))).bytes_async())
            except (obstore.exceptions.NotFoundError, FileNotFoundError):
                raise NotFound("snapshot", path_of(name)) from None

    async def names(self, subject: str) -> list[SnapshotName]:
        with _reaching_store():
            found = await obstore.list_with_delimiter_async(self._store, f"{subject}/")
        return sorted(name for one in found["objects"] if (name := name_of(one["path"])) is not None)

    async def delete(self, name: SnapshotName) -> None:
        with _reaching_store():
            try:
                await obstore.delete_async(self._store, path_of(name))
            except (obstore.exceptions.NotFoundError, FileNotFoundError):
                return


class JetStreamSnapshots:
    """ports.SnapshotStore over the object store of ``topology.ensure``."""

    def __init__(self, client: Client) -> None:
        self._client, self._context = client, client.jetstream()
        self._stream = f"OBJ_{SNAPSHOTS_BUCKET}"
        self._store = ObjectStore(SNAPSHOTS_BUCKET, self._stream, self._context)

    async def put(self, name: SnapshotName, sealed: bytes) -> None:
        require_connection(self._client, _WHAT)
        with reaching(_WHAT):
            async with asyncio.timeout(_WITHIN_S):
                await self._store.put(path_of(name), sealed)

    async def get(self, name: SnapshotName) -> bytes:
        require_connection(self._client, _WHAT)
        into = io.BytesIO()  # what it would return it makes by adding piece to piece, in quadratic time
        with reaching(_WHAT):
            try:
                async with asyncio.timeout(_WITHIN_S):
                    await self._store.get(path_of(name), into)
            except nats.js.errors.NotFoundError:
                raise NotFound("snapshot", path_of(name)) from None
        return into.getvalue()

    async def names(self, subject: str) -> list[SnapshotName]:
        # By the stream's subjects: the library's own list reads every description, one message each.
        require_connection(self._client, _WHAT)
        with reaching(_WHAT):
            info = await self._context.stream_info(self._stream, subjects_filter=f"$O.{SNAPSHOTS_BUCKET}.M.>")
        subjects = info.state.subjects or {}
        paths = (base64.urlsafe_b64decode(one.rpartition(".")[2]).decode() for one in subjects)
        return sorted(name for path in paths if (name := name_of(path)) is not None and name.subject == subject)

    async def delete(self, name: SnapshotName) -> None:
        require_connection(self._client, _WHAT)
        described = base64.urlsafe_b64encode(path_of(name).encode()).decode()
        with reaching(_WHAT):
            with suppress(nats.js.errors.NotFoundError):
                async with asyncio.timeout(_WITHIN_S):
                    await self._store.delete(path_of(name))
            # The library leaves a note that it was deleted, for ever, and no name of ours is used twice.
            await self._context.purge_stream(self._stream, subject=f"$O.{SNAPSHOTS_BUCKET}.M.{described}")


def memory_snapshots() -> ObstoreSnapshots:
    return ObstoreSnapshots(MemoryStore())


def snapshot_store(client: Client, settings: Settings) -> SnapshotStore | None:
    """The configured one. S3's credentials come as its own tools take them: AWS_* variables, or the role of the machine."""
    chosen = settings.snapshots
    if chosen.store == "none":
        return None
    if chosen.store == "jetstream":
        return JetStreamSnapshots(client)
    if chosen.store == "directory":
        directory = Path(chosen.directory or Path(settings.data_dir) / "snapshots").resolve()
        return ObstoreSnapshots(LocalStore(directory, mkdir=True))
    assert chosen.s3_url is not None
    plain = chosen.s3_endpoint is not None and chosen.s3_endpoint.startswith("http://")
    more = {"endpoint": chosen.s3_endpoint, "region": chosen.s3_region}
    store = S3Store.from_url(
        chosen.s3_url,
        client_options={"allow_http": plain, "timeout": "120s"},
        retry_config={"max_retries": 3},
        **{name: value for name, value in more.items() if value is not None},  # type: ignore[arg-type]
    )
    return ObstoreSnapshots(store)


@contextmanager
def _reaching_store() -> Iterator[None]:
    try:
        yield
    except (obstore.exceptions.BaseError, OSError) as error:
        first = str(error).strip().splitlines() or ["no reason given"]
        raise Unavailable(_WHAT, f"{type(error).__name__}: {first[0]}") from error
