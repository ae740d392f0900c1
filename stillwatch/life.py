"""A campaign's life: found, acted on, asleep, awake again, merged into another, split. Its history is kept, bounded.

A campaign is never deleted: its accounts are revoked and fall silent, and whoever runs it comes back with new ones. It can merge
with another (``merging``) and prove to be two (``splitting``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

State = Literal["awake", "asleep", "merged"]
History = tuple[tuple[int, str, str], ...]  # (event time in unix s, what, detail), oldest first

# Longer than a weekend: a campaign that works office hours does not fall asleep every Saturday.
ASLEEP_AFTER_DAYS: Final = 3
MAX_HISTORY: Final = 100
_DAY_NANO: Final = 86_400_000_000_000
_S_NANO: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Look:
    """Whether a campaign is two pools, as it was seen at a moment. ``part``: the accounts of the smaller one; nobody where it seems to be
    one pool. ``first_unix_nano``: of two looks in a row that say the same, the first."""

    at_unix_nano: int
    p_value: float
    likeness: float
    part: frozenset[str] = frozenset()
    first_unix_nano: int = 0


def noted(history: History, at_unix_nano: int, what: str, detail: str) -> History:
    """With one more row. The first stays, how it was found; of the others the newest.

    >>> noted(noted((), 5_000_000_000, "found", "under a card"), 9_000_000_000, "asleep", "")
    ((5, 'found', 'under a card'), (9, 'asleep', ''))
    """
    rows = (*history, (at_unix_nano // _S_NANO, what, detail))
    return rows if len(rows) <= MAX_HISTORY else (rows[0], *rows[len(rows) - MAX_HISTORY + 1 :])


def state_at(state: State, last_sent_unix_nano: int | None, now_unix_nano: int) -> State:
    """``last_sent``: of its probable members, ``None`` where none is known. Merged is for good.

    >>> day = 86_400_000_000_000
    >>> state_at("awake", 1 * day, 3 * day), state_at("awake", 1 * day, 4 * day), state_at("asleep", 4 * day, 5 * day)
    ('awake', 'asleep', 'awake')
    """
    if state == "merged":
        return state
    if last_sent_unix_nano is None:
        return "asleep"
    return "asleep" if now_unix_nano - last_sent_unix_nano >= ASLEEP_AFTER_DAYS * _DAY_NANO else "awake"
