"""The aggregator: takes the shards' reports, evaluates, publishes campaigns and verdicts, carries the policy out.

It evaluates at ticks of event time, each of them once, in order, when every partition has said what it was then
(docs/adr/0014). No Ray here. It acts while it leads (``actors.leadership``). A life begins with the newest snapshot, and shards
send what came since; where there is none they send everything, and campaigns and revocations are read back from their streams.

An evaluation runs in a thread, so that shards and people are answered meanwhile: with a million accounts it takes seconds to
minutes. It has the core for itself; questions are answered from what the last one found.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from opentelemetry.trace import SpanKind, Tracer

from actors.caution import Caution, CautionPorts
from actors.leadership import Leadership
from actors.shown import Shown
from actors.snapshots import Snapshots
from actors.spans import MAX_LINKS, parent_and_links, remote_context, traceparent_of
from actors.tries import TRIES, Tries
from stillwatch import aggregator_state
from stillwatch.aggregator import AggregatorCore
from stillwatch.aggregator_state import AGGREGATOR_SCHEMA
from stillwatch.decisions import Decider
from stillwatch.errors import Fenced, NotFound, Unavailable
from stillwatch.gate import TickGate
from stillwatch.indicators import ExchangeKeys, Imported, Indicator, Refused, current, read, verified
from stillwatch.names import SPAN_EVALUATE, SPAN_REVOKE
from stillwatch.ownership import holder
from stillwatch.policy import held, revocations_of
from stillwatch.ports import (
    AggregatorStatus,
    AuditEntry,
    AuditLog,
    Clock,
    Control,
    Folded,
    IndicatorStore,
    Leases,
    Mark,
    NeverActStore,
    Part,
    RevocationStore,
    SnapshotCounts,
    VerdictLog,
    WriteFence,
)
from stillwatch.revocation import Hold
from stillwatch.settings import Policy, Settings
from stillwatch.snapshots import Header
from stillwatch.summary import decode_report
from stillwatch.ticks import nano_of
from stillwatch.verdict import AccountScore, Campaign, Verdict

log = logging.getLogger("stillwatch.aggregator")

_RETRY_S: Final = 1.0
_LOOK_EVERY_S: Final = 1.0  # whether a partition has been waited for long enough; what comes wakes it at once
_RECONCILE_EVERY_S: Final = 30.0  # reads all revocations; an expired key left longer harms nobody, gateways check


@dataclass(frozen=True, slots=True)
class AggregatorPorts:
    verdicts: VerdictLog
    revocations: RevocationStore
    audit: AuditLog
    indicators: IndicatorStore
    clock: Clock
    tracer: Tracer
    never_act: NeverActStore
    control: Control
    leases: Leases | None = None  # none: nobody else can act
    fence: WriteFence | None = None
    snapshots: Snapshots | None = None


class Aggregator:
    def __init__(
        self, settings: Settings, policy: Policy, ports: AggregatorPorts, exchange_keys: ExchangeKeys | None = None,
        cluster: str = "",
    ) -> None:  # fmt: skip
        self._settings, self._policy, self._ports, self._keys = settings, policy, ports, exchange_keys or {}
        ttl_s = settings.ingest.lease_ttl_s
        self._leads = Leadership(
            holder("aggregator", cluster), ttl_s, ports.leases, ports.fence, ports.clock,
            None if ports.snapshots is None else partial(ports.snapshots.newest_epoch, "aggregator"),
        )  # fmt: skip
        self._news = asyncio.Event()
        self._alone = asyncio.Lock()  # who has the core for himself
        self._actions = self._lives = 0
        self._tries = Tries()
        self._reconcile_at_s = self._save_at_s = 0.0
        self._task: asyncio.Task[None] | None = None
        self._saving: asyncio.Task[None] | None = None
        self._begin()

    def _begin(self) -> None:
        """A new life, which knows nothing yet. Shards notice by its name; by its memory they know what to send."""
        settings = self._settings
        self._core = AggregatorCore(settings.detection, self._keys)
        self._decider = Decider(self._policy, settings.config_sha256(self._policy))
        ports = self._ports
        caution = CautionPorts(ports.revocations, ports.never_act, ports.control, ports.audit, ports.clock)
        self._caution = Caution(self._policy, self._decider, caution)
        tick_nano = nano_of(settings.detection.evaluation_tick_s)
        self._gate = TickGate(settings.partitions, tick_nano, settings.ingest.tick_patience_s)
        self._recalled = False
        self._evaluated_unix_nano = 0  # the last tick that all is done of
        self._shown = Shown()
        self._lives += 1
        self._life = f"{os.getpid()}-{self._ports.clock.unix_nano()}-{self._lives}"
        self._memory = self._life
        self._saved: object = None  # what the gate had at the last snapshot
        self._stored: dict[int, int] = {}  # up to which tick a stored snapshot has the cuts of each partition
        self._waits_because = ""
        self._unseen: list[Campaign] = []  # published after the snapshot that this life began with

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._stored_meanwhile()
        if self._recalled and self._leads.holds:
            await self._save()
            await self._stored_meanwhile()
        await self._leads.resign(release=True)

    async def _run(self) -> None:
        while True:
            await self._leads.win()
            try:
                await self._recall()
                self._evaluated_unix_nano = self._gate.evaluated_unix_nano  # an earlier life has done all of it
                await self._act()
            except Fenced as error:
                log.error("%s", error)
            except Exception:
                tick = self._gate.evaluated_unix_nano
                times = self._tries.failed_at(tick)
                log.exception("the evaluation of tick %d failed, time %d of %d at most", tick, times, TRIES)
                await asyncio.sleep(_RETRY_S)
            await self._leads.resign(release=False)
            log.warning("the aggregator no longer acts; it forgets what it knew, and waits")
            self._begin()

    async def _act(self) -> None:
        """As long as it leads. What an evaluation raises ends this life: half of its tick is done, and the next life goes through
        all of it again."""
        while self._leads.holds:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY_S):  # wait_for of Python 3.11 can swallow that it was cancelled
                    await self._news.wait()
            self._news.clear()
            while self._leads.holds and (tick := self._gate.ready(self._ports.clock.monotonic_s())) is not None:
                await self._evaluate(tick)
                await self._keep_up(reconcile=False)
            await self._keep_up(reconcile=True)

    async def _keep_up(self, *, reconcile: bool) -> None:
        """Nothing of this changes what is decided: what fails is tried again at the next occasion."""
        try:
            await self._save_if_due()
            if reconcile:
                await self._reconcile()
        except Fenced:
            raise
        except Exception:
            log.exception("a snapshot or the care for revocations failed; it is tried again")
            await asyncio.sleep(_RETRY_S)

    async def _recall(self) -> None:
        while True:
            self._leads.require()
            try:
                restored = await self._restore()
                campaigns = await self._ports.verdicts.campaigns()
                if restored:
                    # They are found again, with the same ids. What is not will be taken as it was published.
                    evaluated = self._gate.evaluated_unix_nano
                    self._unseen = [one for one in campaigns if one.updated_at_unix_nano > evaluated]
                else:
                    for campaign in campaigns:
                        self._core.recall(campaign)
                    # What was published is not gone through once more: it would be told as it was then.
                    self._gate.resume_after(max((campaign.updated_at_unix_nano for campaign in campaigns), default=0))
                # What came after a snapshot is decided again; whom a person has freed since is known from the store alone.
                await self._caution.recall(self._decider.remember_freed if restored else self._decider.remember)
                for imported in await self._ports.indicators.list():
                    self._core.exchange.shelf.recall(imported)
                self._shown = Shown.of(self._core.campaigns())
                self._recalled = True
                return
            except Exception as error:
                log.warning("could not read campaigns, revocations and indicators back yet: %s", error)
                await asyncio.sleep(_RETRY_S)

    # -- snapshots ---------------------------------------------------------------------------------------------------

    def _state_sha256(self) -> str:
        return self._settings.config_sha256(self._policy)

    async def _restore(self) -> bool:
        if self._ports.snapshots is None:
            return False

        def restored(_: Header, body: bytes) -> bool:
            life = self._life
            self._begin()
            self._life = life  # nobody has heard of another
            self._memory = aggregator_state.restore(body, self._core, self._decider, self._gate)
            self._stored = self._gate.closed(range(self._settings.partitions))
            self._evaluated_unix_nano = self._gate.evaluated_unix_nano
            return True

        found = await self._ports.snapshots.newest("aggregator", (AGGREGATOR_SCHEMA,), self._state_sha256(), restored)
        if found is None:
            self._begin()  # one that could not be used may have left half of itself
        return bool(found)

    async def _save_if_due(self) -> None:
        """One at a time: as long as the store takes for one, none is begun."""
        now_s = self._ports.clock.monotonic_s()
        under_way = self._saving is not None and not self._saving.done()
        if self._ports.snapshots is None or now_s < self._save_at_s or under_way:
            return
        self._save_at_s = now_s + self._settings.snapshots.period_s
        await self._save()

    async def _save(self) -> None:
        """Between two evaluations. What comes meanwhile is in the next one. In the midst of one (it was cancelled, or failed) there
        is nothing to save: the gate holds the tick for evaluated, and the next life would never make up what is left of it.

        Evaluations wait for the copy alone. Sealing and storing go on beside them: a store may take minutes."""
        snapshots, evaluated = self._ports.snapshots, self._gate.evaluated_unix_nano
        if evaluated != self._evaluated_unix_nano:
            return
        gate, closed = self._gate.state(), self._gate.closed(range(self._settings.partitions))
        now = evaluated, closed
        if snapshots is None or now == self._saved:
            return
        async with self._alone:
            body = await asyncio.to_thread(aggregator_state.snapshot, self._core, self._decider, gate, self._memory)
        self._leads.require()
        header = Header(
            "aggregator", AGGREGATOR_SCHEMA, 0, self._state_sha256(),
            self._leads.epoch, evaluated,
        )  # fmt: skip
        self._saving = asyncio.create_task(self._store(snapshots, header, body, closed))

    async def _store(self, snapshots: Snapshots, header: Header, body: bytes, closed: dict[int, int]) -> None:
        life, evaluated = self._lives, header.tick_unix_nano
        try:
            stored = await snapshots.save(header, evaluated, body)
        except Exception:
            log.exception("a snapshot failed; the one before it serves")
            return
        if stored and life == self._lives:  # another life may have begun with an older one
            self._saved, self._stored = (evaluated, closed), closed
            self._tries.stored(evaluated)

    async def _stored_meanwhile(self) -> None:
        if self._saving is not None:
            await self._saving

    async def _reconcile(self) -> None:
        """Mends what a crash left half done among the revocations, and removes the keys of expired ones."""
        now_s = self._ports.clock.monotonic_s()
        if now_s >= self._reconcile_at_s:
            self._reconcile_at_s = now_s + _RECONCILE_EVERY_S
            await self._ports.revocations.reconcile()
            await self._caution.look()

    # -- shards call -------------------------------------------------------------------------------------------------

    async def fold(self, shard: str, life: str, part: Part | None, marks: Sequence[Mark]) -> Folded:
        if not self._recalled:
            why = "it reads back what an earlier life of it has decided" if self._leads.holds else "another one acts"
            raise Unavailable("the aggregator", why)
        taken = life == self._life and (part is None or self._gate.take(part))
        if life == self._life:
            clock = self._ports.clock
            self._gate.mark(marks, clock.monotonic_s(), clock.unix_nano())
            self._news.set()
        # Who speaks to another life hears of all: what it has to send again follows from that.
        numbers = [mark.partition for mark in marks] if life == self._life else range(self._settings.partitions)
        known = self._gate.closed(numbers)
        # Without a store nothing is ever needed again: the next life has to be told everything.
        kept = known if self._ports.snapshots is None else {number: self._stored.get(number, 0) for number in known}
        stored = self._gate.needed_from(kept)
        newer = self._gate.newer([*marks, *([] if part is None else [part])])
        return Folded(self._life, taken, self._gate.frontier_unix_nano, known, self._memory, stored, newer)

    # -- evaluation --------------------------------------------------------------------------------------------------

    async def _evaluate(self, tick_unix_nano: int) -> None:
        alerts: dict[str, AccountScore] = {}
        traceparents: dict[str, None] = {}
        incomplete = self._gate.incomplete
        part_of = partial(self._tries.part, tick_unix_nano)
        for part in self._gate.open(tick_unix_nano):
            with part_of("a report"):
                report = decode_report(part)
                self._core.fold(report.summaries)
                alerts.update((score.account, score) for score in report.alerts)
                traceparents.update(dict.fromkeys(report.traceparents))
            await asyncio.sleep(0)  # shards and questions are answered in between
        newest = list(reversed(traceparents))[:MAX_LINKS]
        parent, links = parent_and_links([c for text in newest if (c := remote_context(text)) is not None])
        with self._ports.tracer.start_as_current_span(SPAN_EVALUATE, context=parent, links=links) as span:
            changed: list[Campaign] = []
            async with self._alone:
                with part_of("finding campaigns"):
                    changed = await asyncio.to_thread(self._core.evaluate, tick_unix_nano)
            self._shown = Shown.of(self._core.campaigns())
            span.set_attribute("stillwatch.accounts", len(self._core.table))
            span.set_attribute("stillwatch.campaigns.changed", len(changed))
            await self._until_done(self._caution.read_never_act)
            self._caution.judge(tick_unix_nano, self._gate.behind, incomplete=self._gate.incomplete > incomplete)
            for campaign in changed:
                with part_of(f"telling {campaign.id}"):
                    await self._tell(campaign, traceparent_of(span), tick_unix_nano)
            for account, score in sorted(alerts.items()):
                with part_of(f"acting on {account}"):
                    await self._act_on_score(score, tick_unix_nano)
            release = partial(self._caution.release, self._core.campaign, self._core.table, tick_unix_nano)
            with part_of("letting act what waited"):
                await self._until_done(release)
        self._take_unseen(tick_unix_nano)
        self._shown = Shown.of(self._core.campaigns())
        self._evaluated_unix_nano = tick_unix_nano

    def _take_unseen(self, tick_unix_nano: int) -> None:
        """What an earlier life has published after the snapshot that this one began with, and this one has not found up to the
        same tick: some of what led to it is gone. It was told, so it stays."""
        due = [one for one in self._unseen if one.updated_at_unix_nano <= tick_unix_nano]
        self._unseen = [one for one in self._unseen if one.updated_at_unix_nano > tick_unix_nano]
        for campaign in due:
            if self._core.campaign(campaign.id) is None:
                log.warning("%s was published before and not found again; it stays as it was", campaign.id)
                self._core.recall(campaign)

    async def _until_done(self, what: Callable[[], Awaitable[None]]) -> None:
        """An outage delays what was decided and all that comes after it; nothing of it is left out."""
        try:
            while True:
                self._leads.require()
                try:
                    return await what()
                except Unavailable as error:
                    log.warning("what was decided waits: %s", error)
                    self._waits_because = str(error)
                await asyncio.sleep(_RETRY_S)
        finally:
            self._waits_because = ""

    async def _tell(self, campaign: Campaign, traceparent: str | None, now_unix_nano: int) -> None:
        await self._until_done(partial(self._ports.verdicts.publish_campaign, campaign, traceparent))
        confidence = {member.account: member.confidence for member in campaign.members}
        for verdict in self._decider.on_campaign(campaign, self._core.table, now_unix_nano):
            await self._carry_out(verdict, confidence)
            self._decider.taken(verdict)
            self._core.acted(campaign.id, verdict.action)

    async def _act_on_score(self, score: AccountScore, now_unix_nano: int) -> None:
        summary = self._core.table.summary_of(score.account)
        organisation = None if summary is None else summary.organisation
        verdict = self._decider.on_score(score, now_unix_nano, organisation)
        if verdict is not None:
            await self._carry_out(verdict, {score.account: score.score or 0.0})
            self._decider.taken(verdict)

    async def _carry_out(self, verdict: Verdict, confidence: Mapping[str, float]) -> None:
        """Limit, publish, enforce, audit: in this order, so that nothing is enforced that was not announced."""
        for admitted in self._decider.limited(verdict, self._core.table, confidence):
            hold = self._caution.hold(admitted, self._policy.mode)
            await self._until_done(partial(self._announce, admitted.verdict, hold))  # the limit counted it once

    def _organisations(self, accounts: Sequence[str]) -> dict[str, str]:
        """Of those accounts that have one."""
        known = [found for account in accounts if (found := self._core.table.figures_of(account)) is not None]
        return {one.account: one.organisation for one in known if one.organisation is not None}

    async def _announce(self, verdict: Verdict, hold: Hold | None) -> None:
        clock = self._ports.clock
        with self._ports.tracer.start_as_current_span(SPAN_REVOKE, kind=SpanKind.PRODUCER) as span:
            span.set_attribute("messaging.system", "nats")
            span.set_attribute("messaging.operation.name", "publish")
            span.set_attribute("messaging.operation.type", "send")
            span.set_attribute("messaging.destination.name", "stillwatch_revocations")
            span.set_attribute("stillwatch.verdict.id", verdict.id)
            span.set_attribute("stillwatch.action", verdict.action)
            span.set_attribute("stillwatch.mode", verdict.mode)
            span.set_attribute("stillwatch.accounts", len(verdict.members))
            traceparent = traceparent_of(span)
            said = verdict if hold is None else held(verdict, hold.because)
            await self._ports.verdicts.publish_verdict(said, traceparent)
            now_s = clock.unix_nano() // 1_000_000_000
            whose = {} if hold is None else self._organisations(verdict.members)
            for revocation in revocations_of(verdict, verdict.mode, now_s, traceparent, hold, whose):
                # An earlier life may have stored it: what stands there counts, whatever would hold it back by now.
                stored = await self._ports.revocations.put(revocation)
                self._caution.noted(stored)
                waits = stored.hold if stored.state(now_s) == "waiting" else None
                self._actions += 0 if waits is not None else len(stored.accounts)
                details: dict[str, object] = {
                    "revocation": stored.id, "verdict": verdict.id, "accounts": len(stored.accounts),
                }  # fmt: skip
                if waits is not None:
                    details["because"] = waits.because
                await self._ports.audit.append(
                    AuditEntry(
                        actor=revocation.actor,
                        action=f"revocation.{stored.state(now_s)}",
                        target=f"{stored.target_kind}:{stored.target}",
                        at_unix_nano=clock.unix_nano(),
                        details=details,
                    )
                )

    # -- indicators of other platforms -------------------------------------------------------------------------------

    async def export_indicator(self, campaign: str, key: str | None) -> Indicator | Refused:
        issuer = self._settings.exchange.issuer or self._settings.deployment
        async with self._alone:
            return self._core.indicator(campaign, issuer, key)

    async def indicators(self) -> list[Imported]:
        return self._core.exchange.shelf.standing(self._now_s())

    async def import_indicator(self, document: object, by: str) -> Imported | Refused:
        now_s, shelf = self._now_s(), self._core.exchange.shelf
        found = read(document)
        if isinstance(found, Refused):
            return found
        refused = verified(found, self._keys) or current(found, now_s) or shelf.room_for(found, now_s)
        if refused is not None:
            return refused
        imported = Imported(found, now_s, by)
        details = {
            "issuer": found.issuer, "campaign": found.campaign, "accounts": found.accounts, "signed_with": found.key,
            "expires_unix_s": imported.expires_unix_s,
        }  # fmt: skip
        await self._record("indicator.import", by, found.id, details)
        await self._ports.indicators.put(imported)
        async with self._alone:
            shelf.put(imported)
        return imported

    async def remove_indicator(self, id: str, by: str) -> None:
        """Done first and recorded then: an audit log that is down must not keep a harmful one in use."""
        known = {one.indicator.id: one.indicator for one in await self.indicators()}.get(id)
        if known is None:
            raise NotFound("indicator", id)
        await self._ports.indicators.remove(id)
        async with self._alone:
            self._core.exchange.shelf.remove(id)
        try:
            await self._record("indicator.remove", by, id, {"issuer": known.issuer, "campaign": known.campaign})
        except Unavailable as error:
            text = f"{error.problem}. The indicator is removed; only the record is missing"
            raise Unavailable("the audit log", text) from None

    async def _record(self, action: str, by: str, id: str, details: dict[str, object]) -> None:
        entry = AuditEntry(by, action, f"indicator {id}", self._ports.clock.unix_nano(), details)
        await self._ports.audit.append(entry)

    def _now_s(self) -> int:
        return self._ports.clock.unix_nano() // 1_000_000_000

    # -- questions ---------------------------------------------------------------------------------------------------

    async def campaigns(self) -> list[Campaign]:
        return list(self._shown.campaigns)

    async def campaign(self, campaign_id: str) -> Campaign:
        return self._shown.campaign(campaign_id)

    async def campaign_of(self, account: str) -> str | None:
        return self._shown.campaign_of.get(account)

    async def status(self) -> AggregatorStatus:
        return AggregatorStatus(
            accounts=len(self._core.table), campaigns=len(self._shown.campaigns), groups_tested=self._core.tests,
            evaluations=self._core.evaluations, actions=self._actions + self._caution.released,
            suppressed_actions=self._caution.held_back.total(),
            pid=os.getpid(), evaluated_unix_nano=self._evaluated_unix_nano, partitions_behind=self._gate.behind,
            incomplete_evaluations=self._gate.incomplete,
            groups_waiting=self._core.waiting, evicted_accounts=self._core.table.evicted,
            dropped_calls=self._core.dropped_calls, fenced_reports=self._gate.fenced, leads=self._leads.holds,
            snapshots=self._ports.snapshots.counts if self._ports.snapshots is not None else SnapshotCounts(),
            held_back=dict(sorted(self._caution.held_back.items())), stale=self._caution.stale,
            waiting=self._caution.waiting, never_act=sum(one.holds(self._now_s()) for one in self._caution.protected),
            never_act_ends_soon=tuple(one.id for one in self._caution.protected if one.ends_soon(self._now_s())),
            never_act_ended=self._caution.ended,
            not_leading=self._leads.why_not, waits_because=self._waits_because,
            failed_evaluations=self._tries.failed, left_out=self._tries.left_out,
        )  # fmt: skip
