"""Where the shells meet: what the core's hosts need from the outside, as Protocols.

``actors/``, ``serve/`` and ``streams/`` never import each other. Each port that touches NATS has two implementations,
the real one in ``streams/`` and an in-memory twin (``streams/memory.py``); one contract suite runs over both.

Every method may raise :class:`~stillwatch.errors.Unavailable`; nothing waits without a bound.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from stillwatch.event import Rejected, RequestEvent
from stillwatch.indicators import Imported, Indicator, Refused
from stillwatch.never_act import Protection
from stillwatch.revocation import Revocation, State
from stillwatch.verdict import AccountKind, AccountScore, Campaign, Signal, Verdict


@dataclass(frozen=True, slots=True)
class RawMessage:
    """One message of the REQUESTS stream. ``subject`` tells what it is: event, envelope or label."""

    sequence: int
    subject: str
    payload: bytes
    received_unix_nano: int  # the stream's own receive time: the same on every replay
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An input that could not be processed: its bytes, where it stood, and why."""

    partition: int
    sequence: int
    index: int
    subject: str
    payload: bytes
    rejected: Rejected
    replayed: str = ""  # when (unix s) and by whom; empty: never
    truncated_from: int = 0  # bytes of the original, where only its beginning is here; 0: all of it is

    @property
    def id(self) -> str:
        """``partition.sequence.index``: the end of its subject."""
        return f"{self.partition}.{self.sequence}.{self.index}"


