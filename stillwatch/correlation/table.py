"""The aggregator's memory of accounts: one row of topic counts each, in two halves. 1 KiB a row plus its summary.

Absolute summaries replace older ones, so folding is idempotent and its order is irrelevant. When full, the account
that has been silent for longest makes room.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt

from stillwatch.account.state import MAX_MODELS
from stillwatch.correlation.homogeneity import Counts
from stillwatch.correlation.linkage import LinkageIndex
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


def _age(summary: AccountSummary) -> tuple[int, int]:
    """Later summaries of an account come later here. Events alone would not do: at the end of an era, or when a shard
    starts the account afresh, there are fewer than before, and the account would stay as it was for weeks."""
    return summary.last_seen_unix_nano, summary.events


# One value or row an account, by slot.
_COLUMNS: Final = (
    "_cells", "_conduct", "_conversations", "_created_s", "_evidence", "_first_use_s", "_models", "_seen_s", "_unit",
    "_verified", "_window_from",
)  # fmt: skip


class AccountTable:
    def __init__(self, max_accounts: int, links: LinkageIndex) -> None:
        self._max_accounts = max_accounts
        self._links = links
        self._slot_of: OrderedDict[str, int] = OrderedDict()  # least recently updated first
        self._summaries: list[AccountSummary | None] = []
        self._cells = np.zeros((64, 2, CELLS), dtype=np.uint16)
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
        self._by_name: Slots | None = None  # both until the next change
        self._in_organisation: npt.NDArray[np.bool_] | None = None
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._slot_of)

    def put(self, summary: AccountSummary) -> bool:
        """``True`` when it was news."""
        slot = self._slot_of.get(summary.account)
        if slot is None:
            slot = self._new_slot()
            self._slot_of[summary.account] = slot
            self._by_name = None
        else:
            known = self._summaries[slot]
            if known is not None and (known == summary or _age(known) > _age(summary)):
                return False
            if known is not None:
                gone = set(known.links) - set(summary.links)
                self._links.unlink(slot, gone)
            self._slot_of.move_to_end(summary.account)
        self._summaries[slot] = summary
        self._links.link(slot, summary.links)
        rows = self._cells[slot]
        rows[:] = 0
        for half in (PROPOSE, TEST):
            for cell, count in summary.cells[half]:
                rows[half, cell] = count
        self._conversations[slot] = int(rows.sum())
        self._conduct[slot] = [np.nan if value is None else value for value in summary.conduct]
        self._evidence[slot] = np.nan if summary.evidence is None else summary.evidence
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
        return True

    def _new_slot(self) -> int:
        if len(self._slot_of) >= self._max_accounts:
            _, slot = self._slot_of.popitem(last=False)
            old = self._summaries[slot]
            if old is not None:
                self._links.unlink(slot, old.links)
            self.evicted += 1
            return slot
        slot = len(self._summaries)
        self._summaries.append(None)
        if slot >= len(self._cells):
            for name in _COLUMNS:
                column = getattr(self, name)
                setattr(self, name, np.concatenate([column, np.zeros_like(column)]))  # `put` fills in what it gives out
        return slot

    def slot(self, account: str) -> int | None:
        return self._slot_of.get(account)

    def slots(self, accounts: Iterable[str]) -> Slots:
        """By name; without those that were evicted."""
        found = (self.slot(account) for account in sorted(accounts))
        return np.array([slot for slot in found if slot is not None], dtype=np.int64)

    def summary(self, slot: int) -> AccountSummary:
        found = self._summaries[slot]
        if found is None:
            raise KeyError(slot)
        return found

    def summary_of(self, account: str) -> AccountSummary | None:
        slot = self._slot_of.get(account)
        return None if slot is None else self._summaries[slot]

    def kin(self, slots: Slots) -> Slots:
        """Accounts that share a value which most of these have: possible siblings, so no measure of honesty."""
        common = Counter(key for slot in slots for key in self.summary(int(slot)).links)
        shared = [self._links.sharing(key) for key, count in common.items() if 2 * count > len(slots)]
        shared = [accounts for accounts in shared if len(accounts) <= MAX_SHARE * len(self)]
        return np.array(sorted(set().union(*shared)), dtype=np.int64)

    def counts(self, slots: npt.NDArray[np.int64] | Sequence[int], half: int | None = None) -> Counts:
        """Topic counts (accounts × cells) of one half, or of both together."""
        rows = self._cells[np.asarray(slots, dtype=np.int64)]
        chosen = rows.sum(axis=1, dtype=np.float64) if half is None else rows[:, half].astype(np.float64)
        return np.asarray(chosen)

    def units(self, slots: Slots) -> Slots:
        """For each account the place of its unit, 0, 1, …: an organisation that shards its work over many keys is one."""
        return np.unique(self._unit[slots], return_inverse=True)[1].astype(np.int64)

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
            used = len(self._summaries)
            _, unit, many = np.unique(self._unit[:used], return_inverse=True, return_counts=True)
            self._in_organisation = (many[unit] >= _SEVERAL) | self._verified[:used]
        return self._in_organisation

    def unit(self, account: str) -> int:
        """Whose an account is, as a number: its organisation, or itself."""
        return int(self._unit[self._slot_of[account]])

    def unit_hashes(self, slots: Slots) -> Slots:
        return self._unit[slots]

    def counts_of_units(self, slots: Slots, half: int | None = None) -> Counts:
        """As :meth:`counts`, with the accounts of one organisation added up."""
        units = self.units(slots)
        out = np.zeros((int(units.max(initial=-1)) + 1, CELLS))
        np.add.at(out, units, self.counts(slots, half))
        return out

    def mean_by_unit(self, slots: Slots, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """``values`` of the accounts (one or several each) averaged within organisations; NaN does not count."""
        units, known = self.units(slots), np.isfinite(values)
        shape = (int(units.max(initial=-1)) + 1, *values.shape[1:])
        many, total = np.zeros(shape), np.zeros(shape)
        np.add.at(many, units, known)
        np.add.at(total, units, np.where(known, values, 0.0))
        return np.where(many > 0, total / np.maximum(many, 1), np.nan)

    def conduct(self, now_unix_nano: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """(``conduct.STATISTICS``, conversations), by slot. Of the share of quiet hours the root, which is nearly symmetric
        among people. Volume is the logarithm of conversations a day, silent days included; of an account younger than a
        day, so far."""
        used = len(self._summaries)
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
        np.add.at(conversations, units, self._conversations[slots])
        np.maximum.at(days, units, (now_unix_nano - self._window_from[slots]) / _DAY_NANO)
        return conversations, days

    def first_uses(self, slots: Slots) -> tuple[npt.NDArray[np.uint32], Slots, Slots]:
        """(hashes of models, their first uses with ``NEVER_S`` for unused places, first and last request), in unix s."""
        return self._models[slots], self._first_use_s[slots], self._seen_s[slots]

    def conversations(self, slots: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return self._conversations[slots]

    def with_at_least(self, conversations: int) -> npt.NDArray[np.int64]:
        """Slots of accounts that opened so many conversations, in a fixed order of account names."""
        if self._by_name is None:
            names = sorted(self._slot_of)
            self._by_name = np.fromiter((self._slot_of[name] for name in names), dtype=np.int64, count=len(self))
        return self._by_name[self._conversations[self._by_name] >= conversations]

    def among(self, slots: Slots, some: Slots) -> npt.NDArray[np.bool_]:
        """Which of ``slots`` are ``some``: without sorting, since groups are tested by the thousand."""
        chosen = np.zeros(len(self._summaries), dtype=np.bool_)
        chosen[some] = True
        return chosen[slots]
