"""When the aggregator does not act by itself: what is known is stale, an account is protected, a limit was reached.

What waits is a revocation that is stored and does not act (``stillwatch.revocation.Hold``), so it survives every process.
People let it act over the API; what waited only for fresh state is let act here, as far as its members still are what they
were.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from stillwatch.blast import Admitted
from stillwatch.correlation.table import AccountTable
from stillwatch.decisions import Decider
from stillwatch.errors import NotFound
from stillwatch.freshness import stale_because
from stillwatch.never_act import Protection
from stillwatch.ports import AuditEntry, AuditLog, Clock, Control, NeverActStore, RevocationStore
from stillwatch.revocation import Hold, Revocation
from stillwatch.settings import Policy
from stillwatch.verdict import Campaign, Mode, strength

log = logging.getLogger("stillwatch.aggregator")

_PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class CautionPorts:
    revocations: RevocationStore
    never_act: NeverActStore
    control: Control
    audit: AuditLog
    clock: Clock


class Caution:
    def __init__(self, policy: Policy, decider: Decider, ports: CautionPorts) -> None:
        self._policy, self._decider, self._ports = policy, decider, ports
        self._broker_ahead_nano: int | None = None
        self._may_release: set[str] = set()
        self._counted: set[str] = set()  # of these: their accounts are counted, and the store may not know yet
        self.held_back: Counter[str] = Counter()  # accounts, by what held them back
        self.stale: tuple[str, ...] = ()
        self.waiting = self.ended = self.released = 0
        self.protected: tuple[Protection, ...] = ()

    # -- what is known -----------------------------------------------------------------------------------------------

    async def recall(self, remember: Callable[[Revocation], None]) -> None:
        """All that earlier lives have decided, and what of it waits. Raises ``Unavailable``."""
        before: tuple[int, str] | None = None
        while page := await self._ports.revocations.list(_PAGE, before=before):
            for revocation in page:
                remember(revocation)
                if revocation.hold is not None and revocation.hold.releases_itself:
                    self._may_release.add(revocation.id)
            before = page[-1].created_unix_s, page[-1].id

    async def read_never_act(self) -> None:
        """Before every decision. Raises ``Unavailable``: without the list nothing is decided."""
        now_s = self._now_s()
        self.protected = tuple(await self._ports.never_act.list())
        self._decider.protect(self.protected, now_s)

    async def look(self) -> None:
        """Now and then: the broker's clock, what waits, and whose protection has ended. Raises ``Unavailable``."""
        asked = self._ports.clock.unix_nano()
        broker = await self._ports.control.broker_unix_nano()
        # Its answer was made somewhere between the question and now.
        self._broker_ahead_nano = broker - (asked + self._ports.clock.unix_nano()) // 2
        self.waiting = len(await self._ports.revocations.list(_PAGE, state="waiting"))
        await self.read_never_act()
        for entry in self.protected:
            if not entry.holds(self._now_s()):
                await self._say_ended(entry)

    async def _say_ended(self, entry: Protection) -> None:
        text = "never-act: the protection of %s %s has ended (owner %s); it can be acted on again"
        log.warning(text, entry.kind, entry.target, entry.owner)
        details = {"entry": entry.id, "owner": entry.owner, "reason": entry.reason}
        await self._record("policy:never-act", "never_act.ended", f"{entry.kind}:{entry.target}", details)
        await self._ports.never_act.remove(entry.id, entry)  # not one that somebody has put in its place meanwhile
        self.ended += 1

    def judge(self, tick_unix_nano: int, partitions_behind: int, *, incomplete: bool) -> None:
        """Whether this evaluation may act by itself."""
        now = self._ports.clock.unix_nano()
        before, self.stale = self.stale, stale_because(
            self._policy.limits,
            evaluated_unix_nano=tick_unix_nano,
            now_unix_nano=now,
            broker_unix_nano=None if self._broker_ahead_nano is None else now + self._broker_ahead_nano,
            partitions_behind=partitions_behind,
            incomplete=incomplete,
        )  # fmt: skip
        if self.stale and not before:
            log.error("automatic actions wait, what is known is stale: %s", "; ".join(self.stale))
        elif before and not self.stale:
            log.warning("what is known is fresh again: automatic actions go on")

    # -- what waits --------------------------------------------------------------------------------------------------

    def hold(self, admitted: Admitted, mode: Mode) -> Hold | None:
        """``mode``: the policy's. ``None``: it may act at once, or never would."""
        verdict, limit = admitted.verdict, admitted.held
        if mode != "enforce" or strength(verdict.action) == 0 or (limit is None and not self.stale):
            return None
        because = f"blast radius: {limit.words}" if limit is not None else f"stale: {'; '.join(self.stale)}"
        self.held_back[limit.name if limit is not None else "stale"] += len(verdict.members)
        log.error("%s about %d accounts waits for people: %s", verdict.id, len(verdict.members), because)
        rules = self._policy.approval
        return Hold(because, rules.people, self._now_s() + rules.expires_s, releases_itself=limit is None)

    def noted(self, revocation: Revocation) -> None:
        if revocation.hold is not None and revocation.hold.releases_itself:
            self._may_release.add(revocation.id)

    async def release(
        self, campaign: Callable[[str], Campaign | None], table: AccountTable, tick_unix_nano: int
    ) -> None:
        """Lets act what waited for fresh state. One about a score alone is left to people: what it rested on is not looked
        at again here. Raises ``Unavailable``; it may be called again and goes on where it was."""
        if self.stale or self._policy.mode != "enforce":  # an earlier life may have held it under another policy
            return
        for id in sorted(self._may_release):
            try:
                revocation = await self._ports.revocations.get(id)
            except NotFound:
                self._may_release.discard(id)
                continue
            if revocation.state(self._now_s()) == "waiting":
                known = campaign(revocation.campaign) if revocation.campaign is not None else None
                still = self._decider.still_hold(revocation, known, table)
                if not still:
                    continue
                await self._release(revocation, still, table, tick_unix_nano)
            elif revocation.acts_from_unix_s is not None and id not in self._counted:
                self._decider.acts(revocation)  # an earlier life has let it act, maybe after our snapshot
            self._may_release.discard(id)
            self._counted.discard(id)

    async def _release(
        self, revocation: Revocation, still: tuple[str, ...], table: AccountTable, tick_unix_nano: int
    ) -> None:
        limit = None
        if revocation.id not in self._counted:  # it is tried again after an outage
            limit = self._decider.release(revocation, still, table, tick_unix_nano)
        target = f"{revocation.target_kind}:{revocation.target}"
        details: dict[str, object] = {
            "revocation": revocation.id,
            "verdict": revocation.verdict,
            "accounts": len(still),
        }
        if limit is not None:
            because = f"blast radius: {limit.words}, as it was let act together with others"
            details["because"] = because
            await self._record(revocation.actor, "revocation.waiting", target, details)
            await self._ports.revocations.leave_to_people(revocation.id, because)
            self.held_back[limit.name] += len(still)
            log.error("%s about %d accounts waits for people: %s", revocation.verdict, len(still), because)
            return
        self._counted.add(revocation.id)
        details["no_longer"] = len(revocation.accounts) - len(still)
        await self._record(revocation.actor, "revocation.released", target, details)
        await self._ports.revocations.release(revocation.id, still, tick_unix_nano // 1_000_000_000)
        self.released += len(still)

    async def _record(self, actor: str, action: str, target: str, details: Mapping[str, object]) -> None:
        await self._ports.audit.append(AuditEntry(actor, action, target, self._ports.clock.unix_nano(), details))

    def _now_s(self) -> int:
        return self._ports.clock.unix_nano() // 1_000_000_000
