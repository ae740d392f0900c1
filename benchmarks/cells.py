"""One cell of the tables: a scenario, a seed, a detector. Two runs: one served on for curves, one enforced for leaks.

A cell is kept as one JSON file named by a hash of all that decides it (scenario, seed, detector, its sources and
numbers, texts), so a long job can be stopped and resumed, and a changed detector is run again by itself.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.thresholds import honest_reference
from launch.detectors import THRESHOLDS_FILE, load_thresholds, make_detector
from launch.scenarios import load_scenario
from launch.settings import load_policy, load_settings
from stillwatch.backtest import Backtest, Detector, Labels, Truth, campaigns_of, evaluate
from stillwatch.backtest.calibration import calibrate
from stillwatch.backtest.curves import area, found_at, hit_by_kind, roc, split
from stillwatch.backtest.ours import NAME, Stillwatch
from stillwatch.event import RequestEvent
from stillwatch.rivals.mmd import WindowedMmd
from stillwatch.simulator import BuiltinTexts, PoolTexts, Scenario, TextSource, by_likeness, labels, simulate

CHECKPOINT_DAYS: Final = (1, 2, 4, 7)
RATES: Final = (1e-2, 1e-3, 1e-4)
_ROC_POINTS: Final = 200
_DAY_NANO: Final = 86_400_000_000_000
# Left out of pools: an evaluation set that asks to stay out of corpora, and people who talk to people.
_NOT_POOLED: Final = ("honest_bench_bbh", "honest_irc")
_TEXT_TOPICS: Final = 256
_TEXT_VARIANTS: Final = 12


@dataclass(frozen=True, slots=True)
class Cell:
    scenario: str  # file
    seed: int
    detector: str
    texts: str | None = None  # folder of *.jsonl.gz with a `text` a line; else the built-in grammar

    def key(self) -> str:
        """A hash of everything that decides the figures."""
        digest = hashlib.sha256(f"{self.seed}\x1f{self.detector}\x1f{_version(self.detector)}".encode())
        profile, policy = companions(self.scenario)
        # The scenario as it is read: one may extend another file.
        digest.update(load_scenario(self.scenario, self.seed).model_dump_json().encode())
        for file in (profile, policy, THRESHOLDS_FILE):
            digest.update(Path(file).read_bytes() if Path(file).is_file() else b"-")
        if self.texts is not None:
            digest.update(b"real prompts")
            for path in _text_files(self.texts):
                digest.update(f"{path.name} {path.stat().st_size}".encode())
        return digest.hexdigest()[:20]


def companions(scenario: str) -> tuple[str, str]:
    """The profile and policy of a scenario's own name where there are such files, else the defaults."""
    name = Path(scenario).stem
    profile, policy = f"configs/profiles/{name}.yaml", f"configs/policies/{name}.yaml"
    return (
        profile if Path(profile).is_file() else "configs/default.yaml",
        policy if Path(policy).is_file() else "configs/policies/default.yaml",
    )


def _version(detector: str) -> str:
    """Of the sources: all of the core's for ours, for a rival those that it can depend on."""
    core = Path("stillwatch")
    files = [*core.glob("*.py"), *core.glob("correlation/*.py"), *core.glob("signals/*.py"), *core.glob("models/*.py")]
    if detector != NAME:
        files = [core / "event.py", core / "fingerprint.py", core / "lexicon.py", *core.glob("rivals/*.py")]
    files += [*core.glob("backtest/*.py"), *core.glob("simulator/*.py"), Path("benchmarks/cells.py")]
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


