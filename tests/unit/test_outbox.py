"""What a shard tells the aggregator of a partition: each cut in order and in pieces, with the traces that it came from."""

from __future__ import annotations

from factories import HOUR, T0, a_core, a_message, an_event

from actors.outbox import Horizon, Outbox
from stillwatch.event import RequestEvent
from stillwatch.ports import Folded, Part
from stillwatch.summary import decode_report

TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


class Listener:
    """Takes parts, or refuses them when it is told to."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.refuses = False

    async def tell(self, part: Part) -> bool:
        if not self.refuses:
            self.parts.append(part)
        return not self.refuses


def an_outbox(hours: int, accounts: int = 1) -> Outbox:
    """Of a partition in which every account writes once an hour."""
    core = a_core()
    events = [
        RequestEvent(f"{hour}-{n}", f"a{n}", T0 + hour * HOUR, an_event(prompt="hello").attributes)
        for hour in range(hours)
        for n in range(accounts)
    ]
    core.observe([a_message(event, sequence) for sequence, event in enumerate(events, start=1)])
    return Outbox(core)


async def test_cuts_are_sent_in_order_and_then_the_partition_is_that_far() -> None:
    outbox, listener = an_outbox(hours=4), Listener()
    assert outbox.mark(silent=True).closed_unix_nano == 0
    assert await outbox.send(listener.tell)
    ticks = [part.tick_unix_nano for part in listener.parts]
    assert len(ticks) == 3
    assert ticks == sorted(ticks)
    assert outbox.mark(silent=True).closed_unix_nano == outbox.core.closed_unix_nano


async def test_a_large_cut_is_sent_in_pieces() -> None:
    outbox, listener = an_outbox(hours=2, accounts=1_100), Listener()
    await outbox.send(listener.tell)
    assert [part.number for part in listener.parts] == [0, 1]
    assert [len(decode_report(part.report).summaries) for part in listener.parts] == [1_000, 100]


async def test_what_was_not_taken_is_sent_the_next_time_and_until_then_nothing_is_closed() -> None:
    outbox, listener = an_outbox(hours=3), Listener()
    listener.refuses = True
    assert not await outbox.send(listener.tell)
    assert outbox.mark(silent=True).closed_unix_nano == 0
    assert not outbox.mark(silent=True).silent
    listener.refuses = False
    assert await outbox.send(listener.tell)
    assert len(listener.parts) == 2


async def test_every_tick_that_a_batch_has_ended_is_traced_back_to_it() -> None:
    outbox, listener = an_outbox(hours=4), Listener()
    outbox.trace(TRACE)
    await outbox.send(listener.tell)
    assert [decode_report(part.report).traceparents for part in listener.parts] == [[TRACE]] * 3
    outbox.core.close(T0 + 100 * HOUR)
    await outbox.send(listener.tell)
    assert decode_report(listener.parts[-1].report).traceparents == []


async def test_to_a_new_aggregator_everything_is_said_with_the_next_tick_and_nothing_is_closed_before() -> None:
    outbox, listener = an_outbox(hours=3, accounts=5), Listener()
    await outbox.send(listener.tell)
    outbox.say_all_again()
    assert await outbox.send(listener.tell)
    assert outbox.mark(silent=True).closed_unix_nano == 0
    outbox.core.close(T0 + 100 * HOUR)
    await outbox.send(listener.tell)
    assert len(decode_report(listener.parts[-1].report).summaries) == 5
    assert outbox.mark(silent=True).closed_unix_nano > 0


def test_a_frontier_counts_when_it_has_been_known_for_the_time_of_silence() -> None:
    horizon = Horizon(silence_s=5)
    assert not horizon.hear(Folded("life", True, 900, {}), now_s=100)
    assert not horizon.hear(Folded("life", True, 1_800, {}), now_s=103)
    assert [horizon.known_for_a_while(now_s) for now_s in (104, 105, 107, 108)] == [0, 900, 900, 1_800]
    assert horizon.hear(Folded("another life", True, 0, {}), now_s=109)
    assert horizon.known_for_a_while(200) == 0
