"""Plots of a backtest as SVG text: same input, same bytes; colours that work on light and on dark pages.

Text and axes are drawn in ``currentColor``, so the page decides. No date, no random ids.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from stillwatch.backtest.calibration import BINS, Calibration
from stillwatch.backtest.curves import Split

# Okabe & Ito's palette, which colour-blind readers can tell apart; attack is vermilion everywhere.
ATTACK: Final = "#d55e00"
HONEST: Final = "#0072b2"
SERIES: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#7f7f7f", "#a6761d")
INK: Final = "#0a0b0c"  # stands for currentColor until the text is made
_SIZE: Final = {"font.size": 9, "axes.titlesize": 9, "axes.labelsize": 9, "legend.fontsize": 8}
_MAX_CAMPAIGNS: Final = 6
_MAX_KINDS: Final = 8


def to_svg(figure: Figure, name: str, ink: str = "currentColor") -> str:
    """``name`` keeps the ids of several plots on one page apart; ``ink``: the colour of text and axes."""
    raw = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(raw, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = raw.getvalue().decode()
    text = text[text.index("<svg") :].replace(INK, ink)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # As wide as the page, never wider; ids are told apart by the plot's name.
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    return re.sub(r"(url\(#|xlink:href=\"#)", rf"\g<1>{name}-", text)


def canvas(width: float, height: float, rows: int = 1, columns: int = 1, **shared: Any) -> tuple[Figure, Any]:
    """A figure in this page's style and its axes, rows by columns. Sizes in inches."""
    style: Any = dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK)
    with mpl.rc_context(style | _SIZE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, **shared)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25, linewidth=0.5, color=INK)
        axis.tick_params(labelsize=8)
    return figure, axes


def legend(axis: Any, **where: Any) -> None:
    axis.legend(frameon=False, labelcolor=INK, fontsize=8, **where)


def timeline(
    acted: Mapping[str, Sequence[float]], accounts: Mapping[str, int],
    requests: Mapping[str, Sequence[tuple[float, int, int]]], span_hours: float,
) -> Figure:  # fmt: skip
    """Per campaign: ``acted`` hours of first actions; ``requests`` rows of (hour, requests, those before action)."""
    names = sorted(accounts)[:_MAX_CAMPAIGNS]
    figure, axes = canvas(8.0, 3.2, 1, 2)
    left, right = axes[0]
    for name, colour in zip(names, SERIES[1:], strict=False):
        hours = sorted(acted.get(name, ()))
        shares = np.arange(1, len(hours) + 1) / accounts[name] * 100
        end = [shares[-1]] if len(hours) else [0.0]
        left.step([0, *hours, span_hours], [0, *shares, *end], where="post", color=colour, label=name)
        rows = sorted(requests.get(name, ()))
        hour = [row[0] for row in rows]
        right.plot(hour, np.cumsum([row[1] for row in rows]), color=colour, linewidth=1, linestyle=":",
                   label=f"{name}: sent")  # fmt: skip
        right.plot(hour, np.cumsum([row[2] for row in rows]), color=colour, label=f"{name}: before action")
    left.set_title("accounts of the campaign acted on", fontsize=9)
    left.set(xlabel="hours", ylabel="%", ylim=(0, 102))
    right.set_title("its requests, cumulative", fontsize=9)
    right.set(xlabel="hours", ylim=(0, None))
    legend(left, loc="upper left")
    legend(right, loc="upper left")
    return figure


def distributions(scores: Split) -> Figure:
    """One row a kind, attack first; accounts without an opinion are counted in the row's name."""
    by_kind = {"attack": scores.attack} if len(scores.attack) else {}
    kinds = np.array(scores.honest_kinds)
    by_kind |= {str(kind): scores.honest[kinds == kind] for kind in np.unique(kinds)}
    shown = dict(list(by_kind.items())[:_MAX_KINDS])
    finite = [values[np.isfinite(values)] for values in shown.values()]
    everything = np.concatenate(finite) if finite else np.array([])
    low, high = (float(everything.min()), float(everything.max())) if len(everything) else (0.0, 1.0)
    edges = np.linspace(low, high if high > low else low + 1, 41)
    figure, axes = canvas(8.0, 0.4 + 0.75 * max(len(shown), 1), max(len(shown), 1), 1, sharex=True)
    for axis, (kind, values), known in zip(axes[:, 0], shown.items(), finite, strict=False):
        colour = ATTACK if kind == "attack" else HONEST
        if len(known):
            axis.hist(known, bins=edges, weights=np.full(len(known), 100 / len(values)), color=colour)
        silent = len(values) - len(known)
        label = f"{kind}\n{len(values)}" + (f", {silent} no opinion" if silent else "")
        axis.set_ylabel(label, rotation=0, ha="right", va="center")
        axis.set_yticks([])
    axes[-1, 0].set_xlabel("suspicion (share of the kind's accounts)")
    return figure


def roc(curves: Mapping[str, Sequence[tuple[float, float]]], honest: int) -> Figure:
    """``honest`` accounts: false positive rates below one of them can not be seen, and the axis ends there."""
    several = len(curves) > 1
    figure, axes = canvas(6.6 if several else 4.6, 3.2)
    axis = axes[0, 0]
    floor = 1 / max(honest, 1)
    for (name, points), colour in zip(curves.items(), SERIES[1:] + SERIES[:1], strict=False):
        x = [max(false, floor / 2) for false, _ in points]
        axis.step(x, [100 * true for _, true in points], where="post", color=colour, label=name, linewidth=1.2)
    axis.set_xscale("log")
    axis.set(xlim=(floor / 2, 1.02), ylim=(0, 102), xlabel=f"share of the {honest:,} honest accounts hit",
             ylabel="attackers found, %")  # fmt: skip
    axis.axvline(floor, color=INK, linewidth=0.5, linestyle="--", alpha=0.6)
    if several:  # beside the curves: where they run is not known before
        legend(axis, loc="center left", bbox_to_anchor=(1.02, 0.5))
    return figure


def calibrations(found: Sequence[Calibration]) -> Figure:
    """P(p ≤ t) per signal, one line an honest kind. Below the diagonal: conservative."""
    signals = sorted({row.signal for row in found})
    kinds = sorted({row.kind for row in found})
    columns = min(len(signals), 4) or 1
    rows = -(-len(signals) // columns) or 1
    figure, axes = canvas(2.1 * columns + 0.6, 2.1 * rows + 0.3, rows, columns, sharex=True, sharey=True)
    t = np.linspace(0, 1, BINS + 1)
    for axis, signal in zip(axes.flat, signals, strict=False):
        axis.plot([0, 1], [0, 1], color=INK, linewidth=0.5, linestyle="--")
        for row in found:
            if row.signal == signal:
                below = np.concatenate(([0.0], np.cumsum(row.histogram)))
                axis.plot(t, below, color=SERIES[kinds.index(row.kind) % len(SERIES)], linewidth=1, label=row.kind)
        axis.set_title(signal, fontsize=8)
        axis.set(xlim=(0, 1), ylim=(0, 1))
    for axis in list(axes.flat)[len(signals) :]:
        axis.set_visible(False)
    if signals:
        legend(axes.flat[0], loc="upper left")
    figure.supxlabel("t", fontsize=8, color=INK)
    figure.supylabel("share of honest accounts with p ≤ t", fontsize=8, color=INK)
    return figure
