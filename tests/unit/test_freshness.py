"""Old or incomplete knowledge acts on nobody by itself."""

from __future__ import annotations

from typing import Any

import pytest

from stillwatch.freshness import stale_because
from stillwatch.settings import PolicyLimits

NOW = 1_790_000_000 * 10**9
S = 10**9


def reasons(limits: PolicyLimits | None = None, **changes: Any) -> tuple[str, ...]:
    known: dict[str, Any] = {
        "evaluated_unix_nano": NOW - 60 * S, "now_unix_nano": NOW, "broker_unix_nano": NOW, "partitions_behind": 0,
        "incomplete": False,
    }  # fmt: skip
    return stale_because(limits or PolicyLimits(), **{**known, **changes})


def test_recent_and_whole_knowledge_is_fresh() -> None:
    assert reasons() == ()
    assert reasons(broker_unix_nano=None) == ()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"evaluated_unix_nano": NOW - 7_201 * S}, "lag"),
        ({"evaluated_unix_nano": NOW + 121 * S}, "ahead"),
        ({"broker_unix_nano": NOW - 121 * S}, "broker"),
        ({"broker_unix_nano": NOW + 121 * S}, "broker"),
        ({"partitions_behind": 1}, "behind"),
        ({"incomplete": True}, "without one"),
    ],
)
def test_each_kind_of_staleness_is_a_reason_of_its_own(changes: dict[str, Any], word: str) -> None:
    [reason] = reasons(**changes)
    assert word in reason


@pytest.mark.parametrize(
    "changes",
    [
        {"evaluated_unix_nano": NOW - 7_200 * S},
        {"evaluated_unix_nano": NOW + 120 * S},
        {"broker_unix_nano": NOW - 120 * S},
    ],
)
def test_on_the_limit_it_is_fresh(changes: dict[str, Any]) -> None:
    assert reasons(**changes) == ()


def test_old_traffic_that_is_played_on_purpose_is_no_lag() -> None:
    assert reasons(PolicyLimits(max_lag_s=None), evaluated_unix_nano=0) == ()


def test_partitions_that_may_be_missing_are_no_reason() -> None:
    assert reasons(PolicyLimits(max_partitions_behind=2), partitions_behind=2, incomplete=True) == ()
    assert len(reasons(PolicyLimits(max_partitions_behind=2), partitions_behind=3)) == 1
