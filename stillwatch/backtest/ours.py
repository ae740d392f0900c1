"""The cluster's own core behind the backtest's protocol: the same partitions, aggregator, policy and limits.

What differs from the cluster is only when things run: summaries of all partitions and one evaluation at every tick,
where the cluster sends them every few seconds. Shadow policies are carried out as if they enforced, because a backtest
asks what they would have done; the blast radius then counts as it would in production.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import stillwatch
from stillwatch.aggregator import AggregatorCore
from stillwatch.backtest.detector import ActedOn, DetectorId
from stillwatch.decisions import Decider
from stillwatch.event import RequestEvent
from stillwatch.partition import partition_of
from stillwatch.ports import AccountView, RawMessage
from stillwatch.settings import Policy, Settings
from stillwatch.shard import PartitionCore
from stillwatch.verdict import AccountScore, Campaign, Verdict, strength
from stillwatch.wire import encode_event

NAME: Final = "stillwatch"
_BATCH: Final = 500  # messages a partition takes at once, as a shard does
_SUMMARIES_PER_CALL: Final = 1_000
_S_NANO: Final = 1_000_000_000


class Stillwatch:
    def __init__(self, settings: Settings, policy: Policy) -> None:
        # The hash is that of the policy as given; what is carried out is the same policy, enforcing.
        sha256 = settings.config_sha256(policy)
        self.id = DetectorId(NAME, stillwatch.__version__, sha256)
        self._partitions = [
            PartitionCore(number, settings.partitions, settings.ingest, settings.detection)
            for number in range(settings.partitions)
        ]
        self._waiting: list[list[RawMessage]] = [[] for _ in self._partitions]
        self._sequence = 0
        self._aggregator = AggregatorCore(settings.detection)
        self._decider = Decider(policy.model_copy(update={"mode": "enforce"}), sha256)
        self._alerts: dict[str, AccountScore] = {}
        self._accounts: dict[str, int] = {}  # account -> its partition; also every account that was ever seen
        self.held_back = 0  # accounts that a blast-radius limit spared
        self.rejected = 0

    def observe(self, event: RequestEvent) -> None:
        """By way of the wire format, so that an event which the cluster would refuse is refused here."""
        partition = self._accounts.get(event.account)
        if partition is None:
            partition = self._accounts[event.account] = partition_of(event.account, len(self._partitions))
        self._sequence += 1
        subject = f"stillwatch.partition.{partition}.{event.account}"
        waiting = self._waiting[partition]
        waiting.append(RawMessage(self._sequence, subject, encode_event(event), event.time_unix_nano))
        if len(waiting) >= _BATCH:
            self._take(partition)

    def _take(self, partition: int) -> None:
        observed = self._partitions[partition].observe(self._waiting[partition])
        self._waiting[partition] = []
        self.rejected += len(observed.dead_letters)
        self._alerts.update((score.account, score) for score in observed.alarming if score.band == "severe")

    def advance(self, now_unix_nano: int) -> list[ActedOn]:
        for partition, core in enumerate(self._partitions):
            self._take(partition)
            while summaries := core.take_summaries(_SUMMARIES_PER_CALL):
                self._aggregator.fold(summaries)
        acted: list[ActedOn] = []
        for campaign in self._aggregator.evaluate():
            verdicts = self._decider.on_campaign(campaign, self._aggregator.table, now_unix_nano)
            confidence = {member.account: member.confidence for member in campaign.members}
            for verdict in verdicts:
                acted += self._carry_out(verdict, now_unix_nano, confidence)
                self._aggregator.acted(campaign.id, verdict.action)
        alerts, self._alerts = self._alerts, {}
        for score in alerts.values():
            found = self._decider.on_score(score, now_unix_nano)
            if found is not None:
                acted += self._carry_out(found, now_unix_nano, {score.account: score.score or 0.0})
        return acted

    def _carry_out(self, verdict: Verdict, now_unix_nano: int, score_of: Mapping[str, float]) -> list[ActedOn]:
        self._decider.taken(verdict)
        if strength(verdict.action) == 0:
            return []
        verdict, limit = self._decider.limited(verdict, len(self._aggregator.table), now_unix_nano / _S_NANO)
        if limit is not None:
            self.held_back += len(verdict.members)
            return []
        expires = now_unix_nano + verdict.ttl_s * _S_NANO
        names = tuple(signal.name for signal in verdict.signals)
        return [
            ActedOn(
                account, verdict.action, now_unix_nano, expires, round(score_of.get(account, 0.0), 6),
                verdict.campaign, names, verdict.reason,
            )
            for account in verdict.members
        ]  # fmt: skip

    def scores(self) -> Mapping[str, float]:
        """An account's own score (0..1) plus its most certain membership of a campaign (0..1): members stand first."""
        belongs: dict[str, float] = {}
        for campaign in self._aggregator.campaigns():
            for member in campaign.members:
                belongs[member.account] = max(belongs.get(member.account, 0.0), member.confidence)
        out = {}
        for account, view in self.views():
            own, member_of = view.score.score, belongs.get(account)
            if own is not None or member_of is not None:
                out[account] = (own or 0.0) + (member_of or 0.0)
        return out

    def views(self) -> list[tuple[str, AccountView]]:
        """Every account still in state as its partition sees it, in a fixed order."""
        found = ((a, self._partitions[p].account(a)) for a, p in sorted(self._accounts.items()))
        return [(account, view) for account, view in found if view is not None]

    def campaigns(self) -> list[Campaign]:
        found = (campaign for campaign in self._aggregator.campaigns() if campaign.merged_into is None)
        return sorted(found, key=lambda c: (c.detected_at_unix_nano, c.id))
