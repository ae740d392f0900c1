"""A shard through everything that a broker can do to it: nothing acknowledged to a publisher is lost, nothing counts twice,
and what is wrong stands in its status."""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import signal
import sys
from collections.abc import AsyncIterator

import msgpack
import pytest
from factories import account_in
from nats.js.errors import NotFoundError
from shard_worlds import INGEST, ShardWorld, eventually, fresh

from actors import progress
from launch.embedded import EmbeddedNats
from stillwatch import subjects
from stillwatch.errors import Unavailable
from stillwatch.settings import NatsSettings, Settings, SnapshotSettings
from stillwatch.wire import encode_event
from streams import topology
from streams.snapshots import memory_snapshots


@pytest.fixture
async def world(nats_server: EmbeddedNats, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ShardWorld]:
    monkeypatch.setattr(progress, "STALL_S", 1.0)
    world = await ShardWorld.start(nats_server.url)
    yield world
    await world.stop()


async def test_a_server_killed_and_started_again_under_load_loses_nothing_and_doubles_nothing(
    world: ShardWorld, nats_server: EmbeddedNats
) -> None:
    async def load() -> None:
        for start in range(0, 4_000, 100):
            await world.publish(fresh(100, start))

    loading = asyncio.create_task(load())
    for after in (800, 2_000):
        await eventually(lambda limit=after: _is(len(world.published) >= limit))  # type: ignore[misc]
        await asyncio.to_thread(nats_server.kill)
        await asyncio.to_thread(nats_server.start)
    await loading
    partitions = await world.all_in_state()
    assert sum(p.restarts for p in partitions) >= 2
    await world.until(lambda status: not any(p.problem for p in status.partitions))


async def _is(condition: bool) -> bool:
    return condition


async def test_what_comes_again_and_in_any_order_counts_once(world: ShardWorld) -> None:
    """Without message ids, so that the server does not help: two copies of everything, shuffled."""
    events = fresh(600)
    copies = [*events, *events]
    random.Random(5).shuffle(copies)
    for event in copies:
        await world.client.publish(subjects.request_subject(event.account), encode_event(event))
    world.published = {event.id for event in events}
    await world.all_in_state()
    status = await world.until(lambda now: sum(p.duplicates for p in now.partitions) == 600)
    assert sum(p.rejected for p in status.partitions) == 0


async def test_a_server_that_stands_still_is_named_and_waited_for(world: ShardWorld, nats_server: EmbeddedNats) -> None:
    await world.publish(fresh(200))
    await world.all_in_state()
    assert nats_server.pid is not None
    os.kill(nats_server.pid, signal.SIGSTOP)
    try:
        slow = await world.until(lambda status: any(p.problem for p in status.partitions))
        assert len(slow.partitions) == 2
    finally:
        os.kill(nats_server.pid, signal.SIGCONT)
    await world.publish(fresh(200, 200))
    await world.all_in_state()
    await world.until(lambda status: not any(p.problem for p in status.partitions))


async def test_a_consumer_deleted_under_load_is_made_again(world: ShardWorld) -> None:
    context = world.client.jetstream()
    for start in range(0, 1_000, 100):
        await world.publish(fresh(100, start))
        if start in (300, 600):
            await world.all_in_state()
            await context.delete_consumer(subjects.REQUESTS, subjects.consumer_name(0))
    partitions = await world.all_in_state()
    assert sum(p.restarts for p in partitions) >= 1


async def test_a_consumer_that_somebody_pointed_elsewhere_is_set_back(world: ShardWorld) -> None:
    await world.publish(fresh(40))
    await world.all_in_state()
    context = world.client.jetstream()
    wrong = topology.consumer(world.settings, 0).evolve(filter_subjects=["stillwatch.labels.7"])
    await context.add_consumer(subjects.REQUESTS, wrong)
    await world.publish(fresh(40, 40))
    await world.all_in_state()
    info = await context.consumer_info(subjects.REQUESTS, subjects.consumer_name(0))
    assert set(info.config.filter_subjects or []) == set(subjects.partition_subjects(0))


