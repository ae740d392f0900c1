"""The values for NATS's own chart, tried on a real server: it takes them, and each user can do its work and no more.

The official chart can not be fetched here. ``server_config`` does what that chart does with the keys that we use: it
lays ``config.merge`` over the server's configuration and ``config.jetstream.merge`` over its JetStream block, and turns
``<< $NAME >>`` into a variable, which the server reads from its environment.
"""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from factories import account_in, an_event
from http_world import World
from manual_clock import ManualClock
from nats.aio.client import Client
from stream_values import NOW, a_letter, a_revocation, a_verdict
from stream_worlds import until
from tls_papers import issue_papers

from launch.embedded import server_binary
from launch.telemetry import SystemClock
from launch.wiring import make_serve_ports
from stillwatch import subjects
from stillwatch.errors import Unavailable
from stillwatch.gateway import Enforcer, Publisher
from stillwatch.never_act import Protection
from stillwatch.ports import AuditEntry, Label, SnapshotName
from stillwatch.revocation import Hold
from stillwatch.settings import NatsLogin, NatsSettings, Settings
from stillwatch.wire import encode_event
from streams import topology
from streams.connection import connect
from streams.hub import jetstream_hub
from streams.snapshots import snapshot_store

HELM = Path(__file__).resolve().parents[2] / "helm"
USERS = {"bootstrap", "scorer", "api", "gateway", "enforcer", "publisher", "operator"}
ACCOUNT = account_in(0, 4)
ENDED = Protection("account", "acct-3", "anna", "a reviewer of ours", NOW - 9, NOW - 1, "tests")
OUTSIDE = "STILLWATCH.API"  # how the account of the gateways calls the JetStream of Stillwatch's


def values(*files: str) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for file in files:
        merged = _over(merged, yaml.safe_load((HELM / file).read_text()))
    return merged


def server_config(chart: dict[str, Any], directory: Path) -> str:
    config = chart["config"]
    jetstream = {"store_dir": str(directory / "store"), **config["jetstream"]["merge"]}
    base = {"port": -1, "host": "127.0.0.1", "ports_file_dir": str(directory), "jetstream": jetstream}
    tls = config.get("nats", {}).get("tls", {})
    if tls.get("enabled"):
        assert tls["secretName"] == chart["tlsCA"]["secretName"]
        files = {"cert_file": "tls.crt", "key_file": "tls.key", "ca_file": "ca.crt"}
        base["tls"] = {key: str(directory / name) for key, name in files.items()} | tls["merge"]
    text = json.dumps({**base, **config["merge"]}, indent=2)
    return re.sub(r'"<< (\S+) >>"', r"\1", text)


@asynccontextmanager
async def a_server(chart: dict[str, Any], directory: Path) -> AsyncIterator[str]:
    """Its address, once it takes connections."""
    file = directory / "nats.conf"
    file.write_text(server_config(chart, directory))
    passwords = {f"STILLWATCH_NATS_{user.upper()}": f"pw-{user}" for user in USERS}
    command = [str(server_binary()), "--config", str(file)]
    log = (directory / "nats.log").open("wb")
    server = await asyncio.create_subprocess_exec(*command, env={**os.environ, **passwords}, stderr=log)
    try:
        ports = directory / f"nats-server_{server.pid}.ports"
        await until(lambda: server.returncode is not None or (ports.is_file() and "}" in ports.read_text()))
        assert server.returncode is None, (directory / "nats.log").read_text()
        yield json.loads(ports.read_text())["nats"][0].removeprefix("nats://")
    finally:
        if server.returncode is None:
            server.terminate()
        await server.wait()
        log.close()


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    async with a_server(values("nats-values.yaml", "nats-users-values.yaml"), tmp_path) as found:
        yield found


