"""Keys while the API runs: added, rotated and taken away without a restart; when each was used; the commands."""

from __future__ import annotations

import functools
import json
import re
import stat
from pathlib import Path

import httpx
import pytest
from api_key_text import end_of_secret
from http_world import World
from manual_clock import ManualClock

from launch.cli import app_for
from launch.keys import read_keys
from serve.key_watch import REREAD_S, KeyWatch
from serve.keys import Found, mint
from stillwatch.settings import ServeSettings, Settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "api-keys.yaml"


def write(file: Path, text: str) -> None:
    file.write_text(text)


def remove(file: Path) -> None:
    file.unlink()


def watch(file: Path, clock: ManualClock) -> KeyWatch:
    settings = Settings(serve=ServeSettings(api_keys_file=str(file)))
    return KeyWatch(read_keys(settings), clock, functools.partial(read_keys, settings))


async def test_a_key_that_was_added_opens_and_one_that_was_taken_away_does_not(file: Path) -> None:
    clock = ManualClock()
    first, entry = mint("first", ["events:write"])
    write(file, "keys:\n" + entry)
    keys = watch(file, clock)
    second, other = mint("second", ["events:write"])
    write(file, "keys:\n" + other)
    assert isinstance(await keys.find(first), Found)
    clock.advance(REREAD_S)
    assert await keys.find(first) == "unknown"
    assert isinstance(await keys.find(second), Found)


@pytest.mark.parametrize("mistake", ["keys: [", "", "keys: [{id: first}]", None])
async def test_a_mistake_in_the_file_leaves_the_keys_of_before_in_force_and_says_so(
    file: Path, mistake: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    key, entry = mint("first", ["events:write"])
    write(file, "keys:\n" + entry)
    keys = watch(file, clock)
    remove(file) if mistake is None else write(file, mistake)
    for _ in range(3):
        clock.advance(REREAD_S)
        assert isinstance(await keys.find(key), Found)
    assert keys.is_stale
    assert len(caplog.messages) == 1, "said once, not at every look"
    write(file, "keys:\n" + entry)
    clock.advance(REREAD_S)
    await keys.find(key)
    assert not keys.is_stale


async def test_when_a_key_was_used_last_is_a_metric_that_holds_no_secret(file: Path) -> None:
    world = World()
    await world.http.get("/v1/campaigns")
    text = (await world.http.get("/metrics")).text
    lines = [line for line in text.splitlines() if line.startswith("stillwatch_api_key_last_used_seconds{")]
    [line] = lines
    assert re.search(r'key="everything",replica="\w+",secret="[0-9a-f]{8}"', line)
    assert float(line.split()[-1]) == world.clock.unix_s
    assert end_of_secret(world.http.headers["authorization"]) not in text


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    app_for(arguments)(arguments, standalone_mode=False)
    return capsys.readouterr().out


def test_the_commands_mint_rotate_and_list(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = run(capsys, "keys", "mint", "ops", "--scope", "events:write", "--days", "30")
    old, entry = re.findall(r"(swk_\S+)\n.*file:\n(.*)", said, re.DOTALL)[0]
    write(file, "keys:\n" + entry)
    file.chmod(0o640)
    new = re.findall(r"swk_\S+", run(capsys, "keys", "rotate", "ops", "--file", str(file), "--overlap-hours", "2"))[0]
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    rows = json.loads(run(capsys, "keys", "list", "--file", str(file), "--json"))
    assert [(row["key"], row["state"]) for row in rows] == [("ops", "valid"), ("ops", "valid")]
    assert rows[0]["ends"] < rows[1]["ends"], "the old one ends in two hours, the holder in thirty days"
    for key in (old, new):
        assert end_of_secret(key) not in file.read_text()


async def test_keys_are_read_anew_by_the_app_itself(file: Path) -> None:
    settings = Settings(serve=ServeSettings(api_keys_file=str(file)))
    write(file, "keys: []")
    world = World(reread_keys=functools.partial(read_keys, settings))
    key, entry = mint("late", ["campaigns:read"])
    write(file, "keys:\n" + entry)
    world.clock.advance(REREAD_S)
    answer: httpx.Response = await world.client(key).get("/v1/campaigns")
    assert answer.status_code == 200