async def test_where_messages_wait_and_none_comes_the_feed_is_made_anew_and_the_status_says_so(
    world: ShardWorld,
) -> None:
    """A paused consumer: everything answers, and nothing comes."""
    pause = f"$JS.API.CONSUMER.PAUSE.{subjects.REQUESTS}.{subjects.consumer_name(0)}"
    answer = await world.client.request(pause, json.dumps({"pause_until": "2100-01-01T00:00:00Z"}).encode())
    assert json.loads(answer.data)["paused"]
    await world.publish(fresh(100))
    stalled = await world.until(lambda status: status.partitions[0].rebuilds >= 2)
    assert "is the consumer paused?" in stalled.partitions[0].problem
    assert stalled.partitions[0].lag_s >= 0
    assert (stalled.partitions[0].waiting > 0, stalled.partitions[1].problem) == (True, "")
    await world.client.request(pause, b"{}")
    await world.all_in_state()
    await world.until(lambda status: not status.partitions[0].problem)


async def test_a_stream_that_is_missing_is_named_and_one_made_anew_is_read_from_its_beginning(
    world: ShardWorld,
) -> None:
    """Its numbers begin again below those in state: none of its messages may be taken for one that was seen."""
    await world.publish(fresh(300))
    await world.all_in_state()
    context = world.client.jetstream()
    await context.delete_stream(subjects.REQUESTS)
    missing = await world.until(lambda status: all("not found" in p.problem for p in status.partitions))
    assert len(missing.partitions) == 2
    await topology.ensure(world.client, world.settings)
    await world.publish(fresh(100, 300))
    partitions = await world.all_in_state()
    assert [p.rewinds for p in partitions] == [1, 1]


async def test_after_a_stream_was_made_anew_no_owner_begins_with_a_snapshot_of_the_one_before(
    nats_server: EmbeddedNats,
) -> None:
    """Its numbers pass those of the old snapshots some day: whoever began there would skip what it has not seen."""
    settings = Settings(partitions=2, shards=1, ingest=INGEST, snapshots=SnapshotSettings(period_s=0.1))
    store = memory_snapshots()

    async def places() -> list[int]:
        return [name.place for p in range(2) for name in await store.names(subjects.consumer_name(p))]

    async def all_in_snapshots() -> bool:
        return max(await places(), default=0) == await world.hub.events.end()

    world = await ShardWorld.start(nats_server.url, settings, store)
    await world.publish(fresh(300))
    await world.all_in_state()
    await eventually(all_in_snapshots)
    await world.client.jetstream().delete_stream(subjects.REQUESTS)
    await topology.ensure(world.client, settings)
    await world.publish(fresh(100, 300))
    await world.all_in_state()
    await eventually(all_in_snapshots)
    await world.stop()
    later = await ShardWorld.start(nats_server.url, settings, store)
    later.published = set(world.published)
    await later.publish(fresh(300, 400))
    await later.all_in_state()
    assert (await later.shard.status()).snapshots.restored == 2
    await later.stop()


async def test_an_event_reported_again_to_a_stream_made_anew_counts_once(world: ShardWorld) -> None:
    await world.publish(fresh(50))
    await world.all_in_state()
    await world.client.jetstream().delete_stream(subjects.REQUESTS)
    await topology.ensure(world.client, world.settings)
    await world.publish(fresh(60))
    await world.all_in_state()


