"""The disclosed campaign to Markdown. Pure; goals are judged from the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from benchmarks.judging import table
from benchmarks.proportions import at_most

Course = Sequence[Mapping[str, float]]
# (share of its accounts acted on, hours within which), and the share of what it took that may leak.
_GOALS: Final = ((0.5, 12.0), (0.9, 24.0))
_LEAK_GOAL: Final = 0.03
_SHOWN_H: Final = (1, 3, 6, 12, 18, 24, 36, 48, 60, 72, 96, 120, 168)
_DAY_H: Final = 24.0
_HEAD: Final = """## The disclosed campaign

Made by `{command}`. The default policy in enforce mode, in a closed loop: a refused call is tried on the next account, the refused account is replaced after
twelve hours, and the gateways report refused calls. **Served**: what it got. **Leaked**: of that, what came before its account was first acted on.
Shares are of what it would have sent by then, undisturbed. Replacements count as attackers.
"""


def hours_to(course: Course, share: float) -> float | None:
    """When so large a share of the accounts that had been active by then had been acted on; ``None``: never.

    >>> hours_to([{"hours": 1, "active": 2, "acted_on": 0}, {"hours": 2, "active": 4, "acted_on": 2}], 0.5)
    2
    """
    return next((row["hours"] for row in course if row["acted_on"] >= share * row["active"]), None)


def projected(course: Course, days: float, whole_days: float, what: str = "leaked") -> float:
    """The share of a whole campaign that it would get if it went on as on its last day here: each later day it sends what it
    sends on average, and of that leaks what leaked of the last 24 hours.

    >>> day = {"hours": 24, "sent": 100, "leaked": 40}
    >>> projected([day, {"hours": 48, "sent": 200, "leaked": 50}], 2, 10)
    0.13
    """
    last = course[-1]
    before = next((row for row in reversed(course) if row["hours"] <= last["hours"] - _DAY_H), None)
    sent, leaked = (last[key] - (before[key] if before is not None else 0) for key in ("sent", what))
    later = last["sent"] / days * (whole_days - days)
    return float((last[what] + later * leaked / max(sent, 1)) / (last["sent"] + later))


def section(results: Sequence[Mapping[str, Any]], command: str) -> str:
    return "\n".join([_HEAD.format(command=command), *(_one(one) for one in results)])


def _one(one: Mapping[str, Any]) -> str:
    course: Course = one["course"]
    words = (
        f"### {one['attackers']:,} attackers, {one['honest']:,} honest accounts, seed {one['seed']}\n\n"
        f"{one['events']:,} requests over {one['days']} days of the campaign and {one['days_before']} before it; {one['partitions']} "
        f"partition(s), an evaluation every {one['tick_h']:g} h; {one['published']} campaign(s) published; "
        f"{one['held_back']} accounts held back by the blast radius.\n"
    )
    shown = _shown(course)
    rows = [
        [
            f"{row['hours']:.0f}",
            f"{row['active']:,}",
            f"{row['acted_on'] / row['active']:.0%}",
            f"{row['leaked'] / row['sent']:.1%}",
            f"{row['served'] / row['sent']:.1%}",
            f"{row['honest_acted_on']:.0f}",
        ]
        for row in shown
    ]
    head = ["hour", "attackers active by then", "of them acted on", "leaked", "served", "honest acted on"]
    return "\n".join([words, table(head, rows), *_goals(one, course), _honest(one["benign"])])


def _shown(course: Course) -> list[Mapping[str, float]]:
    """The first evaluation after each of the hours, and the last one."""
    first = [next((row for row in course if row["hours"] >= hour), course[-1]) for hour in _SHOWN_H]
    return [row for row in course if row is course[-1] or any(row is one for one in first)]


def _goals(one: Mapping[str, Any], course: Course) -> list[str]:
    lines = []
    for share, within in _GOALS:
        hours = hours_to(course, share)
        when = "never in these days" if hours is None else f"after {hours:.0f} h"
        met = hours is not None and hours <= within
        lines.append(f"- {share:.0%} of its accounts acted on: {when}; goal {within:.0f} h: **{_met(met)}**")
    last = course[-1]
    leaked = projected(course, one["days"], one["whole_days"])
    served = projected(course, one["days"], one["whole_days"], "served")
    lines.append(
        f"- leaked of what it would have sent in {one['days']} days: {last['leaked'] / last['sent']:.1%}; projected on "
        f"{one['whole_days']} days {leaked:.1%}; goal at most {_LEAK_GOAL:.0%} of the whole: **{_met(leaked <= _LEAK_GOAL)}**. "
        "Projected: every later day it sends as much as on a day here, and as large a share leaks as in the last 24 hours"
    )
    lines.append(
        f"- served: {last['served'] / last['sent']:.1%}, projected in the same way {served:.1%}: what is refused "
        "on one account is tried on the next, and actions run out"
    )
    return ["\n".join(lines) + "\n"]


def _honest(benign: Mapping[str, Mapping[str, int]]) -> str:
    accounts, acted, revoked = (
        sum(row[what] for row in benign.values()) for what in ("accounts", "acted_on", "revoked")
    )
    hit = ", ".join(
        f"{kind} {row['acted_on']} of {row['accounts']:,}" for kind, row in sorted(benign.items()) if row["acted_on"]
    )
    return (
        f"Honest accounts acted on: {acted} of {accounts:,} (at most {at_most(acted, accounts):.3%})"
        + (f": {hit}" if hit else "")
        + f". Revoked: {revoked}; goal 0: **{_met(not revoked)}**.\n"
    )


def _met(met: bool) -> str:
    return "met" if met else "missed"