@asynccontextmanager
async def logged_in(address: str, user: str) -> AsyncIterator[tuple[Client, Settings]]:
    nats = NatsSettings(urls=(f"nats://{user}:pw-{user}@{address}",), inbox_prefix=f"_INBOX.{user}")
    settings = Settings(partitions=4, nats=nats)
    client = await connect(settings.nats, user)
    try:
        yield client, settings
    finally:
        await client.close()


async def refused(address: str, user: str, subjects: Iterable[str]) -> set[str]:
    """Where the server forbids the user to publish. A refusal has no reply: it comes as an error on the connection. A
    subject that is surely forbidden is published behind the others, and errors keep their order."""
    errors: list[str] = []

    async def on_error(error: Exception) -> None:
        errors.append(str(error).lower())

    client = Client()
    await client.connect(f"nats://{user}:pw-{user}@{address}", error_cb=on_error, allow_reconnect=False)
    asked = set(subjects)
    for subject in [*sorted(asked), "surely.forbidden"]:
        await client.publish(subject, b"{}")
    await until(lambda: any("surely.forbidden" in error for error in errors))
    await client.close()
    return {subject for subject in asked if any(f'to "{subject.lower()}"' in error for error in errors)}


async def unheard(address: str, user: str, wanted: Iterable[str]) -> set[str]:
    """Where the server forbids the user to subscribe; in the way of ``refused``."""
    errors: list[str] = []

    async def on_error(error: Exception) -> None:
        errors.append(str(error).lower())

    client = Client()
    await client.connect(f"nats://{user}:pw-{user}@{address}", error_cb=on_error, allow_reconnect=False)
    asked = set(wanted)
    for subject in [*sorted(asked), "surely.forbidden"]:
        await client.subscribe(subject)
    await until(lambda: any("surely.forbidden" in error for error in errors))
    await client.close()
    return {subject for subject in asked if any(f'to "{subject.lower()}"' in error for error in errors)}


@pytest.mark.parametrize("files", [("nats-values.yaml",), ("nats-values.yaml", "nats-users-values.yaml")])
async def test_the_server_takes_the_values(files: tuple[str, ...], tmp_path: Path) -> None:
    async with a_server(values(*files), tmp_path) as address:
        assert address


async def test_with_tls_a_login_counts_only_behind_a_certificate(tmp_path: Path) -> None:
    papers = issue_papers(tmp_path)
    chart = values("nats-values.yaml", "nats-users-values.yaml", "nats-tls-values.yaml")
    async with a_server(chart, tmp_path) as address:
        login = NatsSettings(
            urls=(f"tls://scorer:pw-scorer@{address.removeprefix('tls://')}",), tls_ca_file=papers.authority,
            tls_cert_file=papers.client["cert_file"], tls_key_file=papers.client["key_file"],
        )  # fmt: skip
        client = await connect(login, "scorer")
        await client.jetstream().account_info()
        await client.close()
        bare = login.model_copy(update={"tls_cert_file": None, "tls_key_file": None})
        with pytest.raises(Unavailable):
            await connect(bare, "scorer", within_s=1.0)


async def test_without_a_login_nobody_comes_in(address: str) -> None:
    with pytest.raises(Unavailable):
        await connect(NatsSettings(urls=(f"nats://{address}",)), "nobody", within_s=3.0)


async def test_acknowledgement_subjects_stay_as_the_gateways_feed_reads_them(address: str) -> None:
    async with logged_in(address, "bootstrap") as (client, settings):
        await topology.ensure(client, settings)
    async with logged_in(address, "api") as (client, settings):
        await jetstream_hub(client, settings, ManualClock()).publisher.publish([an_event(ACCOUNT)])
    async with logged_in(address, "scorer") as (client, settings):
        consumer = f"$JS.API.CONSUMER.MSG.NEXT.{subjects.REQUESTS}.{subjects.consumer_name(0)}"
        subscription = await client.subscribe(inbox := client.new_inbox())
        await client.publish(consumer, b'{"batch": 1}', inbox)
        message = await subscription.next_msg(20)
        assert message.reply.startswith(f"$JS.ACK.{subjects.REQUESTS}.")  # v2 would put a domain in between


