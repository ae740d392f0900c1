"""Honest kinds that look organised: each repeats, shares or paces what it should, and nothing it should not."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pytest

from stillwatch.simulator import BuiltinTexts, Traced, from_map, labels, trace
from stillwatch.simulator.interests import rarefied_distinct

TEXTS = BuiltinTexts()
DAY_NANO = 86_400 * 10**9
START_NANO = 1_740_960_000 * 10**9  # a Monday, midnight UTC


def run(*groups: dict[str, Any], days: int = 2, seed: int = 4) -> list[Traced]:
    return list(trace(from_map({"name": "kinds", "seed": seed, "days": days, "groups": list(groups)}), TEXTS))


def attribute(events: list[Traced], name: str) -> set[str]:
    return {str(traced.event.attributes.get(name)) for traced in events}


def prompts(events: list[Traced]) -> list[str]:
    return [str(traced.event.attributes["stillwatch.prompt.text"]) for traced in events]


def by_account(events: list[Traced]) -> dict[str, list[Traced]]:
    found: dict[str, list[Traced]] = defaultdict(list)
    for traced in events:
        found[traced.event.account].append(traced)
    return found


def test_a_nightly_job_has_one_template_one_prompt_and_new_records_each_night() -> None:
    events = run({"kind": "batch", "name": "job", "keys": 2, "records": 100}, days=3)
    assert len(attribute(events, "stillwatch.system.text")) == 1
    beginnings = {text.splitlines()[0] for text in prompts(events)}
    assert len(beginnings) == 1
    assert len(set(prompts(events))) == len(events)
    assert {(traced.event.time_unix_nano - START_NANO) % DAY_NANO < DAY_NANO // 4 for traced in events} == {True}
    nights = Counter((traced.event.time_unix_nano - START_NANO) // DAY_NANO for traced in events)
    assert set(nights) == {0, 1, 2}


def test_a_pipeline_asks_nearly_the_same_again_for_each_commit() -> None:
    events = run({"kind": "ci", "name": "pipeline", "commits_per_day_per_key": 30, "runs_mean": 4})
    runs: dict[str, list[str]] = defaultdict(list)
    for traced in events:
        text = str(traced.event.attributes["stillwatch.prompt.text"])
        runs[str(traced.event.attributes["gen_ai.conversation.id"])].append(text)
    assert attribute(events, "stillwatch.prompt.turn") == {"1"}
    assert sum(map(len, runs.values())) / len(runs) == pytest.approx(4.0, rel=0.4)
    long = max(runs.values(), key=len)
    assert len({text.rpartition(", run ")[0] for text in long}) == 1
    assert len(set(long)) == len(long)


def test_a_pipeline_rests_at_the_weekend() -> None:
    events = run({"kind": "ci", "name": "pipeline", "keys": 4}, days=7)
    days = Counter((traced.event.time_unix_nano - START_NANO) // DAY_NANO for traced in events)
    assert days[5] + days[6] < 0.5 * (days[1] + days[2])


def test_the_keys_of_a_reseller_are_alike_and_carry_many_customers_who_keep_their_ways() -> None:
    events = run({"kind": "reseller", "name": "shop", "keys": 3, "customers": 60}, days=3)
    keys = by_account(events)
    assert len(keys) == 3
    assert attribute(events, "stillwatch.org.verification") == {"business"}
    for used in keys.values():
        assert len(attribute(used, "stillwatch.system.text")) > 5
        assert len(attribute(used, "gen_ai.request.model")) > 1
    topics = [Counter(traced.topic // 4 for traced in used if traced.turn == 1) for used in keys.values()]
    assert all(rarefied_distinct(list(counts.values())) > 15 for counts in topics)


def test_a_reseller_fails_over_as_a_relay_does() -> None:
    events = run({"kind": "reseller", "name": "shop", "keys": 3, "customers": 60}, days=4)
    tried: dict[str, set[str]] = defaultdict(set)
    for traced in events:
        if traced.turn == 1:
            tried[str(traced.event.attributes["stillwatch.prompt.text"])].add(traced.event.account)
    assert sum(len(keys) > 1 for keys in tried.values()) > 2
    assert len({traced.event.id for traced in events}) == len(events)


def test_a_class_signs_up_in_a_lesson_and_pastes_one_assignment() -> None:
    group = {"kind": "classroom", "name": "class", "students": 25, "exercises": 3}
    events = run(group, days=4)
    created = sorted({traced.identity.created_unix_s for traced in events})
    assert created[len(created) // 2] - created[0] < 6 * 3_600
    assert len(attribute(events, "stillwatch.account.signup")) == 1
    pasted = Counter(prompts([traced for traced in events if traced.turn == 1])).most_common(3)
    assert all(count > 10 for _, count in pasted)
    addresses = Counter(row[0].identity.address for row in by_account(events).values())
    assert addresses.most_common(1)[0][1] > 8


def test_users_of_one_tool_share_client_and_prompt_and_are_strangers_otherwise() -> None:
    events = run({"kind": "agents", "name": "tool", "count": 30})
    for name in ("stillwatch.client.ja4", "user_agent.original", "stillwatch.system.text"):
        assert len(attribute(events, name)) == 1, name
    accounts = len(by_account(events))
    assert len(attribute(events, "stillwatch.org.id")) == accounts
    assert len(attribute(events, "client.address")) > 0.7 * accounts


def test_a_team_of_the_same_segment_asks_what_the_campaign_asks() -> None:
    team = {"kind": "team", "name": "team", "members": 20, "requests_per_day_median": 40}
    campaign = {"kind": "campaign", "name": "hydra", "accounts": 20, "requests_per_day": 60, "segment": "market"}

    def overlap(**changes: str) -> float:
        mixes: dict[str, Counter[int]] = defaultdict(Counter)
        for traced in run({**team, **changes}, campaign, days=4):
            if traced.turn == 1:
                mixes[traced.identity.group][traced.topic // 4] += 1
        one, other = mixes["team"], mixes["hydra"]
        return sum(min(one[cell] / one.total(), other[cell] / other.total()) for cell in one)

    assert overlap(segment="market") > overlap() + 0.05


def test_copies_are_groups_of_their_own() -> None:
    scenario = from_map(
        {"name": "x", "days": 1, "groups": [{"kind": "team", "name": "team", "members": 4, "copies": 3}]}
    )
    assert len({row.account for row in labels(scenario)}) == 12
    events = list(trace(scenario, TEXTS))
    assert {traced.identity.group for traced in events} == {"team-1", "team-2", "team-3"}
    assert len(attribute(events, "stillwatch.org.id")) == 3


def test_scale_changes_how_many_there_are_and_not_what_each_does() -> None:
    groups = [
        {"kind": "people", "name": "people", "count": 200},
        {"kind": "team", "name": "team", "members": 6, "copies": 10},
        {"kind": "campaign", "name": "hydra", "accounts": 60},
    ]
    scenario = from_map({"name": "x", "days": 1, "groups": groups})
    small = scenario.scaled(0.1)
    assert Counter(row.kind for row in labels(small)) == {"user": 20, "team": 6, "attack": 6}
    assert Counter(row.kind for row in labels(scenario.scaled(2.0))) == {"user": 400, "team": 120, "attack": 120}

    def rate(of: Any) -> float:
        events = [traced for traced in trace(of, TEXTS) if traced.identity.kind == "attack"]
        return len(events) / len({traced.event.account for traced in events})

    assert rate(small) == pytest.approx(rate(scenario), rel=0.2)


def test_people_come_and_go() -> None:
    group = {"kind": "people", "name": "people", "count": 150, "churn_share": 0.4}
    events = run(group, days=10)
    first, last = {}, {}
    for traced in events:
        first.setdefault(traced.event.account, traced.event.time_unix_nano)
        last[traced.event.account] = traced.event.time_unix_nano
        assert traced.event.time_unix_nano >= traced.identity.created_unix_s * 10**9
    newcomers = {traced.event.account for traced in events if traced.identity.created_unix_s * 10**9 > START_NANO}
    assert 30 < len(newcomers) < 90
    settled = run({**group, "churn_share": 0.0}, days=10)
    lasting = {traced.event.account for traced in settled if traced.event.time_unix_nano > START_NANO + 9 * DAY_NANO}
    staying = [account for account in last if last[account] > START_NANO + 9 * DAY_NANO]
    assert len(staying) < 0.85 * len(lasting)


def test_people_come_back_to_what_they_asked_about() -> None:
    def repeated(return_share: float) -> float:
        group = {"kind": "people", "name": "p", "count": 40, "focused_share": 0, "return_share": return_share}
        again = total = 0
        for used in by_account(run(group, days=3)).values():
            topics = [traced.topic for traced in used if traced.turn == 1]
            again += sum(topic in topics[max(0, place - 3) : place] for place, topic in enumerate(topics))
            total += len(topics)
        return again / total

    assert repeated(0.4) > repeated(0.0) + 0.1


def test_an_update_takes_the_users_of_a_tool_to_a_new_model_on_one_day() -> None:
    groups = [{"kind": "agents", "name": "users", "count": 60, "update_within_h": 12}]
    scenario = from_map({"name": "x", "days": 3, "release_at_h": 24, "groups": groups})
    models: dict[bool, set[object]] = {True: set(), False: set()}
    for traced in trace(scenario, TEXTS):
        at_h = (traced.event.time_unix_nano - START_NANO) / DAY_NANO * 24
        if at_h < 24 or at_h > 36:
            models[at_h > 36].add(traced.event.attributes["gen_ai.request.model"])
    assert models[True] == {"example-large-2"}
    assert "example-large-2" not in models[False]


def test_everybody_uses_a_new_model_some_day_and_a_campaign_at_once() -> None:
    groups = [
        {"kind": "people", "name": "people", "count": 300},
        {"kind": "campaign", "name": "hydra", "accounts": 30, "pivot_within_h": 6},
    ]
    scenario = from_map({"name": "x", "days": 4, "release_at_h": 24, "groups": groups})
    moved: dict[bool, set[str]] = {True: set(), False: set()}
    late: dict[bool, set[str]] = {True: set(), False: set()}
    for traced in trace(scenario, TEXTS):
        attack, at = traced.identity.kind == "attack", traced.event.time_unix_nano - START_NANO
        new = traced.event.attributes["gen_ai.request.model"] == "example-large-2"
        assert not (new and at < DAY_NANO)
        if at > 2 * DAY_NANO:
            late[attack].add(traced.event.account)
            if new:
                moved[attack].add(traced.event.account)
    assert moved[True] == late[True]
    assert 0.05 < len(moved[False]) / len(late[False]) < 0.5


def test_a_paced_class_is_at_the_same_exercise_on_the_same_day() -> None:
    group = {"kind": "classroom", "name": "class", "students": 25, "exercises": 7, "assignment_share": 1.0}
    by_day: dict[bool, list[set[int]]] = {}
    for paced in (False, True):
        days: dict[int, set[int]] = defaultdict(set)
        raw = {"name": "x", "seed": 3, "days": 7, "groups": [{**group, "paced": paced}]}
        for traced in trace(from_map(raw), BuiltinTexts()):
            if traced.turn == 1:
                days[(traced.event.time_unix_nano // 10**9 - 1_740_960_000) // 86_400].add(traced.topic)
        by_day[paced] = [days[day] for day in range(7)]
    assert all(len(topics) == 1 for topics in by_day[True])
    assert min(map(len, by_day[False])) > 1
