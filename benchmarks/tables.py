"""Every detector's figures side by side: `python -m benchmarks.tables [--quick] [--seeds 3] [--texts DIR]`.

Writes docs/results.md and docs/pictures/results-*.svg from cells that it computes or finds in the cache, so it can be
stopped at any time and goes on where it was. What it says of who is better is computed, too.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from benchmarks.cells import Cell, cached, compute, texts_of
from benchmarks.tables_text import Results, document, pictures
from launch.detectors import DETECTORS

_CACHE: Final = Path(".stillwatch/tables")
_SCENARIOS: Final = Path("configs/scenarios")
_STANDARD: Final = ("standard-*.yaml", "naive.yaml", "honest-hard.yaml")
_QUICK: Final = ("small.yaml", "demo.yaml")
# Seeds of the tables. The scenarios' own seeds and the thresholds' are none of them.
_FIRST_SEED: Final = 1_001


def main() -> None:
    arguments = _arguments()
    scenarios = arguments.scenario or _scenarios(quick=arguments.quick)
    seeds = range(_FIRST_SEED, _FIRST_SEED + arguments.seeds)
    cells = [
        Cell(scenario, seed, detector, arguments.texts)
        for scenario in scenarios for seed in seeds for detector in arguments.detector or DETECTORS
    ]  # fmt: skip
    results: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    texts = None
    for (scenario, seed), group in groupby(cells, key=lambda cell: (cell.scenario, cell.seed)):
        mine = list(group)
        missing = [cell for cell in mine if cached(cell, arguments.cache) is None]
        if missing and not arguments.only_cached:
            texts = texts if texts is not None else texts_of(arguments.texts)
            started = time.perf_counter()
            compute(missing, arguments.cache, texts)
            took_s = time.perf_counter() - started
            names = ", ".join(cell.detector for cell in missing)
            print(f"{Path(scenario).stem} seed {seed}, {names}: {took_s:.0f} s", file=sys.stderr, flush=True)
        for cell in mine:
            found = cached(cell, arguments.cache)
            if found is not None:
                results[Path(scenario).stem, cell.detector].append(found)
    _write(results, arguments, [Path(scenario).stem for scenario in scenarios])


def _arguments() -> Any:
    parser = argparse.ArgumentParser(description="Every detector on every standard scenario, as tables.")
    parser.add_argument("--quick", action="store_true", help="the two small scenarios only")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--texts", help="folder of *.jsonl.gz with real prompts; else the built-in grammar")
    parser.add_argument("--scenario", action="append", help="a scenario file; may be given again")
    parser.add_argument("--detector", action="append", choices=DETECTORS)
    parser.add_argument("--cache", type=Path, default=_CACHE)
    parser.add_argument("--only-cached", action="store_true", help="write what is there, compute nothing")
    parser.add_argument("--out", type=Path, default=Path("docs/results.md"))
    arguments = parser.parse_args()
    if not 1 <= arguments.seeds <= 100:
        parser.error("--seeds: 1 to 100")
    return arguments


def _scenarios(*, quick: bool) -> list[str]:
    patterns = _QUICK if quick else _STANDARD
    found = [str(path) for pattern in patterns for path in sorted(_SCENARIOS.glob(pattern))]
    return found or [str(_SCENARIOS / name) for name in _QUICK]


def _write(results: Results, arguments: Any, scenarios: list[str]) -> None:
    command = "python -m benchmarks.tables" + (" --quick" if arguments.quick else "") + f" --seeds {arguments.seeds}"
    command += "".join(f" --scenario {scenario}" for scenario in arguments.scenario or ())
    command += "".join(f" --detector {name}" for name in arguments.detector or ())
    command += f" --texts DIR --out {arguments.out}" if arguments.texts else ""
    folder = arguments.out.parent / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    drawn = pictures(results, scenarios, arguments.out.stem)
    for name, svg in drawn.items():
        (folder / name).write_text(svg, encoding="utf-8")
    arguments.out.write_text(document(results, scenarios, command, list(drawn), arguments.out.stem), encoding="utf-8")
    print(f"{arguments.out} and {len(drawn)} pictures")


if __name__ == "__main__":
    main()
