"""People who hand failed calls to accounts of their own, as `benchmarks.own_accounts` makes them from anybody's events."""

from __future__ import annotations

from factories import T0

from benchmarks.own_accounts import OwnAccounts
from stillwatch.event import RequestEvent

SECOND_NANO = 1_000_000_000
PEOPLE = [f"person{n:03d}" for n in range(200)]


def calls(count: int = 10) -> list[RequestEvent]:
    return [
        RequestEvent(
            f"{person}-{n}", person, T0 + (n * len(PEOPLE) + at) * 7 * SECOND_NANO,
            {"gen_ai.conversation.id": f"{person}-{n // 3}", "stillwatch.prompt.text": f"{person} asks {n}"},
        )
        for n in range(count) for at, person in enumerate(PEOPLE)
    ]  # fmt: skip


def owned(second: float = 0.3, failing: float = 0.2) -> OwnAccounts:
    return OwnAccounts(PEOPLE, second, 0.2, failing, seed=1)


def test_who_has_one_account_only_sends_what_was_sent_before() -> None:
    assert list(owned(second=0.0).play(calls())) == calls()


def test_about_as_many_people_as_wanted_have_two_accounts_and_some_three() -> None:
    sizes = [len(accounts) for accounts in owned().accounts.values()]
    assert 40 <= len(sizes) <= 80
    assert set(sizes) == {2, 3}


def test_events_stay_in_order_of_time_and_none_is_lost() -> None:
    own = owned()
    played = list(own.play(calls()))
    times = [event.time_unix_nano for event in played]
    assert times == sorted(times)
    assert len(played) == len(calls()) + own.handed
    assert len({event.id for event in played}) == len(played)


def test_a_failed_call_begins_again_word_for_word_within_seconds_on_another_account_of_the_same_person() -> None:
    own = owned()
    played = {event.id: event for event in own.play(calls())}
    again = [event for event in played.values() if event.id.endswith("-again")]
    assert len(again) == own.handed > 50
    for event in again:
        failed = played[event.id.removesuffix("-again")]
        assert failed.attributes["error.type"] == "rate_limit_exceeded"
        assert "error.type" not in event.attributes
        assert event.attributes["stillwatch.prompt.text"] == failed.attributes["stillwatch.prompt.text"]
        assert event.account != failed.account
        assert event.account[:9] == failed.account[:9]
        assert 0 < event.time_unix_nano - failed.time_unix_nano <= 20 * SECOND_NANO


def test_the_same_seed_makes_the_same_people() -> None:
    assert list(owned().play(calls())) == list(owned().play(calls()))
