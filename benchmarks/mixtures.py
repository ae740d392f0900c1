"""What topics alone can show of accounts that share nothing: `python -m benchmarks.mixtures [SCENARIO] [--seed N] [--texts DIR]`.

At some hours of a scenario: the groups that ``mixtures`` proposes (how pure the best is, its test), the bound (all attackers as
one group, handed over by an oracle), and what both passes over the accounts cost. ``--nobody``: the same without the attackers.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

from benchmarks.cells import texts_of
from benchmarks.groups import World, worlds
from launch.scenarios import load_scenario
from stillwatch.correlation.handoff_graph import HandoffGraph
from stillwatch.correlation.handoffs import Handoffs
from stillwatch.correlation.linkage import LinkageIndex
from stillwatch.correlation.mixture_test import Ordinary, examine_mixture
from stillwatch.correlation.mixtures import Group, mixtures
from stillwatch.correlation.moment import COMPARED_CONVERSATIONS, Normality
from stillwatch.correlation.neighbours import nearest
from stillwatch.correlation.table import AccountTable
from stillwatch.correlation.verify import GroupTest
from stillwatch.settings import DetectionSettings
from stillwatch.simulator import labels

_HOUR_NANO = 3_600_000_000_000
_WANTED = 16  # groups
_CONCENTRATION = 100.0  # of people, F = .01


def lines(hour: int, world: World, attack: set[str], now_unix_nano: int, settings: DetectionSettings) -> Iterator[str]:
    table, known = world.table, world.table.with_at_least(COMPARED_CONVERSATIONS)
    moment = world.normality.now(set(), HandoffGraph(Handoffs(), table), now_unix_nano)
    if moment is None:
        yield f"{hour:>4} h  too few accounts"
        return
    before_s = time.process_time()
    groups = mixtures(table, known, _WANTED, settings.min_group_accounts, settings.seed)
    took_ms = 1_000 * (time.process_time() - before_s)
    ordinary = Ordinary.of(table, groups, moment)
    yield f"{hour:>4} h  {len(groups)} groups of {len(known):,} accounts in {took_ms:.0f} ms"
    if not groups:
        return
    tested = [examine_mixture(table, slots, ordinary, moment, ()) for _, slots in groups]
    best = max(range(len(groups)), key=lambda at: world.attackers(groups[at][1], attack))
    yield f"        purest, {_counted(world, groups[best], attack)}: {_said(tested[best])}"
    others = [one for at, one in enumerate(tested) if one is not None and at != best]
    if others:
        yield f"        strongest of the others: {_said(max(others, key=lambda one: one.e_value))}"
    mine = known[[table.summary(int(slot)).account in attack for slot in known]]
    if len(mine) < settings.min_group_accounts:
        return
    yield f"        all {len(mine)} attackers, by an oracle: {_said(examine_mixture(table, mine, ordinary, moment, ()))}"
    before_s = time.process_time()
    half = mine[: len(mine) // 2]
    near = nearest(table, half, _CONCENTRATION, moment.population, known, 2 * len(half))
    took_us = 1e6 * (time.process_time() - before_s) / len(known)
    found = world.attackers(near, attack)
    yield (
        f"        near half of them: {found} of the other {len(mine) - len(half)} among {len(near)} candidates, "
        f"{took_us:.0f} µs an account"
    )


def _counted(world: World, group: Group, attack: set[str]) -> str:
    return f"{world.attackers(group[1], attack)} attackers among {len(group[1])}"


def _said(found: GroupTest | None) -> str:
    if found is None:
        return "not tested"
    conduct = f"conduct p = {found.conduct.p_value:.1e}" if found.conduct is not None else "no conduct"
    return f"F = {found.f:+.4f}, content p = {found.p_value:.1e}, {conduct}, e = {found.e_value:.1f}"


def without(world: World, attack: set[str], settings: DetectionSettings) -> World:
    links = LinkageIndex(settings.max_group_accounts)
    table = AccountTable(settings.max_accounts, links)
    for slot in world.table.with_at_least(0):
        summary = world.table.summary(int(slot))
        if summary.account not in attack:
            table.put(summary)
    return World(table, Normality(table, links, settings))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", nargs="?", default="configs/scenarios/standard-unlinked.yaml")
    parser.add_argument("--seed", type=int, default=501)
    parser.add_argument("--texts", help="folder of *.jsonl.gz with real prompts; else the built-in grammar")
    parser.add_argument("--hours", default="48,96,168", help="since the beginning, with commas")
    parser.add_argument("--nobody", action="store_true", help="leave the attackers out: what honest accounts show")
    arguments = parser.parse_args()
    scenario, settings = load_scenario(arguments.scenario, arguments.seed), DetectionSettings()
    attack = {row.account for row in labels(scenario) if row.kind == "attack"}
    for hour, world in worlds(scenario, texts_of(arguments.texts), [int(h) for h in arguments.hours.split(",")]):
        shown = without(world, attack, settings) if arguments.nobody else world
        now = scenario.start_unix_s * 10**9 + hour * _HOUR_NANO
        print("\n".join(lines(hour, shown, attack, now, settings)), flush=True)


if __name__ == "__main__":
    main()