async def test_bootstrap_api_scorer_and_operator_together_run_the_cluster(address: str) -> None:
    async with logged_in(address, "bootstrap") as (client, settings):
        await topology.ensure(client, settings)
    async with logged_in(address, "api") as (client, settings):
        hub = jetstream_hub(client, settings, ManualClock())
        assert await hub.publisher.publish([an_event(ACCOUNT, number) for number in range(3)]) == 3
        await hub.publisher.publish_label(Label(ACCOUNT, "attack", "tests", 0))
        await hub.revocations.put(a_revocation("r-1", ACCOUNT))
        await hub.audit.append(AuditEntry("tests", "revocation.put", "acct-1", 0, {}))
        await hub.control.set_enforcement(False)
        assert await hub.leases.holder(subjects.lease_key(0)) is None
        await hub.revocations.put(a_revocation("r-2", "acct-2", hold=Hold("too many", 2, NOW + 3_600)))
        await hub.revocations.approve("r-2", "anna")
        assert await hub.revocations.remember("a-key", "ab", "r-2") is None
        for protection in (ENDED, Protection("account", "acct-4", "ben", "an auditor", NOW, NOW + 9, "tests")):
            await hub.never_act.put(protection)
        await hub.never_act.remove(protection.id)
        async with Enforcer(client) as enforcer:
            assert await enforcer.wait_loaded(10)
    async with logged_in(address, "scorer") as (client, settings):
        await topology.ensure(client, settings)  # changes nothing, so it needs no more rights
        hub = jetstream_hub(client, settings, ManualClock())
        feed = await hub.events.open(0, 0)
        messages = await feed.fetch(10, 2.0)
        await feed.ack(messages[-1].sequence)
        assert (len(messages), await feed.waiting()) == (4, 0)
        await feed.close()
        lease = await hub.leases.acquire(subjects.lease_key(0), "shard-000", 6.0)
        assert lease is not None
        await hub.leases.release(lease)
        assert {found.id for found in await hub.revocations.list()} == {"r-1", "r-2"}
        await hub.revocations.release("r-2", ["acct-2"])
        assert [found.id for found in await hub.never_act.list()] == [ENDED.id]
        await hub.never_act.remove(ENDED.id)  # once it was said that it has ended
        assert await hub.control.broker_unix_nano() > 0
        await hub.revocations.undo("r-1", "tests")
        await hub.verdicts.publish_verdict(a_verdict(1))
        await hub.dead_letters.put([a_letter(1)])
        await hub.audit.append(AuditEntry("tests", "revocation.put", "acct-1", 0, {}))
        assert await hub.control.enforcement() is False
        await hub.fence.take(lease.epoch)
        store, name = snapshot_store(client, settings), SnapshotName("partition-000", lease.epoch, 3)
        assert store is not None
        await store.put(name, b"a state")
        assert await store.names("partition-000") == [name]
        assert await store.get(name) == b"a state"
        await store.delete(name)
        assert await store.names("partition-000") == []
    async with logged_in(address, "operator") as (client, settings):
        hub = jetstream_hub(client, settings, ManualClock())
        assert len(await hub.verdicts.verdicts()) == 1
        assert await hub.dead_letters.count() == 1
        assert len(await hub.audit.newest(9)) == 2
        assert len(await hub.revocations.list()) == 2
        assert await hub.never_act.list() == []


