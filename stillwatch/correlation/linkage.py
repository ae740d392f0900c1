"""Which accounts share a value: sign-up cohort, payment family, client, address, inviter, system prompt, template, parameters.

Linkage only proposes. A shared value says that accounts *may* belong together; honest people share clients, offices
and promotions. A value that more than ``max_group`` accounts share says nothing about any of them, and proposes nobody until
fewer do.

Kept is what each account shares *now*, as numbers of four bytes, and each value once as long as anybody has it. Who shares
a value is made from that where it is asked for (one pass over all accounts, by counting), and is therefore a function of the
accounts alone: not of the order in which they came, and a value that was too common is forgiven when it is no longer.

The value of the view ``invite`` is the token of the account that has invited. That account belongs with those whom it invited, so
it shares the value, too, where it is known (``find``); nothing is kept of it. How many accounts have a value counts those who said it.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from stillwatch.account.state import INVITE

Key = tuple[str, str]  # (view, value)
Slots = npt.NDArray[np.int64]

# Shards send a few values of each of eight views. More than this of one account are not kept: the memory for values is
# bounded by that of accounts, whatever a client invents.
MAX_VALUES: Final = 64
_ID: Final = "i"  # int32


class LinkageIndex:
    """
    >>> index = LinkageIndex(max_group=3)
    >>> for slot in range(3):
    ...     index.link(slot, [("signup", "promo-a")])
    >>> index.sharing(("signup", "promo-a"))
    {0, 1, 2}
    >>> index.link(3, [("signup", "promo-a")])
    >>> index.sharing(("signup", "promo-a")), index.too_common
    (set(), 1)
    >>> index.link(0, [])
    >>> index.sharing(("signup", "promo-a")), index.too_common
    ({1, 2, 3}, 0)

    The account that has invited two others, known under slot 5:

    >>> index = LinkageIndex(max_group=3)
    >>> index.find = {"acct-5": 5}.get
    >>> for slot in (1, 2):
    ...     index.link(slot, [("invite", "acct-5")])
    >>> index.link(5, [])
    >>> index.sharing(("invite", "acct-5")), index.inviters()
    ({1, 2, 5}, {5: 0})
    """

    def __init__(self, max_group: int) -> None:
        self.max_group = max_group
        self._number: dict[Key, int] = {}
        self._keys: list[Key | None] = []  # by number
        self._accounts: array[int] = array(_ID)  # by number: how many have the value
        self._free: list[int] = []
        self._values: list[bytes] = []  # by slot: the numbers of the account's values
        self.find: Callable[[str], int | None] = _nobody  # the slot of an account by its token
        # Accounts by values, values by accounts, and who has invited; until the next change.
        self._by_slot: sp.csr_matrix | None = None
        self._by_value: sp.csc_matrix | None = None
        self._inviters: dict[int, int] | None = None

    def __len__(self) -> int:
        """Values that somebody has."""
        return len(self._number)

    @property
    def too_common(self) -> int:
        return int((np.array(self._accounts) > self.max_group).sum())

    def link(self, slot: int, keys: Iterable[Key]) -> None:
        """From now on the account shares these values and no others."""
        while slot >= len(self._values):
            self._values.append(b"")
        before = self._values[slot]
        numbers = [self._numbered(key) for key in list(dict.fromkeys(keys))[:MAX_VALUES]]
        after = array(_ID, numbers).tobytes()
        if after == before:
            return
        for number in numbers:
            self._accounts[number] += 1
        self._values[slot] = after
        self.changed()
        for number in array(_ID, before):
            self._accounts[number] -= 1
            if self._accounts[number] == 0:
                key = self._keys[number]
                assert key is not None
                del self._number[key]
                self._keys[number] = None
                self._free.append(number)

    def changed(self) -> None:
        """Who shares what is made anew when it is asked for; also when an account is known or not any longer."""
        self._by_slot = self._by_value = self._inviters = None

    def _numbered(self, key: Key) -> int:
        """Numbers are given in the order of arrival, so nothing is ever ordered by them."""
        number = self._number.get(key)
        if number is None:
            if self._free:
                number = self._free.pop()
                self._keys[number] = key
            else:
                number = len(self._keys)
                self._keys.append(key)
                self._accounts.append(0)
            self._number[key] = number
        return number

    def unlink(self, slot: int) -> None:
        self.link(slot, ())

    def values(self, slot: int) -> tuple[Key, ...]:
        """What the account shares, in the order in which it was told."""
        return tuple(self._key(number) for number in array(_ID, self._values[slot]))

    def _key(self, number: int) -> Key:
        key = self._keys[number]
        assert key is not None
        return key

    def held_by(self, slots: Slots) -> list[tuple[Key, int, int]]:
        """The values that any of these accounts has, in their order, with how many of them have it and how many of all."""
        found, count = np.unique(self._numbers(slots)[0], return_counts=True)
        held = zip(map(self._key, found.tolist()), count.tolist(), found.tolist(), strict=True)
        return sorted((key, mine, self._accounts[number]) for key, mine, number in held)

    def having(self, slots: Slots, keys: Sequence[Key]) -> npt.NDArray[np.bool_]:
        """Which of the accounts (rows) have which of the values (columns)."""
        column = np.full(len(self._keys), -1)
        column[[self._number[key] for key in keys if key in self._number]] = [
            at for at, key in enumerate(keys) if key in self._number
        ]
        numbers, row = self._numbers(slots)
        at = column[numbers]
        out = np.zeros((len(slots), len(keys)), dtype=np.bool_)
        out[row[at >= 0], at[at >= 0]] = True
        return out

    def _numbers(self, slots: Slots) -> tuple[npt.NDArray[np.int32], Slots]:
        """(numbers of the values of these accounts, one after the other; the place of the account that each belongs to)."""
        values = [self._values[slot] for slot in slots.tolist()]
        if inviters := self.inviters():
            values = [
                self._and_invites(one, inviters.get(slot)) for one, slot in zip(values, slots.tolist(), strict=True)
            ]
        row = np.repeat(np.arange(len(values)), [len(one) // array(_ID).itemsize for one in values])
        return np.frombuffer(b"".join(values), dtype=np.int32), row

    def inviters(self) -> dict[int, int]:
        """By slot of an account that others say has invited them, the number of that value."""
        if self._inviters is None:
            found = ((self.find(key[1]), number) for key, number in self._number.items() if key[0] == INVITE)
            self._inviters = {slot: number for slot, number in found if slot is not None}
        return self._inviters

    @staticmethod
    def _and_invites(values: bytes, own: int | None) -> bytes:
        return values if own is None or own in array(_ID, values) else values + array(_ID, [own]).tobytes()

    def invited(self) -> dict[str, Slots]:
        """Whom each account has invited, by its token in their order; without those whose invitation is too common."""
        by_token = sorted((key[1], number) for key, number in self._number.items() if key[0] == INVITE)
        own = {number: slot for slot, number in self.inviters().items()}
        found = ((token, self._sharing(number).astype(np.int64), own.get(number, -1)) for token, number in by_token)
        return {token: slots[slots != inviter] for token, slots, inviter in found if len(slots)}

    # -- who shares what ---------------------------------------------------------------------------------------------

    def sharing(self, key: Key) -> set[int]:
        """Slots of the accounts that have the value; nobody where it is too common, or nobody's."""
        number = self._number.get(key)
        return set() if number is None else set(map(int, self._sharing(number)))

    def _sharing(self, number: int) -> npt.NDArray[np.int32]:
        if self._accounts[number] > self.max_group:
            return np.empty(0, dtype=np.int32)
        if self._by_value is None:
            self._by_value = self._rows().tocsc()
        matrix = self._by_value
        return np.asarray(matrix.indices[matrix.indptr[number] : matrix.indptr[number + 1]])

    def is_shared(self, key: Key) -> bool:
        """Whether the value proposes anybody at all."""
        number = self._number.get(key)
        return number is not None and self._accounts[number] <= self.max_group

    def shared_by_most(self, slots: Slots, at_most: float) -> Slots:
        """Accounts that have a value which more than half of these have, and at most so many of all; in no order of names."""
        numbers = self._numbers(slots)[0]
        found, count = np.unique(numbers, return_counts=True)
        mostly = [self._sharing(int(number)) for number in found[2 * count > len(slots)]]
        sharing = [accounts for accounts in mostly if len(accounts) <= at_most]
        return np.unique(np.concatenate(sharing)).astype(np.int64) if sharing else np.empty(0, dtype=np.int64)

    def among(self, accounts: Slots, fewest: int, at_most: float) -> tuple[list[Key], sp.csc_matrix]:
        """Values that at least ``fewest`` of these accounts have and at most ``at_most`` of all accounts, in the order of the
        values; and which of the accounts have which: a column a value, in it the places of its accounts, rising."""
        has = self._rows()[accounts].tocsc()
        of_all = np.array(self._accounts)
        few = (np.diff(has.indptr) >= fewest) & (of_all <= min(at_most, self.max_group))
        chosen = sorted(map(int, np.flatnonzero(few)), key=self._key)
        return [self._key(number) for number in chosen], has[:, chosen]

    def _rows(self) -> sp.csr_matrix:
        if self._by_slot is None:
            values, inviters = self._values, self.inviters()
            if inviters:
                values = [self._and_invites(one, inviters.get(slot)) for slot, one in enumerate(values)]
            ends = np.cumsum([0, *map(len, values)]) // array(_ID).itemsize
            numbers = np.frombuffer(b"".join(values), dtype=np.int32)
            shape = len(values), len(self._keys)
            ones = np.ones(len(numbers), dtype=np.int8)
            self._by_slot = sp.csr_matrix((ones, numbers, ends.astype(np.int32)), shape=shape)
        return self._by_slot


def _nobody(account: str) -> None:
    """Nobody is known."""
