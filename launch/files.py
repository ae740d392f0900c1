"""Event and label files: one event per line (`.jsonl`, `.jsonl.gz`), labels as CSV."""

from __future__ import annotations

import csv
import gzip
import io
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from stillwatch.errors import SettingsError
from stillwatch.event import Rejected, RequestEvent
from stillwatch.wire import from_json_line, to_json_line

_SUFFIXES = (".jsonl", ".jsonl.gz")


def _opened(path: Path, mode: str) -> IO[str]:
    if not path.name.endswith(_SUFFIXES):
        raise SettingsError(str(path), "not an event file by its name", f"Name it *{' or *'.join(_SUFFIXES)}")
    if path.name.endswith(".gz"):
        # No time stamp in the header: the same events give the same bytes.
        binary = gzip.GzipFile(path, mode + "b", mtime=0)
        return io.TextIOWrapper(binary, encoding="utf-8")
    return path.open(mode, encoding="utf-8")


def read_events(path: Path) -> Iterator[RequestEvent | Rejected]:
    """Every line, in file order; a line that is not an event comes as its rejection."""
    if not path.is_file():
        raise SettingsError(str(path), "there is no such file", "stillwatch simulate makes one")
    with _opened(path, "r") as lines:
        for line in lines:
            if line.strip():
                yield from_json_line(line)


def count_lines(path: Path) -> int:
    with _opened(path, "r") as lines:
        return sum(1 for line in lines if line.strip())


@contextmanager
def event_writer(path: Path) -> Iterator[IO[str]]:
    """Written aside and moved into place: a half-written file never has the final name."""
    aside = path.with_name(
        f".{path.name.removesuffix('.gz')}.partial" + (".jsonl.gz" if path.suffix == ".gz" else ".jsonl")
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with _opened(aside, "w") as out:
        yield out
    aside.replace(path)


def write_events(path: Path, events: Iterable[RequestEvent]) -> int:
    written = 0
    with event_writer(path) as out:
        for event in events:
            out.write(to_json_line(event) + "\n")
            written += 1
    return written


def write_labels(path: Path, rows: Iterable[tuple[str, str, str]]) -> int:
    """``account,kind,campaign``; the campaign is empty for honest accounts."""
    written = 0
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["account", "kind", "campaign"])
        for row in rows:
            writer.writerow(row)
            written += 1
    return written


def warn_rejected(rejected: Rejected, line: int) -> None:
    print(f"line {line}: {rejected.field or 'event'}: {rejected.detail}", file=sys.stderr)
