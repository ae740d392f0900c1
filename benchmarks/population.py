"""Is the simulated population like real people? `python -m benchmarks.population [SCENARIO] [--texts DIR]`

Per kind: expected distinct topics in 20 conversations (rarefaction, 5 / 50 / 95 % over accounts), over the true topic
and over the fingerprint's cell; near-duplicate prompts; turns; gaps; the busiest hour against the quietest. Published
figures stand beside. The population is fitted to these, never to what a detector makes of it.
"""

from __future__ import annotations

import argparse
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import mean, median, pstdev, quantiles

from launch.arrival_files import arrivals_of
from launch.prompts import load_prompts
from launch.scenarios import load_scenario, resized
from stillwatch.fingerprint import event_fingerprint
from stillwatch.simulator import BuiltinTexts, TextSource, Traced, from_map, trace
from stillwatch.simulator.interests import rarefied_distinct

_SAMPLE = 20
# Two prompts are near-duplicates when their 64-bit SimHash sketches differ in at most so many bits.
_NEAR_BITS = 3
_MOST_PROMPTS = 20_000
_COPY = re.compile(r"-\d+$")
_SEEDS = (1, 2, 3)
# People of one breadth alone, as the published figures are of one source each.
_ALONE: dict[str, tuple[str, dict[str, float]]] = {
    "chat users": ("14.8 / 16.8 / 18.3", {"focused_share": 0.0}),
    "users of a forum": ("10.6 / 13.2 / 16.3", {"focused_share": 1.0}),
    "users of another forum": ("4.9 / 12.5 / 15.4", {"focused_share": 0.0, "uneven_share": 1.0}),
}


