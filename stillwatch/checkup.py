"""What a check of a deployment came to, and how facts are judged. Pure: the facts are gathered by whoever can reach them.

Thresholds stand here, each with its reason; what to do stands beside each finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

State = Literal["ok", "warning", "failed", "unknown"]

# Clocks that are kept by NTP differ by milliseconds. A second is a clock that nobody keeps.
_CLOCK_WARN_S: Final = 1.0
# Gateways say when a call ended; beyond this the traffic is not live, or a clock is wrong. What comes later than a tick counts at
# the next one.
_EVENT_AHEAD_S: Final = 5.0
_EVENT_BEHIND_S: Final = 3_600.0
# A power cut loses what was not synced: ten seconds of events can be sent again, two minutes of revocations can not.
_SYNC_WARN_S: Final = 10.0
_MANY_SERVERS: Final = 3
# At the 1,000 events a second of a busy platform, ten seconds of work.
_LAG_WARN: Final = 10_000
_RECENT_S: Final = 24 * 3_600.0
# Three periods: one that was missed is an outage of the store, two more are a fault.
_SNAPSHOT_PERIODS: Final = 3


@dataclass(frozen=True, slots=True)
class Check:
    """``unknown``: could not be looked at, and ``found`` says why. ``remedy``: what to do; empty where all is well."""

    name: str
    state: State
    found: str
    remedy: str = ""


def exit_code(checks: Iterable[Check]) -> int:
    """0: nothing to do; 1: warnings; 2: something failed. What could not be looked at counts as neither.

    >>> exit_code([Check("a", "ok", ""), Check("b", "unknown", "")]), exit_code([Check("a", "warning", "")])
    (0, 1)
    >>> exit_code([Check("a", "warning", ""), Check("b", "failed", "")])
    2
    """
    states = {check.state for check in checks}
    return 2 if "failed" in states else 1 if "warning" in states else 0


def version(found: tuple[int, int], wanted: tuple[int, int], shown: str) -> Check:
    if found >= wanted:
        return Check("nats version", "ok", f"nats-server {shown}")
    oldest = ".".join(map(str, wanted))
    return Check(
        "nats version", "failed", f"nats-server {shown}", f"Use {oldest} or later: feeds need its consumer reset"
    )


def sync_policy(interval_s: float, *, always: bool, servers: int, source: str) -> Check:
    """``interval_s``: how long JetStream may keep what it has acknowledged from the disk.

    >>> sync_policy(0, always=True, servers=1, source="/varz").state, sync_policy(10, always=False, servers=3, source="/varz").state
    ('ok', 'ok')
    >>> sync_policy(120, always=False, servers=1, source="/varz").state
    'failed'
    """
    if always:
        return Check("sync policy", "ok", f"every write is synced before it is acknowledged ({source})")
    found = (
        f"writes are synced every {interval_s:g} s ({source}): a power cut loses that much, although it was "
        "acknowledged"
    )
    remedy = "Set jetstream { sync_interval: always } on the servers that hold revocations, verdicts and the audit"
    many = servers >= _MANY_SERVERS
    if interval_s <= _SYNC_WARN_S:
        return (
            Check("sync policy", "ok", f"{found}, on all {servers} servers at once")
            if many
            else Check("sync policy", "warning", found, remedy)
        )
    return Check("sync policy", "warning" if many else "failed", found, remedy)


def replicas(of_stream: Mapping[str, int], servers: int, wanted: int) -> Check:
    """``of_stream``: replicas by stream; ``servers``: that form the cluster; ``wanted``: by the settings."""
    few = sorted(name for name, count in of_stream.items() if count < min(_MANY_SERVERS, servers))
    if servers < _MANY_SERVERS:
        return Check(
            "replicas",
            "warning",
            f"{servers} server{'' if servers == 1 else 's'}: whoever loses that disk loses revocations and audit",
            "Run three servers and set nats.replicas to 3; for a trial on one machine this is as it should be",
        )
    if few:
        return Check(
            "replicas",
            "failed",
            f"{servers} servers, and fewer than three replicas of {', '.join(few)}",
            "Set nats.replicas to 3 and run `stillwatch streams ensure`"
            if wanted < _MANY_SERVERS
            else "Run `stillwatch streams ensure`",
        )
    return Check(
        "replicas", "ok", f"every stream has {min(of_stream.values(), default=0)} replicas on {servers} servers"
    )


def clock(whose: str, ahead_s: float, give_or_take_s: float, failed_beyond_s: float) -> Check:
    """``ahead_s``: of ours. Leases carry times of the wall clock: clocks must differ by less than half of one.

    >>> clock("NATS", 0.2, 0.01, 3).state, clock("NATS", -2, 0.01, 3).state, clock("NATS", 60, 0.01, 3).state
    ('ok', 'warning', 'failed')
    """
    off = max(abs(ahead_s) - give_or_take_s, 0.0)
    found = (
        f"the clock of {whose} is {abs(ahead_s):.2f} s {'ahead of' if ahead_s > 0 else 'behind'} ours (± "
        f"{give_or_take_s:.2f} s)"
    )
    name = f"clock of {whose}"
    if off <= _CLOCK_WARN_S:
        return Check(name, "ok", found)
    remedy = "Let NTP (chrony, systemd-timesyncd) keep the clocks of both machines"
    return Check(name, "failed" if off > failed_beyond_s else "warning", found, remedy)


def event_times(ahead_s: float) -> Check:
    """``ahead_s``: the time in the newest event, against when NATS received it."""
    name = "clocks of gateways"
    if ahead_s > _EVENT_AHEAD_S:
        return Check(
            name,
            "failed",
            f"the newest event ended {ahead_s:.0f} s after it was received",
            "Let NTP keep the gateway's clock: times in the future are not believed",
        )
    if ahead_s < -_EVENT_BEHIND_S:
        return Check(
            name,
            "warning",
            f"the newest event ended {-ahead_s / 3600:.1f} hours before it was received",
            "Old traffic that is played on purpose looks like this. Else a gateway's clock is behind, or its queue is",
        )
    return Check(name, "ok", f"the newest event was received {max(-ahead_s, 0):.1f} s after it ended")


def drift(differences: Sequence[str]) -> Check:
    if not differences:
        return Check("streams", "ok", "streams, buckets and consumers are as configured")
    return Check(
        "streams", "failed", "; ".join(differences), "Run `stillwatch streams ensure`, or change the settings back"
    )


def dead_letters(count: int, newest_age_s: float | None, why: str) -> Check:
    if count == 0 or newest_age_s is None:
        return Check("dead letters", "ok", "none")
    found = f"{count:,} kept, the newest {_age(newest_age_s)} old{': ' + why if why else ''}"
    if newest_age_s > _RECENT_S:
        return Check("dead letters", "ok", found)
    return Check(
        "dead letters",
        "warning",
        found,
        "A publisher sends what can not be processed: its reason and field are in the headers of the letter",
    )


def lag(waiting: int, *, moved: bool | None) -> Check:
    """``moved``: whether anything was processed between two looks; ``None``: there was no second look."""
    found = f"{waiting:,} messages wait"
    if waiting and moved is False:
        return Check(
            "lag",
            "failed",
            f"{found}, and none was processed meanwhile",
            "Look at the shards' log; /readyz names partitions without an owner",
        )
    if waiting > _LAG_WARN:
        return Check(
            "lag", "warning", found, "Wait if the cluster has just started: it replays. Else add shards or cores"
        )
    return Check("lag", "ok", found if waiting else "no message waits")


def readiness(status: Mapping[str, Any]) -> Check:
    bad = [*status["not_ready"], *status["problems"]]
    if bad:
        return Check(
            "parts",
            "failed",
            "; ".join(bad),
            "Look at the log of what does not answer; leases of a dead cluster run out in seconds",
        )
    return Check("parts", "ok", f"all {status['partitions']} partitions have an owner, shards and aggregator answer")


def policy(status: Mapping[str, Any]) -> list[Check]:
    """Shadow is no fault: it is said, so that nobody thinks that he is protected."""
    version_, mode = status["policy_version"], status["mode"]
    said = "it records what it would do, and acts on nobody" if mode == "shadow" else "what it decides is enforced"
    checks = [Check("policy", "ok", f"version {version_} is in {mode} mode: {said}")]
    switch = status["enforcement"]
    if switch == "off":
        checks.append(
            Check(
                "kill switch",
                "warning",
                "off: every gateway lets everybody pass",
                "`stillwatch enforcement on`, when the reason is over",
            )
        )
    elif switch is None:
        checks.append(Check("kill switch", "failed", "could not be read", "Look at the control bucket on NATS"))
    else:
        checks.append(Check("kill switch", "ok", "on: gateways enforce what is stored"))
    if not status["enforcer_loaded"]:
        checks.append(
            Check(
                "enforcer",
                "failed",
                "the API's own has not read the revocations: /authz allows everything",
                "Look at the API's log",
            )
        )
    return checks


def aggregation(aggregator: Mapping[str, Any] | None) -> list[Check]:
    """What the aggregator says of itself. Fields that a version lacks are not judged."""
    if aggregator is None:
        return [Check("evaluations", "failed", "the aggregator does not answer", "Look at its log; Ray restarts it")]
    behind, incomplete = aggregator.get("partitions_behind", 0), aggregator.get("incomplete_evaluations", 0)
    if behind:
        checks = [
            Check(
                "evaluations",
                "warning",
                f"{behind} partitions are left behind; {incomplete} evaluations were made without them",
                "They catch up by themselves if their shards live: see lag",
            )
        ]
    else:
        checks = [
            Check("evaluations", "ok", f"{aggregator['evaluations']:,} made, {aggregator['campaigns']} campaigns known")
        ]
    if stale := aggregator.get("stale"):
        checks.append(
            Check(
                "automatic actions",
                "warning",
                f"wait: {'; '.join(stale)}",
                "They go on by themselves when what is known is fresh again",
            )
        )
    if soon := aggregator.get("never_act_ends_soon"):
        checks.append(
            Check(
                "never-act list",
                "warning",
                f"ends soon: {', '.join(soon)}",
                "Ask the owners of these entries whether they still hold",
            )
        )
    elif "never_act" in aggregator:
        checks.append(Check("never-act list", "ok", f"{aggregator['never_act']} entries, none of them about to end"))
    return checks


def snapshots(told: Mapping[str, Mapping[str, Any]], now_unix_s: float, period_s: float | None) -> Check:
    """``told``: by process, what it says of its snapshots. ``period_s``: by the settings; ``None``: they want none."""
    name = "snapshots"
    if period_s is None or not told:
        return Check(name, "unknown", "nothing is told of any: a start replays the whole stream")
    old = {
        who: now_unix_s - one["written_unix_nano"] / 1e9 for who, one in told.items() if one.get("written_unix_nano")
    }
    if not old and not any(one.get("failed") for one in told.values()):
        return Check(name, "unknown", f"none of {len(told)} processes has written one since its start")
    late = {who: age for who, age in old.items() if age > _SNAPSHOT_PERIODS * period_s}
    failing = sorted(who for who, one in told.items() if one.get("failed"))
    if failing:
        return Check(
            name,
            "failed",
            f"could not be stored by {', '.join(failing)}",
            "Look at the store: its room, its permissions, its log",
        )
    if late:
        who = max(late, key=lambda one: late[one])
        return Check(
            name,
            "warning",
            f"the newest of {who} is {_age(late[who])} old",
            "That is as it should be where nothing new was read since; else look at its log",
        )
    return Check(
        name,
        "ok",
        f"{len(old)} of {len(told)} processes have written one, the oldest {_age(max(old.values(), default=0.0))} old",
    )


def _age(seconds: float) -> str:
    """
    >>> _age(30), _age(7_200), _age(200_000)
    ('30 s', '2.0 hours', '2.3 days')
    """
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 3_600:.1f} hours" if seconds < 86_400 else f"{seconds / 86_400:.1f} days"
