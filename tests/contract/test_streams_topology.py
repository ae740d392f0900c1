"""What ``topology.ensure`` leaves behind on a real server, and what it refuses."""

from __future__ import annotations

import asyncio
from pathlib import Path

import nats.js.errors
import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from stream_values import a_revocation
from stream_worlds import World

from launch.embedded import EmbeddedNats
from stillwatch import subjects
from stillwatch.errors import DeploymentMismatch, SettingsError, Unavailable
from stillwatch.revocation import Enforcement
from stillwatch.settings import NatsSettings, Settings
from streams import topology
from streams.connection import close, connect

SETTINGS = Settings(partitions=4)
KV_STREAMS = ("KV_stillwatch_revocations", "KV_stillwatch_control")
ALL_STREAMS = (subjects.REQUESTS, subjects.VERDICTS, subjects.DEADLETTER, subjects.AUDIT, *KV_STREAMS)


async def state_of(context: JetStreamContext) -> dict[str, object]:
    streams = {name: (await context.stream_info(name)).config for name in ALL_STREAMS}
    consumers = {info.name: info.config for info in await context.consumers_info(subjects.REQUESTS)}
    return {"streams": streams, "consumers": consumers}


async def test_everything_is_there_after_the_first_time_and_unchanged_after_the_second(nats_client: Client) -> None:
    await topology.ensure(nats_client, SETTINGS)
    context = nats_client.jetstream()
    first = await state_of(context)
    assert sorted(first["consumers"]) == ["partition-000", "partition-001", "partition-002", "partition-003"]  # type: ignore[call-overload]
    await topology.ensure(nats_client, SETTINGS)
    assert await state_of(context) == first


async def test_a_second_time_asks_for_no_update(nats_client: Client, caplog: pytest.LogCaptureFixture) -> None:
    await topology.ensure(nats_client, SETTINGS)
    with caplog.at_level("INFO", logger="streams.topology"):
        await topology.ensure(nats_client, SETTINGS)
    assert caplog.messages == []


async def test_many_processes_may_start_at_once(nats_client: Client) -> None:
    await asyncio.gather(*(topology.ensure(nats_client, SETTINGS) for _ in range(4)))


async def test_what_may_change_is_updated_and_what_an_operator_added_stays(nats_client: Client) -> None:
    await topology.ensure(nats_client, SETTINGS)
    context = nats_client.jetstream()
    config = (await context.stream_info(subjects.REQUESTS)).config
    await context.update_stream(config.evolve(description="ours, ask the SRE on duty"))
    await topology.ensure(
        nats_client, SETTINGS.model_copy(update={"nats": NatsSettings(requests_max_age_s=7_200, duplicate_window_s=30)})
    )
    changed = (await context.stream_info(subjects.REQUESTS)).config
    assert (changed.max_age, changed.duplicate_window) == (7_200, 30)
    assert changed.description == "ours, ask the SRE on duty"


async def test_another_partition_count_is_refused_before_anything_is_touched(nats_client: Client) -> None:
    await topology.ensure(nats_client, SETTINGS)
    context = nats_client.jetstream()
    before = await state_of(context)
    with pytest.raises(DeploymentMismatch, match=r"created for 4 partitions.* says 8.*Set partitions: 4"):
        await topology.ensure(nats_client, Settings(partitions=8))
    assert await state_of(context) == before


async def test_a_foreign_stream_of_our_name_is_refused(nats_client: Client) -> None:
    await nats_client.jetstream().add_stream(name=subjects.REQUESTS, subjects=["something.else"])
    with pytest.raises(DeploymentMismatch):
        await topology.ensure(nats_client, SETTINGS)


async def test_a_server_that_can_not_do_it_says_which_setting_to_change(nats_client: Client) -> None:
    replicated = SETTINGS.model_copy(update={"nats": NatsSettings(replicas=3)})
    with pytest.raises(SettingsError, match=r"Set nats\.replicas to 1"):
        await topology.ensure(nats_client, replicated)
    huge = SETTINGS.model_copy(update={"nats": NatsSettings(requests_max_bytes=10**15)})
    with pytest.raises(SettingsError, match=r"Lower nats\.requests_max_bytes"):
        await topology.ensure(nats_client, huge)


async def test_a_server_without_jetstream_is_named_as_such(tmp_path: Path) -> None:
    class PlainNats(EmbeddedNats):
        def _config(self) -> dict[str, object]:
            return {name: value for name, value in super()._config().items() if name != "jetstream"}

    async with PlainNats(tmp_path) as server:
        client = await connect(NatsSettings(urls=(server.url,)), "tests")
        with pytest.raises(Unavailable, match="is it enabled"):
            await topology.ensure(client, SETTINGS)
        await close(client)


async def test_the_audit_can_be_neither_purged_nor_edited(nats_client: Client) -> None:
    await topology.ensure(nats_client, SETTINGS)
    context = nats_client.jetstream()
    ack = await context.publish("stillwatch.audit.test", b"{}")
    with pytest.raises(nats.js.errors.APIError, match="purge"):
        await context.purge_stream(subjects.AUDIT)
    with pytest.raises(nats.js.errors.APIError, match="delete"):
        await context.delete_msg(subjects.AUDIT, ack.seq)


@pytest.mark.parametrize("world", ["jetstream"], indirect=True)
async def test_any_nats_client_reads_and_watches_our_buckets(world: World, nats_client: Client) -> None:
    """Gateways in other languages use their own KV library; nats-py's stands for them."""
    bucket = await nats_client.jetstream().key_value(subjects.REVOCATIONS_BUCKET)
    watcher = await bucket.watch("account.*")
    assert await watcher.updates() is None  # everything that was stored: nothing
    await world.hub.revocations.put(a_revocation())
    seen = await watcher.updates()
    assert seen.key == "account.acct-1"
    assert Enforcement.decode(seen.value) == a_revocation().enforcement()
    assert (await bucket.get("account.acct-1")).value == seen.value
    await world.hub.revocations.undo("r-1", "op")
    assert (await watcher.updates()).operation == "DEL"
    with pytest.raises(nats.js.errors.KeyNotFoundError):
        await bucket.get("account.acct-1")
    await watcher.stop()


@pytest.mark.parametrize("world", ["jetstream"], indirect=True)
async def test_a_key_written_by_another_client_is_ours_too(world: World, nats_client: Client) -> None:
    bucket = await nats_client.jetstream().key_value(subjects.CONTROL_BUCKET)
    await bucket.put("enforcement", b"off")
    assert await world.hub.control.enforcement() is False
    await bucket.delete("enforcement")
    assert await world.hub.control.enforcement() is True
    await world.hub.control.set_enforcement(False)
    assert (await bucket.get("enforcement")).value == b"off"
