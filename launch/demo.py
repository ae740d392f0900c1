"""`make demo`: the whole line, visibly. Traffic passes a gateway, a campaign appears, its accounts are refused there.

The gateway is the real gateway package: for each simulated request it asks its enforcer, as the middleware does, and
publishes what it let pass. Event time runs some thousand times faster than the clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Final

import nats
from rich.console import Console
from rich.live import Live

from launch.client import Api
from launch.cluster import Running, cluster
from launch.demo_view import Progress, Watched, panel, summary
from launch.keys import with_local_key
from launch.replay import rebased
from launch.running import Address, announce, wait_for_stop, withdraw
from launch.scenarios import load_scenario
from launch.settings import load_settings
from launch.telemetry import SystemClock
from stillwatch.errors import StillwatchError
from stillwatch.event import RequestEvent
from stillwatch.gateway import Enforcer, Publisher, refuses
from stillwatch.simulator import BuiltinTexts, labels, simulate
from stillwatch.ticks import nano_of

_PROFILE: Final = "configs/profiles/demo.yaml"
_POLL_S: Final = 1.0
_SETTLE_S: Final = 25.0  # after the last event: the last summaries and one more evaluation
_DATA: Final = ".stillwatch"


def run_demo(scenario_file: str, seconds: float, linger: bool) -> int:
    """0 only if the campaign was found and acted on and no honest account was."""
    console = Console()
    scenario = load_scenario(scenario_file)
    console.print(
        f"[bold]Stillwatch demo[/]: {scenario.days} days of traffic in {seconds:.0f} s. Making the traffic ..."
    )
    events = list(simulate(scenario, BuiltinTexts()))
    kinds = {row.account: row.kind for row in labels(scenario)}
    # It has just ended, with a tick, so that what the API shows has the times that a person expects and all of it is seen.
    tick_nano = nano_of(load_settings(_PROFILE).detection.evaluation_tick_s)
    shift = time.time_ns() // tick_nano * tick_nano - 1 - events[-1].time_unix_nano
    events = list(rebased(events, shift))
    console.print(f"{len(events)} requests of {len(kinds)} accounts. Starting NATS, Ray and the API (about 20 s) ...")
    with tempfile.TemporaryDirectory(prefix="stillwatch-demo-") as directory:
        settings = load_settings(_PROFILE, {"data_dir": directory})
        settings, key = with_local_key(settings)
        with cluster(settings) as running:
            page = f"{running.http_url}/#key={key}"
            announce(_DATA, Address(running.http_url, key, running.nats_url, os.getpid()))
            # In one line however narrow the terminal: an address that is broken in two opens nothing.
            console.print(f"Up. Operator page while this runs: [link={page}]{page}[/link]\n", soft_wrap=True)
            try:
                result = asyncio.run(_play(running, events, kinds, seconds, key, console))
                console.print(summary(result))
                if linger:
                    console.print(f"\nStill running: {page}\nCtrl-C stops everything.", soft_wrap=True)
                    wait_for_stop()
            finally:
                withdraw(_DATA)
    return 0 if result.succeeded else 1


async def _play(
    running: Running,
    events: Sequence[RequestEvent],
    kinds: Mapping[str, str],
    seconds: float,
    key: str,
    console: Console,
) -> Progress:
    client = await nats.connect(running.nats_url, name="demo-gateway")
    settled = asyncio.Event()
    progress = Progress(kinds, len(events), events[0].time_unix_nano, events[-1].time_unix_nano)
    api = Api(Address(running.http_url, key, running.nats_url, 0))
    clock = SystemClock()
    try:
        async with Enforcer(client) as enforcer, Publisher(client) as publisher:
            await enforcer.wait_loaded(10)
            with Live(panel(progress), console=console, refresh_per_second=4, transient=False) as live:
                watching = asyncio.create_task(_watch(api, progress, enforcer, live, settled))
                await _pass_gateway(events, progress, enforcer, publisher, seconds, clock)
                await publisher.drain(10)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(settled.wait(), _SETTLE_S)
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
                progress.dropped = sum(publisher.stats.dropped.values())
                live.update(panel(progress))
    finally:
        await client.close()
    return progress


async def _pass_gateway(
    events: Sequence[RequestEvent], progress: Progress, enforcer: Enforcer, publisher: Publisher, seconds: float,
    clock: SystemClock,
) -> None:  # fmt: skip
    """What a gateway does: ask the enforcer, refuse or serve, report what was served."""
    started_s, first, span = clock.monotonic_s(), events[0].time_unix_nano, max(progress.span_nano, 1)
    for event in events:
        due_s = started_s + (event.time_unix_nano - first) / span * seconds
        if (wait_s := due_s - clock.monotonic_s()) > 0.01:
            await asyncio.sleep(wait_s)
        found = enforcer.check(event.account, event.text("stillwatch.org.id"))
        progress.at_unix_nano = event.time_unix_nano
        if found is not None and refuses(found):
            enforcer.refused(found, event.account)
            progress.refuse(event.account)
        else:
            publisher.publish(event)
            progress.serve(event.account)


async def _watch(api: Api, progress: Progress, enforcer: Enforcer, live: Live, settled: asyncio.Event) -> None:
    while True:
        with contextlib.suppress(StillwatchError):  # a busy second is no reason to stop showing
            progress.watched = await asyncio.to_thread(_ask, api)
        progress.revoked_accounts = {
            account for account in progress.kinds if (f := enforcer.check(account)) is not None and refuses(f)
        }
        live.update(panel(progress))
        if progress.settled and progress.at_unix_nano == progress.end_unix_nano:
            settled.set()
        await asyncio.sleep(_POLL_S)


def _ask(api: Api) -> Watched:
    status = api.call("GET", "/v1/status")
    campaigns = api.call("GET", "/v1/campaigns")["campaigns"]
    members = {c["id"]: api.call("GET", f"/v1/campaigns/{c['id']}")["members"] for c in campaigns[:3]}
    return Watched(status, campaigns, members)
