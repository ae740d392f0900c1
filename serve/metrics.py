"""Prometheus: what this replica counts itself, and the cluster's state as it is at the scrape.

A registry per app, so that tests and replicas do not share one. Names come from :mod:`stillwatch.names`; never an
account as a label. Series of the cluster have no ``replica`` label: every replica reports the same numbers, so take
``max``, not ``sum``, over replicas. Partition series belong to the partition and stay monotonic when it moves.
"""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import prometheus_client
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from serve.board import Board, State
from serve.key_watch import KeyWatch
from serve.ports import Enforcer
from stillwatch.names import Counter, Gauge
from stillwatch.ports import AggregatorStatus, PartitionStatus

CONTENT_TYPE: Final = prometheus_client.CONTENT_TYPE_LATEST


class HttpMetrics(Collector):
    """Counts of this replica, under its own ``replica`` label."""

    def __init__(self, board: Board, enforcer: Enforcer, keys: KeyWatch, replica: str) -> None:
        self._replica, self._keys = replica, keys
        self._requests: Counts[tuple[str, str]] = Counts()
        self._rejected: Counts[tuple[str]] = Counts()
        self._decisions: Counts[tuple[str]] = Counts()
        self._registry = CollectorRegistry(auto_describe=False)
        self._shed: Counts[tuple[str]] = Counts({("question",): 0, ("events",): 0})  # 0 is known, too
        self._enforcer = enforcer
        self._registry.register(_Cluster(board, enforcer))
        self._registry.register(self)

    def request(self, route: str, status: int) -> None:
        self._requests[route, str(status)] += 1

    def rejected(self, reason: str) -> None:
        self._rejected[(reason,)] += 1

    def shed(self, kind: str) -> None:
        self._shed[(kind,)] += 1

    @property
    def shed_requests(self) -> int:
        return sum(self._shed.values())

    def decision(self, decision: str) -> None:
        self._decisions[(decision,)] += 1

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        yield self._family(
            "stillwatch_http_requests_total", "Requests answered by this replica", self._requests, "route", "status"
        )
        yield self._family(
            "stillwatch_http_rejected_events_total", "Events refused at the HTTP door", self._rejected, "reason"
        )
        yield self._family(
            "stillwatch_authz_decisions_total", "Answers of /authz; open_* were allowed without knowing",
            self._decisions, "decision",
        )  # fmt: skip
        yield self._family(
            "stillwatch_shed_requests_total", "Requests turned away under load, questions first", self._shed, "kind"
        )
        silence = GaugeMetricFamily(
            _name("stillwatch_enforcer_silence_seconds"),
            "Since the enforcer last heard of the revocations",
            labels=["replica"],
        )
        silence.add_metric([self._replica], self._enforcer.silent_s)
        yield silence
        yield self._family(
            "stillwatch_enforcer_interruptions_total", "Times that the enforcer's watch started over",
            {(): self._enforcer.interruptions},
        )  # fmt: skip

        used = GaugeMetricFamily(
            _name("stillwatch_api_key_last_used_seconds"),
            "When this replica last let a key in, unix; secret: the first 8 digits of its hash",
            labels=["key", "secret", "replica"],
        )
        for (key, secret), at_unix_s in sorted(self._keys.last_used_unix_s.items()):
            used.add_metric([key, secret, self._replica], at_unix_s)
        yield used
        stale = GaugeMetricFamily(
            _name("stillwatch_api_keys_stale"), "1 while the keys file can not be read", labels=["replica"]
        )
        stale.add_metric([self._replica], float(self._keys.is_stale))
        yield stale

    def _family(self, name: Counter, meaning: str, counts: Mapping[Any, int], *labels: str) -> Metric:
        family = CounterMetricFamily(name, meaning, labels=[*labels, "replica"])
        for values, count in sorted(counts.items()):
            family.add_metric([*values, self._replica], count)
        return family


