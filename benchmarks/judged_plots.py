"""Curves with the spread over seeds, in the style of the backtest's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from launch import backtest_plots as plots

GREY: Final = "#7d7d7d"  # readable on white and on black, where a picture can not ask the page


@dataclass(frozen=True, slots=True)
class Line:
    """``low`` and ``high``: the spread over seeds, or an interval; shares of 1."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


Panels = Mapping[str, Mapping[str, Line]]  # title -> name -> line


def curves(rows: Mapping[str, Panels], x_label: str, y_label: str, name: str, *, steps: bool = False) -> str:
    """SVG: one row of panels for each of ``rows``, all with the same axes; the band goes from low to high."""
    columns = max(len(panels) for panels in rows.values())
    figure, axes = plots.canvas(min(2.0 + 2.1 * columns, 9.5), 0.5 + 2.1 * len(rows), len(rows), columns,
                                sharex=True, sharey=True)  # fmt: skip
    names = list(dict.fromkeys(n for panels in rows.values() for lines in panels.values() for n in lines))
    colours = dict(zip(names, plots.SERIES[1:] + plots.SERIES[:1], strict=False))
    for row, panels in zip(axes, rows.items(), strict=True):
        for axis, (title, lines) in zip(row, panels[1].items(), strict=False):
            for label, line in lines.items():
                _draw(axis, line, colours.get(label, GREY), label, steps=steps)
            axis.set_title(f"{panels[0]}, {title}" if panels[0] else title, fontsize=8)
            axis.set(ylim=(-2, 102))
        for axis in row[len(panels[1]) :]:
            axis.set_visible(False)
    figure.supxlabel(x_label, fontsize=9, color=plots.INK)
    figure.supylabel(y_label, fontsize=9, color=plots.INK)
    plots.legend(axes[0][len(next(iter(rows.values()))) - 1], loc="center left", bbox_to_anchor=(1.02, 0.5))
    return plots.to_svg(figure, name, GREY)


def _draw(axis: Any, line: Line, colour: str, label: str, *, steps: bool) -> None:
    percent = [tuple(100 * value for value in values) for values in (line.y, line.low, line.high)]
    if steps:
        axis.step(line.x, percent[0], where="post", color=colour, label=label, linewidth=1.2)
    else:
        axis.plot(line.x, percent[0], color=colour, label=label, linewidth=1.2, marker=".", markersize=4)
    axis.fill_between(line.x, percent[1], percent[2], color=colour, alpha=0.15, linewidth=0,
                         step="post" if steps else None)  # fmt: skip


def spread(x: Sequence[float], per_seed: Sequence[Sequence[float]], middle: Sequence[float]) -> Line:
    """``per_seed``: for each seed the values at ``x``.

    >>> spread([1.0], [[0.5], [1.0]], [0.75])
    Line(x=(1.0,), y=(0.75,), low=(0.5,), high=(1.0,))
    """
    columns = list(zip(*per_seed, strict=True))
    return Line(tuple(x), tuple(middle), tuple(map(min, columns)), tuple(map(max, columns)))
