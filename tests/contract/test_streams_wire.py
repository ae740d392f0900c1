"""What others see on the wire: the server's partitions, and verdicts as CloudEvents."""

from __future__ import annotations

import asyncio
import json
import random
import string

import msgpack
import pytest
from nats.aio.client import Client
from stream_values import SIGNAL, T0, a_campaign, a_letter, a_verdict
from stream_worlds import World, settled

from stillwatch import subjects
from stillwatch.partition import partition_of
from stillwatch.settings import Settings
from stillwatch.wire import decode_message, events_of
from streams import topology
from streams.feed import JetStreamEvents
from streams.pipeline import Outgoing, Pipeline

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TOKEN = string.ascii_letters + string.digits + "_-"


@pytest.mark.parametrize("partitions", [1, 7, 16, 1_000])
async def test_our_partition_of_an_account_is_the_servers(nats_client: Client, partitions: int) -> None:
    random_ = random.Random(partitions)
    accounts = {"".join(random_.choices(TOKEN, k=random_.randint(1, 64))) for _ in range(300)}
    await nats_client.jetstream().add_stream(topology.requests_stream(Settings(partitions=partitions, shards=1)))
    await Pipeline(nats_client).send([Outgoing(subjects.request_subject(account), b"") for account in accounts])
    # The stream's own account of what it stored: every subject once.
    info = await nats_client.jetstream().stream_info(subjects.REQUESTS, subjects_filter=">")
    stored = info.state.subjects or {}
    assert set(stored) == {
        f"stillwatch.partition.{partition_of(account, partitions)}.{account}" for account in accounts
    }


async def test_a_client_in_another_languages_style_lands_in_the_right_partition(nats_client: Client) -> None:
    """msgpack, core publish, no header, no acknowledgement, no code of ours on the sending side."""
    settings = Settings(partitions=4)
    await topology.ensure(nats_client, settings)
    events = [
        {"v": 1, "id": f"raw-{n}", "time_unix_nano": T0, "account": f"cust_{n}", "attributes": {"http.x": 1}}
        for n in range(40)
    ]
    for event in events:
        await nats_client.publish(f"stillwatch.requests.{event['account']}", msgpack.packb(event))
    await settled(nats_client)
    expected = {str(event["account"]): partition_of(str(event["account"]), 4) for event in events}
    found: dict[str, int] = {}
    for partition in range(4):
        feed = await JetStreamEvents(nats_client, settings).open(partition, 0)
        async with asyncio.timeout(10):
            while sum(owner == partition for owner in found.values()) < list(expected.values()).count(partition):
                for message in await feed.fetch(100, 1.0):
                    found |= {event.account: partition for event in events_of(decode_message(message.payload))}
        await feed.close()
    assert found == expected


async def test_subjects_that_the_transform_does_not_match_pass_unchanged(nats_client: Client) -> None:
    await topology.ensure(nats_client, Settings(partitions=4))
    for subject in ("stillwatch.envelopes.3", "stillwatch.labels.0"):
        ack = await nats_client.jetstream().publish(subject, b"x")
        stored = await nats_client.jetstream().get_msg(subjects.REQUESTS, ack.seq)
        assert stored.subject == subject


@pytest.mark.parametrize("world", ["jetstream"], indirect=True)
async def test_a_verdict_is_a_cloudevent_in_binary_mode(world: World, nats_client: Client) -> None:
    subscription = await nats_client.subscribe("stillwatch.verdicts.>")
    await settled(nats_client)
    await world.hub.verdicts.publish_verdict(a_verdict(1), TRACE)
    message = await subscription.next_msg(timeout=5)
    headers = message.headers or {}
    assert message.subject == "stillwatch.verdicts.account.acct-1.v-1"
    expected = {
        "ce-specversion": "1.0",
        "ce-type": "io.stillwatch.verdict.v1",
        "ce-source": "/stillwatch/stillwatch",
        "ce-id": "v-1",
        "ce-subject": "acct-1",
        "ce-time": "2026-09-21T14:13:20.123456Z",
        "content-type": "application/json",
        "traceparent": TRACE,
    }
    assert {name: headers.get(name) for name in expected} == expected
    body = json.loads(message.data)
    assert (body["id"], body["action"], body["signals"][0]["name"]) == ("v-1", "throttle", SIGNAL.name)


@pytest.mark.parametrize("world", ["jetstream"], indirect=True)
async def test_subscribers_see_a_repeated_verdict_once(world: World, nats_client: Client) -> None:
    """A replay decides everything again; a webhook bridge that reads the stream must not fire again."""
    for verdict in (a_verdict(1), a_verdict(1), a_verdict(2)):
        await world.hub.verdicts.publish_verdict(verdict)
    consumer = await nats_client.jetstream().pull_subscribe("", stream=subjects.VERDICTS)
    seen = await consumer.fetch(10, timeout=0.5)
    assert [message.subject.rsplit(".", 1)[1] for message in seen] == ["v-1", "v-2"]
    assert [message.metadata.sequence.stream for message in seen] == [1, 2]


@pytest.mark.parametrize("world", ["jetstream"], indirect=True)
async def test_a_campaign_change_is_a_cloudevent_of_its_own_type(world: World, nats_client: Client) -> None:
    subscription = await nats_client.subscribe("stillwatch.verdicts.state.*")
    await settled(nats_client)
    await world.hub.verdicts.publish_campaign(a_campaign("c-1"))
    headers = (await subscription.next_msg(timeout=5)).headers or {}
    assert headers["ce-type"] == "io.stillwatch.campaign.v1"
    assert headers["ce-id"] == f"c-1.{T0}"


@pytest.mark.parametrize("world", ["jetstream"], indirect=True)
async def test_an_operator_sorts_dead_letters_by_their_headers(world: World, nats_client: Client) -> None:
    await world.hub.dead_letters.put([a_letter(41)])
    stored = await nats_client.jetstream().get_last_msg(subjects.DEADLETTER, "stillwatch.deadletter.2.41.0")
    headers = stored.headers or {}
    assert stored.data == b"\xc1"
    assert (headers["Stillwatch-Reason"], headers["Stillwatch-Sequence"]) == ("undecodable", "41")
    assert headers["Stillwatch-Subject"] == "stillwatch.partition.2.acct"
