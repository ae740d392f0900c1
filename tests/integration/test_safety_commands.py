"""`stillwatch undo`, `approvals` and `never-act` against the real API behind a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from http_world import KEYS, World, a_campaign, on_loopback
from stream_values import a_revocation

from launch.cli import app_for
from launch.running import Address, announce
from stillwatch.errors import Conflict, NotFound, SettingsError
from stillwatch.revocation import Hold, revocation_id

Run = Callable[..., Awaitable[str]]


@pytest.fixture
def world() -> World:
    world = World()
    world.book.put(a_campaign("c-1", [(f"acct-{n}", 0.95) for n in range(120)]))
    return world


@pytest.fixture
async def run(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Run]:
    """What a command prints; ``by`` names the person by the key."""
    async with on_loopback(world.app) as url:

        async def run(*words: str, by: str = KEYS.everything) -> str:
            announce(str(tmp_path), Address(url, by, "", 0))
            arguments = [*words, "--data-dir", str(tmp_path)]
            await asyncio.to_thread(lambda: app_for(arguments)(arguments, standalone_mode=False))
            return capsys.readouterr().out

        yield run


OTHER = KEYS.by_scope["approvals:write"]


async def test_one_command_undoes_a_verdict_and_another_a_whole_campaign(world: World, run: Run) -> None:
    for number in (1, 2):
        id = revocation_id("verdict", f"v-0{number}")
        await world.revocations.put(a_revocation(id, f"a{number}", verdict=f"v-0{number}", campaign="c-7"))
    assert "1 accounts are free of it" in await run("undo", "v-01", "--reason", "a team")
    assert [one.verdict for one in await world.hub.revocations.list(state="active")] == ["v-02"]
    assert "1 accounts are free of it" in await run("undo", "c-7")
    assert await world.hub.revocations.list(state="active") == []
    assert await run("undo", "c-7") == "c-7: nothing of it was in force\n"
    actions = [entry.action for entry in await world.hub.audit.newest(5)]
    assert actions == ["campaign.undo", "verdict.undo"]
    with pytest.raises(NotFound):
        await run("undo", "v-00")
    with pytest.raises(SettingsError, match="verdict"):
        await run("undo", "acct-1")


async def test_one_proposes_another_approves_and_the_first_undoes(world: World, run: Run) -> None:
    assert await run("approvals", "list") == "nothing waits\n"
    said = await run("revoke", "campaign:c-1", "--reason", "case 7")
    assert "waits: it covers 120 accounts" in said
    id = said.partition(":")[0]
    assert "1 more needed" in await run("approvals", "approve", id)
    assert id in await run("approvals", "list")
    assert "active; undo: stillwatch undo" in await run("approvals", "approve", id, "--note", "seen", by=OTHER)
    assert await run("undo", id) == f"{id}: undone\n"


async def test_what_is_rejected_stays_rejected(world: World, run: Run) -> None:
    await world.revocations.put(a_revocation("r-1", hold=Hold("too many", 2, int(world.clock.unix_s) + 60)))
    assert await run("approvals", "reject", "r-1", by=OTHER) == "r-1: rejected\n"
    with pytest.raises(Conflict, match="rejected"):
        await run("approvals", "approve", "r-1")


async def test_who_is_added_to_the_never_act_list_is_spared_until_removed(world: World, run: Run) -> None:
    assert await run("never-act", "list") == "nobody is on the list\n"
    said = await run("never-act", "add", "account:acct-1", "--reason", "a reviewer", "--owner", "anna")
    id = said.partition(":")[0]
    assert "owner anna: a reviewer" in await run("never-act", "list")
    assert id in json.loads(await run("never-act", "list", "--json"))["entries"][0]["id"]
    with pytest.raises(Conflict, match="anna"):
        await run("revoke", "account:acct-1", "--reason", "case 7")
    assert "can be acted on again" in await run("never-act", "remove", id)
    assert "active" in await run("revoke", "account:acct-1", "--reason", "case 7")
    assert "still in force" in await run("never-act", "add", "account:acct-1", "--reason", "too late")
    with pytest.raises(SettingsError, match="organisation:ID"):
        await run("never-act", "add", "acct-1", "--reason", "x")


async def test_a_key_is_minted_with_its_owner(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["keys", "mint", "laptop", "--scope", "approvals:write", "--owner", "anna"]
    app_for(arguments)(arguments, standalone_mode=False)
    assert "owner: anna" in capsys.readouterr().out
