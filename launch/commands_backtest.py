"""`stillwatch backtest`: event files through the cluster's own core, or through a rival, in event time.

Exit codes: 0 the report was made (whatever it says), 2 wrong usage, files or settings. Lines that are not events are
counted, the first ten listed on stderr and in the report, and never stop a run.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from launch.detectors import DETECTORS, THRESHOLDS_FILE, load_thresholds, make_detector, tick_s_of
from launch.files import count_lines, read_events
from launch.settings import load_policy, load_settings
from stillwatch.backtest import Backtest, EventOrder, Input, Labels, Truth, campaigns_of, encode, rejections, report
from stillwatch.backtest.ours import NAME
from stillwatch.errors import SettingsError
from stillwatch.event import Rejected, RequestEvent
from stillwatch.rivals.mmd import Sample, reference_of

_PROGRESS_EVERY: Final = 500  # lines


def backtest(
    events: Annotated[list[Path], typer.Argument(help="*.jsonl or *.jsonl.gz; several are merged by event time.")],
    labels: Annotated[Path | None, typer.Option(help="CSV of account,kind,campaign: adds the evaluation.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where the JSON report goes.")] = None,
    html: Annotated[Path | None, typer.Option(help="Where the report for people goes: one file, no network.")] = None,
    detector: Annotated[str, typer.Option(help=f"One of {', '.join(DETECTORS)}.")] = NAME,
    policy: Annotated[str | None, typer.Option(help="Else the settings' policy. Shadow is carried out here.")] = None,
    tick: Annotated[
        float | None,
        typer.Option(help="Hours between evaluations, else the cluster's; a rival's are one.", min=1 / 60, max=720),
    ] = None,
    enforce: Annotated[bool, typer.Option(help="Refuse later requests of accounts that were acted on.")] = True,
    reference: Annotated[Path | None, typer.Option(help="Events of honest traffic, for mmd.")] = None,
    thresholds: Annotated[str, typer.Option(help="The rivals' thresholds.")] = THRESHOLDS_FILE,
    partitions: Annotated[
        int,
        typer.Option(
            help="What is normal is learned in each; 1 knows most. The cluster's number shows its own.", min=1
        ),
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report instead of a summary.")] = False,
) -> None:
    """Who would have been acted on, when, and what had leaked by then. The same input gives the same report."""
    chosen_tick = {} if tick is None else {"detection": {"evaluation_tick_s": round(tick * 3_600)}}
    settings = load_settings(None, {"partitions": partitions, "shards": 1, **chosen_tick})
    tick_s = settings.detection.evaluation_tick_s if tick is not None else tick_s_of(detector, settings)
    limits = load_thresholds(thresholds)
    if detector != NAME and detector not in limits:
        print(f"{detector} has no threshold in {thresholds}: it scores and acts on nobody", file=sys.stderr)
    honest = _reference(reference) if reference is not None else None
    chosen = make_detector(detector, settings, load_policy(policy or settings.policy_file), limits, honest)
    truth = read_labels(labels) if labels is not None else None
    run = Backtest(chosen, tick_s=tick_s, enforce=enforce, follow=campaigns_of(truth or {}))
    source = Input()
    rate = _play(run, events, source)
    content = report(run, truth, source)
    for line in rejections(source):
        print(line, file=sys.stderr)
    print(f"{rate:.0f} events/s", file=sys.stderr)
    if out is not None:
        _write(out, encode(content))
    if html is not None:
        from launch.backtest_page import page  # Matplotlib takes half a second to import

        _write(html, page(run, truth, content).encode())
    if as_json:
        print(json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False))
        return
    for line in summary(content):
        print(line)


def _play(run: Backtest, files: list[Path], source: Input) -> float:
    """Events per second of this machine, now: for stderr, never for the report's deterministic bytes."""
    order = EventOrder()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    started = time.perf_counter()
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task("events", total=sum(_lines(file) for file in files))

        def advance() -> None:
            progress.update(bar, advance=_PROGRESS_EVERY)

        for event in order.merged([_good(file, source, advance) for file in files]):
            run.feed(event)
        run.finish()
        progress.update(bar, completed=progress.tasks[0].total or 0)
    source.late = order.late
    return run.ledger.events / max(time.perf_counter() - started, 1e-9)


def _lines(file: Path) -> int:
    if not file.is_file():
        raise SettingsError(str(file), "there is no such file", "stillwatch simulate makes one")
    try:
        return count_lines(file)
    except SettingsError:
        raise
    except Exception:
        return 0  # a damaged file; reading it says so


def _good(file: Path, source: Input, advance: Any) -> Iterator[RequestEvent]:
    """The events of a file. What is none is noted in ``source``; blank lines are not counted as lines."""
    line = 0
    try:
        for line, event in enumerate(read_events(file), start=1):
            if line % _PROGRESS_EVERY == 0:
                advance()
            if isinstance(event, Rejected):
                source.reject(file.name, line, event)
            else:
                yield event
    except SettingsError:
        raise
    # Whatever the decompressor or the decoder raises, the good lines before it stand.
    except Exception as error:
        source.reject(file.name, line + 1, Rejected("undecodable", "", f"the file is damaged from here: {error}"))


def _reference(file: Path) -> Sample:
    found = reference_of(event for event in read_events(file) if isinstance(event, RequestEvent))
    if not len(found):
        raise SettingsError(str(file), "no event in it carries a text", "mmd needs stillwatch.prompt.text")
    return found


def read_labels(path: Path) -> Labels:
    """``account,kind,campaign`` with that header; any kind but `attack` is honest."""
    if not path.is_file():
        raise SettingsError(str(path), "there is no such file", "stillwatch simulate --labels makes one")
    out: dict[str, Truth] = {}
    with path.open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines)
        if not {"account", "kind"} <= set(rows.fieldnames or ()):
            raise SettingsError(str(path), "its header is not account,kind,campaign", "Write that as its first line")
        for number, row in enumerate(rows, start=2):
            if not row["account"] or not row["kind"]:
                raise SettingsError(f"{path} line {number}", "account or kind is empty", "Fill in both")
            out[row["account"]] = Truth(row["kind"], row.get("campaign") or "")
    return out


def summary(content: dict[str, Any]) -> list[str]:
    """The report in a few sentences."""
    who = content["detector"]
    size = f"{content['events']:,} events of {content['accounts']:,} accounts over {content['span_hours']:.1f} h"
    held = f", {who['held_back']} held back by the blast radius" if who["held_back"] else ""
    lines = [
        f"{size}, {who['name']} {who['version']}",
        f"{len(content['campaigns'])} campaign(s) found, {len(content['accounts_acted_on'])} accounts acted on{held}",
    ]
    for name, found in content.get("evaluation", {}).get("attack", {}).items():
        half, leaked = found["hours_to_half"], found["requests_before_action"] / max(found["requests"], 1)
        when = "half of it never acted on" if half is None else f"half of it acted on after {half:.1f} h"
        lines.append(f"{name}: {found['acted_on']} of {found['accounts']} acted on, {when}, {leaked:.0%} leaked")
    for kind, hit in content.get("evaluation", {}).get("benign", {}).items():
        lines.append(f"{kind}: {hit['acted_on']} of {hit['accounts']} acted on, {hit['revoked']} revoked")
    return lines


def _write(path: Path, content: bytes) -> None:
    """Moved into place: a half-written report never has the final name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.partial")
    aside.write_bytes(content)
    aside.replace(path)