async def test_the_api_replays_a_dead_letter_and_says_that_it_did(address: str) -> None:
    async with logged_in(address, "bootstrap") as (client, settings):
        await topology.ensure(client, settings)
    clock = SystemClock()  # an event that is replayed must not be of another year
    event = replace(an_event(ACCOUNT), time_unix_nano=clock.unix_nano())
    good = replace(a_letter(1, payload=encode_event(event)), subject=f"stillwatch.partition.0.{ACCOUNT}")
    async with logged_in(address, "scorer") as (client, settings):
        await jetstream_hub(client, settings, clock).dead_letters.put([good, a_letter(2)])
    async with logged_in(address, "api") as (client, settings):
        world = World(clock=clock, hub=jetstream_hub(client, settings, clock))
        answer = await world.http.post("/v1/deadletters/replay", json={"ids": [good.id, a_letter(2).id]})
        assert [one["result"] for one in answer.json()["results"]] == ["published", "still rejected"]
        again = await world.http.post("/v1/deadletters/replay", json={"ids": [good.id]})
        assert again.json()["results"][0]["result"] == "replayed before"
        assert (await world.http.get("/v1/deadletters")).json()["count"] == 2
    async with logged_in(address, "operator") as (client, settings):
        hub = jetstream_hub(client, settings, clock)
        assert (await client.jetstream().stream_info(subjects.REQUESTS)).state.messages == 1
        assert [entry.action for entry in await hub.audit.newest(9)] == ["deadletter.replay"]
        assert (await hub.dead_letters.get(good.id)).replayed


async def test_the_api_connects_with_its_own_login(address: str) -> None:
    async with logged_in(address, "bootstrap") as (client, settings):
        await topology.ensure(client, settings)
    nats = NatsSettings(
        urls=(f"nats://scorer:pw-scorer@{address}",), api=NatsLogin(urls=(f"nats://api:pw-api@{address}",))
    )
    ports = await make_serve_ports(Settings(partitions=4, nats=nats), ())
    try:
        await ports.control.set_enforcement(False)  # the scorer could not
        assert await ports.control.enforcement() is False
        await until(lambda: ports.enforcer.loaded)
    finally:
        await ports.close()


async def test_an_enforcer_only_hears(address: str) -> None:
    async with logged_in(address, "bootstrap") as (client, settings):
        await topology.ensure(client, settings)
    async with (
        logged_in(address, "api") as (api, settings),
        logged_in(address, "enforcer") as (client, _),
        Enforcer(client, reconcile_s=0.1, api_prefix=OUTSIDE) as enforcer,
    ):
        assert await enforcer.wait_loaded(10)
        await jetstream_hub(api, settings, ManualClock()).revocations.put(a_revocation("r-1", ACCOUNT))
        await until(lambda: enforcer.stats.keys == 1 and enforcer.stats.comparisons > 1)
        assert enforcer.stats.interruptions == 0


async def test_a_gateway_reports_and_hears_of_revocations(address: str) -> None:
    async with logged_in(address, "bootstrap") as (client, settings):
        await topology.ensure(client, settings)
    async with logged_in(address, "api") as (api, settings), logged_in(address, "gateway") as (gateway, _):
        hub = jetstream_hub(api, settings, ManualClock())
        async with Enforcer(gateway, api_prefix=OUTSIDE) as enforcer, Publisher(gateway, partitions=4) as publisher:
            assert await enforcer.wait_loaded(10)
            publisher.publish(an_event(ACCOUNT))
            await until(lambda: publisher.stats.published == 1)
            await hub.revocations.put(a_revocation("r-1", ACCOUNT))
            await until(lambda: enforcer.stats.keys == 1)
            await hub.control.set_enforcement(False)
            await until(lambda: not enforcer.enforcing)
            assert enforcer.stats.interruptions == 0


async def test_a_publisher_reports_across_accounts_under_its_message_id(address: str) -> None:
    async with logged_in(address, "bootstrap") as (client, settings):
        await topology.ensure(client, settings)
    async with logged_in(address, "publisher") as (client, _):
        for partitions, stored in ((None, 1), (4, 2)):
            async with Publisher(client, partitions=partitions) as publisher:
                publisher.publish(an_event(ACCOUNT))
                await until(lambda seen=publisher: seen.stats.published == 1)  # type: ignore[misc]
            async with Publisher(client, partitions=partitions) as publisher:
                publisher.publish(an_event(ACCOUNT))
                await until(lambda seen=publisher: seen.stats.duplicates == 1)  # type: ignore[misc]
            async with logged_in(address, "operator") as (reader, _):
                assert (await reader.jetstream().stream_info(subjects.REQUESTS)).state.messages == stored


