"""All accounts of a partition: the busy ones as objects, the others as their bytes.

A light account is idle most of the time. Packed it takes 0.5 to 1 KiB instead of 3, so that a million fit into a
gigabyte; unpacking and packing it again costs some 40 µs, which accounts that are in use do not pay.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice
from typing import Final

from stillwatch.account.state import AccountState

# When full, this share of the accounts makes room at once: finding the oldest one by one would cost a scan each.
_EVICTED_SHARE: Final = 1 / 64


class AccountStore:
    """``max_accounts`` bounds all, ``max_busy`` those kept as objects. The longest unseen make room first."""

    def __init__(self, max_accounts: int, max_busy: int, era_days: int) -> None:
        self._max_accounts, self._max_busy, self._era_days = max_accounts, max_busy, era_days
        self._busy: OrderedDict[str, AccountState] = OrderedDict()
        self._idle: dict[str, bytes] = {}  # in the order in which they became idle

    def __len__(self) -> int:
        return len(self._busy) + len(self._idle)

    def __contains__(self, account: str) -> bool:
        return account in self._busy or account in self._idle

    def open(self, account: str, first_seen_unix_nano: int) -> tuple[AccountState, list[str]]:
        """The account's state, to be changed, and the names of accounts that had to make room."""
        state = self._busy.get(account)
        if state is not None:
            self._busy.move_to_end(account)
            return state, []
        packed = self._idle.pop(account, None)
        evicted = [] if packed is not None else self._make_room()
        if packed is None:
            state = AccountState(account, first_seen_unix_nano, self._era_days)
        else:
            state = AccountState.unpack(account, packed, self._era_days)
        self._busy[account] = state
        if len(self._busy) > self._max_busy:
            name, longest_unseen = self._busy.popitem(last=False)
            self._idle[name] = longest_unseen.pack()
        return state, evicted

    def get(self, account: str) -> AccountState | None:
        """To be read. An idle account stays idle."""
        state = self._busy.get(account)
        if state is None and (packed := self._idle.get(account)) is not None:
            state = AccountState.unpack(account, packed, self._era_days)
        return state

    def put(self, state: AccountState) -> None:
        """Keep a change made to what :meth:`get` gave."""
        if state.account not in self._busy:
            self._idle[state.account] = state.pack()

    def _make_room(self) -> list[str]:
        if len(self) < self._max_accounts:
            return []
        evicted = list(islice(self._idle, max(1, int(self._max_accounts * _EVICTED_SHARE))))
        for name in evicted:
            del self._idle[name]
        if not evicted:
            evicted.append(self._busy.popitem(last=False)[0])
        return evicted

    def names(self) -> Iterator[str]:
        yield from self._idle
        yield from self._busy

    def pack(self) -> list[list[object]]:
        """Idle ones first, each group in its order: restoring gives the same order of making room."""
        idle: list[list[object]] = [[name, packed, 0] for name, packed in self._idle.items()]
        return idle + [[name, state.pack(), 1] for name, state in self._busy.items()]

    def restore_idle(self, account: str, packed: bytes) -> None:
        """Take in an account from its bytes, as the most recently used of the idle ones."""
        self._idle[account] = packed

    def restore(self, raw: list[list[object]]) -> None:
        self._idle, self._busy = {}, OrderedDict()
        for name, packed, busy in raw:
            assert isinstance(name, str)
            assert isinstance(packed, bytes)
            if busy:
                self._busy[name] = AccountState.unpack(name, packed, self._era_days)
            else:
                self.restore_idle(name, packed)
