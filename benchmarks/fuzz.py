"""`python -m benchmarks.fuzz --inputs N --seed S`: what nobody should send, at every door, and where each of it went.

Four tenths of the inputs go over NATS into a real shard (a real nats-server, the shard's own loop), about a tenth over HTTP by
schemathesis, from the OpenAPI document, and the rest through the decoder under a coverage-guided fuzzer (atheris, in a process
of its own).
It exits 1 when anything crashed, stood still, or is missing from the accounts:

    events offered over NATS = taken into state + duplicates + rejected, and rejected = dead letters stored

A message that holds an envelope offers as many events as it holds; every other message offers one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.fuzz_decoder import fuzz_decoder
from benchmarks.fuzz_http import fuzz_http
from benchmarks.fuzz_nats import fuzz_nats
from benchmarks.fuzz_report import Door, report


def run(inputs: int, seed: int) -> list[Door]:
    """The doors one after another, with their times; deterministic inputs for a seed over NATS."""
    doors: list[Door] = []
    with tempfile.TemporaryDirectory(prefix="stillwatch-fuzz-") as directory:
        # The decoder last: schemathesis makes fewer requests than it may, where there are no more that differ.
        for door, share in ((_nats, 0.4), (fuzz_http, 0.1), (fuzz_decoder, 1.0)):
            started = time.perf_counter()
            left = inputs - sum(done.inputs for done in doors)
            found = door(max(1, min(left, round(inputs * share))), seed, Path(directory))
            found.seconds = time.perf_counter() - started
            doors.append(found)
    return doors


def _nats(inputs: int, seed: int, directory: Path) -> Door:
    return asyncio.run(fuzz_nats(inputs, seed, directory))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000, help="over all doors together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    doors = run(chosen.inputs, chosen.seed)
    print(json.dumps([door.to_map() for door in doors]) if chosen.json else report(doors))
    return 1 if any(door.failures for door in doors) else 0


if __name__ == "__main__":
    sys.exit(main())
