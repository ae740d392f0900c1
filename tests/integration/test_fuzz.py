"""A small run of the fuzzer at every door, and that it would notice."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from benchmarks import fuzz_target
from benchmarks.fuzz import run
from benchmarks.fuzz_decoder import fuzz_decoder
from benchmarks.fuzz_inputs import messages
from benchmarks.fuzz_target import one_input
from stillwatch import shard
from stillwatch.account import AccountState
from stillwatch.event import RequestEvent
from stillwatch.wire import Decoded, decode_message, encode_event

NOW = 1_790_000_000_000_000_000
GOOD = encode_event(RequestEvent("r-1", "a", NOW))


def test_nothing_that_nobody_should_send_crashes_stalls_or_is_lost() -> None:
    nats, http, decoder = run(1_000, seed=3)
    assert nats.inputs + http.inputs + decoder.inputs == 1_000
    assert [door.failures for door in (nats, http, decoder)] == [[], [], []]
    assert nats.outcomes["taken"] > 100
    assert nats.outcomes["dead letters"] > 100
    assert http.inputs > 30
    if importlib.util.find_spec("atheris"):
        assert decoder.outcomes["executed"] >= 500


def test_the_same_seed_makes_the_same_inputs() -> None:
    assert list(messages(200, 5, 4, NOW)) == list(messages(200, 5, 4, NOW))
    assert list(messages(200, 5, 4, NOW)) != list(messages(200, 6, 4, NOW))


def test_a_bug_behind_the_decoder_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def with_a_bug(self: AccountState, *_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(fuzz_target, "_state", [fuzz_target._Core()])
    one_input(GOOD)
    monkeypatch.setattr(AccountState, "observe", with_a_bug)
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        one_input(encode_event(RequestEvent("r-2", "a", NOW)))


def test_an_event_that_vanishes_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(payload: bytes) -> list[Decoded]:
        return decode_message(payload)[1:]

    monkeypatch.setattr(fuzz_target, "_state", [fuzz_target._Core()])
    monkeypatch.setattr(shard, "decode_message", forgetful)
    with pytest.raises(AssertionError, match="without an outcome"):
        one_input(GOOD)


@pytest.mark.skipif(importlib.util.find_spec("atheris") is not None, reason="the guided one is used here")
def test_without_a_guide_the_decoder_still_sees_all_inputs(tmp_path: Path) -> None:
    assert not fuzz_decoder(500, 1, tmp_path).failures
