"""How well an indicator finds its pool on another platform: `python -m benchmarks.indicators [SCENARIO] [--seeds A,B]`.

Platform A is the scenario with the first seed; its relay's even accounts become an indicator. Platform B has the honest
accounts of the second seed and the relay's odd accounts, whose tokens, cards and sign-ups nobody on A has. Of B's groups:
how many are the indicator's, among the relay's and among honest people's; and what an indicator of a pool that nobody on B
draws from matches there. Without values, which would make it easy.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.cells import texts_of
from benchmarks.groups import worlds
from launch.scenarios import load_scenario
from launch.settings import load_settings
from stillwatch.campaigns import OpenCampaign
from stillwatch.correlation.attribution import ListedMember
from stillwatch.correlation.handoff_graph import HandoffGraph
from stillwatch.correlation.handoffs import Handoffs
from stillwatch.correlation.linkage import LinkageIndex
from stillwatch.correlation.matching import Matcher
from stillwatch.correlation.moment import Normality
from stillwatch.correlation.table import PROPOSE, AccountTable
from stillwatch.correlation.verify import GroupTest
from stillwatch.indicator_export import indicator_of
from stillwatch.indicators import Indicator, Refused
from stillwatch.simulator import TextSource, labels
from stillwatch.summary import AccountSummary

_PURE = 0.5  # of a group's accounts: the relay's


@dataclass(frozen=True, slots=True)
class Platform:
    """Summaries of honest accounts, and of those of the campaign by name."""

    honest: list[AccountSummary]
    relay: list[AccountSummary]


def platforms(file: str, seed: int, texts: TextSource, hours: list[int], campaign: str) -> dict[int, Platform]:
    scenario = load_scenario(file, seed)
    rows = labels(scenario)
    attack = {row.account for row in rows if row.kind == "attack"}
    relay = {row.account for row in rows if row.campaign == campaign}
    out = {}
    for hour, world in worlds(scenario, texts, hours):
        known = (world.table.summary_of(row.account) for row in sorted(rows, key=lambda row: row.account))
        seen = [summary for summary in known if summary is not None]
        out[hour] = Platform([s for s in seen if s.account not in attack], [s for s in seen if s.account in relay])
    return out


def table_of(summaries: list[AccountSummary]) -> tuple[AccountTable, LinkageIndex]:
    links = LinkageIndex(10_000)
    table = AccountTable(1_000_000, links)
    for summary in summaries:
        table.put(summary)
    return table, links


def indicator_from(platform: Platform) -> Indicator:
    mine = platform.relay[::2]
    table, links = table_of([*platform.honest, *mine])
    members = tuple(ListedMember(summary.account, 1.0) for summary in mine)
    nothing = GroupTest(np.array([], dtype=np.int64), 0, 0.0, None, 1.0, 1.0, 1.0, 1.0, 0.0)
    found = indicator_of(OpenCampaign("c-1", 0, nothing, members=members), table, links, "a.example")
    if isinstance(found, Refused):
        raise SystemExit(f"no indicator: {found.detail}")
    return found


def matched(platform: Platform, relay: list[AccountSummary], one: Indicator) -> str:
    planted = [replace(summary, account=f"b{summary.account}"[:64]) for summary in relay]
    table, links = table_of([*platform.honest, *planted])
    names, settings = {summary.account for summary in planted}, load_settings(environment={}).detection
    normality = Normality(table, links, settings)
    now = max(summary.last_seen_unix_nano for summary in (*platform.honest, *planted))
    moment = normality.now(set(), HandoffGraph(Handoffs(), table), now)
    if moment is None:
        return "too few accounts"
    matcher = Matcher([one], {}, table, links, moment.population)
    of_relay, of_honest, shares = [0, 0], [0, 0], []
    for _, slots in normality.groups(table.with_at_least(2)):
        mine = np.mean([table.summary(int(slot)).account in names for slot in slots])
        _, match = matcher.best(slots, PROPOSE)
        if mine == 0 or mine > _PURE:
            counted = of_relay if mine > _PURE else of_honest
            counted[0] += match is not None
            counted[1] += 1
        if mine > _PURE and match is not None:
            shares.append(match.share)
    middle = f", their share {np.median(shares):.2f}" if shares else ""
    return f"{of_relay[0]} of {of_relay[1]} groups of the relay{middle}; {of_honest[0]} of {of_honest[1]} honest groups"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", nargs="?", default="configs/scenarios/standard-nocover.yaml")
    parser.add_argument("--seeds", default="501,502", help="of platform A and of platform B")
    parser.add_argument("--texts", help="folder of *.jsonl.gz with real prompts; else the built-in grammar")
    parser.add_argument("--hours", default="15,48,96", help="of B, since the beginning; A has the last of them")
    parser.add_argument("--campaign", default="hydra")
    arguments = parser.parse_args()
    hours, texts = [int(hour) for hour in arguments.hours.split(",")], texts_of(arguments.texts)
    first, second = (
        platforms(arguments.scenario, int(seed), texts, hours, arguments.campaign)
        for seed in arguments.seeds.split(",")
    )
    theirs, own = indicator_from(first[hours[-1]]), indicator_from(second[hours[-1]])
    print(
        f"indicator of {theirs.accounts} accounts, {theirs.conversations} conversations, rest {theirs.rest_per_mille} ‰"
    )
    for hour in hours:
        print(f"{hour:>4} h  its own pool: {matched(second[hour], first[hour].relay[1::2], theirs)}", flush=True)
        print(f"        another pool: {matched(second[hour], first[hour].relay[1::2], own)}", flush=True)


if __name__ == "__main__":
    main()
