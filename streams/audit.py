"""The audit: append-only, one JSON document per entry, on ``stillwatch.audit.<action>``. Implements ``ports.AuditLog``.

The stream itself refuses to delete or purge; what age and size limits keep is set in ``streams.topology``. What a server's
administrator could still do shows in the entries' hash chains (``stillwatch.audit_chain``).
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Final

from nats.aio.client import Client
from nats.js.api import StreamState

from stillwatch import subjects
from stillwatch.audit_chain import KEY, ChainCheck, Head, Link, Report, digest, sealed
from stillwatch.ports import AuditEntry
from streams.connection import reaching, require_connection
from streams.journal import Entry, Journal
from streams.scan import read_all

_log = logging.getLogger(__name__)
# The copy that answers a read may be behind the one that told of the newest entry. What is not there after this is missing.
_READS: Final = 5
_READ_AGAIN_S: Final = 0.2
_NOT_IN_TOKENS: Final = re.compile(r"[^A-Za-z0-9_-]+")


class JournalAuditLog:
    """``writer`` is a name that no other life of a process has: its entries are one chain."""

    def __init__(self, journal: Journal, writer: str) -> None:
        self._journal, self._writer = journal, writer
        self._appending = asyncio.Lock()  # an entry holds the hash of the one before it
        self._head: Link | None = None  # what the next entry will hold

    async def append(self, entry: AuditEntry) -> None:
        subject = subjects.audit_subject(_NOT_IN_TOKENS.sub("-", entry.action) or "unnamed")
        async with self._appending:
            link = self._head = self._head or await self._first()
            document = sealed({**asdict(entry), "details": dict(entry.details)}, link)
            headers = {"content-type": "application/json", subjects.H_SHA256: digest(document)}
            # Raises when it is not known to be stored. The chain then goes on from where it was.
            [sequence] = await self._journal.append([Entry(subject, document, headers)])
            self._head = Link(self._writer, link.number + 1, digest(document), sequence)

    async def _first(self) -> Link:
        newest = await self._journal.newest(1, subjects.AUDIT_IN)
        if not newest:
            return Link(self._writer, 1, "")
        return Link(self._writer, 1, digest(newest[0].payload), newest[0].sequence)

    async def newest(self, limit: int) -> list[AuditEntry]:
        found: list[AuditEntry] = []
        for stored in await self._journal.newest(limit, subjects.AUDIT_IN):
            try:
                document = json.loads(stored.payload)
                document.pop(KEY, None)
                found.append(AuditEntry(**document))
            except (ValueError, TypeError, AttributeError) as error:
                # By its kind: the message of a decoder can quote what it read.
                _log.warning(
                    "%s, sequence %d is no audit entry: %s", stored.subject, stored.sequence, type(error).__name__
                )
        return found


async def verify(client: Client, kept: Mapping[str, Head]) -> Report:
    """Reads the whole log and checks it; ``kept`` are heads of an earlier report. Raises ``Unavailable``."""
    state = await _state(client)
    check: ChainCheck | None = None
    first = 1
    for _ in range(_READS):
        async for stored in read_all(client, subjects.AUDIT, subjects.AUDIT_IN, first):
            if check is None:
                if stored.sequence > state.first_seq:  # what stood before may have gone by age in between
                    state = await _state(client)
                check = ChainCheck(state.first_seq, kept, state.last_seq)
            check.take(stored.sequence, stored.payload, stored.headers.get(subjects.H_SHA256))
            first = stored.sequence + 1
        if first > state.last_seq:
            break
        await asyncio.sleep(_READ_AGAIN_S)
    return (check or ChainCheck(state.first_seq, kept, state.last_seq)).report()


async def _state(client: Client) -> StreamState:
    require_connection(client, f"stream {subjects.AUDIT}")
    with reaching(f"stream {subjects.AUDIT}"):
        return (await client.jetstream().stream_info(subjects.AUDIT)).state