AIMS = (
    "$KV.stillwatch_revocations.account.victim", "$KV.stillwatch_control.enforcement",
    "$KV.stillwatch_control.lease.partition.0", "stillwatch.audit.x", "_INBOX.scorer.forged",
)  # fmt: skip
ANSWERED = {
    "publisher": "stillwatch.requests.acct-1",
    "gateway": "stillwatch.requests.acct-1",
    "enforcer": "STILLWATCH.API.STREAM.INFO.KV_stillwatch_revocations",
}


@pytest.mark.parametrize("user", sorted(ANSWERED))
async def test_an_answer_can_not_be_aimed_at_what_its_user_may_not_write(user: str, address: str) -> None:
    async with logged_in(address, "bootstrap") as (client, settings):
        await topology.ensure(client, settings)
    async with logged_in(address, "api") as (api, _):
        await jetstream_hub(api, settings, ManualClock()).revocations.put(a_revocation("r-1", ACCOUNT))
    async with logged_in(address, "scorer") as (scorer, _), logged_in(address, user) as (client, _):
        context = scorer.jetstream()
        streams = [subjects.AUDIT, f"KV_{subjects.REVOCATIONS_BUCKET}", f"KV_{subjects.CONTROL_BUCKET}"]
        before = [(await context.stream_info(stream)).state.last_seq for stream in streams]
        overheard = await scorer.subscribe("_INBOX.scorer.forged")
        for aim in AIMS:
            await client.publish(ANSWERED[user], b"", reply=aim)
            # A consumer can deliver to an inbox that somebody listens to (docs/deploy.md), but into no stream.
            if user != "publisher" and not aim.startswith("_INBOX."):
                copied = {"deliver_subject": aim, "ack_policy": "none", "deliver_policy": "all"}
                request = json.dumps({"stream_name": "KV_stillwatch_revocations", "config": copied}).encode()
                await client.request("STILLWATCH.API.CONSUMER.CREATE.KV_stillwatch_revocations", request, timeout=5)
        await client.request(ANSWERED[user], b"", timeout=5)  # behind the others, and answered
        assert [(await context.stream_info(stream)).state.last_seq for stream in streams] == before
        assert overheard.pending_msgs == 0


async def test_a_long_list_reaches_an_enforcer_across_accounts(address: str) -> None:
    """So long that the server asks for flow control, whose answers cross the accounts as well."""
    async with logged_in(address, "bootstrap") as (client, settings):
        await topology.ensure(client, settings)
    async with logged_in(address, "api") as (api, _), logged_in(address, "enforcer") as (client, _):
        accounts = tuple(f"acct-{number:05d}" for number in range(5_000))
        many = a_revocation("r-1", *accounts, target_kind="campaign", target="c-1")
        await jetstream_hub(api, settings, ManualClock()).revocations.put(many)
        async with Enforcer(client, api_prefix=OUTSIDE) as enforcer:
            assert await enforcer.wait_loaded(20)
            assert (enforcer.stats.keys, enforcer.stats.interruptions) == (5_000, 0)


