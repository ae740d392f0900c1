"""Cells to Markdown and pictures. Pure: no cell is computed here, and no sentence about who is better is written by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any, Final

from benchmarks.cells import CHECKPOINT_DAYS, RATES
from launch import backtest_plots as plots
from launch.detectors import DETECTORS
from stillwatch.backtest.calibration import Calibration
from stillwatch.backtest.ours import NAME

Results = Mapping[tuple[str, str], Sequence[dict[str, Any]]]  # (scenario, detector) -> its cells, one a seed
_GREY: Final = "#7d7d7d"  # readable on white and on black, where a picture can not ask the page

_PICTURES: Final = {
    "roc": "Attackers found against honest accounts hit, at the end of the traffic, first seed, nobody refused:",
    "calibration": "P(p ≤ t) of our signals on honest accounts, first seed; below the diagonal is conservative:",
}

_HEAD: Final = """# Results: every detector on the same events

Made by `{command}`.
No figure in this file is written by hand, the sentences on who is better included. Cells are the median over at most {seeds} seed(s), each scenario says which, in brackets the smallest and the largest. All traffic is simulated (docs/simulator.md), or
semi-synthetic where real prompts are used: such figures rank methods and bound what is possible, they are no field rates.

- **Found** is the share of attackers above the score that so many honest accounts exceed, nobody being refused. With n
  honest accounts no rate below 1/n can be told from 0; such a rate is left out, and said.
- **Stopped**: who was acted on in the same run. Nobody is refused in it, so that scores go on. Ours acts by its policy; a rival acts at a threshold that one honest
  account in a thousand exceeds in a week of other honest traffic (`python -m benchmarks.thresholds`, configs/rivals.yaml).
  A request has leaked when it was sent before its account was first acted on.
- `mmd` and `prada` run on hashed n-grams and 64-bit sketches, not on the sentence encoders of their papers: there is no
  model here. `mmd` gets honest traffic of another seed as its reference; ours and the others get nothing.
- `mmd` and `prada` need 100 requests of an account before they say anything; a detector without an opinion finds nobody.
"""


def document(
    results: Results, scenarios: Sequence[str], command: str, drawn: Sequence[str], stem: str = "results"
) -> str:
    seeds = max((len(cells) for cells in results.values()), default=0)
    parts = [_HEAD.format(command=command, seeds=seeds)]
    for scenario in scenarios:
        found = {d: cells for d in DETECTORS if (cells := results.get((scenario, d), ()))}
        if found:
            parts += _scenario(scenario, found, drawn, stem)
    return "\n".join(parts).rstrip() + "\n"


def _scenario(name: str, found: Mapping[str, Sequence[dict[str, Any]]], drawn: Sequence[str], stem: str) -> list[str]:
    cells = next(iter(found.values()))
    kinds = ", ".join(f"{count} {kind}" for kind, count in cells[0]["kinds"].items())
    honest = min(cell["honest"] for cell in cells)
    seeds = ", ".join(str(cell["seed"]) for cell in cells)
    size = f"{cells[0]['events']:,} requests, {cells[0]['attackers']} attackers, {cells[0]['honest']:,} honest accounts"
    out = [f"\n## {name}\n", f"{size} ({kinds}; of the first seed), seeds {seeds}.\n"]
    days = [day for day in CHECKPOINT_DAYS if str(day) in cells[0]["days"]]
    missing = [rate for rate in RATES if math.floor(rate * honest + 1e-9) < 1]
    if cells[0]["attackers"]:
        for rate in RATES:
            if rate not in missing:
                out += _found_table(found, days, rate)
        if missing:
            out.append(f"Rates of {' and '.join(f'{r:g}' for r in missing)} are below what {honest:,} accounts show.\n")
    out += _stopped_table(found)
    out += _kinds_table(found, days)
    out += _better(found, days, [rate for rate in RATES if rate not in missing])
    out += [
        f"{words}\n\n![{words}](pictures/{picture})\n"
        for kind, words in _PICTURES.items() if (picture := f"{stem}-{kind}-{name}.svg") in drawn
    ]  # fmt: skip
    out += _calibration_table(found)
    return out


def _found_table(found: Mapping[str, Sequence[dict[str, Any]]], days: Sequence[int], rate: float) -> list[str]:
    head = ["detector", *(f"after {day} d" for day in days), "area under the curve"]
    rows = [
        [
            detector,
            *(_spread([c["days"][str(day)]["found"][f"{rate:g}"] for c in cells], _percent) for day in days),
            _spread([c["days"][str(days[-1])]["area"] for c in cells], lambda v: f"{v:.3f}"),
        ]
        for detector, cells in found.items()
    ]
    return [f"Attackers found at a false positive rate of {rate:g}:\n", _table(head, rows)]


def _stopped_table(found: Mapping[str, Sequence[dict[str, Any]]]) -> list[str]:
    head = ["detector", "attackers acted on", "hours to half (slowest campaign)", "leaked", "honest acted on", "revoked",
            "held back"]  # fmt: skip
    rows = [
        [
            detector,
            _spread([acted_share(c) for c in cells], _percent),
            _spread([hours_to_half(c) for c in cells], lambda v: f"{v:.0f}"),
            _spread([leaked(c) for c in cells], _percent),
            _hit(cells, "acted_on"),
            _hit(cells, "revoked"),
            _spread([c["held_back"] for c in cells], lambda v: f"{v:.0f}"),
        ]
        for detector, cells in found.items()
    ]
    return ["Stopped:\n", _table(head, rows)]


def _hit(cells: Sequence[dict[str, Any]], what: str) -> str:
    """Summed over seeds, by kind, where there are any."""
    sums: dict[str, list[int]] = {}
    for cell in cells:
        for kind, row in cell["evaluation"]["benign"].items():
            known = sums.setdefault(kind, [0, 0])
            known[0] += row[what]
            known[1] += row["accounts"]
    total, accounts = (sum(pair[at] for pair in sums.values()) for at in (0, 1))
    by_kind = ", ".join(f"{kind} {hit} of {of}" for kind, (hit, of) in sorted(sums.items()) if hit)
    return f"{total} of {accounts:,}" + (f" ({by_kind})" if by_kind else "")


def _kinds_table(found: Mapping[str, Sequence[dict[str, Any]]], days: Sequence[int]) -> list[str]:
    last = str(days[-1])
    cells = next(iter(found.values()))
    rate = cells[0]["days"][last]["hit_rate"]
    kinds = sorted(cells[0]["kinds"])
    rows = [
        [detector, *(_spread([c["days"][last]["hit"].get(kind, 0.0) for c in of], _fine) for kind in kinds)]
        for detector, of in found.items() if all(c["days"][last]["hit"] for c in of)
    ]  # fmt: skip
    if not rows:
        return []
    return [f"Who the false positives are, at the overall rate of {rate:g} on day {last}:\n",
            _table(["detector", *kinds], rows)]  # fmt: skip


# -- who is better ---------------------------------------------------------------------------------------------------


def acted_share(cell: Mapping[str, Any]) -> float | None:
    rows = cell["evaluation"]["attack"].values()
    accounts = sum(row["accounts"] for row in rows)
    return sum(row["acted_on"] for row in rows) / accounts if accounts else None


def hours_to_half(cell: Mapping[str, Any]) -> float | None:
    """Of the slowest campaign; infinite when one never was; ``None`` without campaigns."""
    rows = list(cell["evaluation"]["attack"].values())
    if not rows:
        return None
    return max(math.inf if row["hours_to_half"] is None else row["hours_to_half"] for row in rows)


def leaked(cell: Mapping[str, Any]) -> float | None:
    rows = cell["evaluation"]["attack"].values()
    requests = sum(row["requests"] for row in rows)
    return sum(row["requests_before_action"] for row in rows) / requests if requests else None


def honest_hit(cell: Mapping[str, Any]) -> float:
    return float(sum(row["acted_on"] for row in cell["evaluation"]["benign"].values()))


def _better(found: Mapping[str, Sequence[dict[str, Any]]], days: Sequence[int], rates: Sequence[float]) -> list[str]:
    """Every figure in which the median of a rival beats ours; one sentence each, or that there is none."""
    if NAME not in found:
        return []
    figures: list[tuple[str, Callable[[Mapping[str, Any]], float | None], bool, Callable[[float], str]]] = [
        (f"attackers found at {rate:g} after {day} d", _found_getter(day, rate), True, _percent)
        for rate in rates for day in days
    ]  # fmt: skip
    last = str(days[-1])
    figures += [
        (f"area under the curve after {last} d", lambda cell: cell["days"][last]["area"], True, lambda v: f"{v:.3f}"),
        ("attackers acted on", acted_share, True, _percent),
        ("hours to half", hours_to_half, False, lambda v: f"{v:.0f}"),
        ("requests leaked", leaked, False, _percent),
        ("honest accounts acted on", honest_hit, False, lambda v: f"{v:.0f}"),
    ]
    lines, told_apart = [], False
    for title, getter, more_is_better, words in figures:
        ours = _median([getter(cell) for cell in found[NAME]])
        if ours is None:
            continue
        for rival, cells in found.items():
            theirs = _median([getter(cell) for cell in cells])
            told_apart |= theirs != ours
            if rival != NAME and theirs is not None and (theirs > ours if more_is_better else theirs < ours):
                lines.append(f"- {title}: **{rival}** {_number(theirs, words)}, ours {_number(ours, words)}")
    if not told_apart:
        return ["All detectors are equal in every figure: this scenario tells nobody apart.\n"]
    if not lines:
        return ["No rival's median is better than ours in any of these figures.\n"]
    return ["Where a rival is better than ours (medians):\n", "\n".join(lines) + "\n"]


def _found_getter(day: int, rate: float) -> Callable[[Mapping[str, Any]], float | None]:
    def get(cell: Mapping[str, Any]) -> float | None:
        found: float | None = cell["days"][str(day)]["found"][f"{rate:g}"]
        return found

    return get


# -- calibration and pictures ----------------------------------------------------------------------------------------


def _calibrations(cells: Sequence[dict[str, Any]]) -> list[Calibration]:
    rows = cells[0]["calibration"] if cells else []
    return [Calibration(**{**row, "histogram": tuple(row["histogram"])}) for row in rows]


def _calibration_table(found: Mapping[str, Sequence[dict[str, Any]]]) -> list[str]:
    rows = _calibrations(found.get(NAME, ()))
    if not rows:
        return []
    broken = [row for row in rows if not row.conservative]
    head = ["signal", "kind", "accounts", "worth", "excess", "chance of it"]
    listed = [
        [row.signal, row.kind, str(row.accounts), str(row.independent), f"{row.excess:.3f}", f"{row.excess_p:.2g}"]
        for row in rows
    ]
    verdict = (
        f"{len(broken)} of {len(rows)} have more small p-values than their promise allows (one-sided Kolmogorov-Smirnov, "
        "chance below 1 in 1,000): " + ", ".join(f"{row.signal} on {row.kind}" for row in broken) + "."
        if broken else f"All {len(rows)} are uniform or conservative (one-sided Kolmogorov-Smirnov at 1 in 1,000)."
    )  # fmt: skip
    silent = sorted(set(found[NAME][0]["kinds"]) - {row.kind for row in rows})
    without = (
        f" No opinion, so no p-value, on {', '.join(silent)}: too few of their like have taught." if silent else ""
    )
    words = (
        "Our signals' p-values on honest accounts at the end of the first seed. The excess is the largest amount by which "
        f"P(p ≤ t) exceeds t. {verdict} Members of one team, class, product, gateway or job are not independent: the test "
        "counts as many accounts as they are *worth*, from the variance of the mean p-value between such crowds (Kish's "
        "design effect, at the upper end of what the number of crowds leaves open: of three classes little can be said); "
        "strangers count as one each. `cohort_anomaly` has no p-value: its trees go on learning."
        f"{without}\n"
    )
    # A hundred rows: folded away, for who asks.
    return [words, f"<details><summary>All {len(rows)} pairs</summary>\n\n{_table(head, listed)}\n\n</details>\n"]


def pictures(results: Results, scenarios: Sequence[str], stem: str = "results") -> dict[str, str]:
    """File name -> SVG: ROC curves of all detectors and our calibration, of each scenario's first seed."""
    out = {}
    for scenario in scenarios:
        first = {d: cells[0] for d in DETECTORS if (cells := results.get((scenario, d), ()))}
        curves = {d: [(x, y) for x, y in cell["roc"]] for d, cell in first.items() if cell["roc"]}
        if curves:
            honest = next(iter(first.values()))["honest"]
            out[f"{stem}-roc-{scenario}.svg"] = plots.to_svg(plots.roc(curves, honest), f"roc-{scenario}", _GREY)
        rows = _calibrations([first[NAME]]) if NAME in first else []
        if rows:
            figure = plots.calibrations(rows)
            out[f"{stem}-calibration-{scenario}.svg"] = plots.to_svg(figure, f"calibration-{scenario}", _GREY)
    return out


# -- words -----------------------------------------------------------------------------------------------------------


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _spread(values: Sequence[float | None], words: Callable[[float], str]) -> str:
    """
    >>> _spread([0.5, 0.25, math.inf], str), _spread([None], str), _spread([1.0, 1.0], str)
    ('0.5 (0.25 – never)', '–', '1.0')
    """
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    middle, low, high = (_number(v, words) for v in (median(known), min(known), max(known)))
    return middle if low == high else f"{middle} ({low} – {high})"


def _number(value: float, words: Callable[[float], str]) -> str:
    return words(value) if math.isfinite(value) else "never"


def _percent(value: float) -> str:
    return f"{value:.0%}"


def _fine(value: float) -> str:
    return f"{value:.2%}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines) + "\n"