@dataclass(frozen=True, slots=True)
class Label:
    """An operator's judgement of an account; the models learn from it."""

    account: str
    kind: AccountKind
    by: str
    at_unix_nano: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who or what changed which revocation, label or policy."""

    actor: str
    action: str
    target: str
    at_unix_nano: int
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Lease:
    """Proof of ownership. ``epoch`` grows with every change of owner: the fencing token."""

    key: str
    holder: str
    epoch: int
    expires_unix_s: float


@dataclass(frozen=True, slots=True)
class AccountView:
    """What the owning shard knows of an account."""

    account: str
    partition: int
    events: int
    conversations: int
    input_tokens: int
    output_tokens: int
    first_seen_unix_nano: int
    last_seen_unix_nano: int
    organisation: str | None
    verification: str | None
    score: AccountScore
    signals: tuple[Signal, ...]
    label: AccountKind | None = None

    def to_map(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    partition: int
    owned: bool
    last_sequence: int
    events: int
    duplicates: int
    rejected: int
    evicted_accounts: int
    accounts: int
    waiting: int  # messages in the stream that this partition has not seen yet
    # Signals whose honest baseline has moved, and how often; the supervised models' prequential figures.
    baseline_drifts: dict[str, int] = field(default_factory=dict)
    label_models: dict[str, float | int | str] = field(default_factory=dict)
    late_events: int = 0  # came after a tick that was closed because the partition was silent; they count at the next
    merged_cuts: int = 0  # ticks at which nothing could be said, because too much was waiting for the aggregator
    clamped_future: int = 0  # events whose time was more than a minute ahead of their arrival, or
    clamped_ancient: int = 0  # more than 400 days behind it
    rewinds: int = 0  # times that the stream gave out numbers again: made anew, or without its newest messages
    failed_summaries: int = 0  # accounts that could not be summed up at a tick: a bug of ours
    lag_s: float = 0.0  # how old the newest message in state is, while others wait; 0 when none does
    restarts: int = 0  # subscriptions made anew by the feed: lost connection, gap, silence, consumer gone
    rebuilds: int = 0  # feeds made anew because messages waited and none came
    problem: str = ""  # why nothing comes, as far as it is known; empty: nothing is wrong


@dataclass(slots=True)
class SnapshotCounts:
    """Of one process since its start."""

    written: int = 0
    failed: int = 0  # could not be stored; the one before is still there
    restored: int = 0
    unusable: int = 0  # damaged, not ours, or of another format: passed over at a restore
    written_unix_nano: int = 0  # the last one; 0: none yet
    bytes: int = 0  # of the last one


@dataclass(frozen=True, slots=True)
class ShardStatus:
    shard: str
    partitions: tuple[PartitionStatus, ...]
    pid: int
    snapshots: SnapshotCounts = field(default_factory=lambda: SnapshotCounts())
    problems: tuple[str, ...] = ()  # why partitions that it wants are not worked on

    def to_map(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class AggregatorStatus:
    accounts: int
    campaigns: int
    groups_tested: int
    evaluations: int
    actions: int
    suppressed_actions: int
    pid: int
    evaluated_unix_nano: int = 0  # event time of the last evaluation's tick; 0: none yet
    partitions_behind: int = 0  # left behind: evaluations go on without them until they have caught up
    incomplete_evaluations: int = 0  # made without a partition that was left behind
    dropped_calls: int = 0  # that might have been hand-offs: there was no room to look for them
    groups_waiting: int = 0  # were due at the last evaluation; it tests a bounded number
    evicted_accounts: int = 0  # silent for longer than scores look back, or for longest when there was no room
    fenced_reports: int = 0  # reports of shards that no longer owned the partition; not taken
    leads: bool = True  # whether it holds its lease: the aggregator of a cluster that stands by does not
    snapshots: SnapshotCounts = field(default_factory=lambda: SnapshotCounts())
    # Accounts that automatic actions were held back from, by what held them back: a limit's name, or "stale".
    held_back: dict[str, int] = field(default_factory=dict)
    stale: tuple[str, ...] = ()  # why automatic actions wait at the moment
    waiting: int = 0  # revocations that wait for people, or for fresh state
    never_act: int = 0  # entries of the never-act list that hold
    never_act_ends_soon: tuple[str, ...] = ()  # their ids
    never_act_ended: int = 0  # entries that ended in this life
    failed_evaluations: int = 0  # that raised something, and were made again from the newest snapshot: a bug of ours
    not_leading: str = ""  # why it does not lead although no other one is seen to; empty: all is well
    waits_because: str = ""  # what keeps it from telling or doing what it has decided
    left_out: int = 0  # reports, campaigns and verdicts that failed each time

    def to_map(self) -> dict[str, Any]:
        return asdict(self)


class Clock(Protocol):
    def unix_nano(self) -> int: ...
    def monotonic_s(self) -> float: ...


class PartitionFeed(Protocol):
    """The messages of one partition, in stream order, each at least once."""

    async def fetch(self, max_messages: int, timeout_s: float) -> list[RawMessage]:
        """Up to ``max_messages``; an empty list when none came in time. Raises
        :class:`~stillwatch.errors.StreamRewound`, once, before the first message of a stream that begins again."""
        ...

    async def ack(self, sequence: int) -> None:
        """Everything up to and including ``sequence`` is in state."""
        ...

    async def waiting(self) -> int:
        """How many messages of this partition have not been fetched yet."""
        ...

    @property
    def restarts(self) -> int:
        """Subscriptions after the first one."""
        ...

    async def renew(self) -> None:
        """A new subscription behind what the caller has seen, whatever the state of the one before."""
        ...

    async def close(self) -> None: ...


class EventStream(Protocol):
    async def identity(self) -> str:
        """Another one for a stream that was deleted and made anew: its sequences count from 1 again."""
        ...

    async def end(self) -> int:
        """The last sequence; 0 for an empty stream."""
        ...

    async def open(self, partition: int, after_sequence: int) -> PartitionFeed:
        """A feed that starts with the first retained message behind ``after_sequence`` (0 = the beginning)."""
        ...


class EventPublisher(Protocol):
    async def publish(self, events: Sequence[RequestEvent], traceparent: str | None = None) -> int:
        """Returns once the stream holds all of them: how many were new (not duplicates inside the window)."""
        ...

    async def publish_label(self, label: Label) -> None: ...


class DeadLetters(Protocol):
    async def put(self, letters: Sequence[DeadLetter]) -> None:
        """Idempotent by (partition, sequence, index)."""
        ...

    async def count(self) -> int: ...

    async def newest(self, limit: int) -> list[DeadLetter]: ...

    async def get(self, id: str) -> DeadLetter:
        """Raises :class:`~stillwatch.errors.NotFound`."""
        ...

    async def mark_replayed(self, letter: DeadLetter, replayed: str) -> None:
        """It stays, with its bytes, so that a replay of the stream does not write it as a new one."""
        ...


class VerdictLog(Protocol):
    async def publish_verdict(self, verdict: Verdict, traceparent: str | None = None) -> None:
        """CloudEvents 1.0 binary mode; idempotent by verdict id."""
        ...

    async def publish_campaign(self, campaign: Campaign, traceparent: str | None = None) -> None:
        """The newest state of a campaign."""
        ...

    async def campaigns(self) -> list[Campaign]:
        """The newest state of every campaign that is still retained."""
        ...

    async def verdicts(self, subject: str | None = None, limit: int = 100) -> list[Verdict]:
        """Newest first; of one account or campaign when ``subject`` is given."""
        ...

    async def verdict(self, id: str) -> Verdict:
        """Raises :class:`~stillwatch.errors.NotFound`: there was none, or it is no longer kept."""
        ...


class AuditLog(Protocol):
    async def append(self, entry: AuditEntry) -> None: ...

    async def newest(self, limit: int) -> list[AuditEntry]: ...


class RevocationStore(Protocol):
    """Durable revocations; gateways watch the same bucket. Nothing that is written here acts on who is on the never-act
    list; a revocation that was in force before its accounts came on the list is not lifted by that."""

    async def put(self, revocation: Revocation) -> Revocation:
        """Stores it and, when it is active, enforces it. A stored one with the same id is returned unchanged.
        A weaker action never replaces a stronger active one on an account's key. Accounts on the never-act list are left
        out; raises ``Conflict`` where a person named only such ones."""
        ...

    async def get(self, id: str) -> Revocation:
        """Raises :class:`~stillwatch.errors.NotFound`."""
        ...

    async def list(
        self,
        limit: int = 1_000,
        *,
        before: tuple[int, str] | None = None,
        state: State | None = None,
        account: str | None = None,
        campaign: str | None = None,
        verdict: str | None = None,
    ) -> list[Revocation]:
        """Newest first. ``before``: (created in unix s, id) of the last one of the page before."""
        ...

    async def approve(self, id: str, by: str) -> Revocation:
        """One more person agrees; the last one that is needed lets it act. Saying it twice is the same as once. Raises
        ``Conflict`` for one that does not wait any more."""
        ...

    async def release(self, id: str, accounts: Sequence[str], at_unix_s: int | None = None) -> Revocation:
        """What held it back is over: it acts, on those of its accounts. ``at``: event time. Harmless for one that does not
        wait."""
        ...

    async def leave_to_people(self, id: str, because: str) -> Revocation:
        """It waits on, and no longer acts by itself. Harmless for one that does not wait."""
        ...

    async def undo(self, id: str, by: str) -> Revocation:
        """Lifts it from every key that it holds; what waits is rejected. Undoing twice is the same as once."""
        ...

    async def reconcile(self) -> int:
        """Makes the enforced keys say what the records say; how many it changed. For whoever runs now and then: it
        brings back a mild action that outlives the stronger one that hid it, removes what has expired, and mends what
        a crash left half written."""
        ...

    async def remember(self, idempotency_key: str, request_sha256: str, revocation_id: str) -> str | None:
        """First call: stores, returns ``None``. Later: the stored id, or raises ``Conflict`` for another request."""
        ...


class NeverActStore(Protocol):
    """Who may not be acted on, durable. Entries that have ended are among them until somebody removes them; those of the
    policy file are among them always, and can not be removed here."""

    async def put(self, protection: Protection) -> None:
        """In the place of one of the same target. Raises ``Conflict`` when there are too many."""
        ...

    async def remove(self, id: str, only: Protection | None = None) -> None:
        """``only``: if that one is what stands there. Harmless to repeat."""
        ...

    async def list(self) -> list[Protection]:
        """Those that end first, first. One that can not be read protects somebody whom nobody knows: it raises
        ``Unavailable``, which names it."""
        ...


class Control(Protocol):
    async def enforcement(self) -> bool: ...
    async def set_enforcement(self, on: bool) -> None: ...

    async def broker_unix_nano(self) -> int:
        """The time by the broker's clock."""
        ...


