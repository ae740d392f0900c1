"""Who may not pass now, known in RAM: a look-up costs a microsecond and waits for nobody.

The answer is as fresh as the last message: milliseconds while NATS is there. While it is not, what is known stays in
force until its own expiry, and nothing new arrives. Before the first list has been read (``loaded`` is false) everybody
passes: an outage of Stillwatch must never become an outage of the platform.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

from nats.aio.client import Client
from opentelemetry import trace
from opentelemetry.trace import Tracer

from stillwatch import subjects
from stillwatch.gateway.feed import API_PREFIX, BucketFeed, Change, Listing
from stillwatch.gateway.spans import apply_span, refuse_span
from stillwatch.gateway.tasks import end
from stillwatch.revocation import Enforcement, stronger

_log = logging.getLogger(__name__)

# A million keys of a hundred bytes is what a gateway can spare; a bucket beyond that is a mistake or an attack.
MAX_KEYS: Final = 1_000_000
# Values are decoded once per campaign, not once per member: the bytes of all members' keys are the same.
_decoded = lru_cache(maxsize=4_096)(Enforcement.decode)


@dataclass(frozen=True, slots=True)
class EnforcerStats:
    keys: int
    applied: int
    comparisons: int
    reconciled_missed: int  # differences that only the comparison found; more than a few: look at the network
    undecodable: int  # foreign values in the bucket
    over_capacity: int  # keys that did not fit
    interruptions: int  # feeds that had to start over
    checks: int
    refusals: int
    enforcement: bool  # the kill switch
    loaded: bool


@dataclass(slots=True)
class _Held:
    enforcement: Enforcement
    revision: int
    refused: bool = False


class Enforcer:
    """``async with Enforcer(client) as enforcer`` keeps the list; ``check`` reads it, ``refused`` reports.

    ``clock`` gives the time in Unix seconds, for expiry. ``reconcile_s`` is the time between two comparisons.
    """

    def __init__(
        self,
        nc: Client,
        *,
        clock: Callable[[], float] = time.time,
        reconcile_s: float = 60.0,
        max_keys: int = MAX_KEYS,
        tracer: Tracer | None = None,
        api_prefix: str = API_PREFIX,
    ) -> None:
        self._clock, self._max_keys = clock, max_keys
        self._tracer = tracer or trace.get_tracer("stillwatch.gateway")
        self._held: dict[str, _Held] = {}
        # Removals newer than the last comparison, so that a list read meanwhile can not bring a key back.
        self._removed: dict[str, int] = {}
        self._enforcing, self._switch_revision = True, 0
        self._loaded = {subjects.REVOCATIONS_BUCKET: False, subjects.CONTROL_BUCKET: False}
        self._both_loaded = asyncio.Event()
        self._applied = self._missed = self._undecodable = self._over_capacity = self._checks = self._refusals = 0
        self._revocations = BucketFeed(
            nc, subjects.REVOCATIONS_BUCKET, (subjects.account_key("*"), "org.*"),
            on_change=self._on_change, on_listing=self._on_listing, on_missing=lambda: None,
            on_recreated=self._on_recreated, relist_s=reconcile_s, api_prefix=api_prefix,
        )  # fmt: skip
        self._control = BucketFeed(
            nc, subjects.CONTROL_BUCKET, (subjects.ENFORCEMENT_KEY,),
            on_change=self._on_switch, on_listing=self._on_switch_listing, on_missing=self._on_no_switch,
            on_recreated=self._on_switch_recreated, relist_s=reconcile_s, api_prefix=api_prefix,
        )  # fmt: skip
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def loaded(self) -> bool:
        """Whether the list and the kill switch have been read once."""
        return self._both_loaded.is_set()

    @property
    def enforcing(self) -> bool:
        """The kill switch: false means that everybody passes."""
        return self._enforcing

    @property
    def active(self) -> int:
        """How many keys hold now. Walks all of them: for a metric, not for a request."""
        now = self._clock()
        return sum(now < held.enforcement.expires_unix_s for held in self._held.values())

    @property
    def silent_s(self) -> float:
        """How long ago the list and the kill switch were last heard of, the older of both: a change, a list, a heartbeat."""
        return max(self._revocations.silent_s, self._control.silent_s)

    @property
    def stats(self) -> EnforcerStats:
        return EnforcerStats(
            keys=len(self._held), applied=self._applied, comparisons=self._revocations.comparisons, reconciled_missed=self._missed,
            undecodable=self._undecodable, over_capacity=self._over_capacity,
            interruptions=self._revocations.interruptions + self._control.interruptions,
            checks=self._checks, refusals=self._refusals, enforcement=self._enforcing, loaded=self.loaded,
        )  # fmt: skip

    async def start(self) -> None:
        """Returns at once; see ``wait_loaded``."""
        if not self._tasks:
            self._tasks = [*self._revocations.start(), *self._control.start()]

    async def wait_loaded(self, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                await self._both_loaded.wait()
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        await end(tasks)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def check(
        self, account: str | None, organisation: str | None = None, now_unix_s: float | None = None
    ) -> Enforcement | None:
        """The strongest enforcement that holds now for the account or its organisation, or ``None``.

        ``observe`` is an answer too, and no reason to refuse: see ``stillwatch.gateway.refuses``.
        """
        self._checks += 1
        if not self._enforcing or not self._both_loaded.is_set():
            return None
        of_account = self._held.get(subjects.account_key(account)) if account else None
        of_organisation = self._held.get(subjects.organisation_key(organisation)) if organisation else None
        if of_account is None and of_organisation is None:  # nearly always
            return None
        now = self._clock() if now_unix_s is None else now_unix_s
        return stronger(
            None if of_account is None else of_account.enforcement,
            None if of_organisation is None else of_organisation.enforcement,
            now,
            account,
        )

    def refused(self, enforcement: Enforcement, account: str | None, organisation: str | None = None) -> None:
        """Tell that a request was refused because of what ``check`` gave: counts it and writes the span."""
        self._refusals += 1
        first = False
        for key in (
            account and subjects.account_key(account),
            organisation and subjects.organisation_key(organisation),
        ):
            held = self._held.get(key) if key else None
            if held is not None and held.enforcement is enforcement:
                first, held.refused = not held.refused, True
                break
        refuse_span(self._tracer, enforcement, closes_the_loop=first)

    def _on_change(self, change: Change) -> None:
        held = self._held.get(change.key)
        if change.revision <= max(held.revision if held else 0, self._removed.get(change.key, 0)):
            return
        if change.value is None:
            self._held.pop(change.key, None)
            if len(self._removed) < self._max_keys:
                self._removed[change.key] = change.revision
            return
        enforcement = _decoded(change.value)
        if enforcement is None:
            # What stood under the key before was replaced, by something that says nothing.
            self._undecodable += 1
            self._held.pop(change.key, None)
            self._removed[change.key] = change.revision
            _log.warning("the value of a revocation key can not be read, revision %d", change.revision)
            return
        if held is None and len(self._held) >= self._max_keys:
            self._over_capacity += 1
            return
        known = held is not None and held.enforcement.revocation == enforcement.revocation
        self._held[change.key] = _Held(
            enforcement, change.revision, refused=known and held is not None and held.refused
        )
        self._removed.pop(change.key, None)
        if not known:
            self._applied += 1
            # What is read at start was applied by this gateway's earlier life.
            if self._loaded[subjects.REVOCATIONS_BUCKET]:
                apply_span(self._tracer, enforcement)

    def _on_listing(self, listing: Listing, opens_feed: bool) -> None:
        missed = 0
        if not opens_feed:
            for change in listing.changes.values():
                held = self._held.get(change.key)
                known = max(held.revision if held else 0, self._removed.get(change.key, 0))
                # Newer than the horizon is not missed but on its way; what can not be held was not missed either.
                if not known < change.revision <= listing.horizon or (held is None and not self._can_hold(change)):
                    continue
                missed += 1
                self._on_change(change)
        for key in [
            k for k, held in self._held.items() if held.revision <= listing.horizon and k not in listing.changes
        ]:
            del self._held[key]
            missed += 1
        self._removed = {key: revision for key, revision in self._removed.items() if revision > listing.horizon}
        if missed and self._loaded[subjects.REVOCATIONS_BUCKET]:
            self._missed += missed
            _log.warning("%d revocation keys differed from what the feed had told", missed)
        self._set_loaded(subjects.REVOCATIONS_BUCKET)

    def _on_recreated(self) -> None:
        """What is held stays in force until the new bucket's list is there, and is older than anything in it."""
        self._removed.clear()
        for held in self._held.values():
            held.revision = 0

    def _can_hold(self, change: Change) -> bool:
        return change.value is not None and _decoded(change.value) is not None and len(self._held) < self._max_keys

    def _on_switch(self, change: Change) -> None:
        if change.revision > self._switch_revision:
            self._switch_revision = change.revision
            self._switch(change.value is None or change.value.strip().lower() != b"off")

    def _on_switch_recreated(self) -> None:
        self._switch_revision = 0

    def _on_switch_listing(self, listing: Listing, _opens_feed: bool) -> None:
        for change in listing.changes.values():
            self._on_switch(change)
        if not listing.changes and self._switch_revision <= listing.horizon:
            self._switch(True)
        self._set_loaded(subjects.CONTROL_BUCKET)

    def _switch(self, on: bool) -> None:
        if on != self._enforcing:
            _log.warning("enforcement is switched %s", "on" if on else "off")
        self._enforcing = on

    def _on_no_switch(self) -> None:
        """Without the bucket nobody can have switched it off."""
        self._set_loaded(subjects.CONTROL_BUCKET)

    def _set_loaded(self, bucket: str) -> None:
        self._loaded[bucket] = True
        if all(self._loaded.values()):
            self._both_loaded.set()
