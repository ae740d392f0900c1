"""Streams to Markdown and pictures. Pure: no stream is played here, and whether a goal is met is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Final

from benchmarks.finding import false_share
from benchmarks.judged_plots import Line, curves
from benchmarks.judging import seeds_of, table
from benchmarks.proportions import at_least, at_most, bootstrap, bootstraps

Streams = Sequence[Mapping[str, Any]]
_DAYS: Final = (1, 2, 4, 7)
_GOAL: Final = 0.9  # of campaigns, in time
# Days within which they are to be found, by the share of cover; where nothing at all is shared, at half cover.
_GOAL_DAYS: Final = {0.5: 2, 0.8: 7}
_GOAL_DAYS_UNLINKED: Final = {0.5: 7}
_FALSE_LEVEL: Final = 0.05
_HEAD: Final = """## Campaigns in many streams

Made by `{command}`. Our detector alone: one partition, an evaluation every hour, nobody refused, the default policy (in which a score alone acts on
nobody). A campaign is **found** when most of the probable members (confidence ½ or more) of a published campaign are its own. A
published campaign is **true** when most of its probable members attack, whosever they are; one that was withdrawn counts as it
last was. Hours are since the campaign's first request; requests are those of 20 of its accounts by then, cover included.
Bounds of shares are exact and one-sided at 95 % (Clopper-Pearson), as if campaigns of one stream were independent.
"""


def section(variants: Mapping[str, Streams], command: str, drawn: Sequence[str]) -> str:
    parts = [_HEAD.format(command=command)]
    for title, streams in variants.items():
        parts += _variant(title, streams)
    words = "Share of campaigns found against days, mean over streams; the band is its bootstrap interval over streams, 95 %:"
    parts += [f"{words}\n\n![{words}](pictures/{picture})\n" for picture in drawn]
    return "\n".join(parts)


def _variant(title: str, streams: Streams) -> list[str]:
    first = streams[0]
    campaigns = kinds(streams)
    size = (
        f"{len(streams)} stream(s) (seeds {seeds_of(streams)}), {first['days']} days each, "
        f"{sum(one['events'] for one in streams):,} requests in all. In the first {first['honest']:,} honest accounts and "
        f"{len(first['campaigns'])} campaigns.\n"
    )
    return [
        f"### {title}\n",
        size,
        _campaigns_table(campaigns, first["days"]),
        _goal(campaigns, first["days"]),
        _false(streams),
        _honest(streams),
    ]


def kinds(streams: Streams) -> dict[str, list[Mapping[str, Any]]]:
    """Rows of the table: every campaign over all streams, then those of one way of dealing out, then all."""
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for stream in streams:
        for name, one in stream["campaigns"].items():
            rows.setdefault(name, []).append(one)
    every = [one for found in rows.values() for one in found]
    if len(rows) > 1:
        relay, personas = ([one for one in every if one["personas"] is kept] for kept in (False, True))
        if relay and personas:
            rows |= {"**by load**": relay, "**as persons**": personas}
        rows["**all**"] = every
    return rows


def found_within(campaigns: Sequence[Mapping[str, Any]], days: float) -> int:
    return sum(one["hours"] is not None and one["hours"] <= 24 * days for one in campaigns)


def _campaigns_table(campaigns: Mapping[str, Sequence[Mapping[str, Any]]], length: int) -> str:
    days = [day for day in _DAYS if day <= length]
    head = ["campaign", "accounts", "share", "hours of", *(f"found in {day} d" for day in days), "hours (median)",
            "requests of 20 accounts", "its accounts listed at the end", "acted on"]  # fmt: skip
    rows = [
        [
            name,
            _range([one["accounts"] for one in of]),
            ", ".join(sorted({one["linked"] for one in of})),
            " and ".join(sorted({"a person" if one["personas"] else "the relay" for one in of})),
            *(_share(found_within(of, day), len(of)) for day in days),
            _middle([one["hours"] for one in of]),
            _middle([one["requests_per_20"] for one in of]),
            f"{median(one['listed'] for one in of):.0%}",
            f"{sum(one['acted_on'] for one in of) / max(sum(one['accounts'] for one in of), 1):.0%}",
        ]
        for name, of in campaigns.items()
    ]
    return table(head, rows)


def goal_days(campaigns: Sequence[Mapping[str, Any]]) -> int | None:
    """Where all have one share of cover for which a goal is stated, and all or none share nothing."""
    covers, unlinked = {one["cover"] for one in campaigns}, {one["linked"] == "none" for one in campaigns}
    if len(covers) != 1 or len(unlinked) != 1:
        return None
    return (_GOAL_DAYS_UNLINKED if unlinked.pop() else _GOAL_DAYS).get(covers.pop())


def _goal(campaigns: Mapping[str, Sequence[Mapping[str, Any]]], length: int) -> str:
    """Where no goal is stated, the figures stand for themselves."""
    within = goal_days([one for of in campaigns.values() for one in of])
    if within is None or within > length:
        return "No goal is set for this; the table is the answer.\n"
    lines = [f"Goal: {_GOAL:.0%} of campaigns found within {within} days.\n"]
    for name in ("**by load**", "**as persons**", "**all**") if "**all**" in campaigns else campaigns:
        of = campaigns.get(name, ())
        if of:
            hits = found_within(of, within)
            verdict = "met" if hits >= _GOAL * len(of) else "missed"
            lines.append(
                f"- {name.strip('*')}: {hits} of {len(of)} ({hits / len(of):.0%}; at least {at_least(hits, len(of)):.0%}): "
                f"**{verdict}**"
            )
    return "\n".join(lines) + "\n"


def _false(streams: Streams) -> str:
    published = [one for stream in streams for one in stream["published"]]
    false = sum(not one["true"] for one in published)
    mean, low, high = bootstrap([false_share(stream["published"]) for stream in streams])
    hit = sum(any(not one["true"] for one in stream["published"]) for stream in streams)
    # Who publishes nothing has no false discoveries, and has kept no promise by it.
    met = "nothing was published" if not published else "met" if mean <= _FALSE_LEVEL else "missed"
    return (
        f"Published: {len(published)} campaigns, {false} of them false. Realised false discovery proportion: mean over "
        f"{len(streams)} stream(s) {mean:.1%} (bootstrap over streams, 95 %: {low:.1%} to {high:.1%}); goal at most "
        f"{_FALSE_LEVEL:.0%}: **{met}**. {hit} of {len(streams)} had a false one, which bounds the rate from above by "
        f"{at_most(hit, len(streams)):.0%}. Honest accounts among probable members of true ones: "
        f"{sum(one['honest'] for one in published if one['true']):,} beside "
        f"{sum(one['attackers'] for one in published if one['true']):,} attackers.\n"
    )


def _honest(streams: Streams) -> str:
    sums: dict[str, list[int]] = {}
    for stream in streams:
        for kind, row in stream["benign"].items():
            known = sums.setdefault(kind, [0, 0, 0])
            for at, what in enumerate(("accounts", "acted_on", "revoked")):
                known[at] += row[what]
    accounts, acted, revoked = (sum(row[at] for row in sums.values()) for at in range(3))
    by_kind = ", ".join(
        f"{kind} {row[1]} of {row[0]:,}, {row[2]} revoked" for kind, row in sorted(sums.items()) if row[1]
    )
    return (
        f"Honest accounts acted on: {acted} of {accounts:,} (at most {at_most(acted, accounts):.2%}); revoked: {revoked}"
        + (f" ({by_kind})" if by_kind else "")
        + ".\n"
    )


def pictures(variants: Mapping[str, Streams], stem: str) -> dict[str, str]:
    """File name -> SVG: one panel a variant."""
    panels = {title: _lines(streams) for title, streams in variants.items()}
    return {f"{stem}-found.svg": curves({"": panels}, "days", "campaigns found, %", stem, steps=True)} if panels else {}


def _lines(streams: Streams) -> dict[str, Line]:
    """By way of dealing out where there are both, else all."""
    rows = kinds(streams)
    names: list[str] = [name for name in ("**by load**", "**as persons**") if name in rows]
    hours = range(int(streams[0]["days"]) * 24 + 1)
    out = {}
    for name in names or ["all"]:
        kept = [
            [one for one in stream["campaigns"].values() if name in ("all", _dealt(one))] for stream in streams
        ]  # fmt: skip
        per_stream = [[found_within(of, hour / 24) / max(len(of), 1) for hour in hours] for of in kept]
        middle, low, high = zip(*bootstraps(per_stream), strict=True)
        out[name.strip("*")] = Line(tuple(hour / 24 for hour in hours), middle, low, high)
    return out


def _dealt(one: Mapping[str, Any]) -> str:
    return "**as persons**" if one["personas"] else "**by load**"


def _share(hits: int, of: int) -> str:
    return f"{hits} of {of}"


def _middle(values: Sequence[float | None]) -> str:
    """Of those that were found: the others have none."""
    known = [value for value in values if value is not None]
    return f"{median(known):,.0f}" if known else "never"


def _range(values: Sequence[int]) -> str:
    return f"{min(values)}" if min(values) == max(values) else f"{min(values)} to {max(values)}"
