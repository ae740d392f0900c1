"""What the takedown benchmark counts: replacements that were followed long enough, as members and as acted on."""

from __future__ import annotations

import pytest
from detectors import Scripted
from factories import HOUR, T0

from benchmarks.takedown import SCENARIO, Takedown, play, summary, taken_down
from launch.scenarios import load_scenario, resized
from stillwatch.backtest import Backtest
from stillwatch.backtest.evaluation import Truth
from stillwatch.event import RequestEvent
from stillwatch.simulator import BuiltinTexts, labels, reserves

TRUTH = {
    "first": Truth("attack", "hydra"), "soon": Truth("attack", "hydra"), "late": Truth("attack", "hydra"),
    "missed": Truth("attack", "hydra"), "young": Truth("attack", "hydra"), "silent": Truth("attack", "hydra"),
    "honest": Truth("user"), "hit": Truth("user"),
}  # fmt: skip
FRESH = {"soon", "late", "missed", "young", "silent"}


def counted(sure_after_h: dict[str, float]) -> Takedown:
    """One request an hour and account for five days; ``young`` comes on the last one."""
    run = Backtest(Scripted({"first": 2, "soon": 10, "late": 60, "young": 2, "hit": 3}), tick_s=3_600)
    for hour in range(120):
        for account in TRUTH:
            if account != "silent" and (account != "young" or hour >= 110):
                run.feed(RequestEvent(f"{account}-{hour}", account, T0 + hour * HOUR))
    run.finish()
    sure_at = {account: T0 + int(hours * HOUR) for account, hours in sure_after_h.items()}
    return taken_down(run, TRUTH, FRESH, sure_at, seed=1)


def test_counted_is_who_was_followed_for_two_days_and_relinked_who_was_acted_on_within_them() -> None:
    found = counted({"soon": 8, "late": 8, "missed": 8, "young": 112})
    assert (found.replacements, found.counted, found.relinked) == (4, 3, 1)
    assert found.share == pytest.approx(1 / 3)
    assert (found.median_requests_before, found.median_hours_before) == (
        60,
        9.8,
    )  # ticks stand at full hours, requests between them
    assert (found.first_accounts, found.first_acted_on) == (1, 1)


def test_who_was_acted_on_and_is_no_member_is_not_relinked_nor_who_became_one_too_late() -> None:
    assert counted({}).relinked == 0
    assert counted({"soon": 49}).relinked == 0


def test_honest_accounts_that_were_hit_are_named_as_such() -> None:
    found = counted({})
    assert (found.honest, found.honest_hit, found.honest_revoked) == (2, 1, 1)
    assert "acted on: 1 of 2" in summary([found])[-1]


def test_a_world_without_a_replacement_has_no_share() -> None:
    assert "none" in summary([Takedown(1, 1, 0, 0, 0, 0, None, None, 10, 10, 5, 0, 0, 0)])[0]


def test_the_loop_is_closed_replacements_come_only_where_accounts_are_acted_on() -> None:
    scenario = resized(load_scenario(SCENARIO, 511), scale=0.1, days=1)
    assert len(reserves(scenario)) == 12 * sum(row.kind == "attack" for row in labels(scenario))
    found = play(scenario, BuiltinTexts(), seed=511)
    assert found.first_accounts > 0
    assert (found.replacements, found.first_acted_on) == (0, 0)  # ten accounts are not found within a day
