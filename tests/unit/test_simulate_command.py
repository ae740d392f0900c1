"""`stillwatch simulate` writes event files that the other commands read, from built-in texts or from anybody's."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from pathlib import Path

import pytest
import yaml

from launch.arrival_files import arrivals_of
from launch.commands_data import simulate
from launch.files import read_events
from launch.prompts import load_prompts
from launch.scenarios import load_scenario, resized
from stillwatch.errors import SettingsError
from stillwatch.event import RequestEvent
from stillwatch.simulator import from_map
from stillwatch.simulator.timing import FITTED, Clients, Trace

ROOT = Path(__file__).resolve().parents[2]
SMALL = str(ROOT / "configs" / "scenarios" / "small.yaml")


def events_of(path: Path) -> list[RequestEvent]:
    found = list(read_events(path))
    assert all(isinstance(event, RequestEvent) for event in found)
    return [event for event in found if isinstance(event, RequestEvent)]


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
def test_every_kind_of_file_holds_the_same_events_and_comes_out_the_same_again(tmp_path: Path, suffix: str) -> None:
    paths = [tmp_path / f"{name}{suffix}" for name in ("one", "two")]
    for path in paths:
        simulate(SMALL, out=path, labels_out=tmp_path / "labels.csv", scale=0.2)
    one, two = (path.read_bytes() for path in paths)
    # gzip keeps the file's name in its header.
    assert one[-200:] == two[-200:]
    events = events_of(paths[0])
    assert len(events) > 300
    with (tmp_path / "labels.csv").open() as lines:
        known = {row["account"]: row for row in csv.DictReader(lines)}
    assert {event.account for event in events} <= set(known)
    assert {row["campaign"] for row in known.values()} == {"", "hydra"}


def test_a_run_that_fails_leaves_no_file(tmp_path: Path) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "few.jsonl").write_text("".join(json.dumps({"text": f"question {n}"}) + "\n" for n in range(5)))
    with pytest.raises(SettingsError, match="used every prompt"):
        simulate(SMALL, out=tmp_path / "out.jsonl", texts=texts, variants=1)
    assert [path.name for path in tmp_path.iterdir()] == ["texts"]


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    """Rows with and without topics, a thread of two turns, and plain files in folders."""
    folder = tmp_path / "prompts"
    (folder / "recipes").mkdir(parents=True)
    rows = [{"text": f"How do I bake bread number {n}?", "topic": "baking"} for n in range(40)]
    rows += [{"text": "Which rook is mine?", "thread": "t1"}, {"text": "And then?", "thread": "t1"}]
    with gzip.open(folder / "forum.jsonl.gz", "wt") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows)
    for n in range(3):
        (folder / "recipes" / f"{n}.txt").write_text(f"Soup number {n}\n")
    return folder


def test_prompts_come_from_any_directory(prompts: Path) -> None:
    pool = load_prompts(prompts, likeness=False, variants=1, seed=1)
    assert set(pool.topics) == {"forum/baking", "forum/all", "recipes"}
    thread = pool.topics.index("forum/all")
    assert pool.opening(thread, "", 0).text == "Which rook is mine?"
    assert pool.follow_up(thread, "", 0, 2, 0).text == "And then?"
    assert pool.opening(pool.topics.index("recipes"), "", 2).text == "Soup number 2"


def test_topics_can_be_made_from_the_texts(prompts: Path) -> None:
    pool = load_prompts(prompts, likeness=True, variants=1, seed=1)
    assert all(topic.startswith("topic-") for topic in pool.topics)
    assert sum(pool.size(topic, "") for topic in range(len(pool.topics))) == 44


def test_attackers_and_honest_people_use_the_directorys_texts(prompts: Path, tmp_path: Path) -> None:
    simulate(SMALL, out=tmp_path / "out.jsonl", texts=prompts, variants=100)
    texts = Counter(
        "bread" in str(event.attributes["stillwatch.prompt.text"])
        for event in events_of(tmp_path / "out.jsonl")
        if event.attributes["stillwatch.prompt.turn"] == 1
    )
    assert texts[True] / texts.total() > 0.6


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [("a.jsonl", "{oops\n", "not JSON"), ("a.jsonl", '{"prompt": "x"}\n', "no `text`"), ("a.md", "x", "no prompts")],
)
def test_a_directory_that_can_not_be_read_names_the_line(tmp_path: Path, name: str, content: str, says: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(SettingsError, match=says):
        load_prompts(tmp_path, likeness=False, variants=1, seed=1)


def test_a_scenario_can_extend_another(tmp_path: Path) -> None:
    base = {"name": "base", "days": 1, "groups": [{"kind": "people", "name": "p", "count": 5}]}
    more = {"extends": "base.yaml", "name": "more", "groups": [
        {"name": "p", "count": 7}, {"kind": "campaign", "name": "h", "accounts": 3}]}  # fmt: skip
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(base))
    (tmp_path / "more.yaml").write_text(yaml.safe_dump(more))
    scenario = load_scenario(str(tmp_path / "more.yaml"), seed=9)
    assert (scenario.name, scenario.days, scenario.seed) == ("more", 1, 9)
    assert [(group.kind, group.name) for group in scenario.groups] == [("people", "p"), ("campaign", "h")]
    assert scenario.groups[0].model_dump()["count"] == 7
    (tmp_path / "third.yaml").write_text(yaml.safe_dump({"extends": "more.yaml"}))
    with pytest.raises(SettingsError, match="extends another"):
        load_scenario(str(tmp_path / "third.yaml"))


def test_length_and_size_can_be_changed_within_bounds() -> None:
    scenario = resized(load_scenario(SMALL), scale=0.5, days=3)
    assert scenario.days == 3
    assert scenario.groups[0].model_dump()["count"] == 30
    for wrong in ({"scale": 0.0}, {"days": 0}):
        with pytest.raises(SettingsError):
            resized(scenario, **wrong)  # type: ignore[arg-type]


def test_recorded_arrivals_are_read_from_csv(tmp_path: Path) -> None:
    trace, windows = tmp_path / "trace.csv", tmp_path / "windows.csv"
    trace.write_text(
        "TIMESTAMP,n\n" + "".join(f"2023-11-16 18:{n // 60:02}:{n % 60:02}.5000000,1\n" for n in range(300))
    )
    windows.write_text(
        "client_id,window_start_s,rate_rps,cv_iat,pattern\n"
        + "".join(f"{client},{at * 600},{at % 2},1.3,Gamma\n" for client in "ab" for at in range(12))
    )

    def read(**recorded: str) -> object:
        groups = [{"kind": "people", "name": "p", "count": 1}]
        return arrivals_of(from_map({"name": "x", "days": 1, "arrivals": recorded, "groups": groups}))

    assert isinstance(read(trace=str(trace)), Trace)
    assert isinstance(read(windows=str(windows)), Clients)
    assert arrivals_of(load_scenario(SMALL)) is FITTED
    with pytest.raises(SettingsError, match="no time column"):
        read(trace=str(windows))
    with pytest.raises(SettingsError, match="rate_rps"):
        read(windows=str(trace))
    with pytest.raises(SettingsError, match="no such file"):
        read(trace=str(tmp_path / "nowhere.csv"))
    with pytest.raises(SettingsError, match="one of trace and windows"):
        read(trace="a", windows="b")


CORPORA = ROOT.parent / "shared" / "corpora"


@pytest.mark.skipif(not CORPORA.is_dir(), reason="the shared corpora are not at hand")
def test_published_traces_are_read() -> None:
    def read(**recorded: str) -> object:
        groups = [{"kind": "people", "name": "p", "count": 1}]
        return arrivals_of(from_map({"name": "x", "days": 1, "arrivals": recorded, "groups": groups}))

    assert isinstance(read(trace=str(CORPORA / "arrivals_azure2023_code.csv.gz")), Trace)
    assert isinstance(read(trace=str(CORPORA / "arrivals_mooncake_conversation.csv.gz"), unit="ms"), Trace)
