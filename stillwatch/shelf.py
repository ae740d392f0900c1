"""The indicators that others sent, as long as they are kept. At most 200, each for 90 days."""

from __future__ import annotations

from typing import Final

from stillwatch.indicators import Imported, Indicator, Refused

# Each costs every group that is tested a few products of its counts with a vector.
MAX_INDICATORS: Final = 200


class Shelf:
    """
    >>> shelf = Shelf()
    >>> shelf.remove("i-none"), shelf.standing(0.0), len(shelf)
    (False, [], 0)
    """

    def __init__(self) -> None:
        self._imported: dict[str, Imported] = {}

    def __len__(self) -> int:
        return len(self._imported)

    def room_for(self, indicator: Indicator, now_unix_s: float) -> Refused | None:
        """Nobody's is thrown out for another's: a flood of new ones must not push out what an operator chose."""
        if indicator.id in self._imported or len(self.standing(now_unix_s)) < MAX_INDICATORS:
            return None
        return Refused("", f"{MAX_INDICATORS} indicators are kept at most; remove one that is no longer needed")

    def put(self, imported: Imported) -> None:
        """In the place of an earlier one of the same campaign."""
        self._imported[imported.indicator.id] = imported

    def recall(self, imported: Imported) -> None:
        """What an earlier life has kept, unless this one knows a newer one already."""
        self._imported.setdefault(imported.indicator.id, imported)

    def remove(self, id: str) -> bool:
        return self._imported.pop(id, None) is not None

    def standing(self, now_unix_s: float) -> list[Imported]:
        """Those that have not expired, newest first; the others are dropped."""
        self._imported = {id: one for id, one in self._imported.items() if now_unix_s < one.expires_unix_s}
        return sorted(self._imported.values(), key=lambda one: (-one.received_unix_s, one.indicator.id))
