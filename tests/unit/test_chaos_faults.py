"""Whether a fault of a chaos run has broken anything: what counts as injected, and what is given up."""

from __future__ import annotations

import asyncio
import random
import signal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chaos import faults
from chaos.faults import Ground
from chaos.load import Load
from chaos.proxy import Misdeed, Proxy

EVENT = b"MSG s.1 7 $JS.ACK.S.c.1.2.3.4.5 2\r\nhi\r\n"
NEXT = EVENT.replace(b"hi", b"ho")
OTHER = b"MSG _INBOX.x 7 2\r\nhi\r\n"


class Sent:
    """What the wire passes on."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data

    async def drain(self) -> None: ...


def a_ground(**site: Any) -> Ground:
    load = Load(cast(Any, None), [], 4)
    return Ground(cast(Any, SimpleNamespace(proxy=Proxy(0), **site)), load, random.Random(1))


@pytest.mark.parametrize("misdeed", ["twice", "lost"])
def test_a_misdelivery_counts_once_a_delivery_has_met_it(misdeed: Misdeed) -> None:
    proxy = Proxy(0)
    first, second = proxy.arm(misdeed, 2), proxy.arm(misdeed, 1)
    proxy._misdo([OTHER], {})
    assert not first()
    for _ in range(2):
        proxy._misdo([EVENT], {})
        assert (first(), second()) == (True, False)
    proxy._misdo([EVENT], {})
    assert second()


async def test_a_delivery_that_found_none_to_change_places_with_leaves_that_to_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("chaos.proxy._HOLD_S", 0.01)
    proxy, reader, sent = Proxy(0), asyncio.StreamReader(), Sent()
    took = proxy.arm("swapped", 1)
    passing = asyncio.create_task(proxy._deliver(reader, cast(Any, sent)))
    reader.feed_data(EVENT)
    async with asyncio.timeout(10):
        while sent.data != EVENT:  # noqa: ASYNC110 - another task passes it on
            await asyncio.sleep(0.01)
    assert not took()
    reader.feed_data(EVENT + NEXT)
    reader.feed_eof()
    await passing
    assert took()
    assert sent.data == EVENT + NEXT + EVENT


async def test_a_kill_that_finds_nobody_did_nothing_and_one_that_waits_for_its_victim_did(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(faults, "_VICTIM_S", 0.5)
    sent = list[signal.Signals]()

    def send(number: signal.Signals) -> bool:
        sent.append(number)
        return len(sent) > 1  # the first one is gone before the signal comes

    shard = SimpleNamespace(title="ray::ShardHost", send=send)
    assert (await faults.kill_shard(a_ground(processes=lambda: [shard])))()
    assert sent == [signal.SIGKILL] * 2
    monkeypatch.setattr(faults, "_VICTIM_S", 0.0)
    assert not (await faults.kill_shard(a_ground(processes=list)))()


async def test_connections_that_are_not_there_can_not_be_cut_and_no_events_not_published_again() -> None:
    assert not (await faults.cut_connections(a_ground()))()
    assert not (await faults.publish_again(a_ground()))()


async def test_events_out_of_order_count_once_they_were_published_so() -> None:
    ground = a_ground()
    took = await faults.publish_out_of_order(ground)
    assert not took()
    ground.load.shuffled += 1
    assert took()


async def test_what_a_broker_does_not_take_in_all_tries_is_not_taken_for_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "_RETRY_S", 0.0)
    tries = 0

    async def away() -> None:
        nonlocal tries
        tries += 1
        raise OSError

    assert not await faults._persist(away)
    assert tries == faults._RETRIES
