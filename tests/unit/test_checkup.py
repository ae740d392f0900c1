"""How a checkup judges facts: what is well, what is to be looked at, what failed, and that each says what to do."""

from __future__ import annotations

from typing import Any

import pytest

from stillwatch import checkup
from stillwatch.checkup import Check

STATUS: dict[str, Any] = {
    "not_ready": [], "problems": [], "partitions": 4, "policy_version": "1", "mode": "enforce", "enforcement": "on",
    "enforcer_loaded": True,
}  # fmt: skip
AGGREGATOR: dict[str, Any] = {"evaluations": 9, "campaigns": 1, "partitions_behind": 0, "incomplete_evaluations": 0}


@pytest.mark.parametrize(
    ("check", "state"),
    [
        (checkup.version((2, 10), (2, 14), "2.10.1"), "failed"),
        (checkup.version((2, 15), (2, 14), "2.15.1"), "ok"),
        (checkup.sync_policy(120, always=False, servers=3, source="x"), "warning"),
        (checkup.sync_policy(10, always=False, servers=1, source="x"), "warning"),
        (checkup.replicas({"A": 3, "B": 1}, servers=3, wanted=3), "failed"),
        (checkup.replicas({"A": 3, "B": 3}, servers=3, wanted=3), "ok"),
        (checkup.replicas({"A": 1}, servers=1, wanted=1), "warning"),
        (checkup.event_times(10.0), "failed"),
        (checkup.event_times(-10.0), "ok"),
        (checkup.drift(["A is missing"]), "failed"),
        (checkup.dead_letters(7, 3 * 86_400.0, "undecodable"), "ok"),
        (checkup.dead_letters(7, 60.0, "undecodable"), "warning"),
        (checkup.lag(5, moved=False), "failed"),
        (checkup.lag(5, moved=True), "ok"),
        (checkup.lag(50_000, moved=True), "warning"),
        (checkup.readiness({**STATUS, "not_ready": ["1 of 4 partitions have no owner: 3"]}), "failed"),
        (checkup.snapshots({"shard-0": {"written_unix_nano": 10**18, "failed": 0}}, 1e9 + 30, 60.0), "ok"),
        (checkup.snapshots({"shard-0": {"written_unix_nano": 10**18, "failed": 0}}, 1e9 + 999, 60.0), "warning"),
        (checkup.snapshots({"shard-0": {"written_unix_nano": 10**18, "failed": 2}}, 1e9, 60.0), "failed"),
        (checkup.snapshots({}, 1e9, 60.0), "unknown"),
        (checkup.snapshots({"shard-0": {"written_unix_nano": 0, "failed": 0}}, 1e9, 60.0), "unknown"),
        (checkup.snapshots({"shard-0": {"written_unix_nano": 0, "failed": 1}}, 1e9, 60.0), "failed"),
        (checkup.snapshots({"shard-0": {"written_unix_nano": 10**18, "failed": 0}}, 1e9 + 999, None), "unknown"),
    ],
)
def test_a_fact_has_its_state_and_what_is_not_well_says_what_to_do(check: Check, state: str) -> None:
    assert check.state == state
    assert check.found
    assert bool(check.remedy) == (state in ("warning", "failed"))


def test_shadow_is_said_and_is_no_fault() -> None:
    shadow = checkup.policy({**STATUS, "mode": "shadow"})
    assert [check.state for check in shadow] == ["ok", "ok"]
    assert "acts on nobody" in shadow[0].found
    assert [check.state for check in checkup.policy({**STATUS, "enforcement": "off"})] == ["ok", "warning"]
    assert [check.state for check in checkup.policy({**STATUS, "enforcement": None})] == ["ok", "failed"]
    assert checkup.policy({**STATUS, "enforcer_loaded": False})[-1].state == "failed"


def test_what_the_aggregator_says_of_itself_is_judged_and_what_it_does_not_say_is_not() -> None:
    assert [check.name for check in checkup.aggregation(AGGREGATOR)] == ["evaluations"]
    told = {
        **AGGREGATOR,
        "stale": ["the last evaluation is 3 hours old"],
        "never_act": 2,
        "never_act_ends_soon": ["n-1"],
    }
    assert [(check.name, check.state) for check in checkup.aggregation(told)] == [
        ("evaluations", "ok"), ("automatic actions", "warning"), ("never-act list", "warning"),
    ]  # fmt: skip
    assert checkup.aggregation({**told, "never_act_ends_soon": [], "stale": []})[-1].state == "ok"
    assert checkup.aggregation({**AGGREGATOR, "partitions_behind": 1})[0].state == "warning"
    assert checkup.aggregation(None)[0].state == "failed"
