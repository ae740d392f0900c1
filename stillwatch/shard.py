"""One partition's core: messages in, scores out. Deterministic; no clock, no I/O.

The partition, not the shard, is the unit of state: its models, references and accounts depend on its own messages
only, so moving it to another shard or changing the number of shards changes no verdict.

``observe`` never raises for bad data. Messages at or below ``last_sequence`` are already in state and are skipped, so
every message may be delivered any number of times. What the aggregator hears is cut at ticks of event time, by the
partition's own messages (``stillwatch.ticks``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgpack

from stillwatch.account import AccountState, AccountStore
from stillwatch.arrival import clamped
from stillwatch.errors import SnapshotIncompatible
from stillwatch.event import Rejected, RequestEvent, check_arrival
from stillwatch.fingerprint import event_fingerprint
from stillwatch.partition import partition_of
from stillwatch.ports import AccountView, DeadLetter, PartitionStatus, RawMessage
from stillwatch.recent import RecentIds
from stillwatch.scoring import Scorer
from stillwatch.settings import DetectionSettings, IngestSettings
from stillwatch.signals import MEMORIES
from stillwatch.summary import AccountSummary, summarise
from stillwatch.ticks import MAX_CUTS, Cut, Ledger, nano_of, tick_after
from stillwatch.verdict import AccountScore
from stillwatch.wire import Undecoded, decode_label, decode_message, items_of

_FORMAT: Final = 6
_MAX_CONTEXTS: Final = 128  # OpenTelemetry's default limit of links to a span


@dataclass(slots=True)
class Observed:
    """What came of a batch. ``last_sequence`` may be acknowledged once the dead letters are stored."""

    last_sequence: int
    taken: int = 0
    duplicates: int = 0
    dead_letters: list[DeadLetter] = field(default_factory=list)
    contexts: list[tuple[bytes, bytes]] = field(default_factory=list)  # (trace id, span id) of events that carry one


class PartitionCore:
    def __init__(self, partition: int, partitions: int, ingest: IngestSettings, detection: DetectionSettings) -> None:
        self.partition, self._partitions = partition, partitions
        self.last_sequence = 0
        self.received_unix_nano = 0  # when the stream received the newest message that was taken; 0: none was
        self._era_days = detection.era_days
        self._accounts = AccountStore(
            ingest.max_accounts_per_partition, ingest.max_busy_accounts_per_partition, detection.era_days,
            settled_events=detection.min_events_for_opinion,
        )  # fmt: skip
        self._recent = RecentIds(ingest.dedup_ids)
        # Each partition seeds its own trees, so that identical traffic does not meet identical cuts everywhere.
        self._scorer = Scorer(detection.seed * 1_024 + partition, detection.min_events_for_opinion)
        self._ledger = Ledger(nano_of(detection.evaluation_tick_s))
        self._cuts: list[Cut] = []
        self.counts: Counter[str] = Counter()

    # -- messages in -------------------------------------------------------------------------------------------------

    def observe(self, messages: Sequence[RawMessage]) -> Observed:
        """A batch in stream order: decode, deduplicate, score, then learn."""
        out = Observed(self.last_sequence)
        for message in messages:
            if message.sequence <= self.last_sequence:
                continue
            if message.subject.startswith("stillwatch.labels."):
                self._take_label(message, out)
            else:
                self._take_events(message, out)
            self.last_sequence = out.last_sequence = message.sequence
            self.received_unix_nano = message.received_unix_nano
        return out

    def rewind(self, sequence: int) -> None:
        """The stream gives out numbers behind ``sequence`` again: it was made anew, or lost its newest messages. What is in
        state stays, ids that are remembered stay duplicates, and what comes is new."""
        if sequence < self.last_sequence:
            self.last_sequence = sequence
            self.counts["rewinds"] += 1

    def _take_events(self, message: RawMessage, out: Observed) -> None:
        expected = message.subject.rpartition(".")[2] if message.subject.startswith("stillwatch.partition.") else None
        pieces: list[bytes] | None = None
        for index, item in enumerate(decode_message(message.payload)):
            if isinstance(item, Undecoded):
                self._reject(message, item.index, item.payload, item.rejected, out)
                continue
            rejected = check_arrival(item, message.received_unix_nano)
            if rejected is None and item.account != expected:
                rejected = self._misplaced(item, expected)
            if rejected is None and not self._recent.add(item.id):
                out.duplicates += 1
                self.counts["duplicates"] += 1
                continue
            rejected = rejected or self._take_one(item, message.received_unix_nano)
            if rejected is not None:
                pieces = pieces or items_of(message.payload)
                self._reject(message, index, pieces[index], rejected, out)
                continue
            if item.trace_id and item.span_id and len(out.contexts) < _MAX_CONTEXTS:
                out.contexts.append((item.trace_id, item.span_id))
            out.taken += 1

    def _take_one(self, event: RequestEvent, received_unix_nano: int) -> Rejected | None:
        event, clamp = clamped(event, received_unix_nano)
        if clamp is not None:
            self.counts[f"clamped.{clamp}"] += 1
        self._pass(event.time_unix_nano)
        # A bug that one event brings out would come again at every replay, and stop its partition for ever. What the event
        # changed before it failed stays: the same at every replay.
        try:
            self._take(event)
        except Exception as error:
            return Rejected("processing_failed", "", f"{type(error).__name__} while it was taken into state")
        return None

    def _misplaced(self, event: RequestEvent, expected: str | None) -> Rejected | None:
        if expected is not None and event.account != expected:
            return Rejected("account_mismatch", "account", "the body names another account than the subject it came on")
        if expected is None and partition_of(event.account, self._partitions) != self.partition:
            return Rejected("partition_mismatch", "account", f"its account is not in partition {self.partition}")
        return None

    def _take_label(self, message: RawMessage, out: Observed) -> None:
        label = decode_label(message.payload)
        if isinstance(label, Rejected):
            self._reject(message, 0, message.payload, label, out)
            return
        state = self._accounts.get(label.account)
        if state is not None:
            state.label = label.kind
            self._accounts.put(state)
            self._ledger.changed.add(state.account)
            self.counts["labels"] += 1
            self._scorer.learn_label(state)

    def _reject(self, message: RawMessage, index: int, payload: bytes, why: Rejected, out: Observed) -> None:
        self.counts["rejected"] += 1
        self.counts[f"rejected.{why.reason}"] += 1
        out.dead_letters.append(
            DeadLetter(self.partition, message.sequence, index, message.subject, payload, why)
        )  # fmt: skip

    # -- one event ---------------------------------------------------------------------------------------------------

    def _take(self, event: RequestEvent) -> None:
        if event.refused:
            self._take_refused(event)
            return
        state, evicted = self._accounts.open(event.account, event.time_unix_nano)
        if evicted:
            self._ledger.forget(evicted)
            self.counts["evicted_accounts"] += len(evicted)
        fingerprint = event_fingerprint(event)
        state.observe(event, fingerprint, MEMORIES)
        self._ledger.changed.add(event.account)
        self.counts["events"] += 1
        score = self._scorer.score_then_learn(state, fingerprint)
        if score is not None and score.band == "severe":
            self._ledger.alert(score)

    def _take_refused(self, event: RequestEvent) -> None:
        """Nothing is scored, and nothing is learnt of an account that is not known any longer."""
        self.counts["refused"] += 1
        state = self._accounts.get(event.account)
        if state is not None:
            state.observe_refused(event, event_fingerprint(event))
            self._accounts.put(state)
            self._ledger.changed.add(state.account)

    # -- questions ---------------------------------------------------------------------------------------------------

    def score(self, event: RequestEvent) -> AccountScore:
        """What the account would score with this event, without learning or keeping anything of it."""
        known = self._accounts.get(event.account)
        if known is None:
            state = AccountState(event.account, event.time_unix_nano, self._era_days)
        else:
            state = AccountState.unpack(event.account, known.pack(), self._era_days)
        state.observe(event, event_fingerprint(event), MEMORIES)
        return self._scorer.score(state)

    def account(self, account: str) -> AccountView | None:
        state = self._accounts.get(account)
        if state is None:
            return None
        score = self._scorer.score(state)
        return AccountView(
            account=account, partition=self.partition, events=state.profile.events,
            conversations=state.profile.topics.conversations,
            input_tokens=state.profile.input_tokens, output_tokens=state.profile.output_tokens,
            first_seen_unix_nano=state.first_seen_unix_nano, last_seen_unix_nano=state.last_seen_unix_nano,
            organisation=state.organisation, verification=state.verification, score=score, signals=score.signals,
            label=state.label,
        )  # fmt: skip

    def status(self, waiting: int, owned: bool) -> PartitionStatus:
        return PartitionStatus(
            self.partition, owned, self.last_sequence, self.counts["events"], self.counts["duplicates"],
            self.counts["rejected"], self.counts["evicted_accounts"], len(self._accounts), waiting,
            self._scorer.drifts, self._scorer.label_metrics, self.counts["late_events"], self.counts["merged_cuts"],
            clamped_future=self.counts["clamped.future"], clamped_ancient=self.counts["clamped.ancient"],
            rewinds=self.counts["rewinds"], failed_summaries=self.counts["failed_summaries"],
        )  # fmt: skip

    # -- ticks -------------------------------------------------------------------------------------------------------

    def _pass(self, time_unix_nano: int) -> None:
        """Time as the stream tells it: closes the ticks that end at or before it."""
        ledger = self._ledger
        if ledger.ends(time_unix_nano):
            self._cut()
        elif time_unix_nano < ledger.silent_unix_nano:
            self.counts["late_events"] += 1
        ledger.go_on_to(tick_after(time_unix_nano, ledger.tick_nano))

    def close(self, tick_unix_nano: int) -> None:
        """Closes all ticks up to this one without a request behind them: the stream is silent, and others are further."""
        ledger = self._ledger
        if ledger.closed_unix_nano < tick_unix_nano:
            self._cut()
            ledger.silent_unix_nano = tick_unix_nano
            ledger.go_on_to(tick_unix_nano + ledger.tick_nano)

    def _cut(self) -> None:
        ledger = self._ledger
        if not ledger.has_news():
            return
        if len(self._cuts) >= MAX_CUTS:
            self.counts["merged_cuts"] += 1  # it stays to be said, at the next tick
            return
        summaries = [summary for account in sorted(ledger.changed) if (summary := self._summary(account)) is not None]
        alerts = [ledger.alerts[account] for account in sorted(ledger.alerts)]
        self._cuts.append(Cut(ledger.open_unix_nano, summaries, alerts))
        ledger.changed, ledger.alerts = set(), {}

    def _summary(self, account: str) -> AccountSummary | None:
        # As with events: one account that can not be summed up must not keep all others from being told.
        try:
            state = self._accounts.get(account)
            return None if state is None else summarise(state, self.partition)
        except Exception:
            self.counts["failed_summaries"] += 1
            return None

    def take_cuts(self) -> list[Cut]:
        """What is to be said and was not taken yet, oldest tick first."""
        cuts, self._cuts = self._cuts, []
        return cuts

    @property
    def waiting_cuts(self) -> int:
        return len(self._cuts)

    @property
    def closed_unix_nano(self) -> int:
        """Every tick up to here is closed: nothing that comes can change what was said at it. 0: none."""
        return self._ledger.closed_unix_nano

    @property
    def open_unix_nano(self) -> int:
        """The tick at which what has changed will be said; 0: there is nothing to say."""
        return self._ledger.open_unix_nano if self._ledger.has_news() else 0

    def resume_after(self, tick_unix_nano: int) -> None:
        """An earlier owner has delivered its cuts up to this tick: all that they said is said once more, at the next."""
        self._ledger.go_on_to(tick_unix_nano + self._ledger.tick_nano)

    def say_all_again(self) -> None:
        """Nobody remembers what was said: the next cut holds every account."""
        self._cuts = []
        self._ledger.changed.update(self._accounts.names())

    # -- snapshots ---------------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        body: dict[str, Any] = {
            "format": _FORMAT,
            "partition": self.partition,
            "partitions": self._partitions,
            "last_sequence": self.last_sequence,
            "accounts": self._accounts.pack(),
            "recent": self._recent.state(),
            "scorer": self._scorer.state(),
            # Cuts that nobody took are said again with the next one.
            "changed": sorted(self._ledger.changed.union(*({s.account for s in cut.summaries} for cut in self._cuts))),
            "ticks": [self._ledger.open_unix_nano, self._ledger.silent_unix_nano],
            "alerts": [score.to_map() for score in self._ledger.alerts.values()],
            "counts": dict(self.counts),
        }
        return bytes(msgpack.packb(body))

    def restore(self, snapshot: bytes) -> None:
        body = msgpack.unpackb(snapshot, raw=False, strict_map_key=False)
        found = f"format {body.get('format')}, partition {body.get('partition')} of {body.get('partitions')}"
        wanted = f"format {_FORMAT}, partition {self.partition} of {self._partitions}"
        if found != wanted:
            raise SnapshotIncompatible("a partition", found, wanted)
        self.last_sequence = body["last_sequence"]
        self._accounts.restore(body["accounts"])
        self._recent.restore(body["recent"])
        self._scorer.restore(body["scorer"])
        alerts = {raw["account"]: AccountScore.from_map(raw) for raw in body["alerts"]}
        opened, silent = body["ticks"]
        self._ledger = Ledger(self._ledger.tick_nano, opened, silent, set(body["changed"]), alerts)
        self._cuts = []
        self.counts = Counter(body["counts"])