class IndicatorStore(Protocol):
    """Imported indicators, durable. What may be in it, and until when, is decided before (``stillwatch.indicators``)."""

    async def put(self, imported: Imported) -> None:
        """In the place of one with the same id."""
        ...

    async def remove(self, id: str) -> None:
        """Harmless to repeat."""
        ...

    async def list(self) -> list[Imported]:
        """By id. What can not be read is left out."""
        ...


class Leases(Protocol):
    async def acquire(self, key: str, holder: str, ttl_s: float, above: int = 0) -> Lease | None:
        """The lease, with an epoch greater than ``above``, or ``None`` while somebody else holds it. It may be taken over when it was seen unchanged for as long as
        it lives, by the clock of whoever wants it: clocks of two machines are never compared. The same holder's new life
        takes over its own lease at once, with a new epoch."""
        ...

    async def renew(self, lease: Lease, ttl_s: float) -> Lease | None:
        """``None``: it was lost; stop acting for it."""
        ...

    async def release(self, lease: Lease) -> None: ...

    async def holder(self, key: str) -> str | None:
        """Who holds it, as far as can be seen: one that died is seen as the holder until the lease has been unchanged for as
        long as it lives."""
        ...

    async def holders(self, pattern: str) -> dict[str, str]:
        """Holder by key, of all leases that match (``*`` is one token)."""
        ...


