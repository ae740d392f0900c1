"""The shard: owns partitions by lease, pulls their batches, keeps their state, answers for their accounts.

No Ray here: a plain class on an asyncio loop, given its ports. Order within a batch: state first, then the dead letters
are stored, then the acknowledgement; a crash anywhere in between costs a replay and changes nothing. A replay begins behind
the newest snapshot that can be used (``actors.recovery``).

What the aggregator hears is cut at ticks of event time by the partitions themselves (docs/adr/0014); when it is sent, and
in how many pieces, changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from opentelemetry.trace import SpanKind, Tracer

from actors.membership import Membership
from actors.outbox import Horizon, Outbox
from actors.progress import Progress
from actors.recovery import PartitionSnapshots
from actors.snapshots import Snapshots
from actors.spans import of_ids, parent_and_links, remote_context, traceparent_of
from stillwatch.errors import NotOwner, StillwatchError, StreamRewound, Unavailable
from stillwatch.event import RequestEvent
from stillwatch.gateway.tasks import end
from stillwatch.names import SPAN_PROCESS
from stillwatch.partition import partition_of
from stillwatch.ports import (
    AccountView,
    AggregatorClient,
    Clock,
    DeadLetter,
    DeadLetters,
    EventStream,
    Folded,
    Lease,
    Leases,
    Mark,
    Part,
    PartitionFeed,
    PartitionStatus,
    RawMessage,
    ShardStatus,
)
from stillwatch.settings import Settings
from stillwatch.shard import Observed, PartitionCore
from stillwatch.subjects import consumer_name, lease_key
from stillwatch.verdict import AccountScore

log = logging.getLogger("stillwatch.shard")

# Messages between two yields to the loop: about 15 ms of work, so that questions are answered in between.
_SLICE: Final = 100
_PAUSE_S: Final = 0.05  # of a partition whose cuts the aggregator does not keep up with
_RETRY_S: Final = 1.0
# An envelope can hold a thousand events that are none: letters are stored between slices too.
_LETTERS_AT_ONCE: Final = 1_000
_LOOK_WITHIN_S: Final = 1.0  # below the 1.5 s that a question for the status is given


@dataclass(frozen=True, slots=True)
class ShardPorts:
    events: EventStream
    dead_letters: DeadLetters
    leases: Leases
    aggregator: AggregatorClient
    clock: Clock
    tracer: Tracer
    snapshots: Snapshots | None = None  # none: each start reads the stream from its beginning


@dataclass(slots=True)
class _Owned:
    core: PartitionCore
    lease: Lease
    feed: PartitionFeed | None  # none while the state is being restored
    deadline_s: float  # monotonic: when the lease must be thought lost
    outbox: Outbox
    letters: list[DeadLetter] = field(default_factory=list)  # in state as rejected, not yet stored
    unacknowledged: bool = False
    progress: Progress = field(default_factory=Progress)
    empty_since_s: float | None = None  # monotonic: no message was there since
    # Of the lease: a renewal that meets its release would leave it behind, and the next owner would wait for its end.
    hands: asyncio.Lock = field(default_factory=asyncio.Lock)
    given_back: bool = False


class Shard:
    """``partitions``: those that it wants; ``None``: its share of all, as shards of its cluster come and go. It works on the
    ones whose lease it holds. ``cluster``: another one for each start of a cluster; of several on one NATS, one acts."""

    def __init__(
        self, name: str, partitions: Sequence[int] | None, settings: Settings, ports: ShardPorts, cluster: str = ""
    ) -> None:
        self.name = name
        self._settings = settings
        self._ports = ports
        self._members = Membership(name, cluster, partitions, settings, ports.leases, ports.clock)
        self._snapshots = PartitionSnapshots(settings, ports.snapshots, ports.events, ports.clock)
        self._owned: dict[int, _Owned] = {}
        self._horizon = Horizon(settings.ingest.silence_s)
        self._cut = asyncio.Event()  # there is something to tell the aggregator
        self._tasks: list[asyncio.Task[None]] = []
        self._owners: dict[int, asyncio.Task[None]] = {}  # one for each partition that it wants
        self._above: dict[int, int] = {}  # epochs that the aggregator has heard of their partitions
        self._why_not: dict[int, str] = {}  # why a partition that is wanted is not worked on

    async def start(self) -> None:
        self._follow_wishes()
        self._tasks = [asyncio.create_task(run) for run in (self._keep_leases(), self._watch(), self._report())]

    async def stop(self) -> None:
        """Stop pulling, leave snapshots, give the leases back: another shard need not wait for them to expire."""
        await end([*self._tasks, *self._owners.values()])
        await asyncio.gather(*(self._hand_over(owned) for owned in self._owned.values()), return_exceptions=True)
        self._owned.clear()
        await self._members.leave()

    # -- ownership and ingest ----------------------------------------------------------------------------------------

    def _follow_wishes(self) -> None:
        """A task for each partition that is wanted. It ends by itself when the partition no longer is."""
        for partition in self._members.wanted:
            task = self._owners.get(partition)
            if task is None or task.done():
                self._owners[partition] = asyncio.create_task(self._own(partition))

    async def _own(self, partition: int) -> None:
        """As long as it is wanted: get the lease, restore the state, work until the lease is lost."""
        while partition in self._members.wanted:
            try:
                if await self._claim(partition):
                    await self._work(partition, self._owned[partition])
                else:
                    self._why_not.pop(partition, None)  # another one has it, and says what is wrong with it
            except StillwatchError as error:
                self._why_not[partition] = str(error)
                log.warning("%s partition %d: %s", self.name, partition, error)
            except Exception as error:  # the loop is the supervisor: whatever broke, the state is rebuilt
                self._why_not[partition] = f"{type(error).__name__}; its state is being rebuilt"
                log.exception("%s partition %d failed; rebuilding it", self.name, partition)
            lost = self._owned.get(partition)
            if lost is not None and partition not in self._members.wanted and self._holds(lost):
                await self._hand_over(lost)
            elif lost is not None:
                await self._close(lost)
            self._owned.pop(partition, None)  # only now: whoever stops this shard meanwhile has to hand it over
            await asyncio.sleep(_RETRY_S)
        self._why_not.pop(partition, None)  # it is another shard's by now

    async def _hand_over(self, owned: _Owned) -> None:
        """The next owner begins where this one has ended. What fails of it costs him a replay or the wait for a lease."""
        try:
            if owned.feed is not None and not owned.letters and self._holds(owned):
                await self._snapshots.save(owned.core, owned.outbox, owned.lease)
        except Exception:
            log.exception("%s: %s goes without a snapshot", self.name, owned.lease.key)
        await self._close(owned)
        try:
            async with owned.hands:
                owned.given_back, owned.deadline_s = True, 0.0
                await self._ports.leases.release(owned.lease)
        except Exception as error:
            log.warning("%s: giving %s back: %s", self.name, owned.lease.key, error)

    async def _close(self, owned: _Owned) -> None:
        try:
            await self._snapshots.finish(owned.core.partition)
            if owned.feed is not None:
                await owned.feed.close()
        except Exception:
            log.debug("%s: closing a feed failed", self.name, exc_info=True)

    async def _claim(self, partition: int) -> bool:
        ttl_s = self._settings.ingest.lease_ttl_s
        asked_s = self._ports.clock.monotonic_s()
        above = self._above.get(partition, 0)
        lease = await self._ports.leases.acquire(lease_key(partition), self._members.holder, ttl_s, above)
        if lease is None:
            return False
        core = PartitionCore(partition, self._settings.partitions, self._settings.ingest, self._settings.detection)
        owned = _Owned(core, lease, None, asked_s + ttl_s, Outbox(core, lease.epoch))
        self._owned[partition] = owned  # from here on the lease is renewed
        if not await self._outranks(owned, await self._snapshots.newest_epoch(partition)):
            return False
        restored = await self._snapshots.newest(partition, owned.lease.epoch)
        if restored is not None:
            owned.core, owned.outbox = restored
        owned.feed = await self._open(owned)
        self._why_not.pop(partition, None)
        log.info(
            "%s owns partition %d, epoch %d, from sequence %d on",
            self.name, partition, owned.lease.epoch, owned.core.last_sequence + 1,
        )  # fmt: skip
        return True

    async def _outranks(self, owned: _Owned, known: int) -> bool:
        """Takes the lease once more where its epoch is not greater than one that was written under (``actors.leadership``)."""
        if known < owned.lease.epoch:
            return True
        async with owned.hands:
            ttl_s, asked_s = self._settings.ingest.lease_ttl_s, self._ports.clock.monotonic_s()
            lease = await self._ports.leases.acquire(owned.lease.key, owned.lease.holder, ttl_s, known)
            if lease is not None:
                owned.lease, owned.deadline_s = lease, asked_s + ttl_s
                owned.outbox = Outbox(owned.core, lease.epoch)
        return lease is not None

    async def _open(self, owned: _Owned) -> PartitionFeed:
        try:
            return await self._ports.events.open(owned.core.partition, owned.core.last_sequence)
        except StreamRewound as error:
            await self._rewind(owned, error)
            return await self._ports.events.open(owned.core.partition, owned.core.last_sequence)

    async def _rewind(self, owned: _Owned, error: StreamRewound) -> None:
        log.error("%s: %s", self.name, error)
        owned.core.rewind(error.sequence)
        await self._snapshots.rewound(owned.core.partition, error.sequence)

    async def _work(self, partition: int, owned: _Owned) -> None:
        ingest, clock, feed = self._settings.ingest, self._ports.clock, owned.feed
        assert feed is not None
        await self._resume(owned)
        while self._holds(owned) and partition in self._members.wanted:
            try:
                await self._settle(owned)
                self._snapshots.save_if_due(owned.core, owned.outbox, owned.lease)
                if owned.outbox.full:
                    await asyncio.sleep(_PAUSE_S)
                    continue
                asked_s = clock.monotonic_s()
                messages = await owned.progress.fetch(feed, ingest.batch_messages, ingest.fetch_timeout_s)
                if not messages:
                    owned.empty_since_s = asked_s if owned.empty_since_s is None else owned.empty_since_s
                    await owned.progress.nothing_came(feed, clock.monotonic_s())
                    self._follow(owned)
                elif self._holds(owned):
                    owned.empty_since_s = None
                    await self._take(partition, owned, messages)
                    owned.progress.came()
            except StreamRewound as error:
                await self._rewind(owned, error)
            except Unavailable as error:
                owned.empty_since_s = None  # an outage is no silence: publishers may have waited through it, too
                owned.progress.problem = str(error)
                # A feed survives an outage in place, and what is in state is skipped when it comes again: as long as
                # the lease holds, nothing needs to be rebuilt.
                log.warning("%s partition %d waits: %s", self.name, partition, error)
                await asyncio.sleep(_RETRY_S)
        if not self._holds(owned):
            log.warning("%s lost the lease of partition %d", self.name, partition)

    def _holds(self, owned: _Owned) -> bool:
        return self._ports.clock.monotonic_s() < owned.deadline_s

    async def _take(self, partition: int, owned: _Owned, messages: list[RawMessage]) -> None:
        started_unix_nano = self._ports.clock.unix_nano()
        contexts = [context for m in messages if (context := remote_context(m.traceparent)) is not None]
        observed: list[Observed] = []
        for start in range(0, len(messages), _SLICE):
            one = owned.core.observe(messages[start : start + _SLICE])
            observed.append(one)
            owned.letters += one.dead_letters
            await asyncio.sleep(0)
            if len(owned.letters) >= _LETTERS_AT_ONCE:
                with suppress(Unavailable):  # the rest of the batch is in our hands: it is taken first
                    await self._store_letters(owned)
        contexts += [of_ids(*ids) for one in observed for ids in one.contexts]
        parent, links = parent_and_links(contexts)
        attributes: dict[str, str | int] = {
            "messaging.system": "nats",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.template": "stillwatch.partition.{partition}",
            "messaging.destination.partition.id": str(partition),
            "messaging.consumer.group.name": consumer_name(partition),
            "messaging.batch.message_count": len(messages),
            "stillwatch.shard": self.name,
            "stillwatch.events": sum(one.taken for one in observed),
            "stillwatch.rejected": sum(len(one.dead_letters) for one in observed),
        }
        with self._ports.tracer.start_as_current_span(
            SPAN_PROCESS, context=parent, kind=SpanKind.CONSUMER, links=links, attributes=attributes,
            start_time=started_unix_nano,
        ) as span:  # fmt: skip
            owned.unacknowledged = True
            await self._settle(owned)
        traceparent = traceparent_of(span) if parent is not None else None
        if traceparent is not None:
            owned.outbox.trace(traceparent)
        if owned.core.waiting_cuts:  # only now: what is told is traced back to this batch
            self._cut.set()

    async def _settle(self, owned: _Owned) -> None:
        """Stores the dead letters, then acknowledges. What fails here is tried again before the next batch."""
        await self._store_letters(owned)
        if owned.unacknowledged and owned.feed is not None:
            await owned.feed.ack(owned.core.last_sequence)
            owned.unacknowledged = False

    async def _store_letters(self, owned: _Owned) -> None:
        if owned.letters:
            await self._ports.dead_letters.put(owned.letters)
            owned.letters = []

    async def _keep_leases(self) -> None:
        """Waits for nothing else: with a slow broker a renewal alone is in time where all questions together are not."""
        ttl_s = self._settings.ingest.lease_ttl_s
        while True:
            begun_s = self._ports.clock.monotonic_s()
            await asyncio.gather(*(self._renew(owned, ttl_s) for owned in list(self._owned.values())))
            await asyncio.sleep(max(0.0, begun_s + ttl_s / 3 - self._ports.clock.monotonic_s()))

    async def _watch(self) -> None:
        """Says that this shard lives, and follows who else does."""
        while True:
            await self._look()
            await asyncio.sleep(self._settings.ingest.lease_ttl_s / 3)

    async def _look(self) -> None:
        try:
            await self._members.look()
            self._follow_wishes()
        except Exception as error:
            log.warning("%s could not see who lives: %s", self.name, error)

    async def _renew(self, owned: _Owned, ttl_s: float) -> None:
        async with owned.hands:
            if owned.given_back:
                return
            asked_s = self._ports.clock.monotonic_s()
            try:
                renewed = await self._ports.leases.renew(owned.lease, ttl_s)
            except Exception as error:
                log.warning("%s could not renew %s: %s", self.name, owned.lease.key, error)
                return  # two more tries before the deadline
            if renewed is None:
                owned.deadline_s = 0.0
            else:
                owned.lease, owned.deadline_s = renewed, asked_s + ttl_s

    # -- ticks -------------------------------------------------------------------------------------------------------

    async def _resume(self, owned: _Owned) -> None:
        """What an earlier owner has told the aggregator need not be told again, tick by tick."""
        mark = Mark(owned.core.partition, 0, 0, silent=False, epoch=owned.lease.epoch)
        try:
            self._greet(owned, await self._fold(None, [mark]))
        except StillwatchError as error:
            log.info("%s partition %d: the aggregator is not there yet: %s", self.name, mark.partition, error)

    def _greet(self, owned: _Owned, answer: Folded) -> None:
        number = owned.core.partition
        closed = answer.closed_unix_nano.get(number, 0)
        owned.outbox.greet(closed, answer.memory, answer.stored_unix_nano.get(number))

    def _silent(self, owned: _Owned) -> bool:
        since_s = owned.empty_since_s
        return since_s is not None and self._ports.clock.monotonic_s() - since_s >= self._settings.ingest.silence_s

    def _follow(self, owned: _Owned) -> None:
        """A silent partition closes the ticks that were known to be over when its silence began: in a stream that is in
        order of time, nothing of before can come any more."""
        if self._silent(owned):
            owned.core.close(self._horizon.known_for_a_while(self._ports.clock.monotonic_s()))
            if owned.core.waiting_cuts:
                self._cut.set()

    async def _report(self) -> None:
        """At once when a tick has been closed, and now and then how far the partitions are."""
        period_s = self._settings.ingest.summary_period_s
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(period_s):  # wait_for of Python 3.11 can swallow that it was cancelled
                    await self._cut.wait()
            self._cut.clear()
            try:
                owned = [one for one in self._owned.values() if one.feed is not None and self._holds(one)]
                for one in owned:
                    if not one.outbox.greeted:
                        await self._resume(one)
                owned = [one for one in owned if one.outbox.greeted]
                told = [await one.outbox.send(self._tell) for one in owned]
                if owned:
                    answer = await self._fold(None, [one.outbox.mark(silent=self._silent(one)) for one in owned])
                    for one in owned:
                        one.outbox.stored(answer.stored_unix_nano.get(one.core.partition, 0))
            except Exception as error:
                log.warning("%s could not report: %s", self.name, error)
                told = [False]
            if not all(told):
                await asyncio.sleep(period_s)

    async def _tell(self, part: Part) -> bool:
        return (await self._fold(part, [])).taken

    async def _fold(self, part: Part | None, marks: list[Mark]) -> Folded:
        horizon = self._horizon
        answer = await self._ports.aggregator.fold(self.name, horizon.life, part, marks)
        for number, epoch in answer.epochs.items():
            self._give_way(number, epoch)
        if horizon.hear(answer, self._ports.clock.monotonic_s()):
            for owned in self._owned.values():
                if owned.outbox.greeted:
                    self._greet(owned, answer)
        return answer

    def _give_way(self, partition: int, epoch: int) -> None:
        """To a newer owner, who has the lease by now; or, where the bucket of the leases was lost, to a greater epoch."""
        owned = self._owned.get(partition)
        if owned is not None and owned.lease.epoch < epoch:
            self._above[partition] = epoch
            owned.given_back, owned.deadline_s = True, 0.0

    # -- questions ---------------------------------------------------------------------------------------------------

    def _core_of(self, account: str) -> PartitionCore:
        partition = partition_of(account, self._settings.partitions)
        owned = self._owned.get(partition)
        if owned is None or owned.feed is None or not self._holds(owned):
            raise NotOwner(self.name, partition)
        return owned.core

    async def account(self, account: str) -> AccountView | None:
        return self._core_of(account).account(account)

    async def score(self, event: RequestEvent) -> AccountScore:
        return self._core_of(event.account).score(event)

    async def status(self) -> ShardStatus:
        """Answers also when NATS does not: then with what was known last, and why."""
        working = [(owned, owned.feed) for _, owned in sorted(self._owned.items()) if owned.feed is not None]
        await asyncio.gather(*(owned.progress.look(feed, _LOOK_WITHIN_S) for owned, feed in working))
        problems = [f"partition {number}: {why}" for number, why in sorted(self._why_not.items())]
        return ShardStatus(
            self.name, tuple(self._partition_status(owned, feed) for owned, feed in working), os.getpid(),
            self._snapshots.counts, tuple(problems),
        )  # fmt: skip

    def _partition_status(self, owned: _Owned, feed: PartitionFeed) -> PartitionStatus:
        progress, core = owned.progress, owned.core
        lag_nano = self._ports.clock.unix_nano() - core.received_unix_nano if core.received_unix_nano else 0
        return replace(
            core.status(progress.waiting, self._holds(owned)),
            lag_s=max(lag_nano, 0) / 1e9 if progress.waiting else 0.0,
            restarts=feed.restarts, rebuilds=progress.rebuilds, problem=progress.problem,
        )  # fmt: skip
