"""What a verdict rested on when it was given, stored with it: so that it can be explained when all else has moved on.

Campaigns grow, baselines drift, settings change. What is said to a customer three weeks later must be what was known when the
verdict was given. Signals stand in the verdict itself; this is the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

# Of one campaign: the test that opened it and the strongest others. A campaign of 10,000 accounts can have hundreds.
MAX_TESTS: Final = 12


@dataclass(frozen=True, slots=True)
class GroupTested:
    """One test of one group of a campaign, as it came out at ``at_unix_nano`` (event time).

    ``p_value``: of content, that an honest group comes out as alike. ``beside``: (test, p-value) of conduct and the others.
    ``e_value``: all of it together, 1 is nothing. ``weighted``: times the weight of the group's kind in the docket. ``bar``: what
    a discovery needed at that moment, among ``tests`` made so far, so that at most ``level`` of all discoveries are expected
    to be false. ``opened``: the campaign was found by this test; else it was known, and the test is more of the same.
    """

    at_unix_nano: int
    group: str  # what the accounts shared: view=value
    accounts: int
    f: float
    normal_f: tuple[float, float] | None
    p_value: float
    beside: tuple[tuple[str, float], ...]
    e_value: float
    weighted: float
    bar: float
    tests: int
    level: float
    opened: bool

    @classmethod
    def from_map(cls, raw: Mapping[str, Any]) -> GroupTested:
        normal = raw["normal_f"]
        return cls(
            **{
                **raw,
                "normal_f": None if normal is None else (normal[0], normal[1]),
                "beside": tuple((str(name), float(p)) for name, p in raw["beside"]),
            }
        )


@dataclass(frozen=True, slots=True)
class Grounds:
    """``confidences`` and ``requests`` belong to the verdict's ``members``, in their order. ``asked_…``: the thresholds of the rule
    that fitted. ``versions``: (part, version) of what decides."""

    versions: tuple[tuple[str, str], ...] = ()
    e_value: float | None = None  # of the campaign
    score: float | None = None  # of the account, 0..1
    asked_e_value: float | None = None
    asked_score: float | None = None
    asked_confidence: float | None = None
    spared_from: str | None = None  # who is verified at least like this, the rule does not touch
    confidences: tuple[float, ...] = ()
    requests: tuple[int, ...] = ()
    listed_members: int = 0  # of the campaign, those that this verdict does not cover too
    active_accounts: int = 0
    linkage: tuple[str, ...] = ()
    tests: tuple[GroupTested, ...] = ()

    @classmethod
    def from_map(cls, raw: Mapping[str, Any]) -> Grounds:
        return cls(
            **{
                **raw,
                "versions": tuple((str(part), str(version)) for part, version in raw["versions"]),
                "confidences": tuple(raw["confidences"]),
                "requests": tuple(raw["requests"]),
                "linkage": tuple(raw["linkage"]),
                "tests": tuple(GroupTested.from_map(one) for one in raw["tests"]),
            }
        )


def kept(tests: Iterable[GroupTested]) -> tuple[GroupTested, ...]:
    """Those worth keeping: of a group its strongest test, and of all the one that opened the campaign and the strongest; in time.

    >>> first = GroupTested(1, "a=1", 9, 0.0, None, 1e-6, (), 90.0, 90.0, 60.0, 3, 0.05, True)
    >>> from dataclasses import replace
    >>> again = replace(first, at_unix_nano=2, weighted=80.0, opened=False)
    >>> [one.at_unix_nano for one in kept([first, again])]
    [1]
    >>> [one.at_unix_nano for one in kept([first, replace(again, weighted=99.0)])]
    [1, 2]
    >>> len(kept([first, *(replace(again, group=f"a={n}") for n in range(40))]))
    12
    """
    strongest: dict[str, GroupTested] = {}
    opening = []
    for one in tests:
        if one.opened:
            opening.append(one)
        known = strongest.get(one.group)
        if known is None or one.weighted > known.weighted:
            strongest[one.group] = one
    opening = opening[:1]
    others = sorted(
        (one for one in strongest.values() if one not in opening), key=lambda one: (-one.weighted, one.group)
    )
    return tuple(sorted((*opening, *others[: MAX_TESTS - len(opening)]), key=lambda one: (one.at_unix_nano, one.group)))
