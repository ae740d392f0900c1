"""Which accounts share a value: sign-up cohort, payment family, client, address, system prompt, template, parameters.

Linkage only proposes. A shared value says that accounts *may* belong together; honest people share clients, offices
and promotions. Bounded: a value that more than ``max_group`` accounts share says nothing about any of them and is
kept as a count only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Key = tuple[str, str]  # (view, value)


class LinkageIndex:
    """
    >>> index = LinkageIndex(max_group=3)
    >>> for slot in range(3):
    ...     index.link(slot, [("signup", "promo-a")])
    >>> list(index.groups(min_group=2))
    [(('signup', 'promo-a'), {0, 1, 2})]
    >>> index.link(3, [("signup", "promo-a")])
    >>> list(index.groups(min_group=2)), index.too_common
    ([], 1)
    """

    def __init__(self, max_group: int) -> None:
        self._max_group = max_group
        self._slots: dict[Key, set[int]] = {}
        self._common: set[Key] = set()

    @property
    def too_common(self) -> int:
        return len(self._common)

    def link(self, slot: int, keys: Iterable[Key]) -> None:
        for key in keys:
            if key in self._common:
                continue
            slots = self._slots.setdefault(key, set())
            slots.add(slot)
            if len(slots) > self._max_group:
                del self._slots[key]
                self._common.add(key)

    def unlink(self, slot: int, keys: Iterable[Key]) -> None:
        for key in keys:
            slots = self._slots.get(key)
            if slots is not None:
                slots.discard(slot)
                if not slots:
                    del self._slots[key]

    def sharing(self, key: Key) -> set[int]:
        return self._slots.get(key, set())

    def groups(self, min_group: int) -> Iterator[tuple[Key, set[int]]]:
        """Every value that enough accounts share, in a fixed order."""
        for key in sorted(key for key, slots in self._slots.items() if len(slots) >= min_group):
            yield key, self._slots[key]
