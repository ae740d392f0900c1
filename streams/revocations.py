"""Revocations in the KV bucket that gateways watch. Implements ``ports.RevocationStore``.

``record.<id>`` holds a whole revocation and is the truth; ``account.<token>`` and ``org.<id>`` hold the one
:class:`~stillwatch.revocation.Enforcement` that a gateway applies, and follow from the records. Records are written first
and lifted first, so whatever crashes in between is mended by doing it again, or by :meth:`reconcile`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

import msgpack

from stillwatch.errors import Conflict, Fenced, NotFound, Unavailable
from stillwatch.event import ACCOUNT_TOKEN
from stillwatch.never_act import NeverAct, Protection
from stillwatch.ports import Clock, NeverActStore
from stillwatch.revocation import Enforcement, Revocation, State
from stillwatch.verdict import strength
from streams.bucket import Bucket, Entry, Write
from streams.fence import StreamFence
from streams.revocation_index import RevocationIndex, unpack

_ENFORCED: Final = ("account.*", "org.*")
# Somebody else wrote between our read and our write. Once or twice is contention; this often is something broken.
_MAX_ROUNDS: Final = 10
# One record is one message: about 15,000 accounts in the server's megabyte.
_MAX_RECORD_BYTES: Final = 1_000_000
# A client that retries after a week does not retry but ask again.
_RELEASE_TTL_S: Final = 24 * 3600  # for people who look what happened; nothing reads it
_IDEMPOTENCY_TTL_S: Final = 7 * 24 * 3600


class BucketRevocations:
    def __init__(
        self, bucket: Bucket, control: Bucket, never_act: NeverActStore, clock: Clock, fence: StreamFence
    ) -> None:
        self._bucket, self._control, self._never_act, self._clock = bucket, control, never_act, clock
        self._fence, self._index = fence, RevocationIndex(bucket, clock)

    async def put(self, revocation: Revocation) -> Revocation:
        stored = await self._created(await self._allowed(revocation))
        return await self._in_force(stored)

    async def _in_force(self, stored: Revocation) -> Revocation:
        if stored.state(self._now()) == "active":
            # For a stored one too: its first writer may have died before every key was written.
            # No keys are read first: nearly always there is nothing under them, and each read is a round trip.
            await self._enforce(dict.fromkeys(stored.keys(), stored.enforcement()), present=())
            await self._look_again({stored.id})
            stored = await self.get(stored.id)
        return stored

    async def _allowed(self, revocation: Revocation) -> Revocation:
        """Without who is on the never-act list. Read at every write: a list that is some seconds old could miss the entry
        that somebody made because of this very action."""
        if strength(revocation.action) == 0:
            return revocation
        never_act = NeverAct(await self._never_act.list(), self._now())
        if revocation.target_kind == "organisation":
            found = never_act.covers(None, revocation.target)
            if found is not None:
                raise _protected(revocation, found)
            # Gateways leave them out: whose an account is, they alone know.
            return replace(revocation, spared=never_act.accounts)
        whose = revocation.organisations or ("",) * len(revocation.accounts)
        covered = {
            account: one
            for account, organisation in zip(revocation.accounts, whose, strict=True)
            if (one := never_act.covers(account) or never_act.entry(organisation)) is not None
        }
        left = revocation.sparing(covered.keys())
        if covered and not left.accounts and revocation.verdict is None:
            raise _protected(revocation, next(iter(covered.values())))
        return left if left.state(self._now()) == "waiting" else replace(left, organisations=())

    async def get(self, id: str) -> Revocation:
        return (await self._entry(id))[1]

    async def list(
        self,
        limit: int = 1_000,
        *,
        before: tuple[int, str] | None = None,
        state: State | None = None,
        account: str | None = None,
        campaign: str | None = None,
        verdict: str | None = None,
    ) -> list[Revocation]:
        now = self._now()
        found = (
            record
            for record in await self._index.newest_first(before)
            if (state is None or record.state(now) == state)
            and (account is None or account in record.accounts)
            and (campaign is None or record.campaign == campaign)
            and (verdict is None or record.verdict == verdict)
        )
        return list(islice(found, limit))

    async def approve(self, id: str, by: str) -> Revocation:
        def agreed(found: Revocation) -> Revocation:
            state = found.state(self._now())
            if found.hold is None or (state != "waiting" and by not in dict(found.hold.approvals)):
                raise Conflict(f"revocation {id}", f"it is {state} and waits for nobody")
            return found.approved(int(self._now()), by) if state == "waiting" else found

        return await self._in_force(await self._changed(id, agreed))

    async def release(self, id: str, accounts: Sequence[str], at_unix_s: int | None = None) -> Revocation:
        def released(found: Revocation) -> Revocation:
            if found.state(self._now()) != "waiting":
                return found
            return replace(found.only(accounts), acts_from_unix_s=at_unix_s).released(int(self._now()))

        await self._decided_behind_the_fence(id)
        return await self._in_force(await self._changed(id, released))

    async def _decided_behind_the_fence(self, id: str) -> None:
        """An owner that was replaced must not let anything act. The server checks one revision a write, and that of the record
        has to be its own, or a person's undo could be lost. So what is fenced is the decision, in an entry of its own; the
        record follows from it. Raises ``Fenced``."""
        fence = self._fence.revocations
        if fence is None:  # what a person lets act
            return
        decided = Write(f"release.{id}", str(self._fence.epoch).encode(), 0, ttl_s=_RELEASE_TTL_S, under=fence)
        [written] = await self._bucket.write([decided])
        if written is None:
            raise Fenced("revocations", self._fence.epoch)

    async def leave_to_people(self, id: str, because: str) -> Revocation:
        def left(found: Revocation) -> Revocation:
            hold = found.hold
            if hold is None or not hold.releases_itself or found.state(self._now()) != "waiting":
                return found
            return replace(found, hold=replace(hold, because=f"{hold.because}; {because}", releases_itself=False))

        return await self._changed(id, left)

    async def undo(self, id: str, by: str) -> Revocation:
        undone = await self._changed(id, lambda found: found.undone(int(self._now()), by))
        await self._look_again({undone.id})
        return undone

    async def _changed(self, id: str, change: Callable[[Revocation], Revocation]) -> Revocation:
        """Compare-and-set: two people who agree at the same moment are two. What is about to act is checked against the
        never-act list as it is now: it may have waited for a day."""
        for _ in range(_MAX_ROUNDS):
            entry, found = await self._entry(id)
            changed = change(found)
            if changed == found:
                return found
            if changed.state(self._now()) == "active":
                changed = await self._allowed(changed)
            [written] = await self._bucket.write([Write(entry.key, _pack(changed), entry.revision)])
            if written is not None:
                return changed
        raise _contended(f"revocation {id}")

    async def _entry(self, id: str) -> tuple[Entry, Revocation]:
        entry = await self._bucket.get(_record_key(id))
        found = unpack(entry)
        if found is None:
            raise NotFound("revocation", id)
        return entry, found

    async def remember(self, idempotency_key: str, request_sha256: str, revocation_id: str) -> str | None:
        # Hashed: the client chooses the key, and KV keys allow few characters.
        key = f"idempotency.{hashlib.sha256(idempotency_key.encode()).hexdigest()}"
        value = msgpack.packb({"request": request_sha256, "revocation": revocation_id})
        entry = await self._control.get(key)
        if entry.value is None:
            [created] = await self._control.write([Write(key, value, entry.revision, ttl_s=_IDEMPOTENCY_TTL_S)])
            if created is not None:
                return None
            entry = await self._control.get(key)
        first = msgpack.unpackb(entry.value or value)
        if first["request"] != request_sha256:
            raise Conflict("Idempotency-Key", "it was used for another request; use a new key for a new request")
        return str(first["revocation"])

    async def reconcile(self) -> int:
        """A key whose revocation has no record is left alone: an operator may have written it by hand."""
        now = self._now()
        records = await self._index.records(all_again=True)
        wanted = self._strongest(records.values())
        present = await self._bucket.scan(*_ENFORCED)
        overdue: list[Write] = []
        for entry in present:
            held = Enforcement.decode(entry.value or b"")
            if held is None:
                continue
            record = records.get(held.revocation)
            if now >= held.expires_unix_s or (record is not None and record.state(now) != "active"):
                overdue.append(Write(entry.key, _encoded(wanted.get(entry.key)), entry.revision))
        revisions = await self._bucket.write(overdue)
        written = [write.key for write, revision in zip(overdue, revisions, strict=True) if revision is not None]
        written += await self._enforce(wanted, present)
        await self._look_again({wanted[key].revocation for key in written if key in wanted})
        return len(written)

    async def _created(self, revocation: Revocation) -> Revocation:
        """What stands under its id: the given one if it is new, else the one that was there."""
        entry = Entry(_record_key(revocation.id), None, 0)
        packed = _pack(revocation)
        if self._fence.revocations is not None:
            return await self._created_behind(self._fence.revocations, revocation, packed)
        for _ in range(_MAX_ROUNDS):
            [created] = await self._bucket.write([Write(entry.key, packed, entry.revision)])
            if created is not None:
                return revocation
            entry = await self._bucket.get(entry.key)
            stored = unpack(entry)
            if stored is not None:
                return stored
        raise _contended(f"revocation {revocation.id}")

    async def _created_behind(self, fence: Entry, revocation: Revocation, packed: bytes) -> Revocation:
        """The record alone is fenced: keys follow from records, so whoever had one stored may write them at any time."""
        for _ in range(2):  # between the two somebody may have stored it
            stored = unpack(await self._bucket.get(_record_key(revocation.id)))
            if stored is not None:
                return stored
            [created] = await self._bucket.write([Write(_record_key(revocation.id), packed, 0, under=fence)])
            if created is not None:
                return revocation
        raise Fenced("revocations", self._fence.epoch)

    async def _enforce(self, wanted: dict[str, Enforcement], present: Iterable[Entry]) -> set[str]:
        """Writes each where nothing stronger is in force; returns the keys that it changed. ``present`` is what is
        believed to be there; what turns out to be wrong is read again."""
        changed = set[str]()
        entries = list({**{key: Entry(key, None, 0) for key in wanted}, **{e.key: e for e in present}}.values())
        entries = [entry for entry in entries if entry.key in wanted]
        for _ in range(_MAX_ROUNDS):
            writes = [
                Write(entry.key, wanted[entry.key].encode(), entry.revision)
                for entry in entries
                if self._yields(entry, wanted[entry.key])
            ]
            if not writes:
                return changed
            revisions = await self._bucket.write(writes)
            changed |= {write.key for write, revision in zip(writes, revisions, strict=True) if revision is not None}
            refused = [write.key for write, revision in zip(writes, revisions, strict=True) if revision is None]
            entries = await self._bucket.get_many(refused)
        raise _contended("a revocation's accounts")

    def _yields(self, entry: Entry, wanted: Enforcement) -> bool:
        """Whether what stands under the key makes way for ``wanted``."""
        held = Enforcement.decode(entry.value) if entry.value is not None else None
        if held is None or self._now() >= held.expires_unix_s:
            return True
        return held != wanted and _rank(held) <= _rank(wanted)

    async def _look_again(self, written: set[str]) -> None:
        """Behind every write of keys: what was undone between reading its record and writing its keys is taken off them again.
        Whoever undoes writes the record first and looks at the keys then, so one of the two sees the other."""
        for _ in range(_MAX_ROUNDS):
            records = [unpack(entry) for entry in await self._bucket.get_many(map(_record_key, sorted(written)))]
            gone = [record for record in records if record is not None and record.state(self._now()) != "active"]
            if not gone:
                return
            written = set[str]().union(*[await self._lift(record) for record in gone])
        raise _contended("what was lifted")

    async def _lift(self, revocation: Revocation) -> set[str]:
        """Takes it off every key that it holds; another active revocation that covers the key takes its place. The ids of
        those that did."""
        others = [record for record in (await self._index.records()).values() if record.id != revocation.id]
        successors = self._strongest(others)
        keys, successor = revocation.keys(), set[str]()
        for _ in range(_MAX_ROUNDS):
            writes = []
            for entry in await self._bucket.get_many(keys):
                held = Enforcement.decode(entry.value) if entry.value is not None else None
                if held is not None and held.revocation == revocation.id:
                    writes.append(Write(entry.key, _encoded(successors.get(entry.key)), entry.revision))
            if not writes:
                return successor
            revisions = await self._bucket.write(writes)
            successor |= {successors[write.key].revocation for write in writes if write.key in successors}
            keys = [write.key for write, revision in zip(writes, revisions, strict=True) if revision is None]
        raise _contended(f"revocation {revocation.id}")

    def _strongest(self, records: Iterable[Revocation]) -> dict[str, Enforcement]:
        now, strongest = self._now(), dict[str, Enforcement]()
        for record in records:
            if record.state(now) != "active":
                continue
            enforcement, keys = record.enforcement(), record.keys()
            for key in keys:
                if key not in strongest or _rank(strongest[key]) < _rank(enforcement):
                    strongest[key] = enforcement
        return strongest

    def _now(self) -> float:
        return self._clock.unix_nano() / 1e9


def _rank(enforcement: Enforcement) -> tuple[int, int, str]:
    """What wins a key: the stronger action, then the longer one; the id makes two equal ones agree everywhere."""
    return strength(enforcement.action), enforcement.expires_unix_s, enforcement.revocation


def _encoded(enforcement: Enforcement | None) -> bytes | None:
    return None if enforcement is None else enforcement.encode()


def _record_key(id: str) -> str:
    if not ACCOUNT_TOKEN.match(id):  # it can come from a URL; no stored one looks like this
        raise NotFound("revocation", id)
    return f"record.{id}"


def _pack(revocation: Revocation) -> bytes:
    packed = bytes(msgpack.packb(revocation.to_map(), use_bin_type=True))
    if len(packed) > _MAX_RECORD_BYTES:
        problem = f"{len(revocation.accounts)} accounts are too many for one; split it"
        raise Conflict(f"revocation {revocation.id}", problem)
    return packed


def _protected(revocation: Revocation, entry: Protection) -> Conflict:
    return Conflict(f"revocation {revocation.id}", entry.words)


def _contended(what: str) -> Unavailable:
    return Unavailable(what, f"others wrote to it {_MAX_ROUNDS} times while it was being changed")
