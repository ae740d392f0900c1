"""Traffic that is played at another time stays the same traffic."""

from __future__ import annotations

from factories import T0, an_event

from launch.replay import rebased

DAY_S = 86_400


def test_sign_up_times_move_with_the_requests() -> None:
    event = an_event(**{"stillwatch.account.created_unix": T0 // 10**9 - DAY_S})
    moved = next(rebased([event], 7 * DAY_S * 10**9))
    assert moved.time_unix_nano - event.time_unix_nano == 7 * DAY_S * 10**9
    assert moved.time_unix_nano // 10**9 - int(moved.number("stillwatch.account.created_unix") or 0) == (
        event.time_unix_nano // 10**9 - int(event.number("stillwatch.account.created_unix") or 0)
    )


def test_an_account_of_unknown_age_stays_one() -> None:
    moved = next(rebased([an_event()], 10**15))
    assert "stillwatch.account.created_unix" not in moved.attributes
