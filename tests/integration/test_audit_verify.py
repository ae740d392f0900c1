"""`stillwatch audit verify` against a real stream, and against one that an administrator of the server made anew."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from manual_clock import ManualClock
from nats.aio.client import Client

from launch.cli import app_for
from launch.embedded import EmbeddedNats
from stillwatch import subjects
from stillwatch.errors import SettingsError, Unavailable
from stillwatch.ports import AuditEntry
from stillwatch.settings import NatsSettings, Settings
from streams import topology
from streams.audit import verify
from streams.connection import close, connect
from streams.hub import jetstream_hub
from streams.scan import Stored, read_all


def an_entry(number: int) -> AuditEntry:
    return AuditEntry("api-key:ops", "revocation.create", f"account acct-{number}", number, {"reason": "größe"})


async def written(client: Client, settings: Settings, count: int = 5) -> None:
    """By two processes in turn, as the API and the aggregator do."""
    await topology.ensure(client, settings)
    logs = [jetstream_hub(client, settings, ManualClock()).audit for _ in range(2)]
    for number in range(2 * count):
        await logs[number % 2].append(an_entry(number))


async def made_anew(
    client: Client, settings: Settings, change: Callable[[list[Stored]], list[Stored]], **config: object
) -> None:
    """What a server's administrator can do: read everything, delete the stream, write another one."""
    stored = [message async for message in read_all(client, subjects.AUDIT, subjects.AUDIT_IN)]
    await client.jetstream().delete_stream(subjects.AUDIT)
    if config:
        wanted = next(c for c in topology.everything(settings) if c.name == subjects.AUDIT).as_dict() | config
        answer = await client.request(f"$JS.API.STREAM.CREATE.{subjects.AUDIT}", json.dumps(wanted).encode())
        assert "error" not in json.loads(answer.data), answer.data
    else:
        await topology.ensure(client, settings)
    for message in change(stored):
        headers = {name: value for name, value in message.headers.items() if not name.startswith("Nats-")}
        await client.jetstream().publish(message.subject, message.payload, headers=headers)


def changed(stored: list[Stored]) -> list[Stored]:
    old = stored[4]
    return [*stored[:4], Stored(old.subject, 5, old.payload.replace(b"acct-4", b"acct-1"), old.headers), *stored[5:]]


TAMPERED: dict[str, tuple[Callable[[list[Stored]], list[Stored]], str, str]] = {
    "changed": (changed, "sequence 5:", "Entry 3 of"),
    "missing": (lambda stored: [*stored[:4], *stored[5:]], "sequence 6:", "entry 3 should stand before this"),
    "reordered": (lambda s: [*s[:4], s[6], s[5], s[4], *s[7:]], "sequence 7:", "stands behind its entry 4"),
}


@pytest.fixture
def settings(nats_server: EmbeddedNats) -> Settings:
    return Settings(partitions=1, shards=1, nats=NatsSettings(urls=(nats_server.url,)))


def run(capsys: pytest.CaptureFixture[str], settings: Settings, *options: str) -> tuple[int, str]:
    """The command as a person calls it."""
    arguments = ["audit", "verify", *options]
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("STILLWATCH_NATS__URLS", json.dumps(settings.nats.urls))
        code = app_for(arguments)(arguments, standalone_mode=False)
    return int(code or 0), capsys.readouterr().out


def tampered(settings: Settings, change: Callable[[list[Stored]], list[Stored]] | None) -> None:
    async def work() -> None:
        client = await connect(settings.nats, "tests")
        await written(client, settings)
        if change is not None:
            await made_anew(client, settings, change)
        await close(client)

    asyncio.run(work())


