"""What groups show, honest ones and a campaign's: `python -m benchmarks.groups [SCENARIO] [--seed N] [--texts DIR]`.

The figures of docs/adr/0011. Of all groups that share a value at some hours of a scenario: how much honest ones differ in
content and conduct, how pure the best single value and the best block are, and where the campaign's groups stand. With
`--tests` also what the tests of equal volumes and pivots say of each (:mod:`benchmarks.group_tests`).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.cells import texts_of
from benchmarks.group_tests import Tally, test_lines
from benchmarks.thresholds import fingerprinted_once
from launch.scenarios import load_scenario
from launch.settings import load_settings
from stillwatch.correlation.blocks import BLOCK
from stillwatch.correlation.conduct import STATISTICS
from stillwatch.correlation.handoff_graph import HandoffGraph
from stillwatch.correlation.handoffs import Handoffs
from stillwatch.correlation.linkage import LinkageIndex
from stillwatch.correlation.moment import Group, Moment, Normality
from stillwatch.correlation.table import AccountTable
from stillwatch.ports import RawMessage
from stillwatch.shard import PartitionCore
from stillwatch.simulator import Scenario, TextSource, labels, simulate
from stillwatch.wire import encode_event

_HOUR_NANO = 3_600_000_000_000
_BATCH = 500
_MOSTLY = 0.5  # of a group's accounts: the campaign's


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """The aggregator's view after some hours, without any evaluation before."""

    table: AccountTable
    normality: Normality

    def attackers(self, slots: np.ndarray, attack: set[str]) -> int:
        return sum(self.table.summary(int(slot)).account in attack for slot in slots)


def worlds(scenario: Scenario, texts: TextSource, hours: list[int]) -> Iterator[tuple[int, World]]:
    settings = load_settings("configs/default.yaml", {"partitions": 1, "shards": 1}, environment={})
    core = PartitionCore(0, 1, settings.ingest, settings.detection)
    links = LinkageIndex(settings.detection.max_group_accounts)
    world = World(
        table := AccountTable(settings.detection.max_accounts, links), Normality(table, links, settings.detection)
    )
    due, waiting = sorted(hours), list[RawMessage]()
    for number, plain in enumerate(simulate(scenario, texts), start=1):
        while due and plain.time_unix_nano >= (scenario.start_unix_s * 10**9 + due[0] * _HOUR_NANO):
            core.observe(waiting)
            waiting = []
            core.close(plain.time_unix_nano)
            for cut in core.take_cuts():
                for summary in cut.summaries:
                    table.put(summary)
            yield due.pop(0), world
        if not due:
            return
        event = fingerprinted_once(plain)
        subject = f"stillwatch.partition.0.{event.account}"
        waiting.append(RawMessage(number, subject, encode_event(event), event.time_unix_nano))
        if len(waiting) >= _BATCH:
            core.observe(waiting)
            waiting = []


def lines(hour: int, world: World, attack: set[str], moment: Moment | None) -> Iterator[str]:
    if moment is None:
        yield f"{hour:>4} h  too few accounts"
        return
    groups = world.normality.groups(world.table.with_at_least(2))
    share = {key: world.attackers(slots, attack) / len(slots) for key, slots in groups}
    if moment.content is not None:
        spread = moment.content.between / max(moment.content.centre, 1e-9)
        yield (
            f"{hour:>4} h  F of {moment.content.groups} groups: middle {moment.content.centre:.4f}, between groups "
            f"{moment.content.between:.4f} ({spread:.2f} of it)"
        )
    for name, of_kind in (
        ("value", [g for g in groups if g[0][0] != BLOCK]),
        ("block", [g for g in groups if g[0][0] == BLOCK]),
    ):
        yield f"        best {name}: {_best(world, of_kind, attack)}"
    mine = [slots for key, slots in groups if share[key] > _MOSTLY]
    if mine:
        members = moment.conduct.scores[np.unique(np.concatenate(mine))]
        told = [
            (name, column[np.isfinite(column)])
            for name, column in zip((*STATISTICS, "together"), members.T, strict=True)
        ]
        means = ", ".join(f"{name} {column.mean():+.1f}" for name, column in told if len(column))
        yield f"        conduct in {len(mine)} groups that are mostly the campaign's, mean: {means}"


def _best(world: World, groups: list[Group], attack: set[str]) -> str:
    """The one with most attackers, less its bystanders."""
    known = [(world.attackers(slots, attack), len(slots)) for _, slots in groups]
    attackers, accounts = max(known, key=lambda one: 2 * one[0] - one[1], default=(0, 0))
    return f"{attackers} attackers among {accounts} accounts" if accounts else "none"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", nargs="?", default="configs/scenarios/standard-nocover.yaml")
    parser.add_argument("--seed", type=int, default=501)
    parser.add_argument("--texts", help="folder of *.jsonl.gz with real prompts; else the built-in grammar")
    parser.add_argument("--hours", default="15,24,48,96,168", help="since the beginning, with commas")
    parser.add_argument("--tests", action="store_true", help="of equal volumes and pivots")
    arguments = parser.parse_args()
    scenario = load_scenario(arguments.scenario, arguments.seed)
    campaign_of = {row.account: row.campaign for row in labels(scenario) if row.kind == "attack"}
    tally = Tally()
    for hour, world in worlds(scenario, texts_of(arguments.texts), [int(h) for h in arguments.hours.split(",")]):
        now = scenario.start_unix_s * 10**9 + hour * _HOUR_NANO
        moment = world.normality.now(set(), HandoffGraph(Handoffs(), world.table), now)
        print("\n".join(lines(hour, world, set(campaign_of), moment)), flush=True)
        if arguments.tests and moment is not None:
            print("\n".join(test_lines(world.table, world.normality, moment, campaign_of, tally)), flush=True)
    for line in tally.lines():
        print(line)


if __name__ == "__main__":
    main()
