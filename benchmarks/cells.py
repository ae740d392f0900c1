"""One cell of the tables: a scenario, a seed, a detector. All detectors of a world share one pass over its traffic.

A cell is kept as one JSON file named by a hash of all that decides it (scenario, seed, detector, its sources and
numbers, texts), so a long job can be stopped and resumed, and a changed detector is run again by itself.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.crowds import crowds_of
from benchmarks.thresholds import fingerprinted_once, honest_reference
from launch.detectors import THRESHOLDS_FILE, load_thresholds, make_detector, tick_s_of
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
# What is normal is learned in each partition: a world of some thousands of accounts is run as a deployment of that size
# would be. With the default of 16, references of 150 accounts each could tell little.
_PARTITIONS: Final = 1
_DAY_NANO: Final = 86_400_000_000_000
# Left out of pools: an evaluation set that asks to stay out of corpora, and people who talk to people.
_NOT_POOLED: Final = ("honest_bench_bbh", "honest_irc")
# Of the core: the other detectors, and what runs in a gateway.
_NOT_OURS: Final = ("rivals", "gateway")
_OURS_ALONE: Final = ("calibration.py", "ours.py", "report.py")
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
        decides = (profile, policy if self.detector == NAME else THRESHOLDS_FILE)
        for file in decides:
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
    """Of the sources that can change the detector's figures."""
    digest = hashlib.sha256()
    for file in _sources(detector):
        digest.update(str(file).encode() + file.read_bytes())
    return digest.hexdigest()


def _sources(detector: str) -> list[Path]:
    """For ours all of the core but what it can not use: a list of what it can was found to lack a third of it.

    A rival sees events and their fingerprints, and its scores are measured; how bytes become an event is not its matter,
    and calibration is ours alone. So its cells survive changes of our detector.
    """
    core = Path("stillwatch")
    traffic = [*core.glob("simulator/*.py"), Path("benchmarks/cells.py"), Path("benchmarks/thresholds.py")]
    prompts = [core / "fingerprint.py", core / "fingerprint_wire.py", core / "lexicon.py", *core.glob("prompts/*.py")]
    prompts += sorted(file for file in core.glob("data/**/*") if file.is_file() and file.suffix != ".pyc")
    if detector == NAME:
        ours = [file for file in core.rglob("*.py") if file.parts[1] not in _NOT_OURS]
        return sorted({*ours, *prompts, *traffic, Path("benchmarks/crowds.py")})
    measured = [file for file in core.glob("backtest/*.py") if file.name not in _OURS_ALONE]
    shared = [core / "correlation/evidence.py"]
    return sorted({*measured, *shared, *prompts, *traffic, *core.glob("rivals/*.py")})


def cached(cell: Cell, folder: Path) -> dict[str, Any] | None:
    path = folder / f"{cell.key()}.json"
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def compute(cells: Sequence[Cell], folder: Path, texts: TextSource) -> list[dict[str, Any]]:
    """Runs cells of one scenario, seed and source of texts over one pass of its traffic, and keeps each."""
    scenario = load_scenario(cells[0].scenario, cells[0].seed)
    truth = {row.account: Truth(row.kind, row.campaign) for row in labels(scenario)}
    runs = [_Run(cell, scenario, truth, texts) for cell in cells]
    for plain in simulate(scenario, texts):
        event = fingerprinted_once(plain)
        for run in runs:
            run.feed(event)
    out = [run.result() for run in runs]
    folder.mkdir(parents=True, exist_ok=True)
    for cell, found in zip(cells, out, strict=True):
        aside = folder / f".{cell.key()}.partial"
        aside.write_text(json.dumps(found, sort_keys=True), encoding="utf-8")
        aside.replace(folder / f"{cell.key()}.json")
    return out


def _detector(cell: Cell, texts: TextSource) -> tuple[Detector, int]:
    """And the seconds between its ticks."""
    profile, policy = companions(cell.scenario)
    reference = honest_reference(texts) if cell.detector == WindowedMmd.name else None
    settings = load_settings(profile, {"partitions": _PARTITIONS, "shards": _PARTITIONS}, environment={})
    made = make_detector(cell.detector, settings, load_policy(policy), load_thresholds(), reference)
    return made, tick_s_of(cell.detector, settings)


class _Run:
    """One detector over one world. Nobody is refused, so that scores after an action are seen too; what an action would
    have spared is counted from the first one on. Scores are taken at the first tick after each checkpoint's day."""

    def __init__(self, cell: Cell, scenario: Scenario, truth: Labels, texts: TextSource) -> None:
        self._cell, self._truth = cell, truth
        self._scenario = scenario
        self._detector, tick_s = _detector(cell, texts)
        self._kinds: dict[str, str] = {}
        self._days: dict[str, dict[str, Any]] = {}
        self._due = [day for day in CHECKPOINT_DAYS if day <= scenario.days]
        self._begin = scenario.start_unix_s * 1_000_000_000
        self._backtest = Backtest(
            self._detector, tick_s=tick_s, enforce=False, follow=campaigns_of(truth), on_tick=self._at_tick
        )

    def feed(self, event: RequestEvent) -> None:
        if event.account not in self._kinds:
            self._kinds[event.account] = self._truth[event.account].kind
        self._backtest.feed(event)

    def _at_tick(self, now: int) -> None:
        while self._due and now >= self._begin + self._due[0] * _DAY_NANO:
            self._days[str(self._due.pop(0))] = _checkpoint(self._detector, self._kinds)

    def result(self) -> dict[str, Any]:
        self._backtest.finish()
        while self._due:  # the last interval ends with the traffic, before its day is full
            self._days[str(self._due.pop(0))] = _checkpoint(self._detector, self._kinds)
        last = split(self._detector.scores(), self._kinds)
        points = roc(last)
        calibration = []
        if isinstance(self._detector, Stillwatch):
            views = ((account, view.signals) for account, view in self._detector.views())
            calibration = [asdict(row) for row in calibrate(views, self._kinds, crowds_of(self._scenario))]
        return {
            **asdict(self._cell),
            "days": self._days,
            "events": self._backtest.ledger.events,
            "attackers": len(last.attack),
            "honest": len(last.honest),
            "kinds": {kind: last.honest_kinds.count(kind) for kind in sorted(set(last.honest_kinds))},
            "roc": points[:: max(len(points) // _ROC_POINTS, 1)],
            "calibration": calibration,
            "evaluation": evaluate(self._backtest.ledger, self._truth),
            "campaigns": len(self._detector.campaigns()),
            "held_back": getattr(self._detector, "held_back", 0),
        }


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
