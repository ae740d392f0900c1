"""What the commands that judge the detector have in common: jobs over worlds, their cache, sections of one document.

A job is one detector over one world. Its result is kept as a JSON file named by a hash of all that decides it, so a long
run can be stopped and goes on where it was (as :mod:`benchmarks.cells` does it, for the tables).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from benchmarks.cells import Cell, companions, texts_of
from launch.scenarios import load_scenario, resized
from launch.settings import load_policy, load_settings
from stillwatch.backtest import Truth
from stillwatch.backtest.ours import NAME, Stillwatch
from stillwatch.simulator import Scenario, TextSource, from_map, labels
from stillwatch.simulator.scenario import merged

CACHE: Final = Path(".stillwatch/judged")
# As in the tables: no scenario's own seed, no threshold's, and none that anything was chosen on.
FIRST_SEED: Final = 1_001
_DOCUMENT: Final = """# How much is found, at what price to honest accounts

Made by the commands that stand in its sections. No figure here is written by hand, nor is a sentence that says whether a goal
is met. All traffic is simulated (docs/simulator.md); with real prompts it is semi-synthetic. Such figures rank methods
and bound what is possible, they are no field rates.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """``scenario`` as it is played; ``file`` is where it came from, and names the policy and the profile. ``options``:
    what else decides the figures. ``measured_by``: the modules whose change makes a kept result void."""

    file: str
    scenario: Scenario
    texts: str | None
    measured_by: tuple[str, ...]
    detector: str = NAME
    options: str = ""

    def key(self) -> str:
        digest = hashlib.sha256(Cell(self.file, self.scenario.seed, self.detector, self.texts).key().encode())
        digest.update(f"{self.scenario.model_dump_json()}\x1f{self.options}".encode())
        for module in sorted({*self.measured_by, __name__}):
            digest.update((Path(__file__).parent / f"{module.rpartition('.')[2]}.py").read_bytes())
        return digest.hexdigest()[:20]

    def truth(self) -> dict[str, Truth]:
        return {row.account: Truth(row.kind, row.campaign) for row in labels(self.scenario)}

    def source(self) -> TextSource:
        return source_of(self.texts)


@lru_cache(maxsize=1)
def source_of(folder: str | None) -> TextSource:
    """Read once: thousands of prompts are put in order by likeness."""
    return texts_of(folder)


def ours(file: str, partitions: int = 1, tick_s: int | None = None) -> Stillwatch:
    """With the settings of the tables, or other ticks. One partition: what is normal is learned in each, and these worlds are small."""
    profile, policy = companions(file)
    ticks = {} if tick_s is None else {"detection": {"evaluation_tick_s": tick_s}}
    settings = load_settings(profile, {"partitions": partitions, "shards": 1, **ticks}, environment={})
    return Stillwatch(settings, load_policy(policy))


def changed(scenario: Scenario, change: Mapping[str, Any]) -> Scenario:
    """Other keys and groups, by the rules by which one scenario file extends another."""
    return from_map(merged(scenario.model_dump(mode="json"), change))


def loaded(file: str, seed: int, days: int | None = None) -> Scenario:
    return resized(load_scenario(file, seed), days=days)


# -- jobs ------------------------------------------------------------------------------------------------------------

Work = Callable[[Sequence[Job]], list[dict[str, Any]]]


