"""`stillwatch doctor` on a real nats-server and a real API: what is right is called right, and every injected fault is found."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from http_world import KEYS, World, on_loopback
from live import raw_event
from nats.aio.client import Client
from stream_values import a_letter
from stream_worlds import settled

from launch import doctor_api, doctor_nats
from launch.embedded import EmbeddedNats
from launch.running import Address
from launch.telemetry import SystemClock
from serve.keys import SCOPES, KeyRing, Scope
from stillwatch.checkup import Check, exit_code
from stillwatch.settings import NatsSettings, ServeSettings, Settings
from streams import checkup, permissions, topology
from streams.connection import close, connect
from streams.hub import jetstream_hub

ROOT = Path(__file__).parents[2]
READS_KV = ["$JS.API.STREAM.INFO.KV_stillwatch_revocations"]
REPORTS = ["stillwatch.requests.*", "stillwatch.envelopes.*"]
USERS: Mapping[str, list[str]] = {
    "scorer": [
        "stillwatch.verdicts.>", "stillwatch.deadletter.>", "stillwatch.audit.>", "$KV.stillwatch_revocations.>",
        "$KV.stillwatch_control.lease.>", "$KV.stillwatch_control.never_act.>", "$O.stillwatch_snapshots.>", "$JS.API.INFO", "$JS.API.STREAM.INFO.*", "$JS.API.DIRECT.GET.>",
        "$JS.API.CONSUMER.INFO.>", "$JS.API.CONSUMER.MSG.NEXT.STILLWATCH_REQUESTS.*",
    ],
    "gateway": [*REPORTS, *READS_KV],
    "publisher": REPORTS,
}  # fmt: skip


class Guarded(EmbeddedNats):
    """With the users of a deployment, a system account, and what a test adds to it."""

    def __init__(
        self, store_dir: Path, users: Mapping[str, list[str]] = USERS, jetstream: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(store_dir)
        self._users, self._jetstream = users, jetstream or {}

    def _config(self) -> dict[str, object]:
        config = super()._config()
        users: list[dict[str, object]] = [{"user": "admin", "password": "pw"}]
        for user, publish in self._users.items():
            allowed = {"publish": {"allow": publish}, "subscribe": {"allow": ["_INBOX.>"]}}
            users.append({"user": user, "password": "pw", "permissions": allowed})
        accounts = {
            "SYS": {"users": [{"user": "sys", "password": "pw"}]},
            "APP": {"jetstream": "enabled", "users": users},
        }
        jetstream = {**config["jetstream"], **self._jetstream}  # type: ignore[dict-item]
        return {**config, "jetstream": jetstream, "accounts": accounts, "system_account": "SYS", "http": "127.0.0.1:-1"}

    def login(self, user: str) -> str:
        return self.url.replace("//", f"//{user}:pw@")


@dataclass
class Deployment:
    server: Guarded
    settings: Settings
    admin: Client
    directory: Path
    api: World
    url: str

    async def doctor(self, user: str = "scorer", key: str = KEYS.everything, **logins: str) -> dict[str, Check]:
        """What the command does, without its process: by name."""
        nats = self.settings.nats.model_copy(update={"urls": (self.server.login(user),)})
        settings = self.settings.model_copy(update={"nats": nats})
        others = {role: nats.model_copy(update={"urls": (self.server.login(login),)}) for role, login in logins.items()}
        address = Address(self.url, key, "", 0)
        found = await asyncio.gather(
            doctor_nats.checks(settings, None, others),
            asyncio.to_thread(doctor_api.checks, address, settings, KEYS.ring),
        )
        return {check.name: check for checks in found for check in checks}


@asynccontextmanager
async def a_deployment(directory: Path, **server: Any) -> AsyncIterator[Deployment]:
    async with AsyncExitStack() as stack:
        nats = await stack.enter_async_context(Guarded(directory / "nats", **server))
        settings = Settings(partitions=4, nats=NatsSettings(urls=(nats.login("admin"),), requests_max_bytes=10**8))
        admin = await connect(settings.nats, "tests")
        stack.push_async_callback(close, admin)
        await topology.ensure(admin, settings)
        api = World(clock=SystemClock())
        api.book.stale = ()
        url = await stack.enter_async_context(on_loopback(api.app))
        yield Deployment(nats, settings, admin, directory, api, url)


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncIterator[Deployment]:
    async with a_deployment(tmp_path, jetstream={"sync_interval": "always"}) as found:
        yield found


def states(checks: Mapping[str, Check], *wanted: str) -> list[str]:
    return [name for name, check in checks.items() if check.state in wanted]


async def test_a_deployment_as_it_should_be_has_nothing_failed_and_the_checkup_leaves_no_trace(
    deployment: Deployment,
) -> None:
    await deployment.admin.publish("stillwatch.requests.acct-1", raw_event("acct-1", 1))
    await settled(deployment.admin)
    before = await stored(deployment)
    checks = await deployment.doctor(publisher="publisher", gateway="gateway")
    assert states(checks, "failed") == []
    # One server is said, that users share an inbox, and that the sync policy is the system account's to tell.
    users = ["NATS user scorer", "NATS user publisher", "NATS user gateway"]
    assert states(checks, "warning") == ["replicas", *users]
    assert all(checks[user].found == "may hear the answers to others, which it does not need" for user in users)
    assert states(checks, "unknown") == ["sync policy", "snapshots"]
    assert exit_code(checks.values()) == 1
    assert "shadow mode" in checks["policy"].found
    assert await stored(deployment) == before


async def stored(deployment: Deployment) -> dict[str, int]:
    names = [config.name or "" for config in topology.everything(deployment.settings)]
    context = deployment.admin.jetstream()
    found = {name: (await context.stream_info(name)).state.last_seq for name in names}
    assert len(await context.streams_info()) == len(names)
    return found


async def test_drift_is_named_field_by_field(deployment: Deployment) -> None:
    context = deployment.admin.jetstream()
    audit = (await context.stream_info("STILLWATCH_VERDICTS")).config
    await context.update_stream(audit.evolve(max_msgs_per_subject=5))
    await context.delete_stream("KV_stillwatch_control")
    await context.delete_consumer("STILLWATCH_REQUESTS", "partition-002")
    checks = await deployment.doctor()
    assert exit_code(checks.values()) == 2
    found = checks["streams"].found
    assert "STILLWATCH_VERDICTS: max_msgs_per_subject is 5, wanted 1" in found
    assert "KV_stillwatch_control is missing" in found
    assert "no consumer partition-002" in found
    assert "streams ensure" in checks["streams"].remedy


@pytest.mark.parametrize(
    ("interval", "state", "said"),
    [("always", "ok", "before it is acknowledged"), ("2m", "failed", "every 120 s"), ("10s", "warning", "every 10 s")],
)  # fmt: skip
async def test_the_sync_policy_is_read_from_the_system_account(
    tmp_path: Path, interval: str, state: str, said: str
) -> None:
    async with Guarded(tmp_path / "nats", jetstream={"sync_interval": interval}) as server:
        client = await connect(NatsSettings(urls=(server.login("sys"),)), "tests")
        found = await checkup.sync_check(client, None, "", 1)
        await close(client)
    assert (found.state, said in found.found) == (state, True)


async def test_a_user_that_may_too_much_and_one_that_may_too_little_are_told_apart(tmp_path: Path) -> None:
    users = {**USERS, "publisher": [*REPORTS, "$KV.stillwatch_revocations.>", "$JS.API.STREAM.>"], "gateway": READS_KV}
    async with a_deployment(tmp_path, users=users) as deployment:
        before = await stored(deployment)
        checks = await deployment.doctor(publisher="publisher", gateway="gateway")
        assert await stored(deployment) == before
    assert exit_code(checks.values()) == 2
    publisher = checks["NATS user publisher"].found
    for beyond in ("write revocations", "create streams", "delete streams", "empty streams", "change streams"):
        assert beyond in publisher
    assert "which it does not need" in publisher
    assert checks["NATS user gateway"].found.startswith("may not report requests, which it needs")
    assert checks["NATS user scorer"].state == "warning"


async def test_every_probe_of_an_administrator_is_allowed_and_stores_nothing(deployment: Deployment) -> None:
    before = await stored(deployment)
    found = await permissions.may(deployment.settings.nats)
    assert set(found.values()) == {True}
    assert await stored(deployment) == before


async def test_a_login_that_is_refused_and_an_open_server_are_named(deployment: Deployment, tmp_path: Path) -> None:
    checks = await deployment.doctor(publisher="nobody")
    assert exit_code(checks.values()) == 2
    assert "can not log in" in checks["NATS user publisher"].found
    assert checks["NATS without a login"].state == "ok"
    with EmbeddedNats(tmp_path / "open") as server:
        deployment.server.login = lambda user: server.url  # type: ignore[method-assign]
        checks = await deployment.doctor()
    assert checks["NATS without a login"].state == "warning"
    assert "is missing" in checks["streams"].found


async def test_dead_letters_of_today_are_shown_with_the_reason_of_the_newest(deployment: Deployment) -> None:
    hub = jetstream_hub(deployment.admin, deployment.settings, SystemClock())
    await hub.dead_letters.put([a_letter(1), a_letter(2)])
    checks = await deployment.doctor()
    assert checks["dead letters"].state == "warning"
    assert checks["dead letters"].found.startswith("2 kept, the newest")
    assert "undecodable" in checks["dead letters"].found


@pytest.mark.parametrize(("ahead_s", "state"), [(3_600, "failed"), (-7_200, "warning"), (0, "ok")])
async def test_a_gateway_whose_clock_is_wrong_is_noticed_by_its_newest_event(
    deployment: Deployment, ahead_s: int, state: str
) -> None:
    late = raw_event("acct-1", 1, time_unix_nano=time.time_ns() + ahead_s * 10**9)
    await deployment.admin.publish("stillwatch.requests.acct-1", late)
    await settled(deployment.admin)
    checks = await deployment.doctor()
    assert checks["clocks of gateways"].state == state


async def test_a_key_may_what_the_key_file_says_and_no_more(deployment: Deployment) -> None:
    checks = await deployment.doctor(key=KEYS.by_scope["campaigns:read"])
    assert checks["API without a key"].state == "ok"
    assert checks["API with a key"].state == "ok"
    assert "may campaigns:read; is refused scores:read, events:write" in checks["API with a key"].found
    checks = await deployment.doctor(key="swk_everything_wrong")
    assert (exit_code(checks.values()), checks["API with a key"].state) == (2, "failed")


async def told_of(key: str, ring: KeyRing, **settings: bool) -> Check:
    api = World(ServeSettings(**settings), clock=SystemClock())  # type: ignore[arg-type]
    async with on_loopback(api.app) as url:
        found = await asyncio.to_thread(doctor_api.checks, Address(url, key, "", 0), Settings(partitions=4), ring)
    assert await api.hub.audit.newest(1) == []
    assert await api.hub.control.enforcement()
    return next(check for check in found if check.name == "API with a key")


@pytest.mark.parametrize("scope", SCOPES)
async def test_of_every_scope_is_told_whether_the_key_may_and_a_key_file_that_says_otherwise_is_noticed(
    scope: Scope,
) -> None:
    key, id = KEYS.by_scope[scope], scope.replace(":", "-")
    said = await told_of(key, KEYS.ring, authz_needs_key=True)
    allowed, _, refused = said.found.partition("; is refused ")
    assert (said.state, allowed) == ("ok", f"may {scope}")
    assert set(refused.partition(", as the key file")[0].split(", ")) == set(SCOPES) - {scope}
    entry = KEYS.ring.keys[id]
    fewer = KeyRing([replace(entry, scopes=frozenset())])
    said = await told_of(key, fewer, authz_needs_key=True)
    assert (said.state, said.found.endswith(f"says otherwise of {scope}")) == ("failed", True)


async def test_what_is_open_to_everybody_tells_nothing_of_a_key() -> None:
    said = await told_of(KEYS.everything, KEYS.ring, open_metrics=True)
    untold = "does not tell of metrics:read (/metrics is open to everybody), authz:check (/authz/"
    assert (said.state, untold in said.found) == ("ok", True)


async def test_what_does_not_answer_and_a_kill_switch_that_is_off_are_said(deployment: Deployment) -> None:
    await deployment.api.http.put("/v1/control/enforcement", json={"enforcement": "off", "reason": "drill"})
    deployment.api.local_shards.unowned = {3}
    deployment.api.book.stale = ("lag: the newest evaluation is 9000 s old",)
    checks = await deployment.doctor()
    assert exit_code(checks.values()) == 2
    assert checks["kill switch"].state == "warning"
    assert "1 of 4 partitions have no owner: 3" in checks["parts"].found
    assert (checks["automatic actions"].state, "9000 s old" in checks["automatic actions"].found) == ("warning", True)


async def test_the_command_says_what_to_set_and_how_many_things_failed(deployment: Deployment, tmp_path: Path) -> None:
    code, text = await command("--data-dir", str(tmp_path))
    assert code == 0
    assert "STILLWATCH_URL" in text
    assert "2 could not be looked at" in text
    code, text = await command("--data-dir", str(tmp_path), STILLWATCH_NATS__URLS="[nats://127.0.0.1:1]")
    assert code == 2
    assert "FAILED  NATS" in text
    logins = tmp_path / "logins.yaml"
    logins.write_text(f"publisher: {deployment.server.login('publisher')}\n")
    settings = tmp_path / "settings.yaml"
    nats = {"urls": [deployment.server.login("scorer")], "requests_max_bytes": 10**8}
    settings.write_text(json.dumps({"partitions": 4, "nats": nats}))
    code, text = await command(
        "--config", str(settings), "--logins", str(logins), "--json", STILLWATCH_URL=deployment.url
    )
    answer = json.loads(text)
    assert code == answer["exit_code"] == 1
    assert {"NATS user publisher", "NATS user scorer"} <= {check["name"] for check in answer["checks"]}
    assert ":pw@" not in text
    logins.write_text("nobody: nats://secret:secret@127.0.0.1:1")
    code, text = await command("--config", str(settings), "--logins", str(logins))
    assert (code, "no role nobody" in text, "secret" in text) == (2, True, False)


async def command(*arguments: str, **environment: str) -> tuple[int, str]:
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-m", "launch", "doctor", *arguments],
        env={"PYTHONPATH": str(ROOT), **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr
