"""Cells of the power curves to Markdown and pictures. Pure; what an attacker must pay is computed from the cells."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any, Final

from benchmarks.judged_plots import Line, Panels, curves, spread
from benchmarks.judging import seeds_of, table
from stillwatch.backtest.ours import NAME

Cells = Sequence[Mapping[str, Any]]
Where = tuple[float, int]  # (cover, accounts)
HEAD: Final = "# Power: who is found under how much cover, in how large a group, after how many days\n"
_WAYS: Final = {False: "by load", True: "as persons"}  # how the relay deals out, by `personas`
_COVER, _SIZE = 0.5, 100  # where the other is varied; else the value that the cells have most of
_BELOW: Final = 0.1  # a campaign stays below a detector that finds less than a tenth of its accounts
# The disclosed campaign, as told to the Senate.
_HARVEST_REQUESTS, _HARVEST_DAYS = 28_800_000, 45
_ABOUT: Final = """Made by `{command}`.

Two campaigns of the standard scenario with other shares of cover and other numbers of accounts, {seeds} seed(s) ({which}), among {honest:,} honest accounts: one relay that deals **by load**, and
one whose accounts write **as persons** do (own hours and days, one by one signed up, weakly linked). Found: the share of a
campaign's accounts above the score that {rate_words} honest accounts exceed (a rate of {rate:g}){why}. Nobody is refused. Medians
over seeds; bands and brackets: the smallest and the largest. All detectors see the same events (docs/results.md says what
each is given).
"""


def rate_of(cells: Cells) -> float:
    """1 in 10,000 where there are so many honest accounts, else 1 in 1,000, else 1 in 100."""
    honest = min(cell["honest"] for cell in cells)
    return next((rate for rate in (1e-4, 1e-3) if honest * rate >= 1 - 1e-9), 1e-2)


class Found:
    """Medians and spreads over seeds, at the rate that all cells can show."""

    def __init__(self, cells: Cells) -> None:
        self.rate = rate_of(cells)
        self.days = sorted({int(day) for cell in cells for day in cell["days"]})
        self.places: list[Where] = sorted({(cell["cover"], cell["accounts"]) for cell in cells})
        self.detectors = list(dict.fromkeys(cell["detector"] for cell in cells))
        self.ways = [way for way in _WAYS if any(way in cell["personas"].values() for cell in cells)]
        self._cells = cells

    def values(self, detector: str, where: Where, way: bool, day: int) -> list[float]:
        """One a seed and campaign."""
        found = []
        for cell in self._cells:
            if (cell["detector"], cell["cover"], cell["accounts"]) == (detector, *where):
                for name, rates in cell["days"].get(str(day), {}).items():
                    value = rates[f"{self.rate:g}"]
                    if cell["personas"][name] is way and value is not None:
                        found.append(value)
        return found

    def middle(self, detector: str, where: Where, way: bool, day: int) -> float | None:
        values = self.values(detector, where, way, day)
        return median(values) if values else None

    def line(self, detector: str, way: bool, at: Sequence[tuple[float, Where, int]]) -> Line | None:
        """Over (x, where, day)."""
        known = [(x, values) for x, where, day in at if (values := self.values(detector, where, way, day))]
        if not known:
            return None
        columns = [(min(v), max(v)) for _, v in known]
        per_seed = [[low for low, _ in columns], [high for _, high in columns]]
        return spread([x for x, _ in known], per_seed, [median(v) for _, v in known])

    def of_size(self, size: int) -> list[Where]:
        return [where for where in self.places if where[1] == size]

    def of_cover(self, cover: float) -> list[Where]:
        return [where for where in self.places if where[0] == cover]

    @property
    def varied(self) -> tuple[float, int]:
        """The cover at which sizes are varied, and the size at which cover is."""
        covers, sizes = [c for c, _ in self.places], [s for _, s in self.places]
        return max(covers, key=lambda c: (covers.count(c), c == _COVER)), max(
            sizes, key=lambda s: (sizes.count(s), s == _SIZE)
        )


def document(cells: Cells, command: str, drawn: Sequence[str]) -> str:
    found = Found(cells)
    honest = min(cell["honest"] for cell in cells)
    why = "" if found.rate <= 1e-4 else f"; {honest:,} accounts can not show 1 in 10,000"
    about = _ABOUT.format(
        command=command, seeds=len({cell["seed"] for cell in cells}), which=seeds_of(cells), honest=honest,
        rate=found.rate, rate_words=f"one in {round(1 / found.rate):,}", why=why,
    )  # fmt: skip
    words = {"cover": "Against cover", "accounts": "Against the number of accounts", "days": "Against days"}
    shown = [
        f"{words[kind]}:\n\n![{words[kind]}](pictures/{picture})\n"
        for picture in drawn for kind in words if picture.endswith(f"-{kind}.svg")
    ]  # fmt: skip
    return "\n".join([about, *shown, *_tables(found), *_price(found, cells)])


def _tables(found: Found) -> list[str]:
    head = ["cover", "accounts", "detector", *(f"after {day} d" for day in found.days)]
    out = []
    for way in found.ways:
        rows = [
            [f"{where[0]:.0%}", str(where[1]), detector, *(_cell(found.values(detector, where, way, day)) for day in found.days)]
            for where in found.places for detector in found.detectors
        ]  # fmt: skip
        out.append(f"## Dealt out {_WAYS[way]}\n\n{table(head, rows)}")
    return out


def _cell(values: Sequence[float]) -> str:
    if not values:
        return "–"
    low, high = min(values), max(values)
    return f"{median(values):.0%}" + (f" ({low:.0%} – {high:.0%})" if low != high else "")


# -- what an attacker must pay ---------------------------------------------------------------------------------------


def accounts_for(cover: float, requests_per_day: float) -> int:
    """So many accounts harvest what the disclosed campaign did, in as many days.

    >>> accounts_for(0.0, 25.6), accounts_for(0.5, 25.6)
    (25000, 50000)
    """
    return math.ceil(_HARVEST_REQUESTS / (_HARVEST_DAYS * requests_per_day * (1 - cover)) - 1e-9)


def _price(found: Found, cells: Cells) -> list[str]:
    if NAME not in found.detectors:
        return []
    per_day, last = float(cells[0]["requests_per_day"]), found.days[-1]
    cover, size = found.varied

    def ours(where: Where, way: bool) -> float:
        return found.middle(NAME, where, way, last) or 0.0

    head = ["cover", "requests for one harvested", f"accounts for {_HARVEST_REQUESTS / 1e6:.1f} M in {_HARVEST_DAYS} days",
            *(f"found after {last} d, {_WAYS[way]}" for way in found.ways)]  # fmt: skip
    rows = [
        [f"{where[0]:.0%}", f"{1 / (1 - where[0]):.1f}", f"{accounts_for(where[0], per_day):,}",
         *(f"{ours(where, way):.0%}" for way in found.ways)]
        for where in found.of_size(size)
    ]  # fmt: skip
    about = (
        f"A campaign stays below if less than {_BELOW:.0%} of its accounts are found after {last} days, as the median over seeds. "
        f"Prices are for the harvest that was disclosed, {_HARVEST_REQUESTS:,} requests in {_HARVEST_DAYS} days, at {per_day:g} a "
        f"day on each account. In groups of {size} accounts:\n"
    )
    out = ["## What an attacker must pay to stay below it\n", about, table(head, rows)]
    for way in found.ways:
        out += [f"Dealt out {_WAYS[way]}:\n", "\n".join(_prices(found, ours, way, per_day, (cover, size), last)) + "\n"]
    return out


def _prices(
    found: Found, ours: Callable[[Where, bool], float], way: bool, per_day: float, usual: Where, last: int
) -> list[str]:
    cover, size = usual
    lines = []
    by_cover = [where for where in found.of_size(size) if ours(where, way) < _BELOW]
    if by_cover:
        least = by_cover[0][0]
        lines.append(
            f"- **Cover**: {least:.0%} is the least share tried that stays below, at {1 / (1 - least):.1f} requests for each that is "
            f"harvested and {accounts_for(least, per_day):,} accounts"
        )
    else:
        lines.append(f"- **Cover**: no share tried stays below, up to {found.of_size(size)[-1][0]:.0%}")
    by_size = [where for where in found.of_cover(cover) if ours(where, way) < _BELOW]
    if by_size:
        below, tried = ([str(where[1]) for where in some] for some in (by_size, found.of_cover(cover)))
        lines.append(
            f"- **Small groups**: with {cover:.0%} cover those of {', '.join(below)} accounts stay below, of {', '.join(tried)} "
            f"tried; in groups of {below[-1]} the harvest is split over "
            f"{math.ceil(accounts_for(cover, per_day) / by_size[-1][1]):,} campaigns that share no pool, card, promotion or client"
        )
    else:
        lines.append(
            f"- **Small groups**: with {cover:.0%} cover no size tried stays below, down to {found.of_cover(cover)[0][1]}"
        )
    middles = {day: found.middle(NAME, usual, way, day) or 0.0 for day in found.days}
    seen = next((day for day, value in middles.items() if value >= _BELOW), None)
    if seen is None:
        lines.append(
            f"- **Leaving early**: with {cover:.0%} cover and {size} accounts there is no need to within {last} days"
        )
    else:
        before = max((day for day in found.days if day < seen), default=None)
        often = before or seen
        new = math.ceil(_HARVEST_DAYS / often) * accounts_for(cover, per_day)
        lines.append(
            f"- **Leaving early**: with {cover:.0%} cover and {size} accounts it is above after {seen} day(s)"
            + (f" and below after {before}" if before else ", the first day looked at")
            + f". New accounts every {often} day(s) are {new:,} for the harvest"
            + ("" if before else ", and that is not often enough")
        )
    return lines


# -- pictures --------------------------------------------------------------------------------------------------------


def pictures(cells: Cells, stem: str) -> dict[str, str]:
    """File name -> SVG, where there is more than one point to a curve."""
    found = Found(cells)
    cover, size = found.varied
    label = f"found at a false positive rate of {found.rate:g}, %"
    rows: dict[str, tuple[str, list[Where], Callable[[Where], float]]] = {
        "cover": (f"cover, % ({size} accounts)", found.of_size(size), lambda where: 100 * where[0]),
        "accounts": (f"accounts ({cover:.0%} cover)", found.of_cover(cover), lambda where: where[1]),
    }
    out = {}
    for kind, (x_label, places, x) in rows.items():
        if len(places) > 1:
            by_way = {
                _WAYS[way]: {
                    f"{day} d": _lines(found, way, [(x(where), where, day) for where in places]) for day in found.days
                }
                for way in found.ways
            }
            out[f"{stem}-{kind}.svg"] = curves(by_way, x_label, label, f"{stem}-{kind}")
    if len(found.days) > 1:
        over_days: dict[str, Panels] = {
            _WAYS[way]: {
                f"{where[0]:.0%} cover": _lines(found, way, [(day, where, day) for day in found.days])
                for where in found.of_size(size)
            }
            for way in found.ways
        }
        out[f"{stem}-days.svg"] = curves(over_days, f"days ({size} accounts)", label, f"{stem}-days")
    return out


def _lines(found: Found, way: bool, at: Sequence[tuple[float, Where, int]]) -> dict[str, Line]:
    lines = {detector: found.line(detector, way, at) for detector in found.detectors}
    return {detector: line for detector, line in lines.items() if line is not None}
