"""Topics in lockstep: who is seen by it, and which honest groups: `python -m benchmarks.lockstep [--seeds N] [--hours 48,96,160]`.

The figures of docs/adr/0023, on seeds from 501. One world without order in its campaigns (standard-cover50), the same with
pools that are worked through topic after topic (ordered-cover50), and honest groups alone (honest-groups; `paced`: with classes that go
through their exercises together, one a day). What is normal is
learnt from all linkage groups of the moment, as in an evaluation before any campaign is known. Summaries are told at each tick
and folded as the aggregator folds them; no account is scored, which this finding does not need.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from benchmarks.cells import texts_of
from benchmarks.honest_groups import honest_groups
from benchmarks.thresholds import fingerprinted_once
from launch.scenarios import load_scenario
from launch.settings import load_settings
from stillwatch.account import AccountState
from stillwatch.correlation.linkage import LinkageIndex
from stillwatch.correlation.lockstep import Lockstep
from stillwatch.correlation.moment import COMPARED_CONVERSATIONS, Normality
from stillwatch.correlation.table import AccountTable, Slots
from stillwatch.fingerprint import event_fingerprint
from stillwatch.simulator import Scenario, TextSource, labels, simulate
from stillwatch.simulator.crowds import Classroom
from stillwatch.summary import summarise
from stillwatch.ticks import nano_of, tick_after

_PACED = "honest-groups paced"
_SCENARIOS = ("standard-cover50", "ordered-cover50", "honest-groups", _PACED)
_HOUR_NANO = 3_600_000_000_000
_LEVELS = (0.05, 0.01, 0.001, 0.0001)
_MOSTLY = 0.5  # of a group's accounts: the campaign's


def worlds(
    scenario: Scenario, texts: TextSource, hours: Sequence[int]
) -> Iterator[tuple[int, AccountTable, Normality]]:
    """The aggregator's view after so many hours."""
    settings = load_settings("configs/default.yaml", {}, environment={}).detection
    links = LinkageIndex(settings.max_group_accounts)
    table = AccountTable(settings.max_accounts, links)
    normality = Normality(table, links, settings)
    tick_nano, states, changed = nano_of(settings.evaluation_tick_s), dict[str, AccountState](), set[str]()
    start, due = scenario.start_unix_s * 10**9, sorted(hours)
    tick = tick_after(start, tick_nano)
    for plain in simulate(scenario, texts):
        while plain.time_unix_nano >= tick:
            for account in sorted(changed):
                table.put(summarise(states[account], 0))
            changed.clear()
            while due and tick >= start + due[0] * _HOUR_NANO:
                yield due.pop(0), table, normality
            tick += tick_nano
        if not due:
            return
        event = fingerprinted_once(plain)
        state = states.setdefault(event.account, AccountState(event.account, event.time_unix_nano, settings.era_days))
        state.observe(event, event_fingerprint(event))
        changed.add(event.account)


def with_paced_classes(scenario: Scenario) -> Scenario:
    groups = (
        group.model_copy(update={"paced": True}) if isinstance(group, Classroom) else group for group in scenario.groups
    )
    return scenario.model_copy(update={"groups": tuple(groups)})


