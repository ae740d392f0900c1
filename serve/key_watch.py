"""The keys as their file says them now, and when each was used last. One per replica.

The file is read again when somebody asks and the last look is older than a few seconds: a key that is added or taken away
needs no restart. A file that can not be read leaves the last good ring in force and says so, in the log and as a metric:
a typing mistake must not lock everybody out, the kill switch included.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

from serve.keys import Found, KeyRing, Refusal
from stillwatch.errors import StillwatchError
from stillwatch.ports import Clock

log = logging.getLogger("stillwatch.serve")

# How long a key that was taken out of the file still opens. Kubernetes takes up to a minute to change a mounted Secret.
REREAD_S: Final = 5.0
Load = Callable[[], KeyRing]
"""Reads the file. Raises ``SettingsError``. Picklable, so that it can travel to a replica."""


class KeyWatch:
    def __init__(self, ring: KeyRing, clock: Clock, load: Load | None = None) -> None:
        self._ring, self._clock, self._load = ring, clock, load
        self._looked_monotonic_s = clock.monotonic_s()
        self._looking = asyncio.Lock()
        self._problem = ""
        self._used: dict[tuple[str, str], float] = {}

    @property
    def is_stale(self) -> bool:
        """The file could not be read at the last look."""
        return bool(self._problem)

    @property
    def last_used_unix_s(self) -> Mapping[tuple[str, str], float]:
        """By holder and name of the secret (:attr:`serve.keys.Secret.name`); as long as the file names them."""
        return self._used

    async def find(self, presented: str) -> Found | Refusal:
        await self._look()
        now_unix_s = self._clock.unix_nano() / 1e9
        found = self._ring.find(presented, now_unix_s)
        if isinstance(found, Found):
            self._used[found.key.id, found.secret.name] = now_unix_s
        return found

    async def _look(self) -> None:
        if self._load is None or self._clock.monotonic_s() - self._looked_monotonic_s < REREAD_S:
            return
        async with self._looking:
            if self._clock.monotonic_s() - self._looked_monotonic_s < REREAD_S:
                return  # somebody else did while this one waited
            try:
                ring, problem = await asyncio.to_thread(self._load), ""
            except StillwatchError as error:
                ring, problem = self._ring, str(error)
            self._looked_monotonic_s = self._clock.monotonic_s()
            if problem and problem != self._problem:
                log.error("API keys: %s. The keys of before stay in force", problem)
            elif ring != self._ring:
                log.info("API keys were read anew: %d holders", len(ring))
            self._ring, self._problem = ring, problem
            known = {(key.id, secret.name) for key in ring.keys.values() for secret in key.secrets}
            self._used = {name: at for name, at in self._used.items() if name in known}
