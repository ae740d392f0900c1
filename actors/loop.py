"""An asyncio loop in a thread of its own, so that an actor works from the moment it exists.

Ray runs ``__init__`` again when it restarts an actor, and nothing else: whoever waits to be told to start would stay
idle after a crash. Calls from Ray's threads are handed over to the loop and have a bound.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import TimeoutError as CallTimeout
from typing import Any, TypeVar

from stillwatch.errors import Unavailable

T = TypeVar("T")


class LoopThread:
    def __init__(self, name: str, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self._loop = new_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def call(self, work: Coroutine[Any, Any, T], timeout_s: float) -> T:
        """Runs ``work`` on the loop and waits for it. For any thread but the loop's own."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout_s)
        except CallTimeout as error:
            future.cancel()
            raise Unavailable(self._thread.name, f"no answer in {timeout_s:g} s") from error

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
