"""A gateway's NATS user needs what docs/gateway.md lists and no more; above all it can not write revocations."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import nats
import nats.errors
import pytest
from factories import an_event
from gateway_worlds import a_deployment, an_enforcement, eventually

from launch.embedded import server_binary
from stillwatch.gateway import Enforcer, Publisher

DOCS = Path(__file__).parents[2] / "docs" / "gateway.md"


def documented() -> dict[str, list[str]]:
    """The subjects of the table, by `publish` and `subscribe`."""
    [block] = re.findall(r"```\n(publish:.*?)```", DOCS.read_text(), re.DOTALL)
    publish, subscribe = block.split("subscribe:")
    found = re.compile(r"(?:stillwatch|\$JS|_INBOX)\.\S+")
    return {"publish": found.findall(publish), "subscribe": found.findall(subscribe)}


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """A server with an administrator and a gateway."""
    users = [
        {"user": "admin", "password": "a", "permissions": {"publish": ">", "subscribe": ">"}},
        {"user": "gateway", "password": "g", "permissions": documented()},
    ]
    config = {"listen": "127.0.0.1:-1", "jetstream": {"store_dir": str(tmp_path)}, "authorization": {"users": users}}
    (tmp_path / "nats.conf").write_text(json.dumps(config))
    server = subprocess.Popen(
        [str(server_binary()), "-c", str(tmp_path / "nats.conf")], stderr=subprocess.PIPE, text=True
    )
    assert server.stderr is not None
    try:
        chosen = 0
        for line in server.stderr:
            listening = re.search(r"Listening for client connections on .*:(\d+)", line)
            chosen = int(listening.group(1)) if listening else chosen
            if "Server is ready" in line:
                break
        yield chosen
    finally:
        server.terminate()
        server.wait(10)
        server.stderr.close()


async def test_the_documented_permissions_are_enough_and_do_not_let_a_gateway_revoke(port: int) -> None:
    problems: list[str] = []

    async def on_error(error: Exception) -> None:
        problems.append(str(error))

    admin = await nats.connect(f"nats://admin:a@127.0.0.1:{port}")
    address = f"nats://gateway:g@127.0.0.1:{port}"
    client = await nats.connect(address, error_cb=on_error, inbox_prefix="_INBOX.gateway")
    try:
        revocations, _ = await a_deployment(admin)
        publishers = [Publisher(client), Publisher(client, partitions=4)]
        async with Enforcer(client, reconcile_s=0.1) as enforcer:
            assert await enforcer.wait_loaded(5)
            await revocations.put("account.acct-1", an_enforcement())
            await eventually(lambda: enforcer.check("acct-1"))
            await eventually(lambda: enforcer.stats.comparisons >= 2)
            for publisher in publishers:
                assert publisher.publish(an_event())
                assert await publisher.drain(5)
        assert problems == []
        with pytest.raises(nats.errors.TimeoutError):
            await client.jetstream().publish("$KV.stillwatch_revocations.account.acct-1", b"", timeout=0.5)
        await eventually(lambda: problems)
        assert "permissions violation" in problems[0]
    finally:
        await asyncio.gather(client.close(), admin.close())
