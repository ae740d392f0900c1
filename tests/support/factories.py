"""Small makers of values for tests: a default that is right, and what the test is about as arguments."""

from __future__ import annotations

import numpy as np

from stillwatch.event import RequestEvent
from stillwatch.partition import partition_of
from stillwatch.ports import RawMessage
from stillwatch.settings import DetectionSettings, IngestSettings
from stillwatch.shard import PartitionCore
from stillwatch.subjects import envelope_subject
from stillwatch.summary import AccountSummary
from stillwatch.wire import encode_envelope, encode_event

T0 = 1_790_000_000_000_000_000  # 2026-09-21, in ns
SECOND = 1_000_000_000
HOUR = 3_600 * SECOND


def an_event(account: str = "acct-1", number: int = 0, prompt: str | None = None, **attributes: object) -> RequestEvent:
    """Attribute names with dots are given with double underscores: ``stillwatch__org__id="o"``."""
    named = {name.replace("__", "."): value for name, value in attributes.items()}
    if prompt is not None:
        named["stillwatch.prompt.text"] = prompt
    return RequestEvent(f"{account}-{number}", account, T0 + number * SECOND, named)  # type: ignore[arg-type]


def a_message(event: RequestEvent, sequence: int, partition: int = 0) -> RawMessage:
    subject = f"stillwatch.partition.{partition}.{event.account}"
    return RawMessage(sequence, subject, encode_event(event), event.time_unix_nano + SECOND)


def an_envelope(events: list[RequestEvent], sequence: int, partition: int = 0) -> RawMessage:
    newest = max(event.time_unix_nano for event in events)
    return RawMessage(sequence, envelope_subject(partition), encode_envelope(events), newest + SECOND)


def a_core(partitions: int = 1, partition: int = 0, **ingest: int) -> PartitionCore:
    return PartitionCore(partition, partitions, IngestSettings(**ingest), DetectionSettings())


def account_in(partition: int, partitions: int, number: int = 0) -> str:
    """The ``number``-th account name that belongs to the partition."""
    found = (f"a{i}" for i in range(1_000_000) if partition_of(f"a{i}", partitions) == partition)
    return next(name for index, name in enumerate(found) if index == number)


def a_summary(
    account: str, counts: np.ndarray, links: tuple[tuple[str, str], ...] = (), capabilities: tuple[int, ...] = (1,) * 16 + (0,) * 8,
    organisation: str | None = None, verification: str | None = None, now: int = T0,
) -> AccountSummary:  # fmt: skip
    """From topic counts of shape (2, cells)."""
    halves = tuple(tuple((int(c), int(n)) for c, n in enumerate(half) if n) for half in counts)
    conversations = int(counts.sum())
    return AccountSummary(
        account=account, partition=0, events=conversations, conversations=conversations, tokens=conversations * 700,
        first_seen_unix_nano=T0, last_seen_unix_nano=now, organisation=organisation, verification=verification,
        label=None, capabilities=capabilities, links=links, cells=halves,
    )  # type: ignore[arg-type]  # fmt: skip


def topic_counts(rng: np.random.Generator, mixture: np.ndarray, conversations: int) -> np.ndarray:
    """Topic counts in two halves: each conversation falls into either half with a chance of one half."""
    first = int(rng.binomial(conversations, 0.5))
    return np.stack([rng.multinomial(first, mixture), rng.multinomial(conversations - first, mixture)])
