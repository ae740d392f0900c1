"""The disclosed campaign at a scale, from its first day: `python -m benchmarks.disclosed [--scale 0.125] [--days 3]`.

2,500 attackers among some 31,000 honest accounts at the scale of 0.125. Our detector under the default policy, carried out, in a
closed loop: who is acted on is refused; the relay tries the refused call on the next account within seconds, drops the
refused one and signs up a replacement, as relays do; the gateways report refused calls. What the campaign would have sent undisturbed
comes from a pass over its own traffic alone. The platform runs for `--days-before` the campaign begins. Events are made
and taken one by one; memory grows with accounts. Writes its section of docs/discovery.md.
"""

from __future__ import annotations

import heapq
import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from benchmarks.disclosed_text import section
from benchmarks.judging import Job, changed, command, computed, ours, parser, write
from launch.scenarios import load_scenario
from stillwatch.backtest import Backtest, Ledger, Truth, campaigns_of, evaluate
from stillwatch.event import RequestEvent
from stillwatch.simulator import Scenario, TextSource, labels, reserves, simulate
from stillwatch.simulator.population import People
from stillwatch.simulator.relay import Campaign

SCENARIO: Final = "configs/scenarios/disclosed.yaml"
_MEASURED_BY: Final = ("benchmarks.disclosed",)
_HOUR_NANO: Final = 3_600_000_000_000


def halves(scenario: Scenario, days: int, days_before: int) -> tuple[Scenario, Scenario]:
    """(the honest world, which begins earlier; the campaigns, from their first day), of the same seed: together they are
    the scenario's first days. Sign-ups count from a scenario's beginning, so the campaign's stand where they stood; the
    people who come and go are as many a day as in the whole scenario."""
    length = days + days_before
    churn = {
        "groups": [
            {"name": group.name, "churn_share": group.churn_share * length / scenario.days}
            for group in scenario.groups if isinstance(group, People)
        ]
    }  # fmt: skip
    steady = changed(scenario, churn)
    honest = tuple(group for group in steady.groups if not isinstance(group, Campaign))
    attack = tuple(group for group in scenario.groups if isinstance(group, Campaign))
    begin = scenario.start_unix_s - days_before * 86_400
    return (
        steady.model_copy(update={"groups": honest, "days": length, "start_unix_s": begin}),
        scenario.model_copy(update={"groups": attack, "days": days}),
    )


def together(
    worlds: Sequence[Scenario], texts: TextSource, refuses: Callable[[str, int], bool] = lambda _account, _time: False
) -> Iterator[RequestEvent]:
    """``refuses``: whom the platform refuses, and when."""
    return heapq.merge(
        *(simulate(world, texts, banned=refuses) for world in worlds),
        key=lambda event: (event.time_unix_nano, event.id),
    )


class Course:
    """What the campaign had got, and who had been hit, after every evaluation since it began."""

    def __init__(self, attackers: Sequence[str], begin_unix_nano: int, undisturbed: Sequence[int]) -> None:
        """``undisturbed``: when it would have sent each of its requests, ascending, unix ns."""
        self._attackers, self._begin, self._undisturbed = attackers, begin_unix_nano, undisturbed
        self.rows: list[dict[str, float]] = []

    def note(self, now_unix_nano: int, ledger: Ledger) -> None:
        """``sent``: what it would have sent by now; ``served``: what it got; ``leaked``: of that, before the account was
        first acted on."""
        rows = [(a, row) for a in self._attackers if (row := ledger.accounts.get(a)) is not None]
        if not rows:
            return
        acted = sum(account in ledger.first_action for account, _ in rows)
        hit = len(ledger.first_action) - acted
        self.rows.append(
            {
                "hours": round((now_unix_nano - self._begin) / _HOUR_NANO, 3),
                "active": len(rows),
                "acted_on": acted,
                "sent": max(bisect_left(self._undisturbed, now_unix_nano), 1),
                "leaked": sum(row.before_action for _, row in rows),
                "served": sum(row.requests - row.refused for _, row in rows),
                "honest_acted_on": hit,
            }
        )


def runs(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    return [run(job) for job in jobs]


def run(job: Job) -> dict[str, Any]:
    days, before, partitions, tick_h = (float(value) for value in job.options.split())
    worlds = halves(job.scenario, int(days), int(before))
    rows = [row for world in worlds for row in (*labels(world), *reserves(world))]
    truth = {row.account: Truth(row.kind, row.campaign) for row in rows}
    attackers = sorted(campaigns_of(truth))
    undisturbed = [event.time_unix_nano for event in simulate(worlds[1], job.source())]
    course = Course(attackers, job.scenario.start_unix_s * 1_000_000_000, undisturbed)
    tick_s = round(tick_h * 3_600)
    detector, started = ours(job.file, int(partitions), tick_s), time.perf_counter()

    def note(now_unix_nano: int) -> None:
        course.note(now_unix_nano, backtest.ledger)
        _say(now_unix_nano, course, backtest.ledger, started)

    backtest = Backtest(detector, tick_s=tick_s, enforce=True, on_tick=note)
    for event in together(worlds, job.source(), backtest.refuses):
        backtest.feed(event)
    backtest.finish()
    evaluation = evaluate(backtest.ledger, truth)
    return {
        "seed": job.scenario.seed,
        "days": int(days),
        "days_before": int(before),
        "whole_days": job.scenario.days,
        "partitions": int(partitions),
        "tick_h": tick_h,
        "events": backtest.ledger.events,
        "attackers": sum(row["accounts"] for row in evaluation["attack"].values()),
        "honest": sum(row["accounts"] for row in evaluation["benign"].values()),
        "benign": evaluation["benign"],
        "course": course.rows,
        "held_back": detector.held_back,
        "published": len(detector.campaigns()),
    }


def _say(now_unix_nano: int, course: Course, ledger: Ledger, started: float) -> None:
    last = course.rows[-1] if course.rows else None
    campaign = (
        "before the campaign" if last is None
        else f"hour {last['hours']:.0f} of the campaign: {last['acted_on']:,} of {last['active']:,} acted on, "
        f"{last['leaked'] / last['sent']:.1%} leaked, {last['honest_acted_on']} honest acted on"
    )  # fmt: skip
    rate = ledger.events / (time.perf_counter() - started)
    print(
        f"{ledger.events:,} events, {rate:,.0f}/s, {len(ledger.accounts):,} accounts; {campaign}",
        file=sys.stderr,
        flush=True,
    )


def main() -> None:
    made = parser(__doc__, seeds=1, out="docs/discovery.md")
    made.add_argument("--scale", type=float, default=0.125)
    made.add_argument("--days-before", type=int, default=2, help="honest days before the campaign's first request")
    made.add_argument("--partitions", type=int, default=1)
    made.add_argument("--tick", type=float, default=1.0, help="hours between evaluations")
    made.add_argument("--name", default="disclosed", help="of the section")
    arguments = made.parse_args()
    options = f"{arguments.days or 3} {arguments.days_before} {arguments.partitions} {arguments.tick}"
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    groups = [
        [
            Job(
                SCENARIO,
                load_scenario(SCENARIO, seed).scaled(arguments.scale),
                arguments.texts,
                _MEASURED_BY,
                options=options,
            )
        ]
        for seed in seeds
    ]
    results = computed(groups, runs, arguments)
    if results:
        text = section(results, command("benchmarks.disclosed"))
        write(arguments.out, arguments.name, text, {})


if __name__ == "__main__":
    main()
