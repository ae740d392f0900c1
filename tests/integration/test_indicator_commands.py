"""`stillwatch campaigns` and `stillwatch indicators` against the real API behind a real socket."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from http_world import KEYS, World, a_campaign, on_loopback

from launch.cli import app_for
from launch.running import Address, announce
from stillwatch.errors import SettingsError


async def test_a_campaign_travels_from_export_to_import_and_is_removed_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World()
    world.book.put(a_campaign())

    async def run(*words: str) -> str:
        arguments = [*words, "--data-dir", str(tmp_path)]
        await asyncio.to_thread(lambda: app_for(arguments)(arguments, standalone_mode=False))
        return capsys.readouterr().out

    async with on_loopback(world.app) as url:
        announce(str(tmp_path), Address(url, KEYS.everything, "", 0))
        assert "c-1" in await run("campaigns")
        file = tmp_path / "indicator.json"
        file.write_text(await run("campaigns", "export", "c-1"))
        taken = await run("indicators", "import", str(file))
        assert "not signed" in taken
        id = taken.partition(":")[0]
        assert id in json.dumps(json.loads(await run("indicators", "list", "--json")))
        assert "first.example" in await run("indicators", "list")
        assert await run("indicators", "remove", id) == f"{id}: removed\n"
        assert "no indicator" in await run("indicators", "list")
        file.write_text("{")
        with pytest.raises(SettingsError):
            await run("indicators", "import", str(file))
        file.write_text(json.dumps({"format": "stix"}))
        with pytest.raises(SettingsError, match="format"):
            await run("indicators", "import", str(file))
