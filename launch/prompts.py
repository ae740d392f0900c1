"""Prompt files of any directory as a source of texts for the simulator: `.txt` (one prompt a file), `.jsonl`, `.jsonl.gz`.

A row of JSON has `text`, and where known `topic` (else the file's name is the topic) and `thread`: rows of one thread are
the turns of one conversation, in file order. A `.txt` file's topic is its folder. Nothing is kept or copied.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Final

from stillwatch.errors import SettingsError
from stillwatch.simulator import PoolTexts, by_likeness

_ROWS: Final = (".jsonl", ".jsonl.gz")
# Longer prompts are cut, as an edge looks only at the beginning of a text anyway.
MAX_TEXT_CHARS: Final = 16_000
MAX_TEXTS: Final = 2_000_000
# As fine as the cells that the published figures of diversity were measured with; at least so many texts in each.
_TOPICS: Final = 256
_TEXTS_PER_TOPIC: Final = 8

Thread = list[str]


def load_prompts(directory: Path, *, likeness: bool, variants: int, seed: int) -> PoolTexts:
    """``likeness``: topics are made from the texts themselves, not taken from the rows or the names of files."""
    if not directory.is_dir():
        raise SettingsError(str(directory), "there is no such directory", "Give a directory of .txt or .jsonl files")
    groups: dict[str, list[str | Sequence[str]]] = {}
    for topic, thread in _threads(directory):
        groups.setdefault(topic, []).append(thread)
    if not groups:
        raise SettingsError(str(directory), "no prompts in it", "It needs .txt, .jsonl or .jsonl.gz files with texts")
    if likeness:
        everything = [thread for threads in groups.values() for thread in threads]
        topics = max(1, min(_TOPICS, len(everything) // _TEXTS_PER_TOPIC))
        groups = by_likeness(everything, topics, seed)
    return PoolTexts(groups, variants)


def _threads(directory: Path) -> Iterator[tuple[str, Thread]]:
    count = 0
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        found = _of_file(path, directory)
        for topic, thread in found:
            count += 1
            if count > MAX_TEXTS:
                raise SettingsError(str(directory), f"over {MAX_TEXTS} conversations", "Take a part of them")
            yield topic, thread


def _of_file(path: Path, directory: Path) -> Iterator[tuple[str, Thread]]:
    if path.suffix == ".txt":
        text = path.read_text(encoding="utf-8", errors="replace").strip()[:MAX_TEXT_CHARS]
        if text:
            topic = path.parent.relative_to(directory).as_posix()
            yield ("all" if topic == "." else topic), [text]
    elif path.name.endswith(_ROWS):
        with _opened(path) as lines:
            yield from _of_rows(path, lines)


def _of_rows(path: Path, lines: IO[str]) -> Iterator[tuple[str, Thread]]:
    name = path.name.partition(".")[0]
    threads: dict[str, tuple[str, Thread]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        row = _row(path, number, line)
        text = str(row["text"]).strip()[:MAX_TEXT_CHARS]
        if not text:
            continue
        topic, thread = f"{name}/{row.get('topic') or 'all'}", row.get("thread")
        if thread is None:
            yield topic, [text]
        else:
            threads.setdefault(str(thread), (topic, []))[1].append(text)
    yield from threads.values()


def _row(path: Path, number: int, line: str) -> dict[str, object]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise SettingsError(f"{path}:{number}", f"not JSON: {error}", "One JSON object a line, with `text`") from error
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        raise SettingsError(f"{path}:{number}", "no `text` in this row", "One JSON object a line, with `text`")
    return row


def _opened(path: Path) -> IO[str]:
    if path.name.endswith(".gz"):
        return io.TextIOWrapper(gzip.GzipFile(path), encoding="utf-8", errors="replace")
    return path.open(encoding="utf-8", errors="replace")
