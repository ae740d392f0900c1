"""The cluster's own core behind the backtest's protocol: the same partitions, aggregator, policy and limits.

Partitions are cut and evaluations made at the same ticks of event time as in the cluster, so the same events give the same
campaigns (docs/adr/0014). Shadow policies are carried out as if they enforced, because a backtest asks what they would
have done; the blast radius counts in event time, where the cluster counts by the clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from stillwatch.ticks import Cut, nano_of
from stillwatch.verdict import AccountScore, Campaign, Verdict, strength
from stillwatch.wire import encode_event

NAME: Final = "stillwatch"
_BATCH: Final = 500  # messages a partition takes at once, as a shard does
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
        self._tick_nano = nano_of(settings.detection.evaluation_tick_s)
        self._accounts: dict[str, int] = {}  # account -> its partition; also every account that was ever seen
        self.verdicts: list[Verdict] = []  # as the cluster decides them, under the same ids; held back or not
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

    def refused(self, event: RequestEvent) -> None:
        self.observe(event)

    def _take(self, partition: int) -> None:
        observed = self._partitions[partition].observe(self._waiting[partition])
        self._waiting[partition] = []
        self.rejected += len(observed.dead_letters)

    def advance(self, now_unix_nano: int) -> list[ActedOn]:
        if now_unix_nano % self._tick_nano:
            raise ValueError(
                f"no tick of {self._tick_nano // _S_NANO} s: the settings say where this detector's ticks are"
            )
        by_tick: dict[int, list[Cut]] = {}
        for partition, core in enumerate(self._partitions):
            self._take(partition)
            core.close(now_unix_nano)
            for cut in core.take_cuts():
                by_tick.setdefault(cut.tick_unix_nano, []).append(cut)
        # Nearly always one. A late request after silent ticks belongs to one of those.
        return [acted for tick in sorted(by_tick) for acted in self._evaluate(tick, by_tick[tick], now_unix_nano)]

    def _evaluate(self, tick_unix_nano: int, cuts: Sequence[Cut], now_unix_nano: int) -> list[ActedOn]:
        """Decided as of the tick, acted on now."""
        alerts: dict[str, AccountScore] = {}
        for cut in cuts:
            self._aggregator.fold(cut.summaries)
            alerts.update((score.account, score) for score in cut.alerts)
        acted: list[ActedOn] = []
        for campaign in self._aggregator.evaluate(tick_unix_nano):
            verdicts = self._decider.on_campaign(campaign, self._aggregator.table, tick_unix_nano)
            confidence = {member.account: member.confidence for member in campaign.members}
            for verdict in verdicts:
                acted += self._carry_out(verdict, now_unix_nano, confidence)
                self._aggregator.acted(campaign.id, verdict.action)
        for _, score in sorted(alerts.items()):
            found = self._decider.on_score(score, tick_unix_nano)
            if found is not None:
                acted += self._carry_out(found, now_unix_nano, {score.account: score.score or 0.0})
        return acted

    def _carry_out(self, verdict: Verdict, now_unix_nano: int, score_of: Mapping[str, float]) -> list[ActedOn]:
        self._decider.taken(verdict)
        self.verdicts.append(verdict)
        if strength(verdict.action) == 0:
            return []
        admitted = self._decider.limited(verdict, self._aggregator.table, score_of)
        self.held_back += sum(len(one.verdict.members) for one in admitted if one.held is not None)
        expires = now_unix_nano + verdict.ttl_s * _S_NANO
        names = tuple(signal.name for signal in verdict.signals)
        return [
            ActedOn(
                account, verdict.action, now_unix_nano, expires, round(score_of.get(account, 0.0), 6),
                verdict.campaign, names, verdict.reason,
            )
            for verdict in (one.verdict for one in admitted if one.held is None)
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
