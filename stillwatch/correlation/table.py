"""The aggregator's memory of accounts: each one's newest summary, packed, and what all accounts are asked for at once, by column.

Absolute summaries replace older ones, so folding is idempotent and its order is irrelevant. Forgotten are accounts that are
silent for longer than scores look back, and, when the table is full, those that have been silent for longest: by their last
request, then by name. Which accounts are left is therefore a matter of the summaries, not of their order.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

from stillwatch.account.state import MAX_MODELS
from stillwatch.correlation.asked import Asked, hour_of
from stillwatch.correlation.homogeneity import Counts
from stillwatch.correlation.linkage import Key, LinkageIndex
from stillwatch.correlation.packing import count_matrix, pack_cells, pack_fields, totals, unpack
from stillwatch.fingerprint import CELLS
from stillwatch.standing import SETTLED_AFTER_S, VERIFIED_ORGANISATIONS
from stillwatch.summary import AccountSummary

PROPOSE, TEST = 0, 1
Slots = npt.NDArray[np.int64]
_DAY_NANO: Final = 86_400_000_000_000
NEVER_S: Final = 2**62  # later than any time
# A value that more than this share of all accounts have is popular, not shared: an SDK, a country, a default.
MAX_SHARE: Final = 0.2
_SEVERAL: Final = 3  # accounts: two may be a person's work and private ones
# A full table makes room for this share of its accounts at once: finding the oldest is a pass over all.
_ROOM: Final = 1 / 64
# A group's units are asked for by every test of it. Slots of so many groups at once, with their places 16 MB.
_MAX_UNITS_KEPT: Final = 1_000_000
# Up to this share of new names are sorted in one by one.
_FEW_NEW: Final = 1 / 32

# One value or row an account, by slot.
_COLUMNS: Final = (
    "_conduct", "_conversations", "_created_s", "_events", "_evidence", "_failures", "_first_use_s", "_last_seen", "_models",
    "_refused", "_seen_s", "_unit", "_verified", "_window_from",
)  # fmt: skip


class AccountTable:
    def __init__(self, max_accounts: int, links: LinkageIndex) -> None:
        self._max_accounts = max_accounts
        self._links = links
        links.find = self.slot
        self._slot_of: dict[str, int] = {}
        self._names: list[str] = []
        self._fields: list[bytes] = []
        self._cells: list[bytes] = []
        self._free: list[int] = []
        self.asked = Asked()
        self._conversations = np.zeros(64, dtype=np.int64)
        self._conduct = np.zeros((64, 3))
        self._window_from = np.zeros(64, dtype=np.int64)  # since when the account's conversations were counted
        self._unit = np.zeros(64, dtype=np.int64)  # a hash of the organisation, or of the account alone
        self._verified = np.zeros(64, dtype=np.bool_)
        self._created_s = np.zeros(64, dtype=np.int64)
        self._evidence = np.zeros(64)
        self._models = np.zeros((64, MAX_MODELS), dtype=np.uint32)  # hashes; unused places have no first use
        self._first_use_s = np.full((64, MAX_MODELS), NEVER_S)
        self._seen_s = np.zeros((64, 2), dtype=np.int64)  # first and last request
        self._failures = np.zeros(64, dtype=np.int64)
        self._refused = np.zeros(64, dtype=np.int64)  # of these, by a decision of ours
        # Its summary's age. Later summaries of an account come later here. Events alone would not do: at the end of an era,
        # or when a shard starts the account afresh, there are fewer than before, and the account would stay as it was.
        self._last_seen = np.zeros(64, dtype=np.int64)
        self._events = np.zeros(64, dtype=np.int64)
        self._by_name: Slots = np.empty(0, dtype=np.int64)
        self._new: list[int] = []  # slots that are not yet among those by name
        self._in_organisation: npt.NDArray[np.bool_] | None = None  # until the next change
        self._units_of: dict[bytes, Slots] = {}  # of groups of slots, until the next change
        self._units_kept = 0  # slots in them
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._slot_of)

    def put(self, summary: AccountSummary) -> bool:
        """``True`` when it was news."""
        fields, cells = pack_fields(summary), pack_cells(summary.cells)
        slot = self._slot_of.get(summary.account)
        if slot is None:
            slot = self._new_slot(summary.account)
            self.asked.begin(slot, hour_of(summary.last_seen_unix_nano))
        else:
            age = (summary.last_seen_unix_nano, summary.events, summary.refused)
            known = (self._last_seen[slot], self._events[slot], self._refused[slot])
            same = age == known and self._fields[slot] == fields and self._cells[slot] == cells
            if age < known:
                self._asked_earlier(slot, summary, cells)
                return False
            if same and self._links.values(slot) == summary.links:
                return False
            self._asked_later(slot, summary, cells)
        self._fields[slot], self._cells[slot] = fields, cells
        self._links.link(slot, summary.links)
        self._last_seen[slot], self._events[slot] = summary.last_seen_unix_nano, summary.events
        self._conversations[slot] = sum(count for half in summary.cells for _, count in half)
        self._conduct[slot] = [np.nan if value is None else value for value in summary.conduct]
        self._evidence[slot] = np.nan if summary.evidence is None else summary.evidence
        self._failures[slot], self._refused[slot] = summary.failures, summary.refused
        self._created_s[slot] = summary.created_unix or 0
        self._window_from[slot] = summary.window_from_unix_nano
        self._seen_s[slot] = summary.first_seen_unix_nano // 10**9, summary.last_seen_unix_nano // 10**9
        self._first_use_s[slot] = NEVER_S
        for place, (model, first_s) in enumerate(summary.models[:MAX_MODELS]):
            self._models[slot, place], self._first_use_s[slot, place] = model, first_s
        # Account tokens and organisation ids can not be told apart, so their names must not meet.
        unit = f"o {summary.organisation}" if summary.organisation else f"a {summary.account}"
        belongs = (
            int.from_bytes(blake2b(unit.encode(), digest_size=7).digest()),
            summary.verification in VERIFIED_ORGANISATIONS,
        )
        if belongs != (self._unit[slot], self._verified[slot]):
            self._unit[slot], self._verified[slot] = belongs
            self._in_organisation = None
            self._forget_units()
        if len(self) > self._max_accounts * (1 + _ROOM):
            self.make_room()
        return True

    def _asked_later(self, slot: int, summary: AccountSummary, cells: bytes) -> None:
        hour = hour_of(summary.last_seen_unix_nano)
        # A late request can move a window's beginning back; forward it goes only with a new one.
        if summary.window_from_unix_nano > self._window_from[slot]:
            self.asked.begin(slot, hour)
        else:
            salt = crc32(summary.account.encode())
            self.asked.later(slot, salt, totals(self._cells[slot]), totals(cells), hour)

    def _asked_earlier(self, slot: int, summary: AccountSummary, cells: bytes) -> None:
        if summary.window_from_unix_nano >= self._window_from[slot]:
            salt, newest = crc32(summary.account.encode()), hour_of(int(self._last_seen[slot]))
            hour = hour_of(summary.last_seen_unix_nano)
            self.asked.earlier(slot, salt, totals(self._cells[slot]), totals(cells), hour, newest)

    def _new_slot(self, account: str) -> int:
        if self._free:
            slot = self._free.pop()
            self._names[slot] = account
        else:
            slot = len(self._names)
            self._names.append(account)
            self._fields.append(b"")
            self._cells.append(b"")
            if slot >= len(self._unit):
                for name in _COLUMNS:
                    column = getattr(self, name)
                    setattr(
                        self, name, np.concatenate([column, np.zeros_like(column)])
                    )  # `put` fills in what it gives out
        self._slot_of[account] = slot
        self._links.changed()
        self._new.append(slot)
        return slot

    # -- forgetting --------------------------------------------------------------------------------------------------

    def make_room(self) -> int:
        """Keeps the accounts that were seen last, as many as the table holds; says how many had to go."""
        surplus = len(self) - self._max_accounts
        if surplus <= 0:
            return 0
        live = self._all_by_name()
        self._evict(live[np.argsort(self._last_seen[live], kind="stable")[:surplus]])
        return surplus

    def forget_silent(self, before_unix_nano: int) -> int:
        """Forgets accounts whose last request is older; says how many they were."""
        silent = (live := self._all_by_name())[self._last_seen[live] < before_unix_nano]
        self._evict(silent)
        return len(silent)

    def _evict(self, slots: Slots) -> None:
        if not len(slots):
            return
        self._by_name = self._all_by_name()[~self.among(self._all_by_name(), slots)]
        for slot in map(int, slots):
            del self._slot_of[self._names[slot]]
            self._names[slot], self._fields[slot], self._cells[slot] = "", b"", b""
            self._links.unlink(slot)
            self.asked.forget(slot)
            self._free.append(slot)
        self._links.changed()
        self._conversations[slots] = 0
        self._unit[slots], self._verified[slots] = -1 - slots, False  # nobody's kin
        self._in_organisation = None
        self._forget_units()
        self.evicted += len(slots)

    # -- one account -------------------------------------------------------------------------------------------------

    def slot(self, account: str) -> int | None:
        return self._slot_of.get(account)

    def slots(self, accounts: Iterable[str]) -> Slots:
        """By name; without those that were evicted."""
        found = (self.slot(account) for account in sorted(accounts))
        return np.array([slot for slot in found if slot is not None], dtype=np.int64)

    def name(self, slot: int) -> str:
        """The account's. Cheaper than its summary, which is unpacked."""
        return self._names[slot]

    def names(self, slots: Slots) -> frozenset[str]:
        return frozenset(self._names[slot] for slot in slots.tolist())

    def links(self, slot: int) -> tuple[Key, ...]:
        return self._links.values(slot)

    def summary(self, slot: int) -> AccountSummary:
        """As it was told, but for the calls, which are looked at when it comes (``handoffs``)."""
        if not self._fields[slot]:
            raise KeyError(slot)
        return unpack(self._names[slot], self._fields[slot], self._links.values(slot), self._cells[slot])

    def summary_of(self, account: str) -> AccountSummary | None:
        slot = self._slot_of.get(account)
        return None if slot is None else self.summary(slot)

    def figures_of(self, account: str) -> AccountSummary | None:
        """Its summary without topics and shared values, which are most of the work of unpacking it."""
        slot = self._slot_of.get(account)
        return None if slot is None else unpack(account, self._fields[slot], (), b"")

    # -- several accounts --------------------------------------------------------------------------------------------

    def kin(self, slots: Slots) -> Slots:
        """Accounts that share a value which most of these have: possible siblings, so no measure of honesty."""
        return self._links.shared_by_most(slots, MAX_SHARE * len(self))

    def counts(self, slots: npt.NDArray[np.int64] | Sequence[int], half: int | None = None) -> Counts:
        """Topic counts (accounts × cells) of one half, or of both together."""
        return count_matrix([self._cells[slot] for slot in np.asarray(slots).tolist()], half)

    def units(self, slots: Slots) -> Slots:
        """For each account the place of its unit, 0, 1, …: an organisation that shards its work over many keys is one."""
        key = slots.tobytes()
        found = self._units_of.get(key)
        if found is None:
            found = np.unique(self._unit[slots], return_inverse=True)[1].astype(np.int64)
            found.flags.writeable = False
            self._units_kept += len(slots)
            if self._units_kept > _MAX_UNITS_KEPT:
                self._forget_units()
                self._units_kept = len(slots)
            self._units_of[key] = found
        return found

    def _forget_units(self) -> None:
        self._units_of.clear()
        self._units_kept = 0

    def evidence(self, slots: Slots) -> npt.NDArray[np.float64]:
        """What the accounts' own signals say, natural log; NaN where their partition has no opinion."""
        return self._evidence[slots]

    def settled(self, slots: Slots, now_unix_nano: int) -> Slots:
        """Those that signed up more than 30 days ago, or at a time that nobody told: campaigns sign up afresh."""
        return slots[now_unix_nano / 1e9 - self._created_s[slots] >= SETTLED_AFTER_S]

    def created_s(self, slot: int) -> int:
        """When it signed up, unix s; 0 where nobody told."""
        return int(self._created_s[slot])

    def belongs_to_an_organisation(self) -> npt.NDArray[np.bool_]:
        """By slot: one of several accounts of an organisation, or of one whose identity was verified as a business."""
        if self._in_organisation is None:
            used = len(self._names)
            _, unit, many = np.unique(self._unit[:used], return_inverse=True, return_counts=True)
            self._in_organisation = (many[unit] >= _SEVERAL) | self._verified[:used]
        return self._in_organisation

    def unit(self, account: str) -> int:
        """Whose an account is, as a number: its organisation, or itself."""
        return int(self._unit[self._slot_of[account]])

    def last_seen(self, slots: Slots) -> Slots:
        """Of each account the time of its last request, unix ns."""
        return self._last_seen[slots]

    def failures(self, slots: Slots) -> int:
        """Failed calls of these accounts together."""
        return int(self._failures[slots].sum())

    def failed_and_begun(self) -> tuple[Slots, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """(hashes of customers, their failed calls, conversations that they began)."""
        used = self._all_by_name()
        units, at = np.unique(self._unit[used], return_inverse=True)
        count = len(units)
        return (
            units,
            np.bincount(at, self._failures[used], minlength=count).astype(np.float64),
            np.bincount(at, self._conversations[used], minlength=count).astype(np.float64),
        )

    def unit_hashes(self, slots: Slots) -> Slots:
        return self._unit[slots]

    def counts_of_units(self, slots: Slots, half: int | None = None) -> Counts:
        """As :meth:`counts`, with the accounts of one organisation added up."""
        if not len(slots):
            return np.zeros((0, CELLS))
        units = self.units(slots)
        order = np.argsort(units, kind="stable")
        first = np.flatnonzero(np.diff(units[order], prepend=-1))
        return np.asarray(np.add.reduceat(self.counts(slots[order], half), first))

    def mean_by_unit(self, slots: Slots, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """``values`` of the accounts (one or several each) averaged within organisations; NaN does not count."""
        units, known = self.units(slots), np.isfinite(values)
        count = int(units.max(initial=-1)) + 1
        if count == len(slots):  # each stands for itself, as nearly everywhere: nothing to add up, only their order
            out = np.empty(values.shape)
            out[units] = np.where(known, values + 0.0, np.nan)  # 0 has one sign, as a sum has
            return out
        shape = (count, *values.shape[1:])
        many, total = np.zeros(shape), np.zeros(shape)
        np.add.at(many, units, known)
        np.add.at(total, units, np.where(known, values, 0.0))
        return np.where(many > 0, total / np.maximum(many, 1), np.nan)

    def conduct(self, now_unix_nano: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """(``conduct.STATISTICS``, conversations), by slot. Of the share of quiet hours the root, which is nearly symmetric
        among people. Volume is the logarithm of conversations a day, silent days included; of an account younger than a
        day, so far."""
        used = len(self._names)
        days = np.maximum((now_unix_nano - self._window_from[:used]) / _DAY_NANO, 1.0)
        volume = np.log1p(self._conversations[:used] / days)
        quiet, rest = np.sqrt(self._conduct[:used, 0]), self._conduct[:used, 1:]
        return np.column_stack([quiet, rest, volume]), self._conversations[:used]

    def volumes_of_units(
        self, slots: Slots, now_unix_nano: int
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """(conversations, days in which they were counted), one a unit; of an account younger than a day, a day."""
        units = self.units(slots)
        count = int(units.max(initial=-1)) + 1
        conversations, days = np.zeros(count), np.ones(count)
        each = (now_unix_nano - self._window_from[slots]) / _DAY_NANO
        if count == len(slots):  # as in `mean_by_unit`
            conversations[units], days[units] = self._conversations[slots], np.maximum(each, 1.0)
        else:
            np.add.at(conversations, units, self._conversations[slots])
            np.maximum.at(days, units, each)
        return conversations, days

    def first_uses(self, slots: Slots) -> tuple[npt.NDArray[np.uint32], Slots, Slots]:
        """(hashes of models, their first uses with ``NEVER_S`` for unused places, first and last request), in unix s."""
        return self._models[slots], self._first_use_s[slots], self._seen_s[slots]

    def conversations(self, slots: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return self._conversations[slots]

    def conversations_together(self, groups: Sequence[Slots]) -> npt.NDArray[np.int64]:
        """Of each group, none of which is empty."""
        return (
            np.add.reduceat(self._conversations[np.concatenate(groups)], _starts(groups))
            if groups
            else np.zeros(0, int)
        )

    def lowest_units(self, groups: Sequence[Slots]) -> list[tuple[int, int]]:
        """The two lowest hashes of units of each group, none of which is empty: the same for the same accounts, and hardly
        for others. The second is the largest number there is where all are one unit."""
        if not groups:
            return []
        units, starts = self._unit[np.concatenate(groups)], _starts(groups)
        first = np.minimum.reduceat(units, starts)
        others = np.where(units == np.repeat(first, list(map(len, groups))), np.iinfo(np.int64).max, units)
        return list(zip(first.tolist(), np.minimum.reduceat(others, starts).tolist(), strict=True))

    def with_at_least(self, conversations: int) -> npt.NDArray[np.int64]:
        """Slots of accounts that opened so many conversations, in a fixed order of account names."""
        known = self._all_by_name()
        return known[self._conversations[known] >= conversations]

    def _all_by_name(self) -> Slots:
        if len(self._new) <= _FEW_NEW * len(self._by_name):
            new = sorted(self._new, key=self._names.__getitem__)
            at = [bisect_left(self._by_name, self._names[slot], key=self._names.__getitem__) for slot in new]
            self._by_name = np.insert(self._by_name, at, new)
        else:
            names = sorted(self._slot_of)
            self._by_name = np.fromiter((self._slot_of[name] for name in names), dtype=np.int64, count=len(self))
        self._new = []
        return self._by_name

    def among(self, slots: Slots, some: Slots) -> npt.NDArray[np.bool_]:
        """Which of ``slots`` are ``some``: without sorting, since groups are tested by the thousand."""
        chosen = np.zeros(len(self._names), dtype=np.bool_)
        chosen[some] = True
        return chosen[slots]


def _starts(groups: Sequence[Slots]) -> Slots:
    return np.cumsum([0, *map(len, groups[:-1])], dtype=np.int64)
