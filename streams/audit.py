"""The audit: append-only, one JSON document per entry, on ``stillwatch.audit.<action>``. Implements ``ports.AuditLog``.

The stream itself refuses to delete or purge; what age and size limits keep is set in ``streams.topology``.
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import asdict
from typing import Final

from stillwatch import subjects
from stillwatch.ports import AuditEntry
from streams.journal import Entry, Journal

_log = logging.getLogger(__name__)
_NOT_IN_TOKENS: Final = re.compile(r"[^A-Za-z0-9_-]+")


class JournalAuditLog:
    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def append(self, entry: AuditEntry) -> None:
        subject = subjects.audit_subject(_NOT_IN_TOKENS.sub("-", entry.action) or "unnamed")
        # `default=str`: an entry must never be lost because a detail has an unusual type.
        body = json.dumps({**asdict(entry), "details": dict(entry.details)}, ensure_ascii=False, default=str)
        await self._journal.append([Entry(subject, body.encode(), {"content-type": "application/json"})])

    async def newest(self, limit: int) -> list[AuditEntry]:
        found: list[AuditEntry] = []
        for stored in await self._journal.newest(limit, subjects.AUDIT_IN):
            try:
                found.append(AuditEntry(**json.loads(stored.payload)))
            except (ValueError, TypeError) as error:
                _log.warning("%s, sequence %d is no audit entry: %s", stored.subject, stored.sequence, error)
        return found
