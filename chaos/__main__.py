"""`make chaos`: 0 if every promise was kept under faults, 1 if one was broken, 2 if the run itself failed."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from chaos.faults import GivenUp
from chaos.report import broken, document, table
from chaos.run import Result, run

_LIMIT_S = 20 * 60.0


def main() -> int:
    options = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    options.add_argument("--faults", type=int, default=100)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--out", type=Path, default=Path(".stillwatch/chaos.json"), help="the report for programs")
    asked = options.parse_args()
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    log = asked.out.with_suffix(".log")
    try:
        result = asyncio.run(_bounded(asked.seed, asked.faults, log))
    except TimeoutError:
        print(f"the run did not end within {_LIMIT_S / 60:.0f} minutes", file=sys.stderr)
        return 2
    except GivenUp as error:
        print(error, file=sys.stderr)
        return 2
    asked.out.write_text(json.dumps(document(result), indent=1, sort_keys=True, default=str))
    print(f"\n{table(result)}\n\nreport: {asked.out}, warnings of the line: {log}")
    problems = broken(result)
    for problem in problems:
        print(f"BROKEN: {problem}")
    print("every promise was kept" if not problems else f"{len(problems)} promises broken")
    return 1 if problems else 0


async def _bounded(seed: int, faults: int, log: Path) -> Result:
    async with asyncio.timeout(_LIMIT_S):
        return await run(seed, faults, _say, log)


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
