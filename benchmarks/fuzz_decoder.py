"""The decoder and the core behind it under atheris, which keeps inputs that reach new code and mutates those.

In a process of its own: libFuzzer ends the process that it runs in, and a crash of native code must be seen, not shared.
Atheris has wheels for CPython 3.11 to 3.13 on Linux; elsewhere the inputs of ``fuzz_inputs`` are used, unguided, and the
report says so.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.fuzz_inputs import messages
from benchmarks.fuzz_report import Door

_SEEDS: Final = 400  # of the corpus that it begins with
_NOW_UNIX_NANO: Final = 1_790_000_000_000_000_000
_SLOW_S: Final = 5  # for one input: a stall


def fuzz_decoder(inputs: int, seed: int, directory: Path) -> Door:
    if importlib.util.find_spec("atheris") is None:
        return _unguided(inputs, seed)
    corpus = directory / "corpus"
    corpus.mkdir()
    for _, payload, number in messages(_SEEDS, seed, 4, _NOW_UNIX_NANO):
        (corpus / f"{number:04}").write_bytes(payload[:65_536])
    done = subprocess.run(
        [
            sys.executable, "-m", "benchmarks.fuzz_target", f"-runs={inputs}", f"-seed={seed}", "-max_len=65536",
            f"-timeout={_SLOW_S}", "-rss_limit_mb=2048", f"-artifact_prefix={directory}/", "-print_final_stats=1", str(corpus),
        ],
        capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    door = Door("decoder, coverage-guided", inputs)
    said = done.stderr.splitlines()
    reached = [line for line in said if " cov: " in line]
    if reached:
        words = reached[-1].split()
        door.outcomes = {"branches reached": int(words[words.index("cov:") + 1]), "corpus": len(list(corpus.iterdir()))}
    executed = next((int(line.split()[-1]) for line in said if "number_of_executed_units" in line), 0)
    door.outcomes["executed"] = executed
    if done.returncode != 0 or executed < inputs:
        door.failures.append(" | ".join(said[-12:])[-2_000:] or f"ended with {done.returncode}")
    return door


def _unguided(inputs: int, seed: int) -> Door:
    from benchmarks.fuzz_target import one_input

    door = Door("decoder, not guided", inputs)
    for _, payload, number in messages(inputs, seed, 4, _NOW_UNIX_NANO):
        try:
            one_input(payload)
        except Exception as error:
            door.failures.append(f"input {number}: {type(error).__name__}")
    return door
