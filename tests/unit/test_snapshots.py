"""A snapshot is opened only if it is ours, whole, and of a kind that this version reads; else it says what to do."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from manual_clock import ManualClock

from actors.snapshots import Snapshots
from launch.snapshot_key import read_snapshot_key
from stillwatch.errors import SettingsError, SnapshotDamaged, SnapshotIncompatible, SnapshotUntrusted, Unavailable
from stillwatch.ports import SnapshotName
from stillwatch.settings import Settings, SnapshotSettings
from stillwatch.snapshots import Header, Wanted, body_of, opened, read, seal
from streams.snapshots import memory_snapshots

KEY, OTHER = b"k" * 32, b"o" * 32
HEADER = Header("partition-003", 1, last_sequence=7, config_sha256="c0ffee", epoch=3, tick_unix_nano=900, stream="s")
WANTED = Wanted("partition-003", "s", "c0ffee", (1,))


class Bomb:
    exploded = False

    def __reduce__(self) -> tuple[object, tuple[()]]:
        return explode, ()


def explode() -> None:
    Bomb.exploded = True


def test_what_was_sealed_is_read_with_its_header() -> None:
    header, body = read(seal(HEADER, b"state" * 1_000, KEY), KEY, WANTED)
    assert body == b"state" * 1_000
    assert replace(header, body_bytes=0, body_sha256="") == HEADER


def test_equal_states_are_sealed_as_equal_bytes() -> None:
    assert seal(HEADER, b"state", KEY) == seal(HEADER, b"state", KEY)


def test_a_snapshot_signed_with_another_key_is_refused_unread_and_says_what_to_do() -> None:
    sealed = seal(HEADER, pickle.dumps(Bomb()), OTHER)
    with pytest.raises(SnapshotUntrusted, match=r"not signed .* not opened.* snapshots\.key_file, or delete"):
        read(sealed, KEY, WANTED)
    assert not Bomb.exploded


@pytest.mark.parametrize("at", [12, 60, 120, 200])
def test_a_changed_bit_of_the_header_is_not_trusted(at: int) -> None:
    sealed = bytearray(seal(HEADER, b"state", KEY))
    sealed[at] ^= 1
    with pytest.raises((SnapshotUntrusted, SnapshotDamaged)):
        opened(bytes(sealed), KEY)


def test_a_changed_bit_of_the_body_is_damage() -> None:
    sealed = bytearray(seal(HEADER, b"state" * 100, KEY))
    sealed[-3] ^= 1
    with pytest.raises(SnapshotDamaged, match="not the one that was written"):
        body_of(bytes(sealed), KEY)


def test_torn_anywhere_it_is_damage_and_never_anything_else() -> None:
    sealed = seal(HEADER, b"state" * 100, KEY)
    for length in range(len(sealed)):
        with pytest.raises(SnapshotDamaged):
            opened(sealed[:length], KEY)


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (replace(HEADER, schema=2), "schema 2.*reads.*schema 1"),
        (replace(HEADER, river="0.1.0"), r"River 0\.1\.0"),
        (replace(HEADER, config_sha256="other"), "settings other.*reads.*settings c0ffee"),
        (replace(HEADER, stream="made anew"), "stream made anew"),
        (replace(HEADER, subject="partition-004"), "partition-004"),
    ],
)
def test_of_another_schema_river_configuration_or_stream_it_is_refused_and_says_which(header: Header, why: str) -> None:
    with pytest.raises(SnapshotIncompatible, match=why):
        read(seal(header, b"state", KEY), KEY, WANTED)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 32 bytes"):
        seal(HEADER, b"state", b"short")


def a_shelf(key: bytes = KEY, keep: int = 3) -> Snapshots:
    return Snapshots(memory_snapshots(), key, keep, ManualClock(), "s")


async def newest(shelf: Snapshots) -> bytes | None:
    return await shelf.newest("partition-003", (1,), "c0ffee", lambda _, body: body)


async def test_as_many_are_kept_as_is_set_the_newest() -> None:
    shelf = a_shelf(keep=2)
    for place in range(1, 6):
        assert await shelf.save(HEADER, place, b"at %d" % place)
    assert [name.place for name in await shelf.store.names("partition-003")] == [4, 5]
    assert await newest(shelf) == b"at 5"
    assert (shelf.counts.written, shelf.counts.restored, shelf.counts.unusable) == (5, 1, 0)


async def test_a_torn_newest_and_one_of_another_key_are_passed_over_counted_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shelf = a_shelf()
    await shelf.save(HEADER, 1, b"good")
    await shelf.store.put(SnapshotName("partition-003", 3, 2), seal(replace(HEADER, stream="s"), b"forged", OTHER))
    await shelf.store.put(SnapshotName("partition-003", 3, 3), seal(replace(HEADER, stream="s"), b"torn", KEY)[:-1])
    assert await newest(shelf) == b"good"
    assert shelf.counts.unusable == 2
    assert [("damaged" in line, "not signed" in line) for line in caplog.messages] == [(True, False), (False, True)]


async def test_what_a_replaced_owner_writes_late_is_not_what_counts() -> None:
    shelf = a_shelf()
    await shelf.save(replace(HEADER, epoch=9), 100, b"the owner's")
    await shelf.save(replace(HEADER, epoch=8), 5_000, b"of one who woke up and has read further")
    assert await newest(shelf) == b"the owner's"


async def test_a_state_that_trips_the_reader_does_not_keep_the_partition_down() -> None:
    shelf = a_shelf()
    await shelf.save(HEADER, 1, b"good")
    await shelf.save(HEADER, 2, b"bad")

    def reader(_: Header, body: bytes) -> bytes:
        if body == b"bad":
            raise KeyError("accounts")
        return body

    assert await shelf.newest("partition-003", (1,), "c0ffee", reader) == b"good"
    assert shelf.counts.unusable == 1


async def test_a_store_that_is_away_costs_nothing_but_the_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = a_shelf()

    async def away(*_: object) -> None:
        raise Unavailable("the snapshot store", "no route")

    monkeypatch.setattr(shelf.store, "put", away)
    assert not await shelf.save(HEADER, 1, b"state")
    assert shelf.counts.failed == 1


def test_the_key_is_made_once_for_its_owner_only_and_read_again(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path / "new"))
    key = read_snapshot_key(settings)
    assert len(key) == 32
    assert read_snapshot_key(settings) == key
    assert (tmp_path / "new" / "snapshot.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("text", "why"), [("zz" * 32, "not hexadecimal"), ("ab" * 8, "holds 8 bytes")])
def test_a_key_file_that_can_not_serve_is_refused_without_its_content(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "key"
    file.write_text(text)
    with pytest.raises(SettingsError, match=why) as refused:
        read_snapshot_key(Settings(snapshots=SnapshotSettings(key_file=str(file))))
    assert text not in str(refused.value)
    assert "openssl rand" in str(refused.value)
