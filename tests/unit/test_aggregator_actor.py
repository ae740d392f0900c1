"""The aggregator's shell: an evaluation takes its time, and meanwhile shards and people are answered."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest
from factories import T0
from manual_clock import ManualClock
from opentelemetry.trace import NoOpTracer
from stream_worlds import memory_world, until
from summary_worlds import people, pool_accounts

from actors.aggregator import Aggregator, AggregatorPorts
from actors.snapshots import Snapshots
from actors.tries import TRIES
from launch.settings import load_policy
from stillwatch.aggregator import AggregatorCore
from stillwatch.errors import NotFound
from stillwatch.ports import Folded, Mark, Part, SnapshotName, SnapshotStore
from stillwatch.settings import DetectionSettings, Settings
from stillwatch.summary import AccountSummary, Report, encode_report
from stillwatch.verdict import Campaign
from streams.snapshots import memory_snapshots

SETTINGS = Settings(partitions=1, shards=1, detection=DetectionSettings(max_tests_per_evaluation=10))
TICK = SETTINGS.detection.evaluation_tick_s * 10**9
FIRST = T0 // TICK + 1


async def a_life(store: SnapshotStore | None = None) -> Aggregator:
    clock = ManualClock(unix_s=T0 / 1e9 + 10**6)
    hub = memory_world(SETTINGS, clock).hub
    snapshots = None if store is None else Snapshots(store, b"a key that signs only snapshots of tests", 3, clock, "")
    ports = AggregatorPorts(
        hub.verdicts, hub.revocations, hub.audit, hub.indicators, clock, NoOpTracer(), hub.never_act, hub.control,
        snapshots=snapshots,
    )  # fmt: skip
    aggregator = Aggregator(SETTINGS, load_policy("configs/policies/default.yaml"), ports)
    await aggregator._recall()
    return aggregator


async def reported(aggregator: Aggregator, number: int, *groups: list[AccountSummary]) -> Folded:
    """Partition 0 says what it was at this tick, and that it is as far."""
    report = encode_report(Report([summary for group in groups for summary in group], [], []))
    tick, life = (FIRST + number) * TICK, (await aggregator.fold("s", "", None, [])).life
    return await aggregator.fold("s", life, Part(0, tick, 0, report), [Mark(0, tick, 0, silent=False)])


async def test_groups_that_are_left_over_are_tested_at_the_next_ticks() -> None:
    aggregator, rng = await a_life(), np.random.default_rng(1)
    await reported(aggregator, 0, people(rng, 300), pool_accounts(rng, 60))
    waiting = []
    while not waiting or waiting[-1]:
        await aggregator._evaluate((FIRST + len(waiting)) * TICK)
        waiting.append((await aggregator.status()).groups_waiting)
    assert len(waiting) > 2
    assert waiting == sorted(waiting, reverse=True)
    (campaign,) = await aggregator.campaigns()
    assert await aggregator.campaign_of(campaign.members[0].account) == campaign.id
    assert await aggregator.campaign(campaign.id) == campaign
    assert await aggregator.campaign_of("p0000") is None
    with pytest.raises(NotFound):
        await aggregator.campaign("c-0")


async def test_while_an_evaluation_runs_shards_and_people_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    aggregator, rng = await a_life(), np.random.default_rng(2)
    await reported(aggregator, 0, people(rng, 300))
    go_on, evaluate = threading.Event(), aggregator._core.evaluate

    def slowly(tick: int) -> list[Campaign]:
        assert go_on.wait(10)
        return evaluate(tick)

    monkeypatch.setattr(aggregator._core, "evaluate", slowly)
    running = asyncio.create_task(aggregator._evaluate(FIRST * TICK))
    await until(aggregator._alone.locked)
    assert (await reported(aggregator, 1, people(rng, 10, prefix="q"))).taken
    assert await aggregator.campaigns() == []
    exported = asyncio.create_task(aggregator.export_indicator("c-0", None))
    await asyncio.sleep(0)
    assert not running.done()
    assert not exported.done()  # it looks into the core, and waits for it
    go_on.set()
    await running
    assert (await aggregator.status()).accounts == 300
    await asyncio.gather(exported, return_exceptions=True)
    await aggregator._evaluate((FIRST + 1) * TICK)
    assert (await aggregator.status()).accounts == 310


async def test_an_evaluation_that_fails_gives_the_core_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: int) -> None:
        raise ArithmeticError

    aggregator, rng = await a_life(), np.random.default_rng(3)
    await reported(aggregator, 0, people(rng, 100))
    with monkeypatch.context() as broken:
        broken.setattr(aggregator._core, "evaluate", fails)
        with pytest.raises(ArithmeticError):
            await aggregator._evaluate(FIRST * TICK)
    await aggregator._evaluate((FIRST + 1) * TICK)
    assert (await aggregator.status()).evaluations == 1


async def test_what_fails_at_each_try_is_left_out_and_what_comes_after_it_is_evaluated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    evaluate = AggregatorCore.evaluate

    def fails_once_a_life(core: AggregatorCore, tick: int) -> list[Campaign]:
        if tick == FIRST * TICK:
            raise ArithmeticError
        return evaluate(core, tick)

    monkeypatch.setattr(AggregatorCore, "evaluate", fails_once_a_life)
    monkeypatch.setattr("actors.aggregator._RETRY_S", 0.01)
    aggregator, rng = await a_life(), np.random.default_rng(4)
    summaries = people(rng, 100)
    aggregator._begin()  # it recalls once more, as a process that starts
    await aggregator.start()
    await until(lambda: aggregator._recalled)
    for life in range(1, TRIES):
        assert (await reported(aggregator, 0, summaries)).taken
        await until(lambda life=life: aggregator._lives == life + 2 and aggregator._recalled)  # type: ignore[misc]
    assert (await reported(aggregator, 0, summaries)).taken
    await reported(aggregator, 1, summaries)
    await until(lambda: aggregator._evaluated_unix_nano == (FIRST + 1) * TICK)
    status = await aggregator.status()
    assert (status.failed_evaluations, status.left_out, status.accounts) == (TRIES - 1, 1, 100)
    await aggregator.stop()


async def test_evaluations_go_on_while_the_store_takes_its_time_over_a_snapshot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, goes_on, puts = memory_snapshots(), asyncio.Event(), list[SnapshotName]()
    put = store.put

    async def slowly(name: SnapshotName, sealed: bytes) -> None:
        puts.append(name)
        await goes_on.wait()
        await put(name, sealed)

    monkeypatch.setattr(store, "put", slowly)
    aggregator, rng = await a_life(store), np.random.default_rng(5)
    summaries = people(rng, 50)
    aggregator._begin()
    await aggregator.start()
    await until(lambda: aggregator._recalled)
    await reported(aggregator, 0, summaries)
    await until(lambda: bool(puts))
    for number in (1, 2):
        clock = aggregator._ports.clock
        assert isinstance(clock, ManualClock)
        clock.advance(SETTINGS.snapshots.period_s)
        assert (await reported(aggregator, number, summaries)).stored_unix_nano == {0: 0}
        await until(lambda number=number: aggregator._evaluated_unix_nano == (FIRST + number) * TICK)  # type: ignore[misc]
    assert [one.place for one in puts] == [FIRST * TICK]  # one at a time
    goes_on.set()
    await until(lambda: aggregator._stored == {0: FIRST * TICK})
    await aggregator.stop()
    assert [one.place for one in await store.names("aggregator")] == [FIRST * TICK, (FIRST + 2) * TICK]
