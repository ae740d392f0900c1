"""What a shard tells the aggregator of an account: bounded, absolute, and so idempotent.

A summary replaces the earlier one of the same account when it has seen a later request, or more of them by then;
folding the same summaries in any order, any number of times, gives the same aggregate. About 350 bytes for a day's worth
of a light account.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from operator import attrgetter

import msgpack

from stillwatch.account import AccountState
from stillwatch.cohort import Cohort
from stillwatch.errors import SnapshotIncompatible
from stillwatch.signals import daily_dispersion, inter_arrival, quiet_hours
from stillwatch.verdict import AccountScore

_FORMAT = 7
_MAX_COUNT = 2**32 - 1  # five bytes each at most
_NO_COHORT = Cohort()  # these signals need none


@dataclass(frozen=True, slots=True)
class AccountSummary:
    """``cells`` holds the two halves of the topic counts as (cell, count) pairs; ``links`` the shared values."""

    account: str
    partition: int
    events: int
    conversations: int
    tokens: int
    first_seen_unix_nano: int
    last_seen_unix_nano: int
    organisation: str | None
    verification: str | None
    label: str | None
    capabilities: tuple[int, ...]  # requests for each of lexicon.CAPABILITIES, in the last two eras
    links: tuple[tuple[str, str], ...]
    cells: tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]
    # Behaviour in time: share of requests in the quietest hours, unevenness of pauses, of days. `None` = too young.
    conduct: tuple[float | None, float | None, float | None] = (None, None, None)
    # Since when conversations were counted: the first request, or the beginning of the era before this one.
    window_from_unix_nano: int = 0
    created_unix: int | None = None  # sign-up, s
    evidence: float | None = None  # natural log of how much likelier an attack the account's own signals make
    # The last calls that began a conversation, and that failed: (ms since 1970, hash of the prompt). For hand-offs.
    begun: tuple[tuple[int, int], ...] = ()
    failed: tuple[tuple[int, int], ...] = ()
    failures: int = 0  # calls that failed, refused ones included
    refused: int = 0  # calls that were refused by a decision of ours
    models: tuple[tuple[int, int], ...] = ()  # (hash of a model's name, first use in unix s), the latest few


def summarise(state: AccountState, partition: int) -> AccountSummary:
    profile = state.profile
    capabilities = tuple(profile.capabilities)
    if max(capabilities) > _MAX_COUNT:
        capabilities = tuple(min(count, _MAX_COUNT) for count in capabilities)
    return AccountSummary(
        account=state.account,
        partition=partition,
        events=profile.events,
        conversations=profile.topics.conversations,
        tokens=profile.input_tokens + profile.output_tokens,
        first_seen_unix_nano=state.first_seen_unix_nano,
        last_seen_unix_nano=state.last_seen_unix_nano,
        organisation=state.organisation,
        verification=state.verification,
        label=state.label,
        capabilities=capabilities,
        links=tuple(state.shared_values()),
        cells=profile.topics.halves(),
        conduct=(
            quiet_hours.SIGNAL.value(state, _NO_COHORT),
            inter_arrival.SIGNAL.value(state, _NO_COHORT),
            daily_dispersion.SIGNAL.value(state, _NO_COHORT),
        ),
        window_from_unix_nano=state.window_from_unix_nano,
        created_unix=state.created_unix,
        evidence=state.evidence,
        begun=tuple(state.begun),
        failed=tuple(state.failed),
        failures=profile.errors + state.refused,
        refused=state.refused,
        models=tuple(sorted(state.models.items())),
    )


@dataclass(frozen=True, slots=True)
class Report:
    """One call of a shard to the aggregator: changed accounts, alarming scores, and the traces they came from."""

    summaries: list[AccountSummary]
    alerts: list[AccountScore]
    traceparents: list[str]


_ROW = attrgetter(*(field.name for field in fields(AccountSummary)))  # `astuple` copies every value


def encode_report(report: Report) -> bytes:
    body = {
        "format": _FORMAT,
        "summaries": [_ROW(summary) for summary in report.summaries],
        "alerts": [score.to_map() for score in report.alerts],
        "traceparents": report.traceparents,
    }
    return bytes(msgpack.packb(body))


def decode_report(payload: bytes) -> Report:
    """The inverse; from our own shards, so a wrong format is an error, not data."""
    raw = msgpack.unpackb(payload, raw=False, use_list=False)
    if raw["format"] != _FORMAT:
        raise SnapshotIncompatible("a shard's report", f"format {raw['format']}", f"format {_FORMAT}")
    return Report(
        [AccountSummary(*row) for row in raw["summaries"]],
        [AccountScore.from_map(score) for score in raw["alerts"]],
        list(raw["traceparents"]),
    )
