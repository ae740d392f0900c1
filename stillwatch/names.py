"""Metric and span names as types, with unit and meaning. A misspelt name is a mypy error.

Prometheus conventions: base units, `_total` for counters; never an account as a label.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

Counter = Literal[
    "stillwatch_events_total",              # events taken into state
    "stillwatch_duplicates_total",          # events dropped because their id was seen before
    "stillwatch_rejected_total",            # events sent to the dead letters; their headers have the reason
    "stillwatch_evicted_accounts_total",    # accounts forgotten because a partition was full
    "stillwatch_late_events_total",         # came after silence had closed their tick; they count at the next one
    "stillwatch_merged_ticks_total",        # ticks at which a partition could say nothing: too much was waiting
    "stillwatch_incomplete_evaluations_total",  # made without a partition that was left behind
    "stillwatch_failed_evaluations_total",  # were made again from the newest snapshot: a bug of ours; see the log
    "stillwatch_left_out_total",            # reports, campaigns and verdicts that failed at each try of an evaluation
    "stillwatch_dropped_calls_total",         # calls and hand-offs for which the aggregator had no room
    "stillwatch_aggregator_evicted_accounts_total",  # accounts that the aggregator forgot: silent for long, or no room
    "stillwatch_fenced_reports_total",      # reports of shards that no longer owned the partition; not taken
    "stillwatch_snapshots_total",           # labels: process, outcome (written, failed, restored, unusable)
    "stillwatch_baseline_drifts_total",     # times that what is normal for a signal has moved; label: signal
    "stillwatch_verdicts_total",            # accounts that automatic verdicts acted on
    "stillwatch_suppressed_actions_total",  # accounts that actions were held back from; label: because (a limit, or stale)
    "stillwatch_never_act_ended_total",     # entries of the never-act list that ended
    "stillwatch_clamped_times_total",       # events whose time was set to what can be; label: clock (future, ancient)
    "stillwatch_feed_restarts_total",       # subscriptions made anew: lost connection, gap, silence, consumer gone
    "stillwatch_feed_rebuilds_total",       # feeds made anew because messages waited and none came
    "stillwatch_stream_rewinds_total",      # times that the stream gave out numbers again; look why it lost messages
    "stillwatch_failed_summaries_total",    # accounts that could not be summed up at a tick: a bug of ours
    "stillwatch_enforcer_interruptions_total",  # times that an enforcer's watch started over; label: replica
    "stillwatch_shed_requests_total",       # requests turned away under load, in the stated order; labels: kind, replica
    "stillwatch_http_requests_total",       # labels: route, status, replica
    "stillwatch_http_rejected_events_total",  # events refused at the HTTP door; labels: reason, replica
    "stillwatch_authz_decisions_total",     # answers of /authz; labels: decision (open_*: failed open), replica
]  # fmt: skip
Gauge = Literal[
    "stillwatch_partition_waiting_messages",  # label: partition; messages not fetched yet
    "stillwatch_partition_lag_seconds",       # label: partition; age of the newest message in state while others wait
    "stillwatch_partition_stuck",             # label: partition; 1 while nothing comes for a reason that the status names
    "stillwatch_enforcer_silence_seconds",    # since this replica's enforcer last heard of the revocations; label: replica
    "stillwatch_accounts",                    # accounts in state; label: shard
    "stillwatch_partitions_owned",            # label: shard
    "stillwatch_campaigns",                   # open campaigns
    "stillwatch_groups_tested",               # candidate groups tested so far
    "stillwatch_evaluated_tick_seconds",      # event time, unix: the last tick that was evaluated
    "stillwatch_aggregator_leads",            # 1: this cluster acts; 0: it stands by, or waits for its lease
    "stillwatch_snapshot_bytes",              # label: process; the last one that was written
    "stillwatch_snapshot_written_seconds",    # label: process; when, unix; 0: none yet
    "stillwatch_partitions_behind",           # partitions that evaluations do not wait for
    "stillwatch_groups_waiting",              # candidate groups that were due and left to the next evaluation
    "stillwatch_state_stale",                 # 1 while automatic actions wait for fresh state
    "stillwatch_approvals_waiting",           # revocations that wait for people or for fresh state
    "stillwatch_never_act_entries",           # that hold
    "stillwatch_never_act_ending",            # that end within three days
    "stillwatch_revocations_active",          # as this replica's enforcer sees them
    "stillwatch_enforcement",                 # 1 on, 0 off: the kill switch
    "stillwatch_api_key_last_used_seconds",   # unix; labels: key, secret (start of its hash), replica
    "stillwatch_api_keys_stale",              # 1 while the keys file can not be read; label: replica
    "stillwatch_ready",                       # 1 when every partition has an owner and the enforcer is loaded
]  # fmt: skip

COUNTERS: Final[tuple[Counter, ...]] = get_args(Counter)
GAUGES: Final[tuple[Gauge, ...]] = get_args(Gauge)

# Span names: `{operation} {destination template}` as in the OpenTelemetry messaging conventions; low cardinality.
SPAN_PUBLISH: Final = "publish stillwatch.requests.{account}"
SPAN_PUBLISH_ENVELOPE: Final = "publish stillwatch.envelopes.{partition}"
SPAN_PROCESS: Final = "process stillwatch.partition.{partition}"
SPAN_EVALUATE: Final = "stillwatch.aggregator evaluate"
SPAN_REVOKE: Final = "publish stillwatch_revocations"
SPAN_APPLY: Final = "stillwatch.enforcer apply"
SPAN_REFUSE: Final = "stillwatch.gateway refuse"