def computed(groups: Sequence[Sequence[Job]], work: Work, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Results of all jobs that are kept in the end. Jobs of one group share one pass over their world; ``work`` is given
    those of a group that are not kept yet, and must be a module's function, as it may run in another process."""
    cache: Path = arguments.cache
    # Named before anything runs: what is edited meanwhile is not what made the result.
    named = [[(job, cache / f"{job.key()}.json") for job in group] for group in groups]
    missing = [[(job, path) for job, path in group if not path.is_file()] for group in named]
    todo = [] if arguments.only_cached else [(work, group) for group in missing if group]
    if arguments.processes > 1:
        with ProcessPoolExecutor(arguments.processes) as pool:
            for said in pool.map(_done, todo):
                print(said, file=sys.stderr, flush=True)
    else:
        for one in todo:
            print(_done(one), file=sys.stderr, flush=True)
    return [json.loads(path.read_text(encoding="utf-8")) for group in named for _, path in group if path.is_file()]


def _done(task: tuple[Work, Sequence[tuple[Job, Path]]]) -> str:
    work, named = task
    started = time.perf_counter()
    jobs = [job for job, _ in named]
    for (_, path), found in zip(named, work(jobs), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.stem}.partial")
        aside.write_text(json.dumps(found, sort_keys=True), encoding="utf-8")
        aside.replace(path)
    names = ", ".join(dict.fromkeys(job.detector for job in jobs))
    where = f"{jobs[0].scenario.name} seed {jobs[0].scenario.seed}"
    return f"{where}, {names}: {time.perf_counter() - started:.0f} s"


# -- the command line and the document -------------------------------------------------------------------------------


def parser(about: str | None, seeds: int, out: str) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--seeds", type=int, default=seeds, help="how many worlds")
    made.add_argument("--first-seed", type=int, default=FIRST_SEED)
    made.add_argument("--days", type=int, help="else the scenario's own length")
    made.add_argument("--texts", help="folder of *.jsonl.gz with real prompts; else the built-in grammar")
    made.add_argument("--processes", type=int, default=1)
    made.add_argument("--cache", type=Path, default=CACHE)
    made.add_argument("--only-cached", action="store_true", help="write what is there, compute nothing")
    made.add_argument("--out", type=Path, default=Path(out))
    return made


def command(module: str) -> str:
    """As it was called, to be repeated; no path of this machine."""
    words = [word for word in sys.argv[1:] if word != "--only-cached"]
    if "--cache" in words:
        del words[words.index("--cache") : words.index("--cache") + 2]
    for option, instead in (("--texts", "DIR"), ("--out", None)):
        if option in words:
            at = words.index(option) + 1
            words[at] = instead or Path(words[at]).name
    return " ".join(["python -m", module, *words])


def write(out: Path, section: str, text: str, pictures: Mapping[str, str], head: str = _DOCUMENT) -> None:
    """One section of a document that several commands write, and its pictures beside it. ``head``: of a new document."""
    folder = out.parent / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    for name, svg in pictures.items():
        (folder / name).write_text(svg, encoding="utf-8")
    before = out.read_text(encoding="utf-8") if out.is_file() else head
    out.write_text(with_section(before, section, text), encoding="utf-8")
    print(f"{out}: {section}, {len(pictures)} picture(s)")


def with_section(document: str, name: str, text: str) -> str:
    """The section between its two marks is replaced, or a new one put at the end.

    >>> with_section("# A\\n", "b", "## B\\n")
    '# A\\n\\n<!-- b -->\\n## B\\n<!-- end of b -->\\n'
    >>> with_section(with_section("# A\\n", "b", "old"), "b", "new")
    '# A\\n\\n<!-- b -->\\nnew\\n<!-- end of b -->\\n'
    """
    marked = f"<!-- {name} -->\n{text.rstrip()}\n<!-- end of {name} -->\n"
    place = re.compile(rf"<!-- {re.escape(name)} -->\n.*?<!-- end of {re.escape(name)} -->\n", re.DOTALL)
    if place.search(document):
        return place.sub(lambda _: marked, document)
    return document.rstrip() + "\n\n" + marked


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines) + "\n"


def seeds_of(results: Sequence[Mapping[str, Any]]) -> str:
    """
    >>> seeds_of([{"seed": 1}, {"seed": 2}, {"seed": 3}, {"seed": 7}])
    '1 to 3, 7'
    """
    known = sorted({int(one["seed"]) for one in results})
    runs: list[list[int]] = []
    for seed in known:
        if runs and runs[-1][-1] == seed - 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)
