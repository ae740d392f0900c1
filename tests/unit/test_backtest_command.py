"""`stillwatch backtest` on files: what a person and a program get."""

import gzip
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from launch.cli import app_for, main
from launch.files import write_events, write_labels
from launch.scenarios import load_scenario
from stillwatch.simulator import BuiltinTexts, labels, simulate
from stillwatch.wire import to_json_line

SMALL = load_scenario("configs/scenarios/small.yaml")
EVENTS = list(simulate(SMALL, BuiltinTexts()))[:1_500]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backtest")
    write_events(folder / "events.jsonl.gz", EVENTS)
    write_events(folder / "even.jsonl", EVENTS[::2])
    write_events(folder / "odd.jsonl.gz", EVENTS[1::2])
    write_labels(folder / "labels.csv", ((row.account, row.kind, row.campaign or "") for row in labels(SMALL)))
    return folder


def run(*arguments: str | Path) -> tuple[int, str, str]:
    found = CliRunner().invoke(app_for(["backtest"]), ["backtest", *map(str, arguments)])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found.exit_code, found.stdout, found.stderr


def test_the_report_has_what_the_contract_promises_and_the_same_bytes_again(files: Path) -> None:
    labelled = ("--labels", files / "labels.csv")
    for out in ("one.json", "two.json"):
        assert run(files / "events.jsonl.gz", *labelled, "--out", files / out)[0] == 0
    assert (files / "one.json").read_bytes() == (files / "two.json").read_bytes()
    report = json.loads((files / "one.json").read_text())
    assert report["events"] == len(EVENTS)
    assert report["accounts"] == len({event.account for event in EVENTS})
    assert report["detector"].keys() >= {"version", "config_sha256"}
    assert report["evaluation"]["attack"]["hydra"].keys() == {
        "accounts", "acted_on", "hours_to_half", "hours_to_90", "requests", "requests_before_action",
    }  # fmt: skip
    assert report["evaluation"]["benign"]["user"].keys() == {"accounts", "acted_on", "revoked"}
    assert report["events_per_second"] == pytest.approx(report["events"] / report["span_hours"] / 3_600, rel=1e-3)


def test_a_file_in_two_halves_gives_the_same_report(files: Path) -> None:
    whole = run(files / "events.jsonl.gz", "--detector", "volume", "--json")
    halves = run(files / "odd.jsonl.gz", files / "even.jsonl", "--detector", "volume", "--json")
    assert whole[1] == halves[1]


def test_lines_that_are_no_events_are_counted_and_listed_and_stop_nothing(files: Path) -> None:
    broken = files / "broken.jsonl"
    good = [to_json_line(event) for event in EVENTS[:20]]
    bad = ["{", '{"v": 2}', *['{"v": 1, "id": "x"}'] * 12]
    broken.write_text("\n".join([*good[:10], *bad, *good[10:]]), encoding="utf-8")
    code, out, err = run(broken, "--detector", "volume", "--json")
    report = json.loads(out)
    assert (code, report["events"], report["input"]["rejected"]) == (0, 20, 14)
    assert [row["line"] for row in report["input"]["first_rejected"]] == list(range(11, 21))
    assert "broken.jsonl line 11" in err
    assert "4 more" in err


def test_a_file_that_was_cut_off_gives_what_is_before_the_cut(files: Path) -> None:
    whole = (files / "events.jsonl.gz").read_bytes()
    (files / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    code, out, err = run(files / "cut.jsonl.gz", "--detector", "volume", "--json")
    report = json.loads(out)
    assert code == 0
    assert 0 < report["events"] < len(EVENTS)
    assert report["input"]["rejected"] == 1
    assert "damaged" in err
    assert gzip.decompress(whole)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.jsonl"], "no such file"),
        (["{even}", "--detector", "psychic"], "Choose one of stillwatch"),
        (["{even}", "--labels", "{even}"], "account,kind,campaign"),
        (["{even}", "--policy", "nowhere.yaml"], "no such file"),
    ],
)
def test_what_can_not_work_ends_with_2_and_says_what_to_do(
    files: Path, arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [argument.replace("{even}", str(files / "even.jsonl")) for argument in arguments]
    monkeypatch.setattr("sys.argv", ["stillwatch", "backtest", *given])
    assert main() == 2
    assert words in capsys.readouterr().err


class Page(HTMLParser):
    """Which tags a page has, and what they refer to."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.references: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.references += [value or "" for name, value in attrs if name in ("href", "src", "xlink:href")]
        self.ids += [value or "" for name, value in attrs if name == "id"]


def test_the_page_needs_nothing_but_itself_and_has_the_same_bytes_again(files: Path) -> None:
    for out in ("one.html", "two.html"):
        run(files / "events.jsonl.gz", "--labels", files / "labels.csv", "--detector", "volume", "--html", files / out)
    text = (files / "one.html").read_text(encoding="utf-8")
    assert text == (files / "two.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert page.tags.count("svg") == 3
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert all(reference.startswith("#") and reference[1:] in page.ids for reference in page.references)
    assert len(page.ids) == len(set(page.ids))
    assert not re.search(r"url\((?!#)", text)
    assert "@import" not in text


def test_the_page_escapes_what_comes_from_the_data(files: Path) -> None:
    hostile = files / "hostile.jsonl"
    hostile.write_text('{"v": 1, "id": "<script>alert(1)</script>", "account": "<b>"}\n', encoding="utf-8")
    renamed = hostile.rename(files / "<i>.jsonl")
    rows = "account,kind,campaign\n" + "".join(f"{event.account},<img src=x>,\n" for event in EVENTS[:5])
    (files / "hostile.csv").write_text(rows, encoding="utf-8")
    run(
        renamed,
        files / "even.jsonl",
        "--labels",
        files / "hostile.csv",
        "--detector",
        "volume",
        "--html",
        files / "h.html",
    )
    page = Page()
    page.feed((files / "h.html").read_text(encoding="utf-8"))
    assert not {"script", "img", "i"} & set(page.tags)


def test_a_page_without_labels_is_whole_too(files: Path) -> None:
    run(files / "odd.jsonl.gz", "--detector", "entropy", "--html", files / "bare.html")
    text = (files / "bare.html").read_text(encoding="utf-8")
    assert "Scores by kind" in text
    assert "How soon" not in text
