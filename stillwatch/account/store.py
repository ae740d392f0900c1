"""All accounts of a partition: the busy ones as objects, the others as their bytes.

A light account is idle most of the time. Packed it takes 0.5 to 1 KiB instead of 3, so that a million fit into a
gigabyte; unpacking and packing it again costs some 40 µs, which accounts that are in use do not pay.

When there is no more room, newcomers make it first: accounts that have sent less than an opinion needs, the longest unseen
first. Whoever signs up a million accounts pushes out his own, not those that are watched. An eighth of the room is theirs
all the same, or in a full partition nobody new would ever be known long enough; while they hold no more than that, the
longest unseen of the others goes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice
from typing import Final

from stillwatch.account.state import AccountState

# When full, this share of the accounts makes room at once: finding the oldest one by one would cost a scan each.
_EVICTED_SHARE: Final = 1 / 64
_NEWCOMERS_SHARE: Final = 1 / 8

# How an account is kept, as it stands in a snapshot.
_IDLE, _BUSY, _NEWCOMER = 0, 1, 2


class AccountStore:
    """``max_accounts`` bounds all, ``max_busy`` those kept as objects. An account with ``settled_events`` is no newcomer."""

    def __init__(self, max_accounts: int, max_busy: int, era_days: int, settled_events: int = 1) -> None:
        self._max_accounts, self._max_busy, self._era_days = max_accounts, max_busy, era_days
        self._settled_events = settled_events
        self._busy: OrderedDict[str, AccountState] = OrderedDict()
        # Both in the order in which they became idle.
        self._idle: dict[str, bytes] = {}
        self._newcomers: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self._busy) + len(self._idle) + len(self._newcomers)

    def __contains__(self, account: str) -> bool:
        return account in self._busy or account in self._idle or account in self._newcomers

    def open(self, account: str, first_seen_unix_nano: int) -> tuple[AccountState, list[str]]:
        """The account's state, to be changed, and the names of accounts that had to make room."""
        state = self._busy.get(account)
        if state is not None:
            self._busy.move_to_end(account)
            return state, []
        packed = self._idle.pop(account, None) or self._newcomers.pop(account, None)
        evicted = [] if packed is not None else self._make_room()
        if packed is None:
            state = AccountState(account, first_seen_unix_nano, self._era_days)
        else:
            state = AccountState.unpack(account, packed, self._era_days)
        self._busy[account] = state
        if len(self._busy) > self._max_busy:
            name, longest_unseen = self._busy.popitem(last=False)
            self._keep(name, longest_unseen)
        return state, evicted

    def get(self, account: str) -> AccountState | None:
        """To be read. An idle account stays idle."""
        state = self._busy.get(account)
        packed = None if state is not None else self._idle.get(account) or self._newcomers.get(account)
        return state if packed is None else AccountState.unpack(account, packed, self._era_days)

    def put(self, state: AccountState) -> None:
        """Keep a change made to what :meth:`get` gave."""
        if state.account in self._newcomers:
            self._newcomers[state.account] = state.pack()
        elif state.account not in self._busy:
            self._idle[state.account] = state.pack()

    def _keep(self, name: str, state: AccountState) -> None:
        # An account that comes back after a silent era has lost its counts, not its claim.
        known = state.former is not None or state.label is not None
        settled = known or state.profile.events >= self._settled_events
        (self._idle if settled else self._newcomers)[name] = state.pack()

    def _make_room(self) -> list[str]:
        if len(self) < self._max_accounts:
            return []
        count = max(1, int(self._max_accounts * _EVICTED_SHARE))
        theirs = int(self._max_accounts * _NEWCOMERS_SHARE)
        rest = self._newcomers if len(self._newcomers) > theirs or not self._idle else self._idle
        evicted = list(islice(rest, count))
        for name in evicted:
            del rest[name]
        if not evicted:
            evicted.append(self._busy.popitem(last=False)[0])
        return evicted

    def names(self) -> Iterator[str]:
        yield from self._idle
        yield from self._newcomers
        yield from self._busy

    def pack(self) -> list[list[object]]:
        """Idle ones first, each group in its order: restoring gives the same order of making room."""
        idle: list[list[object]] = [[name, packed, _IDLE] for name, packed in self._idle.items()]
        idle += [[name, packed, _NEWCOMER] for name, packed in self._newcomers.items()]
        return idle + [[name, state.pack(), _BUSY] for name, state in self._busy.items()]

    def restore_idle(self, account: str, packed: bytes) -> None:
        """Take in an account from its bytes, as the most recently used of the idle ones."""
        self._idle[account] = packed

    def restore(self, raw: list[list[object]]) -> None:
        self._idle, self._newcomers, self._busy = {}, {}, OrderedDict()
        for name, packed, kept in raw:
            assert isinstance(name, str)
            assert isinstance(packed, bytes)
            if kept == _BUSY:
                self._busy[name] = AccountState.unpack(name, packed, self._era_days)
            elif kept == _NEWCOMER:
                self._newcomers[name] = packed
            else:
                self.restore_idle(name, packed)