def cached(cell: Cell, folder: Path) -> dict[str, Any] | None:
    path = folder / f"{cell.key()}.json"
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def compute(cell: Cell, folder: Path, texts: TextSource) -> dict[str, Any]:
    """Runs the cell and keeps it."""
    scenario = load_scenario(cell.scenario, cell.seed)
    truth = {row.account: Truth(row.kind, row.campaign) for row in labels(scenario)}
    curves, facts = _curves(cell, scenario, truth, texts)
    enforced = _played(cell, scenario, truth, texts)
    out = {
        **asdict(cell), **facts, "days": curves,
        "evaluation": evaluate(enforced.ledger, truth),
        "campaigns": len(enforced.detector.campaigns()),
        "held_back": getattr(enforced.detector, "held_back", 0),
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f".{cell.key()}.partial"
    aside.write_text(json.dumps(out, sort_keys=True), encoding="utf-8")
    aside.replace(folder / f"{cell.key()}.json")
    return out


def _detector(cell: Cell, texts: TextSource) -> Detector:
    profile, policy = companions(cell.scenario)
    reference = honest_reference(texts) if cell.detector == WindowedMmd.name else None
    settings = load_settings(profile, environment={})
    return make_detector(cell.detector, settings, load_policy(policy), load_thresholds(), reference)


def _played(cell: Cell, scenario: Scenario, truth: Labels, texts: TextSource) -> Backtest:
    run = Backtest(_detector(cell, texts), enforce=True, follow=campaigns_of(truth))
    for event in simulate(scenario, texts):
        run.feed(event)
    run.finish()
    return run


def _curves(
    cell: Cell, scenario: Scenario, truth: Labels, texts: TextSource
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Nobody is refused. Scores at the first tick after each checkpoint's day; the last day also as a ROC."""
    detector = _detector(cell, texts)
    kinds: dict[str, str] = {}
    out: dict[str, dict[str, Any]] = {}
    due = [day for day in CHECKPOINT_DAYS if day <= scenario.days]
    begin = scenario.start_unix_s * 1_000_000_000

    def at_tick(now: int) -> None:
        while due and now >= begin + due[0] * _DAY_NANO:
            out[str(due.pop(0))] = _checkpoint(detector, kinds)

    run = Backtest(detector, enforce=False, on_tick=at_tick)
    for event in simulate(scenario, texts):
        _note(event, truth, kinds)
        run.feed(event)
    run.finish()
    while due:  # the last interval ends with the traffic, before its day is full
        out[str(due.pop(0))] = _checkpoint(detector, kinds)
    last = split(detector.scores(), kinds)
    points = roc(last)
    facts: dict[str, Any] = {
        "events": run.ledger.events,
        "attackers": len(last.attack),
        "honest": len(last.honest),
        "kinds": {kind: last.honest_kinds.count(kind) for kind in sorted(set(last.honest_kinds))},
        "roc": points[:: max(len(points) // _ROC_POINTS, 1)],
        "calibration": [],
    }
    if isinstance(detector, Stillwatch):
        found = calibrate(((account, view.signals) for account, view in detector.views()), kinds)
        facts["calibration"] = [asdict(row) for row in found]
    return out, facts


def _note(event: RequestEvent, truth: Labels, kinds: dict[str, str]) -> None:
    if event.account not in kinds:
        kinds[event.account] = truth[event.account].kind


def _checkpoint(detector: Detector, kinds: Mapping[str, str]) -> dict[str, Any]:
    scores = split(detector.scores(), kinds)
    # Honest kinds are compared at one threshold for all: 1 in 1,000, or 1 in 100 where there are fewer accounts.
    hit_rate = 1e-3 if len(scores.honest) >= 1_000 else 1e-2
    return {
        "found": {f"{rate:g}": found_at(scores, rate) for rate in RATES},
        "area": area(scores),
        "hit": hit_by_kind(scores, hit_rate),
        "hit_rate": hit_rate,
        "attackers": len(scores.attack),
        "honest": len(scores.honest),
    }


def texts_of(folder: str | None) -> TextSource:
    """Real prompts from a folder, attackers' and honest people's in the same pools: only structure can differ."""
    if folder is None:
        return BuiltinTexts()
    found = list(dict.fromkeys(text for path in _text_files(folder) for text in _texts(path)))
    return PoolTexts(by_likeness(found, _TEXT_TOPICS, seed=1), variants=_TEXT_VARIANTS)


def _text_files(folder: str) -> list[Path]:
    found = sorted(Path(folder).glob("*.jsonl.gz"))
    return [path for path in found if not path.name.startswith(_NOT_POOLED)]


def _texts(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            text = json.loads(line).get("text", "")
            if 5 <= len(text) <= 4_000:
                yield text
