"""Honest groups to Markdown: how many were hit, and what chance leaves open. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from benchmarks.judging import seeds_of, table
from benchmarks.proportions import at_most
from stillwatch.verdict import ACTIONS

_STRONGEST_FIRST: Final = tuple(reversed(ACTIONS[1:]))
_NAMED: Final = {"revoke": "revoked", "suspend": "suspended", "challenge": "challenged", "throttle": "throttled"}
_HEAD: Final = """## Honest groups that look like campaigns

Made by `{command}`. The default policy in enforce mode; a group counts once, by the strongest action on any of its accounts, and only if one of them sent
something. Users of one agent tool are one group a world. Bounds: exact, one-sided, 95 % (Clopper-Pearson), as if groups were
independent; those of one world share its honest people.
"""


def totals(results: Sequence[Mapping[str, Any]]) -> dict[str, Counter[str]]:
    """Kind -> its counts over all worlds."""
    sums: dict[str, Counter[str]] = {}
    for one in results:
        for kind, row in one["kinds"].items():
            sums.setdefault(kind, Counter()).update(row)
    return dict(sorted(sums.items()))


def section(results: Sequence[Mapping[str, Any]], command: str) -> str:
    sums = totals(results)
    every = sum(sums.values(), Counter())
    rows = [_row(kind, row) for kind, row in sums.items()]
    head = ["kind", "groups", *(_NAMED[action] for action in _STRONGEST_FIRST), "accounts", "acted on"]
    inside = [one for one in results if one["attackers"]]
    people = {what: sum(one["people"][what] for one in results) for what in ("accounts", "acted_on", "revoked")}
    attackers = sum(one["attackers"] for one in inside)
    caught = sum(one["attackers_acted_on"] for one in inside)
    lines = [
        _HEAD.format(command=command),
        f"{len(results)} worlds (seeds {seeds_of(results)}), {results[0]['days']} days each, {len(inside)} of them with two "
        + f"campaigns inside, of whose {attackers:,} accounts {caught:,} were acted on.\n",
        table(head, [*rows, _row("**all**", every)]),
        "\n".join(_bound(action, every, len(results)) for action in _STRONGEST_FIRST) + "\n",
        f"People on their own in the same worlds: {people['acted_on']} of {people['accounts']:,} acted on, "
        + f"{people['revoked']} revoked (revoked: at most {at_most(people['revoked'], people['accounts']):.3%}).\n",
    ]
    open_without = sum(one["campaigns"] for one in results if not one["attackers"])
    lines.append(f"Campaigns published in the {len(results) - len(inside)} worlds without any: {open_without}.\n")
    return "\n".join(lines)


def _row(kind: str, row: Mapping[str, int]) -> list[str]:
    hit = [str(row.get(action, 0)) for action in _STRONGEST_FIRST]
    return [kind, f"{row['groups']:,}", *hit, f"{row['accounts']:,}", str(row["acted_on"])]


def _bound(action: str, every: Mapping[str, int], worlds: int) -> str:
    hits, groups = every.get(action, 0), every["groups"]
    said = f"- {_NAMED[action]}: {hits} of {groups:,} groups, at most {at_most(hits, groups):.2%}"
    if action == "revoke":
        said += f". Goal 0: **{'met' if not hits else 'missed'}**"
    return said