class WriteFence(Protocol):
    """Lets one process at a time write verdicts and automatic revocations: the one with the newest epoch."""

    async def take(self, epoch: int) -> None:
        """From now on whatever this process writes carries this epoch, and what carries an older one is refused by the store
        itself. Raises :class:`~stillwatch.errors.Fenced` where a newer one was taken before."""
        ...

    async def newest(self) -> int:
        """The newest epoch that any process has taken it with; 0: none."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """One call's worth of a partition's cut at a tick: an encoded ``stillwatch.summary.Report``. Delivered again, it takes its
    own place."""

    partition: int
    tick_unix_nano: int
    number: int  # 0, 1, … within the cut
    report: bytes
    epoch: int = 0  # of the lease under which it is said


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a partition is. The aggregator evaluates a tick when all are that far."""

    partition: int
    closed_unix_nano: int  # every cut up to this tick was delivered; 0: none
    open_unix_nano: int  # the tick that what it has not said yet belongs to; 0: it has nothing to say
    silent: bool  # nothing has come for ``ingest.silence_s``, and nothing waits
    epoch: int = 0  # of the lease under which it is said: an older owner's is ignored


@dataclass(frozen=True, slots=True)
class Folded:
    """The aggregator's answer to a shard."""

    life: str  # its incarnation. A new one has lost what it knew: the shard sends everything again
    taken: bool  # False: it does not have it. It has too much to do, or it is not whom it was meant for
    frontier_unix_nano: int  # the furthest tick that a partition has closed: those whose streams are silent may follow
    closed_unix_nano: Mapping[int, int]  # of the partitions whose marks came: up to which tick it has their cuts
    # What it knows, by name: a life that began with a snapshot goes on with the memory of the one that wrote it. To a new
    # memory all has to be said again, to a new life with the same memory only what its snapshot lacks.
    memory: str = ""
    # Of the same partitions: up to which tick their cuts are in a stored snapshot. Until then a shard keeps them. Without
    # those that have told this memory nothing yet.
    stored_unix_nano: Mapping[int, int] = field(default_factory=dict)
    # Of those partitions of which it has heard a newer owner: his epoch. What this shard says of them is not taken.
    epochs: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, order=True)
class SnapshotName:
    """In the order in which they count: an older owner's comes before a newer one's, however far it has read."""

    subject: str
    epoch: int
    place: int  # of what is in it: the stream's last sequence, or the tick that was evaluated last


class SnapshotStore(Protocol):
    """Sealed snapshots by name: a directory, JetStream's object store, S3. No store looks into one."""

    async def put(self, name: SnapshotName, sealed: bytes) -> None:
        """Under its name is all of it, or nothing, or what was there before."""
        ...

    async def get(self, name: SnapshotName) -> bytes:
        """Raises :class:`~stillwatch.errors.NotFound`."""
        ...

    async def names(self, subject: str) -> list[SnapshotName]:
        """Oldest first."""
        ...

    async def delete(self, name: SnapshotName) -> None:
        """Harmless to repeat."""
        ...


class AggregatorClient(Protocol):
    """What a shard needs of the aggregator."""

    async def fold(self, shard: str, life: str, part: Part | None, marks: Sequence[Mark]) -> Folded:
        """``life``: whom the shard believes to speak to; "" before the first answer. What was meant for another one is not
        taken: that a tick was closed was told to the other."""
        ...


class Shards(Protocol):
    """What the API needs of the shards. Finds the owner by its lease."""

    async def account(self, account: str) -> AccountView | None: ...
    async def score(self, event: RequestEvent) -> AccountScore: ...
    async def status(self) -> list[ShardStatus]: ...


class CampaignBook(Protocol):
    """What the API needs of the aggregator."""

    async def campaigns(self) -> list[Campaign]:
        """Newest first."""
        ...

    async def campaign(self, id: str) -> Campaign:
        """Raises :class:`~stillwatch.errors.NotFound`."""
        ...

    async def campaign_of(self, account: str) -> str | None: ...

    async def status(self) -> AggregatorStatus: ...

    async def export_indicator(self, campaign: str, key: str | None) -> Indicator | Refused:
        """The campaign for another platform. Raises :class:`~stillwatch.errors.NotFound`."""
        ...

    async def indicators(self) -> list[Imported]:
        """Those that others sent and that have not expired, newest first."""
        ...

    async def import_indicator(self, document: object, by: str) -> Imported | Refused:
        """``document``: any JSON value. On record before it counts."""
        ...

    async def remove_indicator(self, id: str, by: str) -> None:
        """Raises :class:`~stillwatch.errors.NotFound`."""
        ...


class RevocationFeed(Protocol):
    """What an in-memory enforcer listens to (``stillwatch.gateway.enforcer``)."""

    def changes(self) -> AsyncIterator[tuple[str, bytes | None]]:
        """``(key, value)``, ``None`` for a removed key; first everything that is stored, then changes."""
        ...
