"""The verdict log: verdicts, and the newest state of each campaign, as CloudEvents 1.0. Implements ``ports.VerdictLog``.

Binary mode: the attributes are ``ce-`` headers, the payload is JSON, so that any consumer (SIEM, webhook bridge, Knative)
routes without decoding. Subjects: ``stillwatch.verdicts.<kind>.<about>.<id>`` for verdicts, each written once and never
again; ``stillwatch.verdicts.state.<campaign>`` for campaigns, where the newest replaces the one before.
"""

from __future__ import annotations

import gzip
import json
import logging
import math
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from stillwatch import subjects
from stillwatch.errors import NotFound
from stillwatch.event import ACCOUNT_TOKEN
from stillwatch.verdict import Campaign, Verdict
from streams.fence import StreamFence
from streams.journal import Entry, Journal, header_value
from streams.scan import Stored

_log = logging.getLogger(__name__)
T = TypeVar("T", Verdict, Campaign)

VERDICT_TYPE: Final = "io.stillwatch.verdict.v1"
CAMPAIGN_TYPE: Final = "io.stillwatch.campaign.v1"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HEADER_ROOM_BYTES: Final = 4_096
# More campaigns than an aggregator keeps open by far; a bound on what a start reads back.
_MAX_CAMPAIGNS: Final = 10_000


class JournalVerdictLog:
    def __init__(self, journal: Journal, source: str, fence: StreamFence) -> None:
        """``source`` is the CloudEvents source: which deployment decided."""
        self._journal, self._source, self._fence = journal, source, fence

    async def publish_verdict(self, verdict: Verdict, traceparent: str | None = None) -> None:
        subject = subjects.verdict_subject(verdict.kind, verdict.subject, verdict.id)
        entry = self._event(
            subject, VERDICT_TYPE, verdict.id, verdict.subject, verdict.decided_at_unix_nano, verdict.to_map(),
            traceparent,
        )  # fmt: skip
        await self._journal.append([entry], once=True, fence=self._fence.verdicts)

    async def publish_campaign(self, campaign: Campaign, traceparent: str | None = None) -> None:
        entry = self._event(
            subjects.campaign_subject(campaign.id), CAMPAIGN_TYPE, f"{campaign.id}.{campaign.updated_at_unix_nano}",
            campaign.id, campaign.updated_at_unix_nano, campaign.to_map(), traceparent,
        )  # fmt: skip
        await self._journal.append([entry], fence=self._fence.verdicts)

    async def verdicts(self, subject: str | None = None, limit: int = 100) -> list[Verdict]:
        if subject is not None and not ACCOUNT_TOKEN.match(subject):
            return []  # it comes from a URL; a wildcard would show everybody's
        matching = subjects.verdict_subject("*", subject or "*", "*")
        return _decoded(await self._journal.newest(limit, matching), Verdict)

    async def verdict(self, id: str) -> Verdict:
        matching = subjects.verdict_subject("*", "*", id)
        found = _decoded(await self._journal.newest(1, matching), Verdict) if ACCOUNT_TOKEN.match(id) else []
        if not found:
            raise NotFound("verdict", id)
        return found[0]

    async def campaigns(self) -> list[Campaign]:
        return _decoded(await self._journal.newest(_MAX_CAMPAIGNS, subjects.campaign_subject("*")), Campaign)

    def _event(
        self, subject: str, kind: str, id: str, about: str, time_unix_nano: int, body: dict[str, Any],
        traceparent: str | None,
    ) -> Entry:  # fmt: skip
        headers = {
            "ce-specversion": "1.0",
            "ce-type": kind,
            "ce-source": header_value(self._source),
            "ce-id": header_value(id),
            "ce-subject": header_value(about),
            "ce-time": _rfc3339(time_unix_nano),
            "content-type": "application/json",
        }
        if traceparent is not None:
            headers[subjects.H_TRACEPARENT] = traceparent
        payload = _json(body)
        if len(payload) > self._journal.max_message_bytes - _HEADER_ROOM_BYTES:
            # A campaign of 10,000 members is two megabytes of JSON, the server's default limit one.
            payload, headers["content-encoding"] = gzip.compress(payload, mtime=0), "gzip"
        return Entry(subject, payload, headers)


def _decoded(found: list[Stored], kind: type[T]) -> list[T]:
    out: list[T] = []
    for stored in found:
        try:
            packed = stored.headers.get("content-encoding") == "gzip"
            out.append(kind.from_map(json.loads(gzip.decompress(stored.payload) if packed else stored.payload)))
        except (ValueError, KeyError, TypeError, OSError, EOFError) as error:
            # A foreign message on our subject must not hide the others.
            _log.warning("%s, sequence %d is no %s: %s", stored.subject, stored.sequence, kind.__name__, error)
    return out


def _json(body: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
    except ValueError:
        return json.dumps(_finite(body), separators=(",", ":")).encode()


def _finite(value: Any) -> Any:
    """JSON has no infinity: evidence beyond every bound becomes the largest number there is, "not a number" null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else math.copysign(sys.float_info.max, value)
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def _rfc3339(unix_nano: int) -> str:
    """
    >>> _rfc3339(1_790_000_000_123_456_789)
    '2026-09-21T14:13:20.123456Z'
    """
    at = _EPOCH + timedelta(microseconds=unix_nano // 1_000)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
