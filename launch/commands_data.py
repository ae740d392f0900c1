"""Commands over event files: simulate and replay."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from launch.arrival_files import arrivals_of
from launch.files import count_lines, read_events, warn_rejected, write_events, write_labels
from launch.prompts import load_prompts
from launch.replay import Replayed, newest_time, rebased
from launch.replay import replay as play
from launch.running import find
from launch.scenarios import load_scenario, resized
from launch.settings import load_settings
from launch.telemetry import SystemClock
from stillwatch.arrival import MAX_AGE_NANO
from stillwatch.errors import SettingsError
from stillwatch.event import Rejected, RequestEvent
from stillwatch.settings import Settings
from stillwatch.simulator import BuiltinTexts, Scenario, TextSource, labels
from stillwatch.simulator import simulate as simulated
from streams.connection import close, connect
from streams.hub import jetstream_hub


def simulate(
    scenario: Annotated[str, typer.Argument(help="A scenario file, see configs/scenarios.")],
    out: Annotated[Path, typer.Option(help="Where the events go: *.jsonl, *.jsonl.gz or *.jsonl.zst")] = Path(
        "events.jsonl.gz"
    ),
    labels_out: Annotated[Path | None, typer.Option("--labels", help="Where account,kind,campaign goes.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed than the scenario's.")] = None,
    scale: Annotated[float, typer.Option(help="So many times the accounts; each behaves as before.")] = 1.0,
    days: Annotated[int | None, typer.Option(help="Another length than the scenario's.")] = None,
    texts: Annotated[Path | None, typer.Option(help="Prompts from a directory of .txt and .jsonl files.")] = None,
    topics_by_likeness: Annotated[
        bool, typer.Option("--topics-by-likeness", help="Make topics from the texts, do not take them from the files.")
    ] = False,
    pool_texts: Annotated[Path | None, typer.Option(help="Campaigns harvest these prompts instead.")] = None,
    variants: Annotated[int, typer.Option(help="Wordings of each prompt from --texts: see docs/simulator.md.")] = 12,
) -> None:
    """Write the traffic of a scenario to a file. The same scenario, texts and seed give the same bytes."""
    chosen = resized(load_scenario(scenario, seed), scale, days)

    def prompts(directory: Path) -> TextSource:
        return load_prompts(directory, likeness=topics_by_likeness, variants=variants, seed=chosen.seed)

    events = simulated(
        chosen,
        BuiltinTexts() if texts is None else prompts(texts),
        pool_texts=None if pool_texts is None else prompts(pool_texts),
        arrivals=arrivals_of(chosen),
    )
    written = write_events(out, _watched(events, chosen))
    print(f"{written} events over {chosen.days} days → {out}")
    if labels_out is not None:
        rows = ((row.account, row.kind, row.campaign or "") for row in labels(chosen))
        print(f"{write_labels(labels_out, rows)} accounts → {labels_out}")


def _watched(events: Iterable[RequestEvent], scenario: Scenario) -> Iterator[RequestEvent]:
    """How many events there will be is not known before; how many hours is."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("hours, {task.fields[events]} events"),
               TimeRemainingColumn())  # fmt: skip
    hour_nano = 3_600 * 1_000_000_000
    start = scenario.start_unix_s * 1_000_000_000
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task(scenario.name, total=scenario.days * 24, events=0)
        hour = 0
        for number, event in enumerate(events, start=1):
            yield event
            if event.time_unix_nano >= start + (hour + 1) * hour_nano:
                hour = (event.time_unix_nano - start) // hour_nano
                progress.update(bar, completed=hour, events=number)
        progress.update(bar, completed=scenario.days * 24)


def replay(
    events: Annotated[Path, typer.Argument(help="*.jsonl, *.jsonl.gz or *.jsonl.zst, one event a line.")],
    speed: Annotated[
        float | None, typer.Option(help="3600 plays an hour a second; nothing: as fast as it goes.")
    ] = None,
    rebase: Annotated[bool, typer.Option(help="Move event time so that the file ends now.")] = False,
    nats_url: Annotated[str | None, typer.Option(help="Else the cluster that runs here, else the settings.")] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
    data_dir: Annotated[str, typer.Option()] = ".stillwatch",
) -> None:
    """Publish an event file to the cluster."""
    settings = _reachable(nats_url, data_dir)
    done = asyncio.run(_replay(events, speed, rebase, settings))
    if as_json:
        print(json.dumps({"published": done.published, "duplicates": done.duplicates, "rejected": done.rejected,
                          "seconds": round(done.seconds, 3)}))  # fmt: skip
        return
    rate = done.published / done.seconds if done.seconds else 0.0
    print(f"{done.published} events in the stream ({rate:.0f}/s), {done.duplicates} of them known before, "
          f"{done.rejected} lines rejected")  # fmt: skip


def _reachable(nats_url: str | None, data_dir: str) -> Settings:
    settings = load_settings()
    url = nats_url or (settings.nats.urls[0] if settings.nats.urls else find(data_dir).nats_url)
    if not url:
        raise SettingsError("nats", "no server is known", "Give --nats-url, or run `make up` in this folder")
    return settings.model_copy(update={"nats": settings.nats.model_copy(update={"urls": (url,)})})


async def _replay(path: Path, speed: float | None, rebase: bool, settings: Settings) -> Replayed:
    events: Iterable[RequestEvent | Rejected] = read_events(path)
    oldest = SystemClock().unix_nano() - MAX_AGE_NANO
    if not rebase and newest_time(path) < oldest:
        warning = "every event is older than a year: its time will be clamped, so nothing that takes hours shows. Use --rebase"
        print(warning, file=sys.stderr)
    if rebase:
        shift = SystemClock().unix_nano() - newest_time(path)
        events = _shifted(events, shift)
    client = await connect(settings.nats, "replay")
    hub = jetstream_hub(client, settings, SystemClock())
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
            bar = progress.add_task(path.name, total=count_lines(path))
            return await play(
                events, hub.publisher, speed,
                lambda so_far: progress.update(bar, completed=so_far.published + so_far.rejected), warn_rejected,
            )  # fmt: skip
    finally:
        await close(client)


def _shifted(events: Iterable[RequestEvent | Rejected], shift: int) -> Iterable[RequestEvent | Rejected]:
    for event in events:
        yield event if isinstance(event, Rejected) else next(rebased([event], shift))