def test_an_untouched_log_is_intact_and_its_heads_are_found_again(
    settings: Settings, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    tampered(settings, None)
    heads = str(tmp_path / "heads.json")
    code, said = run(capsys, settings, "--save", heads)
    assert (code, "10 entries in 2 chains: intact" in said) == (0, True)
    tampered(settings, None)  # the log grows
    code, said = run(capsys, settings, "--heads", heads, "--json")
    assert (code, json.loads(said)["entries"], json.loads(said)["intact"]) == (0, 20, True)


@pytest.mark.parametrize("trouble", TAMPERED)
def test_a_log_that_was_tampered_with_is_not_intact_and_says_where(
    trouble: str, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    change, place, sentence = TAMPERED[trouble]
    tampered(settings, change)
    code, said = run(capsys, settings)
    assert code == 1
    [finding] = [line for line in said.splitlines() if line.startswith(trouble)]
    assert place in finding
    assert sentence in finding
    assert "NOT intact" in said


def test_an_end_that_was_cut_off_shows_by_the_heads_that_were_kept(
    settings: Settings, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    heads = str(tmp_path / "heads.json")
    tampered(settings, None)
    run(capsys, settings, "--save", heads)

    async def cut() -> None:
        client = await connect(settings.nats, "tests")
        await made_anew(client, settings, lambda stored: stored[:-1])
        await close(client)

    asyncio.run(cut())
    assert run(capsys, settings)[0] == 0
    code, said = run(capsys, settings, "--heads", heads)
    assert code == 1
    assert "whose hash was kept, is not there" in said


@pytest.mark.parametrize("first", [1, 5, 1_000])
def test_a_log_forged_as_a_whole_is_not_intact_and_leaves_the_kept_heads_as_they_were(
    settings: Settings, capsys: pytest.CaptureFixture[str], tmp_path: Path, first: int
) -> None:
    heads = tmp_path / "heads.json"
    tampered(settings, None)
    run(capsys, settings, "--save", str(heads))
    before = heads.read_bytes()

    async def forge() -> None:
        client = await connect(settings.nats, "tests")
        await made_anew(client, settings, lambda stored: [], first_seq=first)
        await written(client, settings, 3)  # chains of other writers, without a fault of their own
        await close(client)

    asyncio.run(forge())
    assert run(capsys, settings)[0] == 0
    for options in (["--heads", str(heads)], ["--save", str(heads)], ["--heads", str(heads), "--save", str(heads)]):
        code, said = run(capsys, settings, *options)
        assert (code, "NOT intact" in said) == (1, True), options
        assert f"of 2 kept heads {2 if first == 1_000 else 0} are forgiven" in said
    assert heads.read_bytes() == before


def test_heads_are_not_written_over_others_that_were_not_looked_at(
    settings: Settings, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    tampered(settings, None)
    for file in (one, other):
        assert run(capsys, settings, "--save", str(file))[0] == 0
    with pytest.raises(SettingsError, match=r"other\.json holds heads already"):
        run(capsys, settings, "--heads", str(one), "--save", str(other))
    before = one.read_bytes()
    tampered(settings, None)
    assert run(capsys, settings, "--save", str(one))[0] == 0
    assert len(json.loads(one.read_bytes())) == len(json.loads(before)) + 2
    assert sorted(path.name for path in tmp_path.glob("*.json*")) == ["one.json", "other.json"]


@pytest.mark.parametrize("sequence", [5, 10])
def test_an_entry_that_was_deleted_leaves_a_hole_that_is_named(
    settings: Settings, capsys: pytest.CaptureFixture[str], sequence: int
) -> None:
    tampered(settings, None)

    async def delete() -> None:
        client = await connect(settings.nats, "tests")
        await made_anew(client, settings, lambda stored: stored, deny_delete=False)
        await client.jetstream().delete_msg(subjects.AUDIT, sequence)
        await close(client)

    asyncio.run(delete())
    code, said = run(capsys, settings)
    assert (code, f"Of the stream, sequence {sequence} is not there" in said) == (1, True)


async def test_entries_appended_at_once_are_one_chain(nats_client: Client, settings: Settings) -> None:
    await topology.ensure(nats_client, settings)
    audit = jetstream_hub(nats_client, settings, ManualClock()).audit
    await asyncio.gather(*(audit.append(an_entry(number)) for number in range(50)))
    report = await verify(nats_client, {})
    assert report.intact
    assert [head.number for head in report.heads.values()] == [50]
    assert len(await audit.newest(60)) == 50


async def test_a_chain_goes_on_after_an_append_that_failed(nats_client: Client, settings: Settings) -> None:
    await topology.ensure(nats_client, settings)
    audit = jetstream_hub(nats_client, settings, ManualClock()).audit
    await audit.append(an_entry(0))
    with pytest.raises((Unavailable, ValueError)):
        await audit.append(AuditEntry("ops", "label.create", "x" * 2_000_000, 0, {}))
    await audit.append(an_entry(1))
    assert (await verify(nats_client, {})).intact
