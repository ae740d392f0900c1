"""A scenario is checked before it runs, runs the same every time, and needs memory for accounts only."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from launch.scenarios import load_scenario
from stillwatch.errors import SettingsError
from stillwatch.event import RequestEvent, parse_event
from stillwatch.simulator import BuiltinTexts, LabelRow, Prompt, Scenario, from_map, labels, simulate, trace
from stillwatch.simulator.relay import Campaign
from stillwatch.simulator.scenario import KINDS
from stillwatch.wire import to_json_line

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = sorted((ROOT / "configs" / "scenarios").glob("*.yaml"))


def load(name: str) -> Scenario:
    return load_scenario(str(ROOT / "configs" / "scenarios" / f"{name}.yaml"))


def digest(scenario: Scenario) -> str:
    found = hashlib.sha256()
    for event in simulate(scenario, BuiltinTexts()):
        found.update(to_json_line(event).encode())
    return found.hexdigest()


def test_the_same_scenario_gives_the_same_bytes() -> None:
    assert digest(load("small")) == digest(load("small"))


def test_another_process_with_another_hash_seed_gives_the_same_bytes() -> None:
    program = (
        "import hashlib, sys, yaml; from stillwatch.simulator import *; from stillwatch.wire import to_json_line; "
        "s = from_map(yaml.safe_load(open(sys.argv[1]))); "
        "print(hashlib.sha256(''.join(map(to_json_line, simulate(s, BuiltinTexts()))).encode()).hexdigest())"
    )
    path = str(ROOT / "configs" / "scenarios" / "small.yaml")
    # An absolute root on the path: the child must find the same package wherever the tests were started.
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, timeout=60, env=environment, check=True
    )
    assert done.stdout.strip() == digest(load("small"))


def test_another_seed_gives_other_accounts_and_other_events() -> None:
    one = load("small")
    two = one.model_copy(update={"seed": one.seed + 1})
    assert not {row.account for row in labels(one)} & {row.account for row in labels(two)}
    assert digest(one) != digest(two)


def test_one_more_group_changes_nothing_for_the_others() -> None:
    raw: dict[str, Any] = {"name": "x", "days": 1, "groups": [{"kind": "people", "name": "people", "count": 20}]}
    alone = list(simulate(from_map(raw), BuiltinTexts()))
    more = {**raw, "groups": [{"kind": "saas", "name": "product", "keys": 2}, *raw["groups"]]}
    known = {event.account for event in alone}
    assert [event for event in simulate(from_map(more), BuiltinTexts()) if event.account in known] == alone


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_every_scenario_in_the_repository_is_good(path: Path) -> None:
    scenario = load(path.stem)
    assert scenario.name == path.stem
    rows = labels(scenario.scaled(0.02) if path.stem == "disclosed" else scenario)
    assert len({row.account for row in rows}) == len(rows)
    assert {row.kind for row in rows} >= {"user", "team", "saas"}
    assert any(row.kind == "attack" for row in rows) is (not path.stem.startswith("honest-"))


@pytest.mark.parametrize("name", ["standard-nocover", "standard-cover50", "standard-cover80", "standard-cover90"])
def test_a_standard_scenario_is_the_honest_world_and_two_campaigns_of_light_users(name: str) -> None:
    honest = labels(load("honest-hard"))
    rows = labels(load(name))
    assert rows[: len(honest)] == honest
    assert len(honest) >= 2_000
    assert {row.campaign for row in rows[len(honest) :]} == {"hydra", "heron"}
    assert {row.kind for row in honest} >= {
        "user", "team", "agent", "classroom", "saas", "gateway", "reseller", "evaluation", "batch", "ci",
    }  # fmt: skip


def test_the_ordered_scenario_is_standard_cover50_but_for_the_order_of_its_pools() -> None:
    ordered, standard = load("ordered-cover50"), load("standard-cover50")
    assert {group.order for group in ordered.groups if isinstance(group, Campaign)} == {"pool"}
    groups = [
        group.model_copy(update={"order": "shuffled"}) if isinstance(group, Campaign) else group
        for group in ordered.groups
    ]
    assert ordered.model_copy(update={"name": standard.name, "groups": tuple(groups)}) == standard


def test_the_disclosed_campaign_has_the_accounts_and_requests_that_were_disclosed() -> None:
    scenario = load("disclosed").scaled(0.004)
    campaign = [group for group in scenario.groups if group.kind == "campaign"]
    rows = [row for row in labels(scenario) if row.kind == "attack"]
    assert len(rows) == pytest.approx(100, rel=0.1)
    alone = scenario.model_copy(update={"groups": tuple(campaign)})
    assert sum(1 for _ in simulate(alone, OneText())) == pytest.approx(115_200, rel=0.1)


class OneText:
    """For what depends on times and accounts only."""

    topics, popularity, languages = ("all",), (1.0,), ("en",)

    def size(self, topic: int, language: str) -> int:
        return 10**9

    def opening(self, topic: int, language: str, index: int) -> Prompt:
        return Prompt("a question", 100)

    def follow_up(self, topic: int, language: str, index: int, turn: int, pick: int) -> Prompt:
        return Prompt("more", 100)


def test_events_come_in_time_order_inside_the_scenario_with_ids_of_their_own() -> None:
    scenario = load("small")
    events = list(simulate(scenario, BuiltinTexts()))
    times = [event.time_unix_nano for event in events]
    assert times == sorted(times)
    assert scenario.start_unix_s * 10**9 <= times[0]
    assert times[-1] < (scenario.start_unix_s + 86_400) * 10**9
    assert len({event.id for event in events}) == len(events)
    assert {event.account for event in events} <= {row.account for row in labels(scenario)}


def test_every_event_passes_the_door_of_the_core_unchanged() -> None:
    for event in simulate(load("small"), BuiltinTexts()):
        parsed = parse_event(event.to_map())
        assert isinstance(parsed, RequestEvent)
        assert parsed == event


def test_labels_say_who_is_who() -> None:
    rows = labels(load("small"))
    assert Counter(row.kind for row in rows) == {
        "user": 60, "team": 8, "saas": 3, "gateway": 2, "evaluation": 1, "attack": 12,
    }  # fmt: skip
    assert {row.campaign for row in rows if row.kind == "attack"} == {"hydra"}
    assert {row.campaign for row in rows if row.kind != "attack"} == {""}
    assert LabelRow(rows[0].account, "user") == rows[0]


def test_the_demo_fits_into_a_minute_and_a_half_of_replay() -> None:
    kinds = Counter(traced.identity.kind for traced in trace(load("demo"), BuiltinTexts()))
    assert 20_000 <= kinds.total() <= 30_000
    assert kinds["attack"] > 3_500
    assert kinds["team"] > 800


def test_a_failed_call_has_an_error_and_no_answer() -> None:
    events = list(simulate(load("small"), BuiltinTexts()))
    failed = [event for event in events if event.text("error.type")]
    assert 0.002 < len(failed) / len(events) < 0.015
    assert all(event.number("gen_ai.usage.output_tokens") is None for event in failed)
    assert all(
        (event.number("gen_ai.usage.output_tokens") or 0) > 0 for event in events if not event.text("error.type")
    )


def test_memory_grows_with_accounts_and_not_with_days() -> None:
    texts = BuiltinTexts()

    def peak(days: int) -> int:
        groups = [
            {"kind": "people", "name": "people", "count": 20},
            {"kind": "campaign", "name": "hydra", "accounts": 5},
        ]
        scenario = from_map({"name": "long", "days": days, "groups": groups})
        tracemalloc.start()
        try:
            count = sum(1 for _ in simulate(scenario, texts))
            assert count > 200 * days
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(5)  # fills the texts' own caches, which are bounded by topics
    assert peak(5) < 1.5 * peak(1)


def group(**changes: Any) -> dict[str, Any]:
    return {"name": "x", "days": 1, "groups": [{"kind": "campaign", "name": "hydra", "accounts": 9, **changes}]}


@pytest.mark.parametrize(
    ("raw", "key", "says"),
    [
        (None, "scenario", "dictionary"),
        ({"name": "x", "days": 1}, "groups", "Add this key"),
        ({**group(), "dyas": 2}, "dyas", "Did you mean days?"),
        (group(cover_shar=0.5), "groups.0.cover_shar", "Did you mean cover_share?"),
        (group(cover_share=1.5), "groups.0.cover_share", "less than 1"),
        (group(kind="swarm"), "groups.0", "Set kind to one of people, team, agents"),
        (group(accounts="many"), "groups.0.accounts", "integer"),
        (group(cohorts=12), "groups.0", "at most one cohort an account"),
        (group(xyzzy=1), "groups.0.xyzzy", "Known keys: accounts"),
        ({**group(), "groups": group()["groups"] * 2}, "scenario", "same name"),
        ({**group(), "groups": []}, "scenario", "at least one"),
        ({"name": "x", "days": 1, "groups": [
            {"kind": "people", "name": "p", "count": 1, "requests_per_day_median": 30}]}, "groups.0", "heavy upper tail"),
    ],
)  # fmt: skip
def test_a_bad_scenario_names_the_key_and_what_to_write(raw: Any, key: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        from_map(raw)
    assert caught.value.key == key
    assert says in str(caught.value)


def test_topics_of_a_group_can_be_chosen_by_pattern() -> None:
    texts = BuiltinTexts()
    scenario = from_map(group(topics=["*/code/*"]))
    assert {texts.topics[traced.topic].split("/")[1] for traced in trace(scenario, texts)} == {"code"}
    with pytest.raises(SettingsError, match="no topic matches"):
        list(trace(from_map(group(topics=["cookery/*"])), texts))


COMMON = {"kind", "name", "topics", "copies", "segment"}


def test_every_key_of_every_kind_is_documented() -> None:
    text = (ROOT / "docs" / "simulator.md").read_text()
    assert all(f"`{key}`" in text for key in COMMON | set(Scenario.model_fields))
    for kind, model in KINDS.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{kind}` "))
        if kind == "campaign":  # its relay has a table of its own
            row += text.partition("### The relay of a `campaign`")[2].partition("###")[0]
        missing = [key for key in model.model_fields if f"`{key}`" not in row and key not in COMMON]
        assert not missing, f"{kind}: {missing}"