MAY_PUBLISH = {
    "stillwatch.requests.acct-1": {"api", "gateway", "publisher"},
    "stillwatch.verdicts.account.acct-1.v": {"scorer"},
    "stillwatch.deadletter.0.1.0": {"scorer", "api"},
    "stillwatch.labels.0": {"api"},
    "stillwatch.audit.x": {"scorer", "api"},
    "stillwatch.partition.0.acct-1": set[str](),
    "$KV.stillwatch_revocations.account.acct-1": {"scorer", "api"},
    "$KV.stillwatch_control.enforcement": {"api"},
    "$KV.stillwatch_control.lease.partition.0": {"scorer"},
    "$KV.stillwatch_control.never_act.n-1": {"scorer", "api"},
    "$KV.stillwatch_revocations.fence": {"scorer"},
    "stillwatch.verdicts.fence": {"scorer"},
    "$O.stillwatch_snapshots.M.x": {"scorer"},
    "$JS.API.STREAM.CREATE.OTHER": {"bootstrap"},
    "$JS.API.STREAM.UPDATE.STILLWATCH_REQUESTS": {"bootstrap"},
    "$JS.API.STREAM.DELETE.STILLWATCH_REQUESTS": set[str](),
    "$JS.API.STREAM.PURGE.STILLWATCH_AUDIT": set[str](),
    "$JS.API.STREAM.MSG.DELETE.STILLWATCH_AUDIT": set[str](),
    "$JS.API.DIRECT.GET.STILLWATCH_AUDIT": {"scorer", "api", "operator"},
    "$JS.API.DIRECT.GET.STILLWATCH_REQUESTS": {"scorer", "api"},
    "$JS.API.CONSUMER.DELETE.STILLWATCH_REQUESTS.partition-000": set[str](),
    "$JS.API.CONSUMER.MSG.NEXT.STILLWATCH_REQUESTS.partition-000": {"scorer"},
    "$JS.ACK.STILLWATCH_REQUESTS.partition-000.1.1.1.1.0": {"scorer"},
    "$JS.API.CONSUMER.CREATE.KV_stillwatch_revocations": {"api"},
    "STILLWATCH.API.CONSUMER.CREATE.KV_stillwatch_revocations": {"gateway", "enforcer"},
    "_INBOX.scorer.forged": set[str](),
}


@pytest.mark.parametrize("user", sorted(USERS))
async def test_a_user_may_do_its_own_work_and_no_more(user: str, address: str) -> None:
    forbidden = {subject for subject, users in MAY_PUBLISH.items() if user not in users}
    assert await refused(address, user, MAY_PUBLISH) == forbidden


@pytest.mark.parametrize("user", sorted(USERS))
async def test_a_user_hears_its_own_answers_and_nothing_else(user: str, address: str) -> None:
    others = {f"_INBOX.{other}.>" for other in USERS - {user}}
    wide = {"_INBOX.>", ">", "stillwatch.>", "stillwatch.requests.*", "$KV.>", "$JS.API.>"}
    assert await unheard(address, user, {f"_INBOX.{user}.>"} | others | wide) == others | wide


def test_every_user_has_its_password_in_the_secret() -> None:
    chart = values("nats-values.yaml", "nats-users-values.yaml")
    users = [user for account in chart["config"]["merge"]["accounts"].values() for user in account["users"]]
    assert {user["user"] for user in users} == USERS
    for user in users:
        variable = re.fullmatch(r"<< \$(\w+) >>", user["password"])
        assert variable
        source = chart["container"]["env"][variable[1]]["valueFrom"]["secretKeyRef"]
        assert source == {"name": "stillwatch-nats-users", "key": user["user"]}


def test_it_is_a_cluster_of_three_on_disk() -> None:
    config = values("nats-values.yaml")["config"]
    assert config["cluster"] == {"enabled": True, "replicas": 3}
    assert config["jetstream"]["enabled"] is True
    assert config["jetstream"]["fileStore"]["pvc"]["enabled"] is True
    assert config["merge"]["feature_flags"] == {"js_ack_fc_v2": False}
    reserved = sum(stream.max_bytes or 0 for stream in topology.streams(Settings()))
    gibibytes = int(config["jetstream"]["fileStore"]["pvc"]["size"].removesuffix("Gi"))
    assert 2 * reserved <= gibibytes * 1024**3, "streams reserve their limits when they are made"


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    out = dict(below)
    for key, value in above.items():
        out[key] = _over(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
    return out
