"""Names on NATS, as data: subjects, streams, buckets, headers. Part of the outside contract."""

from __future__ import annotations

from typing import Final

REQUESTS: Final = "STILLWATCH_REQUESTS"
VERDICTS: Final = "STILLWATCH_VERDICTS"
DEADLETTER: Final = "STILLWATCH_DEADLETTER"
AUDIT: Final = "STILLWATCH_AUDIT"
REVOCATIONS_BUCKET: Final = "stillwatch_revocations"
CONTROL_BUCKET: Final = "stillwatch_control"
SNAPSHOTS_BUCKET: Final = "stillwatch_snapshots"

# What publishers send to; the server's subject transform turns the first into `stillwatch.partition.<p>.<account>`.
REQUESTS_IN: Final = "stillwatch.requests.*"
ENVELOPES_IN: Final = "stillwatch.envelopes.*"
LABELS_IN: Final = "stillwatch.labels.*"
VERDICTS_IN: Final = "stillwatch.verdicts.>"
DEADLETTER_IN: Final = "stillwatch.deadletter.>"
AUDIT_IN: Final = "stillwatch.audit.>"

# Headers. Reason and field let an operator sort dead letters without decoding their bytes.
H_MESSAGE_ID: Final = "Nats-Msg-Id"
H_TRACEPARENT: Final = "traceparent"
H_REASON: Final = "Stillwatch-Reason"
H_FIELD: Final = "Stillwatch-Field"
H_DETAIL: Final = "Stillwatch-Detail"
H_SUBJECT: Final = "Stillwatch-Subject"
H_SEQUENCE: Final = "Stillwatch-Sequence"
H_REPLAYED: Final = "Stillwatch-Replayed"  # when it was replayed, unix s, and by whom
H_TRUNCATED: Final = "Stillwatch-Truncated"  # the original size, where the payload had to be cut to fit
H_SHA256: Final = "Stillwatch-Sha256"  # of an audit entry's document

ENFORCEMENT_KEY: Final = "enforcement"  # `on` or `off` in the control bucket: the kill switch

AGGREGATOR_LEASE: Final = "lease.aggregator"  # in the control bucket: which cluster acts
SHARD_LEASES: Final = "lease.shard.*"
# Who may write, by the sequence of the newest message here: streams and buckets refuse a write that names an older one.
VERDICTS_FENCE: Final = "stillwatch.verdicts.fence"
REVOCATIONS_FENCE_KEY: Final = "fence"

INDICATORS_IN: Final = "indicator.*"  # in the control bucket
NEVER_ACT_IN: Final = "never_act.*"  # in the control bucket


def request_subject(account: str) -> str:
    return f"stillwatch.requests.{account}"


def envelope_subject(partition: int) -> str:
    return f"stillwatch.envelopes.{partition}"


def label_subject(partition: int) -> str:
    return f"stillwatch.labels.{partition}"


def partition_subjects(partition: int) -> list[str]:
    """What the consumer of one partition reads, all in one order: the stream's."""
    return [f"stillwatch.partition.{partition}.*", envelope_subject(partition), label_subject(partition)]


def consumer_name(partition: int) -> str:
    return f"partition-{partition:03d}"


def deadletter_subject(partition: int, sequence: int, index: int) -> str:
    """One subject per rejected event: with one message kept per subject, a replay repeats no dead letter."""
    return f"stillwatch.deadletter.{partition}.{sequence}.{index}"


def verdict_subject(kind: str, about: str, verdict_id: str) -> str:
    """One subject per verdict id, for the same reason; ``about`` (account or campaign) lets the server find a history."""
    return f"stillwatch.verdicts.{kind}.{about}.{verdict_id}"


def campaign_subject(campaign_id: str) -> str:
    """A campaign's newest state. One token fewer than a verdict's, so that neither matches the other's wildcards."""
    return f"stillwatch.verdicts.state.{campaign_id}"


def audit_subject(action: str) -> str:
    return f"stillwatch.audit.{action}"


def lease_key(partition: int) -> str:
    return f"lease.partition.{partition}"


def shard_lease_key(shard: str) -> str:
    """That a shard lives: who shares the partitions."""
    return f"lease.shard.{shard}"


def indicator_key(id: str) -> str:
    return f"indicator.{id}"


def never_act_key(id: str) -> str:
    return f"never_act.{id}"


def account_key(account: str) -> str:
    return f"account.{account}"


def organisation_key(organisation: str) -> str:
    """KV keys allow `[-/_=.a-zA-Z0-9]`; an organisation id with anything else is carried in hexadecimal."""
    safe = organisation.replace("-", "").replace("_", "").isalnum() and organisation.isascii()
    return f"org.{organisation}" if safe else f"org.x={organisation.encode().hex()}"