async def test_a_stream_that_was_never_made_is_the_reason_why_a_partition_has_no_owner(world: ShardWorld) -> None:
    await world.shard.stop()
    await world.client.jetstream().delete_stream(subjects.REQUESTS)
    await world.shard.start()
    status = await world.until(lambda now: len(now.problems) == 2)
    assert "partition 0: partition 0 is not available: NotFoundError" in status.problems[0]
    await topology.ensure(world.client, world.settings)
    await world.until(lambda now: not now.problems and len(now.partitions) == 2)


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit")
async def test_a_full_disk_refuses_publishers_loses_nothing_and_is_over_when_there_is_room(
    world: ShardWorld, nats_server: EmbeddedNats
) -> None:
    """No file of the server can grow: what the kernel says is another number than ENOSPC, and as final."""
    await world.publish(fresh(100))
    await world.all_in_state()
    assert nats_server.pid is not None
    resource.prlimit(nats_server.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    with pytest.raises(Unavailable):
        await _publish_until_it_fails(world)
    # There is room again. A nats-server that could not write stops the stream until it is started anew.
    await asyncio.to_thread(nats_server.kill)
    await asyncio.to_thread(nats_server.start)
    await world.publish(fresh(100, 100))
    await world.all_in_state()


async def _publish_until_it_fails(world: ShardWorld) -> None:
    for start in range(1_000, 100_000, 200):
        events = fresh(200, start)
        await world.hub.publisher.publish(events)
        world.published |= {event.id for event in events}


async def test_a_stream_at_its_limit_forgets_what_was_read_and_says_so_where_it_was_not(
    nats_server: EmbeddedNats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "STALL_S", 1.0)
    tiny = Settings(partitions=2, shards=1, ingest=INGEST, nats=NatsSettings(requests_max_bytes=1_000_000))
    world = await ShardWorld.start(nats_server.url, tiny)
    try:
        for start in range(0, 12_000, 1_000):  # more than it holds; it is read meanwhile
            await world.publish(fresh(1_000, start))
            await world.all_in_state()
        pause = f"$JS.API.CONSUMER.PAUSE.{subjects.REQUESTS}.{subjects.consumer_name(0)}"
        await world.client.request(pause, json.dumps({"pause_until": "2100-01-01T00:00:00Z"}).encode())
        for start in range(12_000, 32_000, 1_000):
            await world.publish(fresh(1_000, start))
        await world.until(lambda status: "may be lost" in status.partitions[0].problem)
        await world.until(lambda status: not status.partitions[1].problem)
    finally:
        await world.stop()


async def test_poison_of_every_kind_lets_the_partition_go_on_and_is_stored_as_it_came(world: ShardWorld) -> None:
    account = account_in(0, 2)
    poison = [b"", b"\xc1", b"\x90", b"\x80", b"\xff" * 900_000, b"\x91" * 5_000, msgpack.packb([None] * 1_000)]
    for payload in poison:
        await world.client.publish(subjects.request_subject(account), payload)
    await world.publish(fresh(100))
    await world.all_in_state()
    await eventually(lambda: _count(world, len(poison) - 1 + 1_000))
    letters = await world.hub.dead_letters.newest(2_000)
    whole = {letter.payload for letter in letters if letter.payload != b"\xc0"}
    assert whole == set(poison[:-1])
    assert len([letter for letter in letters if letter.payload == b"\xc0"]) == 1_000


async def _count(world: ShardWorld, wanted: int) -> bool:
    return await world.hub.dead_letters.count() == wanted


async def test_while_dead_letters_can_not_be_stored_nothing_is_acknowledged_and_the_status_says_why(
    world: ShardWorld,
) -> None:
    context = world.client.jetstream()
    await context.delete_stream(subjects.DEADLETTER)
    account = account_in(0, 2)
    await world.client.publish(subjects.request_subject(account), b"\xc1")
    await world.until(lambda status: "no stream takes this subject" in status.partitions[0].problem)
    await topology.ensure(world.client, world.settings)
    await eventually(lambda: _count(world, 1))
    await world.publish(fresh(50))
    await world.all_in_state()
    with pytest.raises(NotFoundError):
        await context.stream_info("NO_SUCH_STREAM")
