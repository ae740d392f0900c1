"""Power curves: attackers found against cover, group size and days, ours beside rivals: `python -m benchmarks.power`.

[--seeds 3] [--grid] [--scenario configs/scenarios/crowd-nocover.yaml] [--texts DIR] [--processes N]

The standard scenario's two campaigns with other shares of cover and other numbers of accounts: without --grid cover is varied at
100 accounts and size at half cover. Among the standard scenario's honest accounts a rate of 1 in 1,000 can be told from 0;
crowd-nocover has enough for 1 in 10,000. All detectors and all days of a world share one pass over its traffic; cells are
kept. Writes docs/power.md and docs/pictures/power-*.svg.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from benchmarks.judging import Job, changed, command, computed, loaded, ours, parser, source_of, write
from benchmarks.power_text import HEAD, document, pictures
from benchmarks.thresholds import fingerprinted_once, honest_reference
from launch.detectors import load_thresholds
from stillwatch.backtest import Backtest, Detector, Labels, campaigns_of
from stillwatch.backtest.curves import NO_OPINION, split, threshold_at
from stillwatch.backtest.ours import NAME
from stillwatch.rivals import RIVALS
from stillwatch.rivals.mmd import Sample, WindowedMmd
from stillwatch.simulator import Scenario, simulate
from stillwatch.simulator.relay import Campaign

SCENARIO: Final = "configs/scenarios/standard-nocover.yaml"
DETECTORS: Final = (NAME, "midas", "fraudar", "mmd", "entropy", "hst")
DAYS: Final = (1, 2, 4, 7)
COVERS: Final = (0.0, 0.25, 0.5, 0.8, 0.9)
SIZES: Final = (20, 50, 100, 200)
_SIZE, _COVER = 100, 0.5  # of the curves in which the other is varied
RATES: Final = (1e-2, 1e-3, 1e-4)
_MEASURED_BY: Final = ("benchmarks.power",)
_DAY_NANO: Final = 86_400_000_000_000


def found_by_campaign(
    scores: Mapping[str, float], kinds: Mapping[str, str], campaign_of: Mapping[str, str]
) -> dict[str, dict[str, float | None]]:
    """Campaign -> rate -> the share of its accounts above what so many honest ones exceed; ties count as not found, and a
    rate below the resolution gives ``None``. ``kinds``: every account that sent anything."""
    honest = split(scores, kinds).honest
    thresholds = {f"{rate:g}": threshold_at(honest, rate) for rate in RATES}
    return {
        name: {rate: None if at is None else _above(scores, at, mine) for rate, at in thresholds.items()}
        for name in sorted(set(campaign_of.values()))
        if (mine := [account for account in kinds if campaign_of.get(account) == name])
    }


def _above(scores: Mapping[str, float], threshold: float, accounts: Collection[str]) -> float:
    return sum(scores.get(account, NO_OPINION) > threshold for account in accounts) / len(accounts)


def worlds(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """All detectors that are asked for over one pass."""
    truth = jobs[0].truth()
    runs = [_Run(job, truth) for job in jobs]
    for plain in simulate(jobs[0].scenario, jobs[0].source()):
        event = fingerprinted_once(plain)
        for run in runs:
            run.backtest.feed(event)
    return [run.result() for run in runs]


class _Run:
    """Nobody is refused, so that scores go on. They are taken at the first tick after each day, or with the traffic's end."""

    def __init__(self, job: Job, truth: Labels) -> None:
        self._job, self._truth, self._campaign_of = job, truth, campaigns_of(truth)
        self._detector = _detector(job)
        self._due = [day for day in DAYS if day <= job.scenario.days]
        self._days: dict[str, dict[str, dict[str, float | None]]] = {}
        self.backtest = Backtest(self._detector, enforce=False, on_tick=self._look)

    def _look(self, now_unix_nano: int) -> None:
        begin = self._job.scenario.start_unix_s * 1_000_000_000
        while self._due and now_unix_nano >= begin + self._due[0] * _DAY_NANO:
            self._take()

    def _take(self) -> None:
        kinds = {account: self._truth[account].kind for account in self.backtest.ledger.accounts}
        self._days[str(self._due.pop(0))] = found_by_campaign(self._detector.scores(), kinds, self._campaign_of)

    def result(self) -> dict[str, Any]:
        self.backtest.finish()
        while self._due:
            self._take()
        campaigns = [group for group in self._job.scenario.groups if isinstance(group, Campaign)]
        seen = self.backtest.ledger.accounts
        return {
            "seed": self._job.scenario.seed,
            "detector": self._job.detector,
            "cover": campaigns[0].cover_share,
            "accounts": campaigns[0].accounts,
            "personas": {group.name: group.personas for group in campaigns},
            "requests_per_day": campaigns[0].requests_per_day,
            "events": self.backtest.ledger.events,
            "honest": sum(not self._truth[account].is_attack for account in seen),
            "days": self._days,
        }


def _detector(job: Job) -> Detector:
    if job.detector == NAME:
        return ours(job.file)
    threshold = load_thresholds().get(job.detector)
    if job.detector == WindowedMmd.name:
        return WindowedMmd(threshold, _reference(job.texts))
    return RIVALS[job.detector](threshold)


@lru_cache(maxsize=1)
def _reference(texts: str | None) -> Sample:
    return honest_reference(source_of(texts))


def cells_of(file: str, cover: float, size: int, seed: int, arguments: Any) -> list[Job]:
    scenario = loaded(file, seed, arguments.days or max(DAYS))
    names = [group.name for group in scenario.groups if isinstance(group, Campaign)]
    change = [{"name": name, "cover_share": cover, "accounts": size} for name in names]
    scenario = renamed(changed(scenario, {"groups": change}), f"cover{cover:.0%}-accounts{size}".replace("%", ""))
    return [
        Job(file, scenario, arguments.texts, _MEASURED_BY, detector) for detector in arguments.detector or DETECTORS
    ]


def renamed(scenario: Scenario, name: str) -> Scenario:
    return scenario.model_copy(update={"name": name})


def points(*, grid: bool) -> list[tuple[float, int]]:
    """(cover, accounts), each once.

    >>> len(points(grid=True)), len(points(grid=False))
    (20, 8)
    """
    if grid:
        return [(cover, size) for cover in COVERS for size in SIZES]
    return list(dict.fromkeys([*((cover, _SIZE) for cover in COVERS), *((_COVER, size) for size in SIZES)]))


def main() -> None:
    made = parser(__doc__, seeds=3, out="docs/power.md")
    made.add_argument("--scenario", default=SCENARIO, help="whose campaigns are changed")
    made.add_argument("--grid", action="store_true", help="every cover with every size: 20 worlds a seed, not 8")
    made.add_argument("--cover", action="append", type=float, help="only this share; may be given again")
    made.add_argument("--accounts", action="append", type=int, help="only this size; may be given again")
    made.add_argument("--detector", action="append", choices=DETECTORS)
    made.add_argument("--name", default="power", help="of the section and its pictures")
    arguments = made.parse_args()
    wanted = [
        (cover, size) for cover, size in points(grid=arguments.grid)
        if cover in (arguments.cover or COVERS) and size in (arguments.accounts or SIZES)
    ]  # fmt: skip
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    groups = [cells_of(arguments.scenario, cover, size, seed, arguments) for seed in seeds for cover, size in wanted]
    cells = computed(groups, worlds, arguments)
    if cells:
        drawn = pictures(cells, arguments.name)
        text = document(cells, command("benchmarks.power"), list(drawn))
        write(arguments.out, arguments.name, text, drawn, HEAD)


if __name__ == "__main__":
    main()
