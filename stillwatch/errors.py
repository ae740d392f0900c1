"""The errors that Stillwatch raises.

    StillwatchError
    ├── SettingsError          a configuration that can not work; says which key and what to write instead
    ├── DeploymentMismatch     the streams on this NATS were made for another partition count
    ├── NotOwner               this shard does not own the account's partition (any more)
    ├── Unavailable            a part that is needed did not answer in time; try again
    ├── StreamRewound          the stream gives out numbers again that are in state already
    ├── Conflict               the request contradicts what is stored (idempotency key reused, stale revision)
    ├── NotFound               no such account, campaign or revocation
    ├── Fenced                 another owner has taken over; what was to be written was refused
    ├── SnapshotIncompatible   a snapshot of another format, library version or configuration; refused, never misread
    ├── SnapshotDamaged        a snapshot that is torn or changed; the one before it is used
    └── SnapshotUntrusted      a snapshot that was signed with another key, or with none; not looked into

Bad *data* is not here: a rejected event is a value (:class:`stillwatch.event.Rejected`), because one bad event must
never stop a batch. Every error passes all its fields to ``Exception.__init__``, so that it survives pickling across
Ray; a test round-trips each class.
"""

from __future__ import annotations


class StillwatchError(Exception):
    """Base of all errors. ``str()`` is for people and says what to do next."""


class SettingsError(StillwatchError):
    def __init__(self, key: str, problem: str, remedy: str) -> None:
        super().__init__(key, problem, remedy)
        self.key, self.problem, self.remedy = key, problem, remedy

    def __str__(self) -> str:
        return f"{self.key}: {self.problem}. {self.remedy}"


class DeploymentMismatch(StillwatchError):
    def __init__(self, stream: str, found_partitions: int, wanted_partitions: int) -> None:
        super().__init__(stream, found_partitions, wanted_partitions)
        self.stream, self.found_partitions, self.wanted_partitions = stream, found_partitions, wanted_partitions

    def __str__(self) -> str:
        return (
            f"stream {self.stream} was created for {self.found_partitions} partitions, this configuration says "
            f"{self.wanted_partitions}. The partition count is fixed when a deployment is created, because accounts "
            f"would move to partitions that do not hold their state. Set partitions: {self.found_partitions}, or use "
            f"a NATS account without this stream."
        )


class NotOwner(StillwatchError):
    def __init__(self, shard: str, partition: int) -> None:
        super().__init__(shard, partition)
        self.shard, self.partition = shard, partition

    def __str__(self) -> str:
        return f"{self.shard} does not own partition {self.partition} now; look up its lease and ask its holder"


class Unavailable(StillwatchError):
    def __init__(self, what: str, problem: str, retry_after_s: float = 1.0) -> None:
        super().__init__(what, problem, retry_after_s)
        self.what, self.problem, self.retry_after_s = what, problem, retry_after_s

    def __str__(self) -> str:
        return f"{self.what} is not available: {self.problem}. Try again in {self.retry_after_s:g} s"


class StreamRewound(StillwatchError):
    """What comes next has numbers behind ``sequence``, though higher ones were seen before."""

    def __init__(self, partition: int, sequence: int, why: str) -> None:
        super().__init__(partition, sequence, why)
        self.partition, self.sequence, self.why = partition, sequence, why

    def __str__(self) -> str:
        return (
            f"partition {self.partition}: {self.why}; it goes on behind sequence {self.sequence}. State is kept; look why "
            "the stream lost messages"
        )


class Conflict(StillwatchError):
    def __init__(self, what: str, problem: str) -> None:
        super().__init__(what, problem)
        self.what, self.problem = what, problem

    def __str__(self) -> str:
        return f"{self.what}: {self.problem}"


class NotFound(StillwatchError):
    def __init__(self, kind: str, id: str) -> None:
        super().__init__(kind, id)
        self.kind, self.id = kind, id

    def __str__(self) -> str:
        return f"no {self.kind} {self.id!r}"


class SnapshotIncompatible(StillwatchError):
    def __init__(self, what: str, found: str, wanted: str) -> None:
        super().__init__(what, found, wanted)
        self.what, self.found, self.wanted = what, found, wanted

    def __str__(self) -> str:
        return (
            f"snapshot of {self.what} is {self.found}, this version reads {self.wanted}. "
            "Start without the snapshot: the state is rebuilt from the stream."
        )


class SnapshotDamaged(StillwatchError):
    def __init__(self, what: str, problem: str) -> None:
        super().__init__(what, problem)
        self.what, self.problem = what, problem

    def __str__(self) -> str:
        return f"snapshot of {self.what} is damaged: {self.problem}. The one before it is used, or the stream"


class SnapshotUntrusted(StillwatchError):
    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return (
            f"{self.what} is not signed with this deployment's key; it was not opened, because opening one runs what is in "
            "it. If the key was changed, put the old one back into snapshots.key_file, or delete the snapshots: the state "
            "is rebuilt from the stream. If it was not, find out who else can write to the snapshot store."
        )


class Fenced(StillwatchError):
    def __init__(self, what: str, epoch: int) -> None:
        super().__init__(what, epoch)
        self.what, self.epoch = what, epoch

    def __str__(self) -> str:
        return (
            f"{self.what}: epoch {self.epoch} is over, another owner has taken over; nothing was written, stop acting"
        )
