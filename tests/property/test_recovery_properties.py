"""Laws of recovery: where a stream is split, and where a snapshot is taken, changes nothing that is said or found."""

from __future__ import annotations

import asyncio
from random import Random

import numpy as np
from factories import HOUR, T0, a_core, a_message, an_event
from hypothesis import Phase, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from moment_worlds import conducted, honest, over
from summary_worlds import pool_accounts

from actors.outbox import Outbox
from launch.settings import load_policy
from stillwatch.aggregator import AggregatorCore
from stillwatch.aggregator_state import restore, snapshot
from stillwatch.decisions import Decider
from stillwatch.event import RequestEvent
from stillwatch.gate import TickGate
from stillwatch.ports import Part, RawMessage
from stillwatch.settings import DetectionSettings
from stillwatch.shard import PartitionCore
from stillwatch.summary import AccountSummary, decode_report
from stillwatch.verdict import Campaign

# A partition core costs 60 ms to make, so examples are few and not shrunk for minutes.
SOME = examples(deadline=None, max_examples=20, phases=[Phase.explicit, Phase.generate])
events = st.builds(
    lambda account, quarter, prompt: RequestEvent(
        f"{account}-{quarter}-{prompt}", account, T0 + quarter * HOUR // 4, an_event(prompt=prompt).attributes
    ),
    st.sampled_from(["a", "b", "c", "d"]), st.integers(0, 40), st.sampled_from(["what is rust", "fix this", "2+2?"]),
)  # fmt: skip
streams = st.lists(events, min_size=1, max_size=60)
places = st.lists(st.integers(0, 60), max_size=6)


def messages_of(stream: list[RequestEvent]) -> list[RawMessage]:
    return [a_message(event, sequence) for sequence, event in enumerate(stream, start=1)]


def said_by(core: PartitionCore) -> list[object]:
    return [(cut.tick_unix_nano, cut.summaries, cut.alerts) for cut in core.take_cuts()]


@SOME
@given(streams, places)
def test_a_replay_in_any_batches_says_what_live_traffic_said(stream: list[RequestEvent], ends: list[int]) -> None:
    """Live: one message at a time."""
    messages, live, replayed = messages_of(stream), a_core(), a_core()
    heard: list[object] = []
    for message in messages:
        live.observe([message])
        heard += said_by(live)
    again: list[object] = []
    for start, end in zip([0, *sorted(ends)], [*sorted(ends), len(messages)], strict=True):
        replayed.observe(messages[start:end])
        again += said_by(replayed)
    assert again == heard
    assert replayed.counts == live.counts


class Aggregator:
    """Takes parts by their places; ``lose`` is a crash of it that forgets what no snapshot of it has."""

    def __init__(self) -> None:
        self.parts: dict[tuple[int, int], bytes] = {}
        self.closed = self.stored = 0
        self.told = False

    async def take(self, part: Part) -> bool:
        self.parts[part.tick_unix_nano, part.number] = part.report
        return True

    def hear(self, outbox: Outbox) -> None:
        self.closed = max(self.closed, outbox.mark(silent=False).closed_unix_nano)
        self.told = self.told or self.closed > 0

    def lose(self) -> None:
        self.parts = {place: report for place, report in self.parts.items() if place[0] <= self.stored}
        self.closed, self.told = self.stored, self.stored > 0

    def greet(self, outbox: Outbox) -> None:
        outbox.greet(self.closed, "m", self.stored if self.told else None)


def known_after(parts: dict[tuple[int, int], bytes]) -> dict[tuple[int, int], object]:
    """All summaries that were told up to each cut, and the alerts of the cut itself."""
    known: dict[str, AccountSummary] = {}
    after: dict[tuple[int, int], object] = {}
    for place in sorted(parts):
        report = decode_report(parts[place])
        known.update({summary.account: summary for summary in report.summaries})
        after[place] = dict(known), report.alerts
    return after


@SOME
@given(streams, st.lists(st.sampled_from(["snapshot", "stored", "crash", "lost", "both"]), max_size=10), st.randoms())
def test_whatever_crashes_between_snapshots_the_aggregator_knows_the_same_after_every_cut(
    stream: list[RequestEvent], faults: list[str], random: Random
) -> None:
    """Behind an aggregator that has stored more than the partition, a cut may repeat what earlier ones said."""

    async def run(faults: list[str]) -> dict[tuple[int, int], object]:
        messages, aggregator = messages_of(stream), Aggregator()
        outbox = Outbox(a_core())
        aggregator.greet(outbox)
        saved = outbox.core.snapshot(), outbox.state()
        for fault in [*faults, "end"]:
            end = len(messages) if fault == "end" else random.randrange(len(messages) + 1)
            outbox.core.observe(messages[:end])
            await outbox.send(aggregator.take)
            aggregator.hear(outbox)
            if fault == "snapshot":
                told = outbox.state()
                saved = outbox.core.snapshot(), told
            if fault == "stored":
                aggregator.stored = aggregator.closed
                outbox.stored(aggregator.stored)
            if fault in ("lost", "both"):
                aggregator.lose()
            if fault in ("crash", "both"):
                core = a_core()
                core.restore(saved[0])
                outbox = Outbox(core)
                outbox.restore(saved[1])
            if fault in ("crash", "lost", "both"):
                aggregator.greet(outbox)
        return known_after(aggregator.parts)

    assert asyncio.run(run(faults)) == asyncio.run(run([]))


SETTINGS = DetectionSettings(null_sets=20, max_group_accounts=1_000)
POLICY = load_policy("configs/policies/demo.yaml")
RNG = np.random.default_rng(1)
ACCOUNTS = [*honest(RNG, 160), *over(conducted(RNG, pool_accounts(RNG, 45, conversations=60), shift=3.0), 5)]
STEPS = 5


def found(snapshots_after: set[int]) -> list[Campaign]:
    core, decider = AggregatorCore(SETTINGS), Decider(POLICY, "c0")
    for step in range(STEPS):
        core.fold(ACCOUNTS[step::STEPS])
        now = T0 + step * HOUR
        for campaign in core.evaluate(now):
            for verdict in decider.on_campaign(campaign, core.table, now):
                decider.taken(verdict)
                core.acted(campaign.id, verdict.action)
        if step in snapshots_after:
            made = snapshot(core, decider, TickGate(1, 900, 30).state(), "m")
            core, decider = AggregatorCore(SETTINGS), Decider(POLICY, "c0")
            restore(made, core, decider, TickGate(1, 900, 30))
    return core.campaigns()


UNINTERRUPTED = found(set())


def test_there_is_something_to_find() -> None:
    assert len(UNINTERRUPTED) == 1


@examples(deadline=None, max_examples=10)
@given(st.sets(st.integers(0, STEPS - 1), min_size=1))
def test_an_aggregator_that_goes_on_from_its_snapshots_finds_what_one_without_them_finds(after: set[int]) -> None:
    assert found(after) == UNINTERRUPTED
