"""Ending background tasks for certain."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

_AGAIN_S: Final = 0.05


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel, and see to it: before Python 3.12 ``asyncio.wait_for``, which nats-py waits with, can swallow a cancellation
    that arrives together with its result, and the task would go on for ever."""
    waiting = set(tasks)
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=_AGAIN_S)
