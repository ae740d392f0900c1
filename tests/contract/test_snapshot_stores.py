"""What every snapshot store promises (``ports.SnapshotStore``): memory, a directory, JetStream's object store, S3."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from local_s3 import BUCKET, S3Server, s3_server

from launch.embedded import EmbeddedNats
from stillwatch.errors import NotFound, Unavailable
from stillwatch.ports import SnapshotName, SnapshotStore
from stillwatch.settings import NatsSettings, Settings, SnapshotSettings
from streams import topology
from streams.connection import close, connect
from streams.snapshots import memory_snapshots, snapshot_store

# More than one piece of JetStream's (128 KiB) and not a multiple of it.
LARGE = bytes(range(256)) * 2_001


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture(params=["memory", "directory", "jetstream", "s3"])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SnapshotStore]:
    if request.param == "memory":
        yield memory_snapshots()
        return
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("s3")
        for name, value in server.credentials.items():
            monkeypatch.setenv(name, value)
        chosen = SnapshotSettings(
            store="s3", s3_url=f"s3://{BUCKET}/{tmp_path.name}", s3_endpoint=server.url, s3_region="us-east-1"
        )
    else:
        chosen = SnapshotSettings(store=request.param, directory=str(tmp_path / "snapshots"))
    nats: EmbeddedNats = request.getfixturevalue("nats_server")
    settings = Settings(nats=NatsSettings(urls=(nats.url,)), snapshots=chosen)
    async with AsyncExitStack() as stack:
        client = await connect(settings.nats, "contract")
        stack.push_async_callback(close, client)
        await topology.ensure(client, settings)
        made = snapshot_store(client, settings)
        assert made is not None
        yield made


def named(place: int, epoch: int = 1, subject: str = "partition-003") -> SnapshotName:
    return SnapshotName(subject, epoch, place)


async def test_what_was_put_is_got(store: SnapshotStore) -> None:
    for place, content in ((1, b"x"), (2, LARGE)):
        await store.put(named(place), content)
        assert await store.get(named(place)) == content


async def test_an_empty_store_has_no_names_and_what_is_not_there_is_not_found(store: SnapshotStore) -> None:
    assert await store.names("partition-003") == []
    with pytest.raises(NotFound):
        await store.get(named(1))


async def test_names_are_listed_by_epoch_and_then_by_place_whatever_came_first(store: SnapshotStore) -> None:
    names = [named(9, epoch=2), named(10, epoch=2), named(100, epoch=10), named(5, epoch=11)]
    for name in reversed(names):
        await store.put(name, b"x")
    assert await store.names("partition-003") == names


async def test_subjects_are_apart(store: SnapshotStore) -> None:
    await store.put(named(1), b"three")
    await store.put(named(1, subject="partition-030"), b"thirty")
    await store.put(named(1, subject="aggregator"), b"all")
    assert await store.names("partition-03") == []
    assert await store.names("partition-003") == [named(1)]
    assert await store.get(named(1, subject="aggregator")) == b"all"


async def test_the_same_name_again_is_the_new_content(store: SnapshotStore) -> None:
    await store.put(named(1), LARGE)
    await store.put(named(1), b"new")
    assert await store.get(named(1)) == b"new"
    assert await store.names("partition-003") == [named(1)]


async def test_what_was_deleted_is_gone_and_deleting_twice_is_the_same_as_once(store: SnapshotStore) -> None:
    await store.put(named(1), LARGE)
    await store.put(named(2), b"stays")
    for _ in range(2):
        await store.delete(named(1))
    assert await store.names("partition-003") == [named(2)]
    with pytest.raises(NotFound):
        await store.get(named(1))


async def test_many_write_at_once(store: SnapshotStore) -> None:
    await asyncio.gather(*(store.put(named(n), bytes([n]) * 200_000) for n in range(6)))
    assert await store.names("partition-003") == [named(n) for n in range(6)]
    assert [(await store.get(named(n)))[:1] for n in range(6)] == [bytes([n]) for n in range(6)]


async def test_without_nats_the_object_store_says_so(nats_server: EmbeddedNats) -> None:
    settings = Settings(nats=NatsSettings(urls=(nats_server.url,)))
    client = await connect(settings.nats, "contract")
    await topology.ensure(client, settings)
    store = snapshot_store(client, settings)
    assert store is not None
    await close(client)
    for call in (store.get(named(1)), store.put(named(1), b"x"), store.names("aggregator"), store.delete(named(1))):
        with pytest.raises(Unavailable):
            await call


async def test_a_store_that_can_not_be_reached_is_unavailable_and_not_empty(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restore that took the one for the other would forget weeks."""
    for name, value in s3.credentials.items():
        monkeypatch.setenv(name, value)
    chosen = SnapshotSettings(store="s3", s3_url="s3://no-such-bucket/x", s3_endpoint=s3.url, s3_region="us-east-1")
    store = snapshot_store(None, Settings(snapshots=chosen))  # type: ignore[arg-type]  # S3 needs no NATS
    assert store is not None
    with pytest.raises(Unavailable):
        await store.names("partition-003")


async def test_a_file_that_was_not_finished_is_no_snapshot(tmp_path: Path) -> None:
    store = snapshot_store(None, Settings(snapshots=SnapshotSettings(store="directory", directory=str(tmp_path))))  # type: ignore[arg-type]
    assert store is not None
    await store.put(named(1), b"whole")
    [file] = (tmp_path / "partition-003").iterdir()
    file.with_name(file.name + "#1").write_bytes(b"ha")  # as a crash of the library leaves it
    (tmp_path / "partition-003" / "notes.txt").write_text("an operator's")
    assert await store.names("partition-003") == [named(1)]
