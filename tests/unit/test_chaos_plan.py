"""The plan of a fault run, and what of a run counts as a broken promise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pytest
from stream_values import a_revocation

from chaos.faults import INJECT
from chaos.outcome import Outcome, difference, in_force
from chaos.plan import SHARES, plan
from chaos.report import broken, document, table
from chaos.run import Injected, Result
from stillwatch.event import RequestEvent

EVENTS = [RequestEvent(f"r-{n}", "a" if n % 2 else "b", 1_000 + n, {}) for n in range(6)]
GOOD = Outcome(
    decided={"v-1": 1_004}, stored={"v-1": 5}, acted_on={"a": 1_004}, campaigns={"c-1": 1_004},
    revocations=frozenset({"r-1"}), enforced={"a": "challenge"}, audited={"r-1": 1}, accounts={"a": 3, "b": 3},
)  # fmt: skip


def a_result(
    found: Outcome = GOOD, gateway: Mapping[str, str] = GOOD.enforced, faults: int = 60, reference: Outcome = GOOD
) -> Result:
    injected = [Injected(n, "shard killed", True, 0.0, 1.0, 1.5) for n in range(faults)]
    compared = difference(found, reference, EVENTS, gateway)
    return Result(1, 6, 9.0, 0, injected, True, found, reference, compared, [1.0], 0.01)


def test_every_kind_of_fault_can_be_injected() -> None:
    assert INJECT.keys() == SHARES.keys()


def test_a_hundred_faults_hold_every_kind_more_than_once() -> None:
    counted = Counter(one.kind for one in plan(1, 100))
    assert counted.keys() == SHARES.keys()
    assert min(counted.values()) >= 2


def test_the_seed_decides_everything() -> None:
    assert plan(4, 40) == plan(4, 40)
    assert plan(4, 40) != plan(5, 40)


def test_a_run_like_the_one_without_faults_breaks_nothing() -> None:
    assert broken(a_result()) == []


@pytest.mark.parametrize(
    ("found", "gateway", "said"),
    [
        (replace(GOOD, accounts={"a": 2, "b": 3}), GOOD.enforced, "1 events acknowledged"),
        (replace(GOOD, accounts={"a": 4, "b": 3}), GOOD.enforced, "1 events are in state twice"),
        (replace(GOOD, decided={}), GOOD.enforced, "verdicts missing: v-1"),
        (replace(GOOD, decided={"v-1": 1_004, "v-2": 1_004}), GOOD.enforced, "verdicts only with faults: v-2"),
        (replace(GOOD, revocations=frozenset()), GOOD.enforced, "revocations missing: r-1"),
        (replace(GOOD, campaigns={"c-1": 1_004, "c-2": 1_004}), GOOD.enforced, "campaigns only with faults: c-2"),
        (replace(GOOD, audited={}), GOOD.enforced, "without an audit entry: r-1"),
        (replace(GOOD, acted_on={"a": 1_005}), GOOD.enforced, "detection later by 25.0%"),
        (GOOD, {}, "a gateway treats otherwise than decided: a"),
        (GOOD, {"a": "revoke"}, "a gateway treats otherwise than decided: a"),
        (GOOD, {"a": "challenge", "b": "observe"}, "a gateway treats otherwise than decided: b"),
        (replace(GOOD, enforced={"a": "revoke"}), {"a": "challenge"}, "something else than without faults: a"),
        (replace(GOOD, enforced={}), {"a": "challenge"}, "something else than without faults: a"),
    ],
)  # fmt: skip
def test_a_broken_promise_is_named(found: Outcome, gateway: Mapping[str, str], said: str) -> None:
    [problem] = broken(a_result(found, gateway))
    assert said in problem


def test_a_gateway_that_does_what_faults_have_made_of_the_revocations_breaks_a_promise() -> None:
    """It follows the store, and the store lost the account: each agrees with the other, and neither with what was decided."""
    lost = replace(GOOD, enforced={})
    assert [text.partition(":")[0] for text in broken(a_result(lost, {}))] == [
        "in force is something else than without faults", "a gateway treats otherwise than decided",
    ]  # fmt: skip


def test_a_run_in_which_nothing_is_in_force_compares_no_gateway_and_says_so() -> None:
    nothing = replace(GOOD, enforced={})
    assert broken(a_result(nothing, {}, reference=nothing)) == ["nothing was in force, so no gateway was compared"]


def test_of_two_revocations_of_an_account_the_stronger_one_that_acts_is_in_force() -> None:
    challenged = replace(a_revocation("r-1"), action="challenge", accounts=("a", "b"))
    revoked = replace(a_revocation("r-2"), action="revoke", accounts=("b", "c"))
    tried = replace(a_revocation("r-3"), action="revoke", accounts=("a", "d"), dry_run=True)
    now_s = challenged.created_unix_s
    assert in_force([challenged, revoked, tried], now_s) == {"a": "challenge", "b": "revoke", "c": "revoke"}
    assert in_force([revoked, challenged], now_s) == in_force([challenged, revoked], now_s)


def test_a_fault_that_is_not_recovered_from_is_named_and_shown() -> None:
    result = a_result()
    lost = replace(result, injected=[*result.injected[1:], Injected(9, "disk full", True, 3.0)])
    assert broken(lost) == ["not recovered: 10 disk full"]
    assert "inf" in table(lost)


def test_a_fault_that_did_nothing_is_named() -> None:
    result = a_result()
    idle = replace(result, injected=[*result.injected[1:], Injected(9, "delivery lost", False, 0.0, 1.0, 1.0)])
    assert broken(idle) == ["did nothing: 10 delivery lost"]


def test_an_evaluation_without_a_partition_is_named_in_either_line() -> None:
    without = replace(GOOD, status={"aggregator": {"incomplete_evaluations": 2}})
    assert broken(a_result(without)) == ["2 evaluations without a partition"]
    assert broken(a_result(reference=without)) == ["2 evaluations without a partition in the line without faults"]


def test_wall_time_is_judged_only_in_a_run_that_is_long_enough() -> None:
    assert broken(replace(a_result(), wall_share=0.2)) == ["a verdict later by 20.0% of the time until it"]
    assert broken(replace(a_result(faults=10), wall_share=0.2)) == []


def test_the_report_for_programs_says_which_promises_were_broken() -> None:
    assert document(a_result())["broken"] == []
    assert document(a_result(replace(GOOD, decided={})))["difference"]["verdicts_missing"] == ["v-1"]