class _Cluster(Collector):
    """The board's last state. A part that did not answer has no series: absent is honest, zero is not."""

    def __init__(self, board: Board, enforcer: Enforcer) -> None:
        self._board, self._enforcer = board, enforcer

    def collect(self) -> Iterable[Metric]:
        yield _gauge(
            "stillwatch_revocations_active", "Keys that this replica's enforcer enforces", self._enforcer.active
        )
        state = self._board.last
        if state is not None:
            yield from self._of(state)

    def _of(self, state: State) -> Iterator[Metric]:
        yield _gauge("stillwatch_ready", "1 when every partition has an owner and the enforcer is loaded", state.ready)
        if state.enforcement is not None:
            yield _gauge("stillwatch_enforcement", "The kill switch: 1 on, 0 off", state.enforcement)
        if state.shards is not None:
            yield from self._of_partitions(sorted(state.partitions().items()))
            accounts = GaugeMetricFamily(_name("stillwatch_accounts"), "Accounts in state", labels=["shard"])
            owned = GaugeMetricFamily(_name("stillwatch_partitions_owned"), "Partitions owned", labels=["shard"])
            for shard in state.shards:
                accounts.add_metric([shard.shard], sum(p.accounts for p in shard.partitions if p.owned))
                owned.add_metric([shard.shard], sum(p.owned for p in shard.partitions))
            yield accounts
            yield owned
        yield from self._of_snapshots(state)
        if state.aggregator is not None:
            yield _gauge("stillwatch_campaigns", "Open campaigns", state.aggregator.campaigns)
            yield _gauge("stillwatch_groups_tested", "Candidate groups tested", state.aggregator.groups_tested)
            yield _gauge(
                "stillwatch_evaluated_tick_seconds", "Event time of the last evaluation, unix seconds",
                state.aggregator.evaluated_unix_nano / 1e9,
            )  # fmt: skip
            yield _gauge(
                "stillwatch_partitions_behind", "Partitions that evaluations do not wait for",
                state.aggregator.partitions_behind,
            )  # fmt: skip
            yield _total(
                "stillwatch_incomplete_evaluations_total", "Evaluations made without a partition left behind",
                state.aggregator.incomplete_evaluations,
            )  # fmt: skip
            yield _total(
                "stillwatch_failed_evaluations_total", "Evaluations that failed and were made again",
                state.aggregator.failed_evaluations,
            )  # fmt: skip
            yield _total(
                "stillwatch_left_out_total", "Parts of evaluations that failed at each try", state.aggregator.left_out
            )
            yield _gauge(
                "stillwatch_groups_waiting", "Candidate groups left to the next evaluation", state.aggregator.groups_waiting
            )  # fmt: skip
            yield _total(
                "stillwatch_aggregator_evicted_accounts_total", "Accounts that the aggregator forgot",
                state.aggregator.evicted_accounts,
            )  # fmt: skip
            yield _total(
                "stillwatch_fenced_reports_total", "Reports of shards that no longer owned the partition",
                state.aggregator.fenced_reports,
            )  # fmt: skip
            yield _gauge("stillwatch_aggregator_leads", "Whether this cluster acts", int(state.aggregator.leads))
            yield _total(
                "stillwatch_dropped_calls_total", "Calls that could not be looked at for hand-offs",
                state.aggregator.dropped_calls,
            )  # fmt: skip
            yield _total("stillwatch_verdicts_total", "Verdicts that led to an action", state.aggregator.actions)
            yield from _of_safety(state.aggregator)

    def _of_snapshots(self, state: State) -> Iterator[Metric]:
        counts = {shard.shard: shard.snapshots for shard in state.shards or ()}
        if state.aggregator is not None:
            counts["aggregator"] = state.aggregator.snapshots
        name = _name("stillwatch_snapshots_total")
        outcomes = CounterMetricFamily(name, "Snapshots by what became of them", labels=["process", "outcome"])
        size = GaugeMetricFamily(_name("stillwatch_snapshot_bytes"), "Size of the last one", labels=["process"])
        written = GaugeMetricFamily(
            _name("stillwatch_snapshot_written_seconds"), "When the last one was written, unix", labels=["process"]
        )
        for process, count in sorted(counts.items()):
            for outcome in ("written", "failed", "restored", "unusable"):
                outcomes.add_metric([process, outcome], getattr(count, outcome))
            size.add_metric([process], count.bytes)
            written.add_metric([process], count.written_unix_nano / 1e9)
        yield from (outcomes, size, written)

    def _of_partitions(self, partitions: list[tuple[int, PartitionStatus]]) -> Iterator[Metric]:
        waiting = GaugeMetricFamily(
            _name("stillwatch_partition_waiting_messages"), "Messages not fetched yet", labels=["partition"]
        )
        for number, partition in partitions:
            waiting.add_metric([str(number)], partition.waiting)
        yield waiting
        lag = GaugeMetricFamily(
            _name("stillwatch_partition_lag_seconds"),
            "Age of the newest message in state while others wait",
            labels=["partition"],
        )
        stuck = GaugeMetricFamily(
            _name("stillwatch_partition_stuck"),
            "1 while nothing comes for a reason that the status names",
            labels=["partition"],
        )
        clamps = CounterMetricFamily(
            _name("stillwatch_clamped_times_total"),
            "Events whose time was set to what can be",
            labels=["partition", "clock"],
        )
        for number, partition in partitions:
            lag.add_metric([str(number)], partition.lag_s)
            stuck.add_metric([str(number)], bool(partition.problem))
            clamps.add_metric([str(number), "future"], partition.clamped_future)
            clamps.add_metric([str(number), "ancient"], partition.clamped_ancient)
        yield from (lag, stuck, clamps)
        totals: tuple[tuple[Counter, str, str], ...] = (
            ("stillwatch_events_total", "Events taken into state", "events"),
            ("stillwatch_duplicates_total", "Events whose id was seen before", "duplicates"),
            ("stillwatch_rejected_total", "Events sent to the dead letters", "rejected"),
            ("stillwatch_late_events_total", "Events that came after silence had closed their tick", "late_events"),
            ("stillwatch_feed_restarts_total", "Subscriptions made anew", "restarts"),
            ("stillwatch_feed_rebuilds_total", "Feeds made anew because messages waited and none came", "rebuilds"),
            ("stillwatch_stream_rewinds_total", "Times that the stream gave out numbers again", "rewinds"),
            ("stillwatch_failed_summaries_total", "Accounts that could not be summed up at a tick", "failed_summaries"),
            ("stillwatch_merged_ticks_total", "Ticks at which nothing could be said", "merged_cuts"),
            (
                "stillwatch_evicted_accounts_total",
                "Accounts forgotten because a partition was full",
                "evicted_accounts",
            ),
        )
        drifts = CounterMetricFamily(
            _name("stillwatch_baseline_drifts_total"), "What is normal for a signal has moved", labels=["signal"]
        )
        moved: Counts[str] = Counts()
        for _, partition in partitions:
            moved.update(partition.baseline_drifts)
        for signal, count in sorted(moved.items()):
            drifts.add_metric([signal], count)
        yield drifts
        for name, meaning, attribute in totals:
            family = CounterMetricFamily(_name(name), meaning, labels=["partition"])
            for number, partition in partitions:
                family.add_metric([str(number)], getattr(partition, attribute))
            yield family


def _of_safety(found: AggregatorStatus) -> Iterator[Metric]:
    held = CounterMetricFamily(
        _name("stillwatch_suppressed_actions_total"), "Accounts that automatic actions were held back from",
        labels=["because"],
    )  # fmt: skip
    for because, accounts in sorted(found.held_back.items()):
        held.add_metric([because], accounts)
    yield held
    yield _gauge("stillwatch_state_stale", "1 while automatic actions wait for fresh state", bool(found.stale))
    yield _gauge("stillwatch_approvals_waiting", "Revocations that wait for people or fresh state", found.waiting)
    yield _gauge("stillwatch_never_act_entries", "Entries of the never-act list that hold", found.never_act)
    yield _gauge(
        "stillwatch_never_act_ending", "Entries of the never-act list that end within three days",
        len(found.never_act_ends_soon),
    )  # fmt: skip
    yield _total("stillwatch_never_act_ended_total", "Entries of the never-act list that ended", found.never_act_ended)


def _name(name: Counter | Gauge) -> str:
    return name


def _gauge(name: Gauge, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=float(value))


def _total(name: Counter, meaning: str, value: float) -> Metric:
    return CounterMetricFamily(name, meaning, value=float(value))
