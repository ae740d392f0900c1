"""Whom automatic action hits among honest groups that look like campaigns: `python -m benchmarks.honest_groups [--groups 1000]`.

Worlds of configs/scenarios/honest-groups.yaml, every other one with the two campaigns of standard-nocover.yaml inside, so that
something is open that a group could be taken for. The default policy in enforce mode: who is acted on is refused. As many
worlds as hold so many groups. Writes its section of docs/discovery.md.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.honest_text import section
from benchmarks.judging import Job, changed, command, computed, loaded, ours, parser, write
from stillwatch.backtest import Backtest, evaluate
from stillwatch.simulator import Scenario, simulate
from stillwatch.simulator.relay import Campaign
from stillwatch.verdict import Action, strength

SCENARIO: Final = "configs/scenarios/honest-groups.yaml"
_CAMPAIGNS: Final = "configs/scenarios/standard-nocover.yaml"
_MEASURED_BY: Final = ("benchmarks.honest_groups",)
_ALONE: Final = "user"  # the one kind whose accounts have nobody beside them
# All users of agents use the market's most popular tool: they are one group, however many the scenario names.
_ONE_TOOL: Final = "agent"


@dataclass(frozen=True, slots=True)
class HonestGroup:
    name: str
    kind: str
    accounts: tuple[str, ...]


def honest_groups(scenario: Scenario) -> list[HonestGroup]:
    """Everybody who belongs together, but people on their own; those of a campaign's market are a kind of their own."""
    world = scenario.world()
    harvested = {group.segment for group in scenario.groups if isinstance(group, Campaign)} or {"harvest"}
    found: dict[str, HonestGroup] = {}
    for group in scenario.parties:
        if isinstance(group, Campaign) or group.label == _ALONE:
            continue
        kind: str = group.label
        name = kind if kind == _ONE_TOOL else group.name
        known = found[name].accounts if name in found else ()
        if group.segment is not None and group.segment in harvested:
            kind += ", campaigns' market"
        found[name] = HonestGroup(name, kind, (*known, *(one.account for one in group.roster(world))))
    return list(found.values())


def touched(
    groups: Sequence[HonestGroup], strongest: Mapping[str, Action], seen: Collection[str]
) -> dict[str, dict[str, int]]:
    """Kind -> groups and accounts that sent anything, groups by the strongest action on one of their accounts, accounts
    acted on. ``strongest``: of every account that was acted on."""
    rows: dict[str, dict[str, int]] = {}
    for group in groups:
        accounts = [account for account in group.accounts if account in seen]
        if not accounts:
            continue
        row = rows.setdefault(group.kind, dict.fromkeys(("groups", "accounts", "acted_on"), 0))
        hit = [strongest[account] for account in accounts if account in strongest and strength(strongest[account])]
        row["groups"] += 1
        row["accounts"] += len(accounts)
        row["acted_on"] += len(hit)
        if hit:
            worst = max(hit, key=strength)
            row[worst] = row.get(worst, 0) + 1
    return rows


def worlds(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    return [world(job) for job in jobs]


def world(job: Job) -> dict[str, Any]:
    scenario = job.scenario
    detector = ours(job.file)
    backtest = Backtest(detector, enforce=True)
    for event in simulate(scenario, job.source()):
        backtest.feed(event)
    backtest.finish()
    ledger = backtest.ledger
    evaluation = evaluate(ledger, job.truth())
    return {
        "seed": scenario.seed,
        "days": scenario.days,
        "events": ledger.events,
        "kinds": touched(
            honest_groups(scenario), {a: acted.action for a, acted in ledger.strongest.items()}, ledger.accounts.keys()
        ),
        "people": evaluation["benign"].get("user", {"accounts": 0, "acted_on": 0, "revoked": 0}),
        "attackers": sum(row["accounts"] for row in evaluation["attack"].values()),
        "attackers_acted_on": sum(row["acted_on"] for row in evaluation["attack"].values()),
        "campaigns": len(detector.campaigns()),
        "held_back": detector.held_back,
    }


def jobs_for(arguments: Any) -> list[list[Job]]:
    """Every other world has campaigns. How many worlds: by the groups of the first, unless --seeds says it."""
    first = loaded(SCENARIO, arguments.first_seed, arguments.days)
    count = arguments.seeds or -(-arguments.groups // len(honest_groups(first)))
    out = []
    for number in range(count):
        seed = arguments.first_seed + number
        scenario = loaded(SCENARIO, seed, arguments.days)
        if number % 2 == 0:
            inside = [group for group in loaded(_CAMPAIGNS, seed).groups if isinstance(group, Campaign)]
            scenario = changed(scenario, {"groups": [group.model_dump(mode="json") for group in inside]})
        out.append([Job(SCENARIO, scenario, arguments.texts, _MEASURED_BY)])
    return out


def main() -> None:
    made = parser(__doc__, seeds=0, out="docs/discovery.md")
    made.add_argument("--groups", type=int, default=1_000, help="as many worlds as hold so many; --seeds overrides it")
    made.add_argument("--name", default="honest-groups", help="of the section")
    arguments = made.parse_args()
    results = computed(jobs_for(arguments), worlds, arguments)
    if results:
        write(arguments.out, arguments.name, section(results, command("benchmarks.honest_groups")), {})


if __name__ == "__main__":
    main()