@dataclass(slots=True)
class Kind:
    """What the accounts of one kind did."""

    topics: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    cells: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    turns: Counter[str] = field(default_factory=Counter)
    times: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    hours: Counter[int] = field(default_factory=Counter)
    sketches: list[int] = field(default_factory=list)
    owners: list[str] = field(default_factory=list)
    requests: int = 0

    def add(self, traced: Traced, cell_of_topic: Sequence[int]) -> None:
        event = traced.event
        self.requests += 1
        self.turns[str(event.attributes["gen_ai.conversation.id"])] += 1
        self.hours[event.time_unix_nano // 3_600_000_000_000 % 24] += 1
        # A program's runs are first turns all of them.
        if event.attributes["stillwatch.prompt.turn"] != 1:
            return
        found = event_fingerprint(event)
        assert found is not None
        self.times[event.account].append(event.time_unix_nano)
        self.topics[event.account][cell_of_topic[traced.topic]] += 1
        self.cells[event.account][found.cell] += 1
        self.sketches.append(found.sketch)
        self.owners.append(event.account)


def spread(counts: Iterable[Counter[int]]) -> str:
    """5 / 50 / 95 % over accounts with enough conversations."""
    values = [rarefied_distinct(list(c.values()), _SAMPLE) for c in counts if c.total() >= _SAMPLE]
    if len(values) < 2:
        return f"{values[0]:.1f}" if values else "-"
    cuts = quantiles(values, n=20, method="inclusive")
    return f"{cuts[0]:4.1f} / {median(values):4.1f} / {cuts[-1]:4.1f}"


def near_duplicates(sketches: Sequence[int], owners: Sequence[str]) -> tuple[float, float]:
    """The share of prompts with a near-duplicate earlier on the same account, and near-duplicate pairs of different
    accounts per million such pairs, which does not depend on how many prompts there are.

    Four bands of 16 bits: two sketches that differ in three bits agree in one band at least.
    """
    bands: dict[tuple[int, int], list[int]] = defaultdict(list)
    own = other_pairs = 0
    for number, sketch in enumerate(sketches):
        keys = [(band, sketch >> 16 * band & 0xFFFF) for band in range(4)]
        near = {
            earlier for key in keys for earlier in bands[key] if (sketches[earlier] ^ sketch).bit_count() <= _NEAR_BITS
        }
        on_own = sum(owners[earlier] == owners[number] for earlier in near)
        own, other_pairs = own + bool(on_own), other_pairs + len(near) - on_own
        for key in keys:
            bands[key].append(number)
    count = len(sketches)
    pairs = (count * count - sum(n * n for n in Counter(owners).values())) / 2
    return own / max(1, count), 1e6 * other_pairs / max(1.0, pairs)


def row(name: str, kind: Kind) -> str:
    own, other = near_duplicates(kind.sketches[:_MOST_PROMPTS], kind.owners[:_MOST_PROMPTS])
    turns = sorted(kind.turns.values())
    gaps = [
        pstdev(between) / mean(between)
        for times in kind.times.values()
        if len(times) > 30
        for between in [[after - before for before, after in pairwise(times)]]
    ]
    peak = max(kind.hours.values()) / max(1, min(kind.hours[hour] for hour in range(24)))
    return (
        f"{name:<18}{len(kind.topics):>7}{kind.requests:>9}   {spread(kind.topics.values()):<20} "
        f"{spread(kind.cells.values()):<20}{own:>7.1%}{other:>9.2f}   {mean(turns):>5.2f} {median(turns):>2.0f} "
        f"{turns[math.ceil(0.95 * len(turns)) - 1]:>3}  {median(gaps) if gaps else math.nan:>5.2f} {peak:>6.1f}"
    )


def alone(texts: BuiltinTexts) -> None:
    """Each measured population by itself, a week, three seeds; and everybody in one region for the hours of the day."""
    print(f"{'distinct topics in 20':<26}{'published':<21}here, seeds {', '.join(map(str, _SEEDS))}")
    for name, (published, breadth) in _ALONE.items():
        found = []
        for seed in _SEEDS:
            topics: dict[str, Counter[int]] = defaultdict(Counter)
            for traced in _people(texts, seed, count=150, turns_mean=1.0, return_share=0.2, **breadth):
                topics[traced.event.account][traced.topic // 4] += 1
            found.append(spread(topics.values()))
        print(f"{name:<26}{published:<21}{'   '.join(found)}")
    hours: Counter[int] = Counter()
    lengths: Counter[object] = Counter()
    for traced in _people(texts, 1, count=600, zones_h=(-6,), chronotype_h=1.5):
        hours[traced.event.time_unix_nano // 3_600_000_000_000 % 24] += 1
        lengths[traced.event.attributes["gen_ai.conversation.id"]] += 1
    turns = sorted(lengths.values())
    print(
        f"{'peak / quietest hour':<26}{'11.7':<21}{max(hours.values()) / min(hours.values()):.1f} (one region, BurstGPT)"
    )
    print(
        f"{'turns: mean, median, 95 %':<26}{'2.35, 1, 7':<21}"
        f"{mean(turns):.2f}, {median(turns):.0f}, {turns[math.ceil(0.95 * len(turns)) - 1]} (WildChat)\n"
    )


def _people(texts: BuiltinTexts, seed: int, **keys: object) -> Iterable[Traced]:
    group = {"kind": "people", "name": "p", "requests_per_day_median": 10, "requests_per_day_mean": 16, **keys}
    return trace(from_map({"name": "alone", "seed": seed, "days": 7, "groups": [group]}), texts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("scenario", nargs="?", default="configs/scenarios/standard-nocover.yaml")
    parser.add_argument("--texts", type=Path, help="a directory of prompt files instead of the built-in texts")
    parser.add_argument("--variants", type=int, default=12)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--days", type=int)
    parser.add_argument("--by-group", action="store_true", help="a row for each group of the scenario, not each kind")
    given = parser.parse_args()
    scenario = resized(load_scenario(given.scenario, given.seed), given.scale, given.days)
    built_in = BuiltinTexts()
    alone(built_in)
    texts: TextSource = built_in
    # Published figures are over 256 cells; a built-in topic is a quarter of one.
    cell_of_topic = [topic // 4 for topic in range(len(texts.topics))]
    if given.texts is not None:
        texts = load_prompts(given.texts, likeness=True, variants=given.variants, seed=scenario.seed)
        cell_of_topic = list(range(len(texts.topics)))
    kinds: dict[str, Kind] = defaultdict(Kind)
    crowd: Counter[int] = Counter()
    for traced in trace(scenario, texts, arrivals=arrivals_of(scenario)):
        # Copies of a group are one row.
        kinds[_COPY.sub("", traced.identity.group) if given.by_group else traced.identity.kind].add(
            traced, cell_of_topic
        )
        if traced.identity.kind == "user" and traced.turn == 1:
            crowd[cell_of_topic[traced.topic]] += 1
    print(f"{scenario.name}, seed {scenario.seed}; published: prompts of many people 17 / 18 / 18.8, here all people together ",
          f"{rarefied_distinct(list(crowd.values()), _SAMPLE):.1f}; a mixed attack pool 15.2 / 17.0 / 18.1", sep="")  # fmt: skip
    print(
        "                                      distinct in 20: 5 / 50 / 95 %            near-duplicates   turns        gaps   "
        "peak\nkind             accounts requests   true topic           fingerprint's cell     own  /M pairs   mean 50 95 %   CV "
        "   hour"
    )
    for name in sorted(kinds, key=lambda name: -len(kinds[name].topics)):
        print(row(name, kinds[name]))


if __name__ == "__main__":
    main()
