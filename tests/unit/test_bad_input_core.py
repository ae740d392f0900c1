"""What must never stop, exhaust or mislead a partition: poison, wrong clocks, floods of accounts, streams that begin again."""

from __future__ import annotations

import msgpack
import pytest
from factories import HOUR, SECOND, T0, a_core, a_message, account_in, an_envelope, an_event

from stillwatch import shard
from stillwatch.account import AccountState
from stillwatch.arrival import MAX_AGE_NANO
from stillwatch.event import RequestEvent
from stillwatch.ports import RawMessage
from stillwatch.settings import DetectionSettings
from stillwatch.subjects import envelope_subject
from stillwatch.wire import decode_message, encode_event


def test_an_event_that_brings_out_a_bug_is_a_dead_letter_and_the_next_ones_are_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    observe = AccountState.observe

    def with_a_bug(self: AccountState, event: RequestEvent, *rest: object) -> None:
        if event.id == "acct-1-1":
            raise ZeroDivisionError("and the prompt, which must not travel")
        observe(self, event, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(AccountState, "observe", with_a_bug)
    core = a_core()
    messages = [a_message(an_event(number=n), n + 1) for n in range(3)]
    observed = core.observe(messages)
    assert (observed.taken, observed.last_sequence, core.counts["events"]) == (2, 3, 2)
    (letter,) = observed.dead_letters
    assert (letter.rejected.reason, letter.payload) == ("processing_failed", messages[1].payload)
    assert "prompt" not in letter.rejected.detail


def test_an_account_that_can_not_be_summed_up_leaves_the_others_told(monkeypatch: pytest.MonkeyPatch) -> None:
    summarise = shard.summarise

    def with_a_bug(state: AccountState, partition: int) -> object:
        if state.account == "bad":
            raise ValueError
        return summarise(state, partition)

    monkeypatch.setattr(shard, "summarise", with_a_bug)
    core = a_core()
    core.observe([a_message(an_event(name), n) for n, name in enumerate(("bad", "good"), start=1)])
    core.close(T0 + 100 * HOUR)
    assert [summary.account for cut in core.take_cuts() for summary in cut.summaries] == ["good"]
    assert core.status(0, True).failed_summaries == 1


def test_an_envelope_of_a_thousand_misplaced_events_is_not_a_thousand_envelopes_of_letters() -> None:
    other = account_in(2, 4)
    envelope = an_envelope([an_event(other, n, stillwatch__org__id="o" * 200) for n in range(1_000)], 1, partition=1)
    observed = a_core(partitions=4, partition=1).observe([envelope])
    assert len(observed.dead_letters) == 1_000
    assert sum(len(letter.payload) for letter in observed.dead_letters) <= len(envelope.payload)
    assert [event.id for letter in observed.dead_letters for event in decode_message(letter.payload)] == [  # type: ignore[union-attr]
        f"{other}-{n}" for n in range(1_000)
    ]


def test_an_unusable_event_of_an_envelope_keeps_its_very_bytes() -> None:
    good = encode_event(an_event())
    odd = b"\x81\xd9\x01v\xcd\x00\x07"  # {"v": 7}, in longer words than any packer of ours uses
    nested = b"\x91" * 600 + b"\xc0"  # can be read, and not be packed again
    envelope = b"\x93" + good + odd + nested
    assert isinstance(msgpack.unpackb(envelope), list)
    observed = a_core().observe([RawMessage(1, envelope_subject(0), envelope, T0 + SECOND)])
    assert observed.taken == 1
    assert [letter.payload for letter in observed.dead_letters] == [odd, nested]


@pytest.mark.parametrize(("ahead_nano", "kept_nano"), [(59 * SECOND, 59 * SECOND), (5 * HOUR, 60 * SECOND)])
def test_a_clock_that_is_ahead_counts_as_a_minute_at_most(ahead_nano: int, kept_nano: int) -> None:
    core = a_core()
    event = RequestEvent("r", "a", T0 + ahead_nano)
    core.observe([RawMessage(1, "stillwatch.partition.0.a", encode_event(event), T0)])
    view = core.account("a")
    assert view is not None
    assert view.last_seen_unix_nano == T0 + kept_nano
    assert core.status(0, True).clamped_future == (ahead_nano != kept_nano)


def test_an_ancient_time_makes_no_account_older_than_a_report_can_be() -> None:
    core = a_core()
    event = RequestEvent("r", "a", 10**18)
    core.observe([RawMessage(1, "stillwatch.partition.0.a", encode_event(event), T0)])
    view = core.account("a")
    assert view is not None
    assert view.first_seen_unix_nano == T0 - MAX_AGE_NANO
    assert core.status(0, True).clamped_ancient == 1


def test_a_flood_of_new_accounts_pushes_out_its_own_and_not_those_that_are_watched() -> None:
    core = a_core(max_accounts_per_partition=400, max_busy_accounts_per_partition=8)
    enough = DetectionSettings().min_events_for_opinion
    watched = [f"watched{n}" for n in range(100)]
    sent = [an_event(name, n) for name in watched for n in range(enough)]
    sent += [an_event(f"flood{n}", n) for n in range(5_000)]
    core.observe([a_message(event, sequence) for sequence, event in enumerate(sent, start=1)])
    status = core.status(0, True)
    assert status.accounts <= 400
    assert status.evicted_accounts == 5_100 - status.accounts
    assert all(core.account(name) is not None for name in watched)
    assert core.account("flood4999") is not None


def test_in_a_partition_full_of_settled_accounts_a_new_one_still_becomes_known() -> None:
    core = a_core(max_accounts_per_partition=64, max_busy_accounts_per_partition=8)
    enough = DetectionSettings().min_events_for_opinion
    sent = [an_event(f"old{account}", n) for account in range(64) for n in range(enough)]
    for n in range(enough):
        sent += [an_event("new", n), an_event(f"passing{n}", n)]
    core.observe([a_message(event, sequence) for sequence, event in enumerate(sent, start=1)])
    view = core.account("new")
    assert view is not None
    assert view.events == enough


def test_what_a_stream_that_begins_again_says_is_taken_and_not_what_was_taken_before() -> None:
    core = a_core()
    core.observe([a_message(an_event(number=n), n + 1) for n in range(10)])
    core.rewind(4)
    again = core.observe([a_message(an_event(number=9), 5), a_message(an_event(number=20), 6)])
    assert (again.taken, again.duplicates, again.last_sequence) == (1, 1, 6)
    core.rewind(100)
    assert (core.last_sequence, core.status(0, True).rewinds) == (6, 1)
