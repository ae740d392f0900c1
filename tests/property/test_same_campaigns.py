"""The same events give the same campaigns: in the backtest, and however many shards say it in whatever order and pieces.

Pure: the partitions', the gate's and the aggregator's own code, put together by a simulated cluster whose shards read
and report as chance has it. What runs in a real cluster around it is in tests/integration/test_actors_in_memory.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random

import pytest
from factories import HOUR, SECOND
from pool_world import a_world

from launch.settings import load_policy
from stillwatch.aggregator import AggregatorCore
from stillwatch.backtest import Backtest
from stillwatch.backtest.ours import Stillwatch
from stillwatch.decisions import Decider
from stillwatch.event import RequestEvent
from stillwatch.gate import TickGate
from stillwatch.partition import partition_of
from stillwatch.ports import Mark, Part, RawMessage
from stillwatch.settings import DetectionSettings, Settings
from stillwatch.shard import PartitionCore
from stillwatch.summary import Report, decode_report, encode_report
from stillwatch.ticks import nano_of
from stillwatch.verdict import Campaign
from stillwatch.wire import encode_event

PARTITIONS = 5
POLICY = load_policy("configs/policies/demo.yaml")
SETTINGS = Settings(
    partitions=PARTITIONS, shards=1, detection=DetectionSettings(null_sets=20, evaluation_tick_s=2 * 3_600)
)  # fmt: skip
HASH = SETTINGS.config_sha256(POLICY)
Found = tuple[list[Campaign], list[tuple[str, int, tuple[str, ...]]]]


def with_a_gap(events: list[RequestEvent]) -> list[RequestEvent]:
    """Nobody writes for nine hours in the middle; but when that is over, each other partition hears of a request of then."""
    half = len(events) // 2
    after = [replace(event, time_unix_nano=event.time_unix_nano + 9 * HOUR) for event in events[half:]]
    first = partition_of(after[0].account, PARTITIONS)
    late = []
    for number in set(range(PARTITIONS)) - {first}:
        event = next(e for e in reversed(events[:half]) if partition_of(e.account, PARTITIONS) == number)
        time = events[half].time_unix_nano + (2 + number) * HOUR
        late.append(replace(event, id=f"late-{number}", time_unix_nano=time))
    return [*events[:half], after[0], *late, *after[1:]]


def with_late_ones(events: list[RequestEvent], random: Random) -> list[RequestEvent]:
    """Some requests come after a later one of their own partition; some a whole tick late."""
    out = list(events)
    for _ in range(120):
        event = out.pop(at := random.randrange(len(out) - 900))
        behind = [
            n for n in range(at, len(out))
            if partition_of(out[n].account, PARTITIONS) == partition_of(event.account, PARTITIONS)
        ]  # fmt: skip
        out.insert(behind[random.choice([1, 2, 60])] + 1, event)
    return out


EVENTS = with_a_gap(with_late_ones(a_world(seed=2), Random(1)))


def in_the_backtest() -> Found:
    detector = Stillwatch(SETTINGS, POLICY)
    run = Backtest(detector, enforce=False, tick_s=SETTINGS.detection.evaluation_tick_s)
    for event in EVENTS:
        run.feed(event)
    run.finish()
    return detector.campaigns(), [(v.id, v.decided_at_unix_nano, v.members) for v in detector.verdicts]


@dataclass
class Shard:
    """Reads its partitions' streams and reports, a bit at a time."""

    random: Random
    streams: dict[int, list[RawMessage]]
    cores: dict[int, PartitionCore] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)  # true once the parts before have been delivered

    def __post_init__(self) -> None:
        for number in self.streams:
            self.cores[number] = PartitionCore(number, PARTITIONS, SETTINGS.ingest, SETTINGS.detection)

    def read(self) -> None:
        number = self.random.choice([number for number, stream in self.streams.items() if stream])
        stream, many = self.streams[number], self.random.choice([1, 7, 100, 400])
        self.cores[number].observe(stream[:many])
        del stream[:many]

    def look(self, frontier: int) -> None:
        """An empty stream follows the others; then what there is to say is put into pieces."""
        for number, core in self.cores.items():
            silent = not self.streams[number]
            if silent:
                core.close(frontier)
            for cut in core.take_cuts():
                size, start = self.random.choice([1, 9, 1_000]), 0
                while start == 0 or start < len(cut.summaries):
                    report = Report(cut.summaries[start : start + size], [] if start else cut.alerts, [])
                    self.parts.append(Part(number, cut.tick_unix_nano, start // size, encode_report(report)))
                    start += size
            self.marks.append(Mark(number, core.closed_unix_nano, core.open_unix_nano, silent))


class Cluster:
    def __init__(self, shards: int, seed: int) -> None:
        self._random = Random(seed)
        streams: dict[int, list[RawMessage]] = {number: [] for number in range(PARTITIONS)}
        for sequence, event in enumerate(EVENTS, start=1):
            number = partition_of(event.account, PARTITIONS)
            subject = f"stillwatch.partition.{number}.{event.account}"
            streams[number].append(RawMessage(sequence, subject, encode_event(event), event.time_unix_nano + SECOND))
        self._shards = [
            Shard(Random(seed + n), {p: streams[p] for p in range(n, PARTITIONS, shards)}) for n in range(shards)
        ]
        self._gate = TickGate(PARTITIONS, nano_of(SETTINGS.detection.evaluation_tick_s), patience_s=1e9)
        self._core = AggregatorCore(SETTINGS.detection)
        self._decider = Decider(POLICY, HASH)
        self._verdicts: list[tuple[str, int, tuple[str, ...]]] = []

    def play(self) -> Found:
        while any(self._busy()):
            shard = self._random.choice(self._shards)
            if self._random.random() < 0.7 and any(shard.streams.values()):
                shard.read()
            else:
                self._report(shard)
            if self._random.random() < 0.5:
                self._evaluate()
        assert self._gate.incomplete == 0
        return sorted(self._core.campaigns(), key=lambda c: (c.detected_at_unix_nano, c.id)), self._verdicts

    def _busy(self) -> Iterator[bool]:
        for shard in self._shards:
            yield any(shard.streams.values())
            yield bool(shard.parts) or any(core.open_unix_nano for core in shard.cores.values())
        yield self._gate.ready(0) is not None

    def _report(self, shard: Shard) -> None:
        shard.look(self._gate.frontier_unix_nano)
        again = self._random.sample(shard.parts, min(2, len(shard.parts)))
        for part in [*shard.parts, *again]:
            assert self._gate.take(part)
        self._gate.mark(shard.marks, now_s=0, wall_unix_nano=EVENTS[-1].time_unix_nano + 10**15)
        shard.parts, shard.marks = [], []

    def _evaluate(self) -> None:
        while (tick := self._gate.ready(0)) is not None:
            alerts = {}
            for payload in self._gate.open(tick):
                report = decode_report(payload)
                self._core.fold(report.summaries)
                alerts.update({score.account: score for score in report.alerts})
            for campaign in self._core.evaluate(tick):
                for verdict in self._decider.on_campaign(campaign, self._core.table, tick):
                    self._decider.taken(verdict)
                    self._verdicts.append((verdict.id, verdict.decided_at_unix_nano, verdict.members))
                    self._core.acted(campaign.id, verdict.action)
            for _, score in sorted(alerts.items()):
                found = self._decider.on_score(score, tick)
                if found is not None:
                    self._decider.taken(found)
                    self._verdicts.append((found.id, found.decided_at_unix_nano, found.members))


@pytest.fixture(scope="module")
def expected() -> Found:
    return in_the_backtest()


def test_there_is_something_to_agree_on(expected: Found) -> None:
    campaigns, verdicts = expected
    assert len(campaigns) == 1
    assert len(campaigns[0].growth) >= 3
    assert len([m for m in campaigns[0].members if m.confidence >= 0.99]) >= 20
    assert verdicts


@pytest.mark.parametrize("shards", [1, 2, 3])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_cluster_finds_the_same_campaigns_and_decides_the_same_verdicts(
    expected: Found, shards: int, seed: int
) -> None:
    assert Cluster(shards, seed).play() == expected
