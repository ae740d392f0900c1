"""The aggregator: takes the shards' reports, evaluates, publishes campaigns and verdicts, carries the policy out.

No Ray here. It has no state of its own that can not be had again: shards send everything anew to a new life of it,
campaigns, revocations and indicators are read back from their streams at the start.
"""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass
from typing import Final

from opentelemetry.trace import SpanKind, Tracer

from actors.spans import MAX_LINKS, parent_and_links, remote_context, traceparent_of
from stillwatch.aggregator import AggregatorCore
from stillwatch.decisions import Decider
from stillwatch.errors import NotFound, Unavailable
from stillwatch.indicators import ExchangeKeys, Imported, Indicator, Refused, current, read, verified
from stillwatch.names import SPAN_EVALUATE, SPAN_REVOKE
from stillwatch.policy import revocation_of
from stillwatch.ports import (
    AggregatorStatus,
    AuditEntry,
    AuditLog,
    Clock,
    IndicatorStore,
    RevocationStore,
    VerdictLog,
)
from stillwatch.settings import Policy, Settings
from stillwatch.summary import decode_report
from stillwatch.verdict import AccountScore, Campaign, Verdict

log = logging.getLogger("stillwatch.aggregator")

_RETRY_S: Final = 1.0
_RECONCILE_EVERY_S: Final = 30.0  # reads all revocations; an expired key left longer harms nobody, gateways check


@dataclass(frozen=True, slots=True)
class AggregatorPorts:
    verdicts: VerdictLog
    revocations: RevocationStore
    audit: AuditLog
    indicators: IndicatorStore
    clock: Clock
    tracer: Tracer


