"""One partition's core: messages in, scores out. Deterministic; no clock, no I/O.

The partition, not the shard, is the unit of state: its models, references and accounts depend on its own messages
only, so moving it to another shard or changing the number of shards changes no verdict.

``observe`` never raises for bad data. Messages at or below ``last_sequence`` are already in state and are skipped, so
every message may be delivered any number of times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgpack

from stillwatch.account import AccountState, AccountStore
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
from stillwatch.verdict import AccountScore
from stillwatch.wire import Undecoded, decode_label, decode_message

_FORMAT: Final = 5
_MAX_CONTEXTS: Final = 128  # OpenTelemetry's default limit of links to a span


@dataclass(slots=True)
class Observed:
    """What came of a batch. ``last_sequence`` may be acknowledged once the dead letters are stored."""

    last_sequence: int
    taken: int = 0
    duplicates: int = 0
    alarming: list[AccountScore] = field(default_factory=list)  # scores of band `high` or `severe`
    dead_letters: list[DeadLetter] = field(default_factory=list)
    contexts: list[tuple[bytes, bytes]] = field(default_factory=list)  # (trace id, span id) of events that carry one


class PartitionCore:
    def __init__(self, partition: int, partitions: int, ingest: IngestSettings, detection: DetectionSettings) -> None:
        self.partition, self._partitions = partition, partitions
        self.last_sequence = 0
        self._era_days = detection.era_days
        self._accounts = AccountStore(
            ingest.max_accounts_per_partition, ingest.max_busy_accounts_per_partition, detection.era_days
        )
        self._recent = RecentIds(ingest.dedup_ids)
        # Each partition seeds its own trees, so that identical traffic does not meet identical cuts everywhere.
        self._scorer = Scorer(detection.seed * 1_024 + partition, detection.min_events_for_opinion)
        self._dirty: set[str] = set()
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
        return out

    def _take_events(self, message: RawMessage, out: Observed) -> None:
        expected = message.subject.rpartition(".")[2] if message.subject.startswith("stillwatch.partition.") else None
        for index, item in enumerate(decode_message(message.payload)):
            if isinstance(item, Undecoded):
                self._reject(message, item.index, item.payload, item.rejected, out)
                continue
            rejected = check_arrival(item, message.received_unix_nano) or self._misplaced(item, expected)
            if rejected is not None:
                self._reject(message, index, message.payload, rejected, out)
            elif not self._recent.add(item.id):
                out.duplicates += 1
                self.counts["duplicates"] += 1
            else:
                if item.trace_id and item.span_id and len(out.contexts) < _MAX_CONTEXTS:
                    out.contexts.append((item.trace_id, item.span_id))
                score = self._take(item)
                if score is not None:
                    out.alarming.append(score)
                out.taken += 1

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
            self._dirty.add(state.account)
            self.counts["labels"] += 1
            self._scorer.learn_label(state)

    def _reject(self, message: RawMessage, index: int, payload: bytes, why: Rejected, out: Observed) -> None:
        self.counts["rejected"] += 1
        self.counts[f"rejected.{why.reason}"] += 1
        out.dead_letters.append(
            DeadLetter(self.partition, message.sequence, index, message.subject, payload, why)
        )  # fmt: skip

    # -- one event ---------------------------------------------------------------------------------------------------

    def _take(self, event: RequestEvent) -> AccountScore | None:
        state, evicted = self._accounts.open(event.account, event.time_unix_nano)
        if evicted:
            self._dirty.difference_update(evicted)
            self.counts["evicted_accounts"] += len(evicted)
        fingerprint = event_fingerprint(event)
        state.observe(event, fingerprint, MEMORIES)
        self._dirty.add(event.account)
        self.counts["events"] += 1
        return self._scorer.score_then_learn(state, fingerprint)

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
            self._scorer.drifts, self._scorer.label_metrics,
        )  # fmt: skip

    # -- summaries ---------------------------------------------------------------------------------------------------

    def take_summaries(self, limit: int) -> list[AccountSummary]:
        """Up to ``limit`` accounts that changed since they were last taken, in a fixed order."""
        chosen = sorted(self._dirty)[:limit]
        self._dirty.difference_update(chosen)
        states = (self._accounts.get(account) for account in chosen)
        return [summarise(state, self.partition, self._scorer.evidence(state)) for state in states if state is not None]

    def untake(self, accounts: Iterable[str]) -> None:
        """The aggregator did not get them: they are due again."""
        self._dirty.update(account for account in accounts if account in self._accounts)

    def untake_all(self) -> None:
        self._dirty.update(self._accounts.names())

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
            "dirty": sorted(self._dirty),
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
        self._dirty = set(body["dirty"])
        self.counts = Counter(body["counts"])
