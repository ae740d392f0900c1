"""A whole run: the line under load and faults, then a line without faults over the same stream, then the comparison."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chaos.faults import INJECT, Ground, Took
from chaos.load import TRICKLE_PER_S, Load
from chaos.outcome import Difference, Outcome, difference, outcome_of, stream_order
from chaos.plan import Planned, plan
from chaos.site import Site
from chaos.watch import all_answers, into_state, settled
from chaos.world import PROFILE, traffic
from launch.settings import load_settings
from stillwatch import subjects
from stillwatch.event import RequestEvent
from stillwatch.gateway import Enforcer
from stillwatch.ticks import nano_of, tick_after
from streams.pipeline import Outgoing, Pipeline

Say = Callable[[str], None]

_FIRST_GUESS_S: Final = 6.0  # for one fault, until there are some to go by
_MARGIN: Final = 1.15  # the load must outlast the faults
_ENFORCER_S: Final = 30.0


@dataclass(slots=True)
class Injected:
    """Seconds are since the fault itself was over; ``None``: not recovered within the time that is given. ``took``: whether it
    broke anything."""

    number: int
    kind: str
    took: bool
    fault_s: float
    state_s: float | None = None
    answers_s: float | None = None
    overlapped: bool = False  # by another fault: its times say nothing about its kind

    @property
    def recovered(self) -> bool:
        return self.state_s is not None and self.answers_s is not None


@dataclass(frozen=True, slots=True)
class Result:
    seed: int
    events: int
    seconds: float
    retries: int
    injected: Sequence[Injected]
    settled: bool
    found: Outcome
    reference: Outcome
    difference: Difference
    wall_delay_s: Sequence[float]  # of each verdict: from the request that ends its tick to the stored verdict
    wall_share: float  # the largest of those while faults went on, as a share of the run up to their tick


async def run(seed: int, faults: int, say: Say, log: Path) -> Result:
    """``log``: where the processes' warnings are kept, which is where to look when a promise is broken."""
    events = traffic()
    accounts = sorted({event.account for event in events})
    tick_s = load_settings(PROFILE, environment={}).detection.evaluation_tick_s
    last_tick = tick_after(events[-1].time_unix_nano, nano_of(tick_s))
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="stillwatch-chaos-") as directory:
        say(f"{len(events):,} requests of {len(accounts)} accounts, {faults} faults, seed {seed}; starting the line")
        async with AsyncExitStack() as stack:
            site = await stack.enter_async_context(Site(Path(directory) / "faults"))
            enforcer = await stack.enter_async_context(Enforcer(site.client, reconcile_s=5.0))
            load = Load(site.client, events, site.settings.partitions)
            started_s = time.monotonic()
            publishing = asyncio.create_task(load.run(rng))
            injected, took = await _inject(Ground(site, load, rng), plan(seed, faults), publishing, say)
            under_faults = len(load.acknowledged_s)
            load.hurry = True
            await publishing
            whole = await settled(site, last_tick)
            seconds = time.monotonic() - started_s
            for fault, has_taken in zip(injected, took, strict=True):
                fault.took = has_taken()
            say(f"{faults} faults in {seconds:.0f} s" + ("" if whole else "; THE LINE HAS NOT SETTLED"))
            found = await outcome_of(site, accounts)
            gateway = await _as_enforced(enforcer, accounts, found.enforced)
            order = await stream_order(site)
        await asyncio.to_thread(shutil.copyfile, Path(directory) / "faults" / "line.log", log)
        say("the same stream once more, without faults")
        async with Site(Path(directory) / "reference") as site:
            await _publish_all(site, order)
            await settled(site, last_tick)
            reference = await outcome_of(site, accounts)
    delays, share = _wall_delays(found, events, load, under_faults)
    return Result(
        seed, len(events), seconds, load.retries, injected, whole, found, reference,
        difference(found, reference, events, gateway), delays, share,
    )  # fmt: skip


async def _inject(
    ground: Ground, planned: Sequence[Planned], publishing: asyncio.Task[None], say: Say
) -> tuple[list[Injected], list[Took]]:
    done: list[Injected] = []
    taken: list[Took] = []
    begun_s = time.monotonic()
    following: list[asyncio.Task[None]] = []
    for one in planned:
        spent_s = (time.monotonic() - begun_s) / one.number if one.number > 3 else _FIRST_GUESS_S
        left = len(ground.load.events) - len(ground.load.acknowledged_s)
        lasting = (len(planned) - one.number) * spent_s * _MARGIN
        ground.load.events_per_s = max(left / lasting, TRICKLE_PER_S)
        ground.load.limit = len(ground.load.events) * (one.number + 1) // (len(planned) + 1)
        await asyncio.sleep(one.pause_s)
        ground.draw, ground.over_s = one.draw, None
        at_s = time.monotonic()
        taken.append(await INJECT[one.kind](ground))
        over_s = time.monotonic() if ground.over_s is None else ground.over_s
        fault = Injected(one.number, one.kind, False, over_s - at_s)
        done.append(fault)
        fault.overlapped = any(not task.done() for task in following)
        follow = asyncio.create_task(_follow(ground, fault, over_s, say))
        following.append(follow)
        if one.overlaps and one.number + 1 < len(planned):
            fault.overlapped = True
        else:
            await asyncio.gather(*following)
            following.clear()
        if publishing.done():
            publishing.result()
    await asyncio.gather(*following)
    return done, taken


async def _follow(ground: Ground, fault: Injected, over_s: float, say: Say) -> None:
    fault.state_s, fault.answers_s = await asyncio.gather(
        into_state(ground.site, ground.load, over_s), all_answers(ground.site, over_s)
    )
    times = [f"{value:5.1f} s" if value is not None else "NOT RECOVERED" for value in (fault.state_s, fault.answers_s)]
    share = len(ground.load.acknowledged_s) / len(ground.load.events)
    say(
        f"{fault.number + 1:4} {fault.kind:28} events into state {times[0]}   all answers {times[1]}   load {share:4.0%}"
    )


async def _as_enforced(enforcer: Enforcer, accounts: Sequence[str], wanted: Mapping[str, str]) -> dict[str, str]:
    """What the gateway does that lived through all of it; it is given the time of some comparisons."""
    deadline_s = time.monotonic() + _ENFORCER_S
    while True:
        does = {account: str(found.action) for account in accounts if (found := enforcer.check(account)) is not None}
        if does == wanted or time.monotonic() > deadline_s:
            return does
        await asyncio.sleep(0.2)


async def _publish_all(site: Site, order: Sequence[tuple[str, bytes]]) -> None:
    """Without ids: the stream's duplicates are part of what the line has to come to the same by."""
    pipeline = Pipeline(site.client)
    for start in range(0, len(order), 500):
        await pipeline.send(
            [Outgoing(subjects.request_subject(account), body) for account, body in order[start : start + 500]]
        )


def _wall_delays(
    found: Outcome, events: Sequence[RequestEvent], load: Load, under_faults: int
) -> tuple[list[float], float]:
    """From the moment at which the request that ends a verdict's tick is acknowledged; until then nobody could know."""
    delays, share = [], 0.0
    begun = load.acknowledged_unix_nano[0]
    times = [event.time_unix_nano for event in events]
    for verdict, tick in found.decided.items():
        ending = min(bisect_left(times, tick), len(times) - 1)
        at = load.acknowledged_unix_nano[ending]
        delay_s = max(0.0, (found.stored[verdict] - at) / 1e9)
        delays.append(delay_s)
        if ending < under_faults:
            share = max(share, delay_s / max((at - begun) / 1e9, 1e-9))
    return delays, share
