"""What the gateway's tests share: the stream and buckets of a deployment, and waiting for a condition."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from nats.aio.client import Client
from nats.js.kv import KeyValue

from stillwatch import subjects
from stillwatch.revocation import Enforcement
from stillwatch.settings import Settings
from stillwatch.verdict import Action
from streams.topology import ensure

NEVER = 4_000_000_000  # expires in 2096
SETTINGS = Settings(partitions=4)


async def eventually(condition: Callable[[], object], within_s: float = 10.0) -> None:
    """Returns when the condition holds; fails when it does not in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s"
        await asyncio.sleep(0.01)


async def a_deployment(client: Client) -> tuple[KeyValue, KeyValue]:
    """Streams and buckets as the cluster makes them; gives the buckets of revocations and of control."""
    await ensure(client, SETTINGS)
    context = client.jetstream()
    return await context.key_value(subjects.REVOCATIONS_BUCKET), await context.key_value(subjects.CONTROL_BUCKET)


def an_enforcement(
    revocation: str = "r-1", action: Action = "revoke", expires_unix_s: int = NEVER, traceparent: str | None = None
) -> bytes:
    return Enforcement(revocation, action, "model extraction", expires_unix_s, traceparent).encode()
