"""Dead letters: what could not be processed, with its original bytes, and why. Implements ``ports.DeadLetters``.

An operator reads them with ``nats stream view STILLWATCH_DEADLETTER``: reason and field stand in headers, the payload is
what was published. One subject per rejected event, so a replay writes no letter twice.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, get_args
from urllib.parse import unquote

from stillwatch import subjects
from stillwatch.errors import NotFound
from stillwatch.event import Rejected, RejectReason
from stillwatch.ports import DeadLetter
from streams.journal import Entry, Journal, header_value
from streams.scan import Stored

_log = logging.getLogger(__name__)

# Headers are for sorting and reading; whoever sent a field name of a megabyte finds it in the payload.
_MAX_DETAIL_CHARS: Final = 300
# Room for the headers (300 characters percent-encoded, twice, and names), because the server counts them too.
_HEADER_ROOM_BYTES: Final = 16_384
_ID: Final = re.compile(r"[0-9]{1,4}\.[0-9]{1,19}\.[0-9]{1,4}\Z")
_REASONS: Final = frozenset(get_args(RejectReason))


class JournalDeadLetters:
    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def put(self, letters: Sequence[DeadLetter]) -> None:
        room = self._journal.max_message_bytes - _HEADER_ROOM_BYTES
        await self._journal.append([_entry(letter, room) for letter in letters], once=True)

    async def count(self) -> int:
        return await self._journal.count()

    async def get(self, id: str) -> DeadLetter:
        if _ID.match(id):
            partition, sequence, index = map(int, id.split("."))
            for stored in await self._journal.newest(1, subjects.deadletter_subject(partition, sequence, index)):
                letter = _letter(stored)
                if letter is not None:
                    return letter
        raise NotFound("dead letter", id)

    async def mark_replayed(self, letter: DeadLetter, replayed: str) -> None:
        room = self._journal.max_message_bytes - _HEADER_ROOM_BYTES
        await self._journal.append([_entry(replace(letter, replayed=replayed), room)])

    async def newest(self, limit: int) -> list[DeadLetter]:
        found = [_letter(stored) for stored in await self._journal.newest(limit, subjects.DEADLETTER_IN)]
        return [letter for letter in found if letter is not None]


def _entry(letter: DeadLetter, room: int) -> Entry:
    rejected = letter.rejected
    headers = {
        subjects.H_REASON: rejected.reason,
        subjects.H_FIELD: header_value(rejected.field[:_MAX_DETAIL_CHARS]),
        subjects.H_DETAIL: header_value(rejected.detail[:_MAX_DETAIL_CHARS]),
        subjects.H_SUBJECT: header_value(letter.subject[:_MAX_DETAIL_CHARS]),
        subjects.H_SEQUENCE: str(letter.sequence),
    }
    if letter.replayed:
        headers[subjects.H_REPLAYED] = header_value(letter.replayed[:_MAX_DETAIL_CHARS])
    payload = letter.payload
    if letter.truncated_from:
        headers[subjects.H_TRUNCATED] = str(letter.truncated_from)
    if len(payload) > room:
        # A message of the largest size leaves no room for our headers. The whole one stays in the stream that it
        # came from, under the sequence above.
        payload, headers[subjects.H_TRUNCATED] = payload[:room], str(len(payload))
    return Entry(subjects.deadletter_subject(letter.partition, letter.sequence, letter.index), payload, headers)


def _letter(stored: Stored) -> DeadLetter | None:
    try:
        *_, partition, sequence, index = stored.subject.split(".")
        reason = stored.headers[subjects.H_REASON]
        if reason not in _REASONS:
            raise ValueError(reason)
        rejected = Rejected(
            reason,  # type: ignore[arg-type]  # checked above
            unquote(stored.headers.get(subjects.H_FIELD, "")),
            unquote(stored.headers.get(subjects.H_DETAIL, "")),
        )
        subject = unquote(stored.headers.get(subjects.H_SUBJECT, ""))
        return DeadLetter(
            int(partition), int(sequence), int(index), subject, stored.payload, rejected,
            unquote(stored.headers.get(subjects.H_REPLAYED, "")), int(stored.headers.get(subjects.H_TRUNCATED, "0")),
        )  # fmt: skip
    except (KeyError, ValueError):
        _log.warning("%s, sequence %d is no dead letter of ours", stored.subject, stored.sequence)
        return None
