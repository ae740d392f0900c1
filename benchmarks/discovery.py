"""Many seeded streams with small, weakly linked campaigns: which are found, and what is published that is none.

`python -m benchmarks.discovery [--seeds 30] [--cover 0.5 --cover 0.8] [--scenario FILE] [--texts DIR]`

Our detector alone, as in the tables: one partition, an evaluation every hour, nobody refused. Writes its section of
docs/discovery.md and docs/pictures/discovery-*.svg. Results are kept, so it can be stopped and goes on where it was.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.discovery_text import pictures, section
from benchmarks.finding import Findings
from benchmarks.judging import Job, changed, command, computed, loaded, ours, parser, write
from stillwatch.backtest import Backtest, campaigns_of, evaluate
from stillwatch.simulator import Scenario, simulate
from stillwatch.simulator.relay import Campaign

SCENARIO: Final = "configs/scenarios/streams-cover50.yaml"
_MEASURED_BY: Final = ("benchmarks.discovery", "benchmarks.finding")


def streams(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    return [stream(job) for job in jobs]


def stream(job: Job) -> dict[str, Any]:
    """One world from its first to its last request."""
    scenario, truth = job.scenario, job.truth()
    campaign_of = campaigns_of(truth)
    detector, findings = ours(job.file), Findings(campaign_of)

    def look(now_unix_nano: int) -> None:
        findings.look(now_unix_nano, detector.campaigns(), backtest.ledger)

    backtest = Backtest(detector, enforce=False, follow=campaign_of, on_tick=look)
    for event in simulate(scenario, job.source()):
        backtest.feed(event)
    backtest.finish()
    ledger = backtest.ledger
    evaluation = evaluate(ledger, truth)
    campaigns = {}
    for group in scenario.parties:
        if not isinstance(group, Campaign) or group.name not in evaluation["attack"]:
            continue
        find, acted = findings.finds.get(group.name), evaluation["attack"][group.name]
        campaigns[group.name] = {
            "accounts": acted["accounts"],
            "cover": group.cover_share,
            "personas": group.personas,
            "linked": group.linked if group.linked != "strong" else f"{group.linked_share:.0%} of accounts",
            "hours": None if find is None else find.hours,
            "requests_per_20": None if find is None else find.requests_per_20,
            "listed": findings.listed_share(group.name, ledger),
            "acted_on": acted["acted_on"],
        }
    return {
        "scenario": scenario.name,
        "seed": scenario.seed,
        "days": scenario.days,
        "events": ledger.events,
        "honest": sum(row["accounts"] for row in evaluation["benign"].values()),
        "campaigns": campaigns,
        "published": findings.published(scenario.start_unix_s * 1_000_000_000),
        "benign": evaluation["benign"],
    }


def variants(arguments: Any) -> dict[str, list[list[Job]]]:
    """Title -> one job a seed. A cover share given replaces that of all campaigns."""
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    out = {}
    for file in arguments.scenario or [SCENARIO]:
        for cover in arguments.cover or [None]:
            worlds = [_covered(loaded(file, seed, arguments.days), cover) for seed in seeds]
            shares = {group.cover_share for group in worlds[0].groups if isinstance(group, Campaign)}
            title = f"{Path(file).stem}, {' and '.join(f'{share:.0%}' for share in sorted(shares))} cover"
            out[title] = [[Job(file, world, arguments.texts, _MEASURED_BY)] for world in worlds]
    return out


def _covered(scenario: Scenario, cover: float | None) -> Scenario:
    if cover is None:
        return scenario
    campaigns = [group.name for group in scenario.groups if isinstance(group, Campaign)]
    return changed(scenario, {"groups": [{"name": name, "cover_share": cover} for name in campaigns]})


def _arguments(made: ArgumentParser) -> Any:
    made.add_argument("--scenario", action="append", help="a scenario file with campaigns; may be given again")
    made.add_argument(
        "--cover", action="append", type=float, help="share of cover of all campaigns; may be given again"
    )
    made.add_argument("--name", default="discovery", help="of the section and its pictures")
    return made.parse_args()


def main() -> None:
    arguments = _arguments(parser(__doc__, seeds=30, out="docs/discovery.md"))
    found = {title: computed(jobs, streams, arguments) for title, jobs in variants(arguments).items()}
    found = {title: results for title, results in found.items() if results}
    drawn = pictures(found, arguments.name)
    write(arguments.out, arguments.name, section(found, command("benchmarks.discovery"), list(drawn)), drawn)


if __name__ == "__main__":
    main()