class Aggregator:
    def __init__(
        self, settings: Settings, policy: Policy, ports: AggregatorPorts, exchange_keys: ExchangeKeys | None = None
    ) -> None:
        self._settings, self._ports, self._keys = settings, ports, exchange_keys or {}
        self._core = AggregatorCore(settings.detection, self._keys)
        self._decider = Decider(policy, settings.config_sha256(policy))
        self._alerts: dict[str, AccountScore] = {}
        self._traceparents: dict[str, None] = {}
        self._changed = False
        self._actions = self._suppressed = 0
        # A new life has lost what it knew; shards notice by this name and send everything again.
        self._life = f"{os.getpid()}-{ports.clock.unix_nano()}"
        self._reconcile_at_s = 0.0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        await self._recall()
        while True:
            await asyncio.sleep(self._settings.detection.evaluation_period_s)
            try:
                await self.evaluate()
                await self._reconcile()
            except Exception:
                log.exception("an evaluation failed; the next one sees the same summaries")
                self._changed = True

    async def _recall(self) -> None:
        while True:
            try:
                for campaign in await self._ports.verdicts.campaigns():
                    self._core.recall(campaign)
                for revocation in await self._ports.revocations.list():
                    self._decider.remember(revocation)
                for imported in await self._ports.indicators.list():
                    self._core.exchange.shelf.recall(imported)
                return
            except Exception as error:
                log.warning("could not read campaigns, revocations and indicators back yet: %s", error)
                await asyncio.sleep(_RETRY_S)

    async def _reconcile(self) -> None:
        """Mends what a crash left half done among the revocations, and removes the keys of expired ones."""
        now_s = self._ports.clock.monotonic_s()
        if now_s >= self._reconcile_at_s:
            self._reconcile_at_s = now_s + _RECONCILE_EVERY_S
            await self._ports.revocations.reconcile()

    # -- shards call -------------------------------------------------------------------------------------------------

    async def fold(self, shard: str, payload: bytes) -> str:
        report = decode_report(payload)
        news = self._core.fold(report.summaries)
        if news or report.alerts:
            self._changed = True
            self._alerts.update((score.account, score) for score in report.alerts)
            for traceparent in report.traceparents:
                self._traceparents[traceparent] = None
            while len(self._traceparents) > MAX_LINKS:
                self._traceparents.pop(next(iter(self._traceparents)))
        return self._life

    # -- evaluation --------------------------------------------------------------------------------------------------

    async def evaluate(self) -> None:
        if not self._changed:
            return
        self._changed = False
        contexts = [c for traceparent in reversed(self._traceparents) if (c := remote_context(traceparent)) is not None]
        self._traceparents.clear()
        parent, links = parent_and_links(contexts)
        with self._ports.tracer.start_as_current_span(SPAN_EVALUATE, context=parent, links=links) as span:
            changed = self._core.evaluate()
            span.set_attribute("stillwatch.accounts", len(self._core.table))
            span.set_attribute("stillwatch.campaigns.changed", len(changed))
            for campaign in changed:
                await self._ports.verdicts.publish_campaign(campaign, traceparent_of(span))
                await self._act_on(campaign)
            alerts, self._alerts = self._alerts, {}
            for score in alerts.values():
                verdict = self._decider.on_score(score, self._core.last_seen_unix_nano)
                if verdict is not None:
                    self._decider.taken(verdict)
                    await self._carry_out(verdict)

    async def _act_on(self, campaign: Campaign) -> None:
        for verdict in self._decider.on_campaign(campaign, self._core.table, self._core.last_seen_unix_nano):
            await self._carry_out(verdict)
            self._decider.taken(verdict)
            self._core.acted(campaign.id, verdict.action)

    async def _carry_out(self, verdict: Verdict) -> None:
        """Publish, limit, enforce, audit: in this order, so that nothing is enforced that was not announced."""
        clock = self._ports.clock
        verdict, limit = self._decider.limited(verdict, len(self._core.table), clock.monotonic_s())
        if limit is not None:
            self._suppressed += len(verdict.members)
            log.error("blast radius: %s held back (%s); review it and revoke by hand", verdict.id, limit)
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
            await self._ports.verdicts.publish_verdict(verdict, traceparent)
            now_s = clock.unix_nano() // 1_000_000_000
            revocation = revocation_of(verdict, verdict.mode, now_s, traceparent)
            if revocation is None:
                return
            stored = await self._ports.revocations.put(revocation)
            self._actions += len(stored.accounts)
            await self._ports.audit.append(
                AuditEntry(
                    actor=revocation.actor,
                    action=f"revocation.{stored.state(now_s)}",
                    target=f"{stored.target_kind}:{stored.target}",
                    at_unix_nano=clock.unix_nano(),
                    details={"revocation": stored.id, "verdict": verdict.id, "accounts": len(stored.accounts)},
                )
            )

    # -- indicators of other platforms -------------------------------------------------------------------------------

    async def export_indicator(self, campaign: str, key: str | None) -> Indicator | Refused:
        issuer = self._settings.exchange.issuer or self._settings.deployment
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
        shelf.put(imported)
        self._changed = True
        return imported

    async def remove_indicator(self, id: str, by: str) -> None:
        """Done first and recorded then: an audit log that is down must not keep a harmful one in use."""
        known = {one.indicator.id: one.indicator for one in await self.indicators()}.get(id)
        if known is None:
            raise NotFound("indicator", id)
        await self._ports.indicators.remove(id)
        self._core.exchange.shelf.remove(id)
        self._changed = True
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
        return self._core.campaigns()

    async def campaign(self, campaign_id: str) -> Campaign:
        found = self._core.campaign(campaign_id)
        if found is None:
            raise NotFound("campaign", campaign_id)
        return found

    async def campaign_of(self, account: str) -> str | None:
        return self._core.campaign_of(account)

    async def status(self) -> AggregatorStatus:
        return AggregatorStatus(
            accounts=len(self._core.table), campaigns=len(self._core.campaigns()), groups_tested=self._core.tests,
            evaluations=self._core.evaluations, actions=self._actions, suppressed_actions=self._suppressed,
            pid=os.getpid(),
        )  # fmt: skip
