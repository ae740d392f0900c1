"""What relays do when something goes wrong: sessions run out, calls fail, accounts are refused and replaced."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from statistics import mean
from typing import Any

import pytest

from stillwatch.simulator import BuiltinTexts, PoolTexts, Scenario, Traced, from_map, labels, reserves, trace

TEXTS = BuiltinTexts()
HOUR_NANO = 3_600 * 10**9
START_NANO = 1_740_960_000 * 10**9


def scenario(days: int = 2, **campaign: Any) -> Scenario:
    group = {"kind": "campaign", "name": "hydra", "accounts": 30, "signup_span_days": 10, **campaign}
    return from_map({"name": "relay", "seed": 4, "days": days, "groups": [group]})


def run(days: int = 2, **campaign: Any) -> list[Traced]:
    return list(trace(scenario(days, **campaign), TEXTS))


def test_a_failed_call_goes_to_a_sibling_within_seconds_and_both_can_be_seen() -> None:
    events = run(days=6, failover_s=4)
    asked: dict[str, list[Traced]] = defaultdict(list)
    for traced in events:
        asked[str(traced.event.attributes["stillwatch.prompt.text"])].append(traced)
    handed = [
        (before, after) for same in asked.values() for before, after in pairwise(same) if before.turn == after.turn == 1
    ]
    assert len(handed) > 5
    for before, after in handed:
        assert before.status in (429, 500, 503)
        assert before.event.account != after.event.account
        assert before.event.attributes["gen_ai.conversation.id"] != after.event.attributes["gen_ai.conversation.id"]
        assert 0 < after.event.time_unix_nano - before.event.time_unix_nano < 60 * 10**9
    assert len({traced.event.id for traced in events}) == len(events)


def test_without_failover_nothing_is_asked_twice() -> None:
    prompts = [traced.event.attributes["stillwatch.prompt.text"] for traced in run(days=4) if traced.turn == 1]
    assert len(set(prompts)) == len(prompts)


@pytest.mark.parametrize(("sticky", "moves"), [("conversation", False), ("renewed", True), ("window", True)])
def test_a_session_that_has_run_out_moves_in_the_middle_of_a_conversation(sticky: str, moves: bool) -> None:
    # A mean of six turns with minutes in between outlasts a session of six minutes.
    events = run(sticky=sticky, sticky_h=0.1, turns_mean=6, pause_median_s=300)
    seen: dict[str, list[int]] = defaultdict(list)
    for traced in events:
        seen[str(traced.event.attributes["gen_ai.conversation.id"])].append(traced.turn)
    assert any(turns[0] > 1 for turns in seen.values()) is moves


def test_a_renewed_session_outlasts_a_window_of_the_same_length() -> None:
    def moved(sticky: str) -> int:
        conversations = Counter(
            str(traced.event.attributes["gen_ai.conversation.id"])
            for traced in run(sticky=sticky, sticky_h=0.2, turns_mean=6, pause_median_s=200)
        )
        return len(conversations)

    assert moved("renewed") < moved("window")


def test_weights_give_accounts_different_loads() -> None:
    def spread(choice: str) -> float:
        loads = list(Counter(traced.event.account for traced in run(days=4, choice=choice)).values())
        return max(loads) / mean(loads)

    assert spread("weighted") > 1.5 > spread("least_used")


def test_a_banned_account_falls_silent_and_a_replacement_takes_its_place_hours_later() -> None:
    chosen = scenario(days=4, failover_s=3, replace_after_h=6)
    first = {row.account for row in labels(chosen)}
    spare = {row.account for row in reserves(chosen)}
    at_nano = START_NANO + 24 * HOUR_NANO
    out = set(sorted(first)[:10])
    events = list(trace(chosen, TEXTS, banned=lambda account, now: account in out and now >= at_nano))
    seen: dict[str, list[Traced]] = defaultdict(list)
    for traced in events:
        seen[traced.event.account].append(traced)
    assert set(seen) <= first | spare
    for account in out:
        refused = [traced for traced in seen[account] if traced.event.time_unix_nano >= at_nano]
        assert refused[0].status == 403
        # Conversations that were open still try; nothing new comes.
        assert all(traced.status == 403 for traced in refused)
        assert len(refused) < 6
    replacements = spare & set(seen)
    assert len(replacements) == len(out)
    for account in replacements:
        assert seen[account][0].event.time_unix_nano >= at_nano + 6 * HOUR_NANO
        assert seen[account][0].identity.created_unix_s * 10**9 >= at_nano + 6 * HOUR_NANO
    late = [traced for traced in events if traced.event.time_unix_nano > at_nano + 24 * HOUR_NANO]
    assert len(late) / 2 == pytest.approx(30 * 26, rel=0.15)


def test_without_replacement_the_campaign_shrinks_until_it_is_gone() -> None:
    at_nano = START_NANO + 24 * HOUR_NANO
    events = list(trace(scenario(days=3), TEXTS, banned=lambda account, now: now >= at_nano))
    after = [traced for traced in events if traced.event.time_unix_nano >= at_nano]
    assert {traced.status for traced in after} == {403}
    assert len(after) < 120
    assert reserves(scenario()) == []


def test_a_ban_changes_nothing_before_it() -> None:
    chosen, at_nano = scenario(days=2, replace_after_h=4, failover_s=2), START_NANO + 30 * HOUR_NANO
    free = [traced.event for traced in trace(chosen, TEXTS) if traced.event.time_unix_nano < at_nano]
    banned = list(trace(chosen, TEXTS, banned=lambda account, now: now >= at_nano and account[0] < "8"))
    assert [traced.event for traced in banned if traced.event.time_unix_nano < at_nano] == free


def test_accounts_that_the_platform_closes_anyway_are_labelled_with_their_replacements() -> None:
    chosen = scenario(days=8, lost_per_day=0.1, replace_after_h=5, failover_s=3)
    known = {row.account for row in labels(chosen)}
    assert 40 < len(known) < 70
    events = list(trace(chosen, TEXTS))
    assert {traced.event.account for traced in events} <= known
    assert not known & {row.account for row in reserves(chosen)}
    assert 8 < sum(traced.status == 403 for traced in events) < 90


def test_a_persona_sleeps_and_has_a_volume_of_its_own() -> None:
    events = run(days=8, personas=True)
    hours: dict[str, Counter[int]] = defaultdict(Counter)
    for traced in events:
        hours[traced.event.account][(traced.event.time_unix_nano // HOUR_NANO) % 24] += 1
    assert mean(count.total() for count in hours.values()) / 8 == pytest.approx(26, rel=0.25)
    quiet = [
        min(sum(count[(start + step) % 24] for step in range(6)) for start in range(24)) for count in hours.values()
    ]
    assert (
        mean(few / count.total() for few, count in zip(quiet, hours.values(), strict=True)) < 0.05
    )  # a quarter of the day, hardly anything
    volumes = sorted(count.total() for count in hours.values())
    assert volumes[-1] > 3 * volumes[0]


def shared(linked: str) -> dict[str, int]:
    """By how many accounts the most common value of each attribute is shared."""
    identities = scenario(linked=linked, accounts=60).groups[0].roster(scenario().world())
    return {
        "payment": Counter(i.payment for i in identities if i.payment).most_common(1)[0][1],
        "signup": Counter(i.signup for i in identities).most_common(1)[0][1],
        "client": Counter(i.client.ja4 for i in identities).most_common(1)[0][1],
        "address": Counter(i.address for i in identities).most_common(1)[0][1],
    }


def test_links_are_strong_weak_or_none() -> None:
    strong, weak, none = shared("strong"), shared("weak"), shared("none")
    assert strong["client"] == 60
    assert strong["signup"] >= 15
    assert none["client"] < weak["client"] < 45
    assert none["signup"] < weak["signup"] < strong["signup"]
    assert none["address"] < 10


def test_proxies_of_its_own_put_siblings_behind_one_address() -> None:
    chosen = scenario(addresses="proxies", accounts=32)
    identities = chosen.groups[0].roster(chosen.world())
    assert set(Counter(identity.address for identity in identities).values()) == {8}


def test_staggered_accounts_sign_up_one_by_one() -> None:
    chosen = scenario(staggered=True, accounts=100, signup_days_before=20, signup_span_days=20)
    created = sorted(identity.created_unix_s for identity in chosen.groups[0].roster(chosen.world()))
    gaps = [after - before for before, after in pairwise(created)]
    assert max(gaps) < 2.5 * 86_400
    assert created[-1] - created[0] > 15 * 86_400


def test_a_pool_of_its_own_is_harvested_and_cover_stays_honest() -> None:
    pool = PoolTexts({"exam": [f"Exam question number {n} of the syllabus" for n in range(5_000)]})
    for traced in trace(scenario(cover_share=0.5), TEXTS, pool_texts=pool):
        if traced.turn == 1:
            text = str(traced.event.attributes["stillwatch.prompt.text"])
            assert text.startswith("Exam question") is not traced.cover
