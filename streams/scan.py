"""Reading many stored messages in one request: JetStream's batched direct get (ADR-31), for which nats-py has no call.

Consumers would be created and deleted for every read; this leaves nothing behind on the server.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from nats.aio.client import Client
from nats.aio.msg import Msg

from stillwatch.errors import Unavailable
from streams.connection import reaching, require_connection

# A page is held in memory; 500 verdicts of a few kilobytes are a megabyte or two.
PAGE_MESSAGES: Final = 500
_PAGE_BYTES: Final = 16 * 1024 * 1024
_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Stored:
    subject: str
    sequence: int
    payload: bytes
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Page:
    """``left``: how many more messages match behind the last one."""

    messages: list[Stored]
    left: int


async def read_page(client: Client, stream: str, matching: str, first: int, limit: int = PAGE_MESSAGES) -> Page:
    """Up to ``limit`` messages whose subject matches, from sequence ``first`` on, in stream order."""
    require_connection(client, stream)
    answers: list[Msg] = []
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def take(message: Msg) -> None:
        answers.append(message)
        if not message.data and "Status" in (message.headers or {}) and not ended.done():
            ended.set_result(None)

    inbox = client.new_inbox()
    request = {"seq": max(first, 1), "next_by_subj": matching, "batch": limit, "max_bytes": _PAGE_BYTES}
    with reaching(f"stream {stream}"):
        subscription = await client.subscribe(inbox, cb=take)
        try:
            await client.publish(f"$JS.API.DIRECT.GET.{stream}", json.dumps(request).encode(), inbox)
            async with asyncio.timeout(_TIMEOUT_S):
                await ended
        finally:
            if not client.is_closed:
                await subscription.unsubscribe()
    status: dict[str, Any] = answers.pop().headers or {}
    if status["Status"] not in ("204", "404"):  # the end, or nothing matches
        raise Unavailable(f"stream {stream}", f"{status['Status']} {status.get('Description', '')}".strip())
    return Page([_stored(message) for message in answers], int(status.get("Nats-Num-Pending", 0)))


async def read_all(client: Client, stream: str, matching: str, first: int = 1) -> AsyncIterator[Stored]:
    """Every matching message from sequence ``first`` on, a page at a time."""
    while True:
        page = await read_page(client, stream, matching, first)
        for message in page.messages:
            yield message
        if not page.left or not page.messages:
            return
        first = page.messages[-1].sequence + 1


def _stored(message: Msg) -> Stored:
    headers = dict(message.headers or {})
    return Stored(headers["Nats-Subject"], int(headers["Nats-Sequence"]), message.data, headers)