class Tally:
    """P-values by what they are of, over all seeds; ``None``: the finding had nothing to say."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, int, str], list[float | None]] = defaultdict(list)
        self.sentences: dict[tuple[str, int, str], tuple[float, str]] = {}
        self.sizes: dict[tuple[str, int], list[int]] = {}  # accounts, bytes kept, accounts of which a sample is kept

    def size(self, where: tuple[str, int], table: AccountTable) -> None:
        slots = table.with_at_least(0).tolist()
        known = self.sizes.setdefault(where, [0, 0, 0])
        self.sizes[where] = [a + b for a, b in zip(known, (len(slots), *table.asked.size(slots)), strict=True)]

    def note(self, where: tuple[str, int], what: str, lockstep: Lockstep, slots: Slots) -> None:
        found = lockstep.finding(slots)
        self.found[*where, what].append(None if found is None else found.p_value)
        if found is not None:
            key = (*where, what)
            self.sentences[key] = min(self.sentences.get(key, (2.0, "")), (found.p_value, found.sentence))

    def lines(self, sentences: bool) -> Iterator[str]:
        yield (
            f"{'world':<20}{'hours':>5}  {'groups':<34}{'tested':>9}"
            + "".join(f"{f'p<{p:g}':>9}" for p in _LEVELS)
            + "   lowest"
        )
        silent: dict[str, int] = {}
        for (name, hour), (accounts, size, sampled) in sorted(self.sizes.items()):
            yield (
                f"{name:<20}{hour:>5}  kept: {size / accounts:.0f} bytes an account, a sample of {sampled / accounts:.1%} of accounts"
            )
        for (name, hour, what), p_values in sorted(self.found.items()):
            told = np.array([p for p in p_values if p is not None])
            if not len(told):
                silent[what] = silent.get(what, 0) + len(p_values)
                continue
            below = "".join(f"{(told <= level).sum():>9}" for level in _LEVELS)
            yield f"{name:<20}{hour:>5}  {what:<34}{f'{len(told)}/{len(p_values)}':>9}{below}{told.min():9.1e}"
            if sentences:
                yield f"{'':27}{self.sentences[name, hour, what][1]}"
        if silent:
            yield "nothing to say (too few customers, or too quiet): " + ", ".join(
                f"{what} ({count})" for what, count in silent.items()
            )


def look(name: str, scenario: Scenario, hour: int, table: AccountTable, normality: Normality, tally: Tally) -> None:
    """Of linkage groups, of each campaign as a whole, and of honest groups as they are."""
    known = table.with_at_least(COMPARED_CONVERSATIONS)
    groups = [slots for _, slots in normality._teaching(normality.groups(known))]
    lockstep = Lockstep(table, groups, weight=0.0)
    where = name, hour
    tally.size(where, table)
    campaign_of: Mapping[str, str] = {row.account: row.campaign for row in labels(scenario) if row.kind == "attack"}
    for slots in groups:
        mine = Counter(campaign_of.get(table.name(int(slot)), "") for slot in slots)
        campaign, count = max(
            ((name, count) for name, count in mine.items() if name), key=lambda one: one[1], default=("", 0)
        )
        if not campaign:
            tally.note(where, "linkage groups, all honest", lockstep, slots)
        elif count > _MOSTLY * len(slots):
            tally.note(where, f"linkage groups, mostly {campaign}'s", lockstep, slots)
    for campaign in sorted(set(campaign_of.values())):
        of = [account for account, its in campaign_of.items() if its == campaign]
        tally.note(where, f"all of {campaign}'s accounts", lockstep, table.slots(of))
    for group in honest_groups(scenario):
        tally.note(where, f"honest: {group.kind}", lockstep, table.slots(group.accounts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1, help="from 501")
    parser.add_argument("--hours", default="48,96,160", help="since the beginning, with commas")
    parser.add_argument("--days", type=int, help="of each world; else the scenario's")
    parser.add_argument("--scenarios", default=",".join(_SCENARIOS))
    parser.add_argument("--texts", help="folder of *.jsonl.gz with real prompts; else the built-in grammar")
    parser.add_argument("--sentences", action="store_true", help="what is said of the most striking group of each row")
    arguments = parser.parse_args()
    tally, texts = Tally(), texts_of(arguments.texts)
    hours = [int(hour) for hour in arguments.hours.split(",")]
    for name in arguments.scenarios.split(","):
        for seed in range(501, 501 + arguments.seeds):
            scenario = load_scenario(f"configs/scenarios/{name.removesuffix(' paced')}.yaml", seed)
            if name == _PACED:
                scenario = with_paced_classes(scenario)
            if arguments.days:
                scenario = scenario.model_copy(update={"days": arguments.days})
            for hour, table, normality in worlds(scenario, texts, hours):
                look(name, scenario, hour, table, normality, tally)
    print("\n".join(tally.lines(arguments.sentences)))


if __name__ == "__main__":
    main()
