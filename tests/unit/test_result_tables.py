"""The tables: what they say of who is better is computed, and a job goes on where it was."""

import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks import cells, tables
from benchmarks.cells import Cell
from benchmarks.tables_text import document, hours_to_half, leaked
from stillwatch.simulator import BuiltinTexts


def a_cell(
    found: float, *, half: float | None = 30.0, hit: int = 0, seed: int = 1, honest: int = 500
) -> dict[str, Any]:
    day = {
        "found": {"0.01": found, "0.001": None, "0.0001": None}, "area": 0.9, "hit": {"user": 0.01}, "hit_rate": 0.01,
    }  # fmt: skip
    attack = {"accounts": 10, "acted_on": 5, "hours_to_half": half, "hours_to_90": None, "requests": 100,
              "requests_before_action": 40}  # fmt: skip
    return {
        "seed": seed, "events": 1_000, "attackers": 10, "honest": honest, "kinds": {"user": honest}, "days": {"1": day},
        "roc": [(0.0, 0.0), (1.0, 1.0)], "calibration": [], "held_back": 0, "campaigns": 1,
        "evaluation": {"attack": {"c": attack},
                       "benign": {"user": {"accounts": honest, "acted_on": hit, "revoked": 0}}},
    }  # fmt: skip


def test_a_rival_that_is_better_is_named_with_both_figures_and_one_that_is_not_is_silent() -> None:
    results = {
        ("s", "stillwatch"): [a_cell(0.5, hit=2)],
        ("s", "entropy"): [a_cell(0.75, half=None)],
        ("s", "volume"): [a_cell(0.25, hit=3)],
    }
    text = document(results, ["s"], "the command", [])
    better = text[text.index("Where a rival") :]
    assert "attackers found at 0.01 after 1 d: **entropy** 75%, ours 50%" in better
    assert "honest accounts acted on: **entropy** 0, ours 2" in better
    assert "volume" not in better
    assert "hours to half" not in better


def test_where_no_rival_is_better_it_says_that() -> None:
    results = {("s", "stillwatch"): [a_cell(0.5)], ("s", "volume"): [a_cell(0.2)]}
    assert "No rival's median is better" in document(results, ["s"], "c", [])


def test_a_scenario_in_which_all_are_equal_is_no_victory() -> None:
    results = {("s", "stillwatch"): [a_cell(0.0)], ("s", "volume"): [a_cell(0.0)]}
    text = document(results, ["s"], "c", [])
    assert "tells nobody apart" in text
    assert "No rival" not in text


def test_rates_below_the_resolution_are_left_out_and_said() -> None:
    text = document({("s", "stillwatch"): [a_cell(0.5)]}, ["s"], "c", [])
    assert "Rates of 0.001 and 0.0001 are below what 500 accounts show" in text
    assert "rate of 0.001:" not in text


def test_the_spread_over_seeds_is_shown_and_never_is_a_value() -> None:
    results = {
        ("s", "stillwatch"): [a_cell(0.2, half=10), a_cell(0.5, half=20, seed=2), a_cell(0.9, half=None, seed=3)]
    }
    text = document(results, ["s"], "c", [])
    assert "50% (20% – 90%)" in text
    assert "20 (10 – never)" in text


def test_the_slowest_campaign_counts_and_leaks_add_up() -> None:
    cell = a_cell(0.5)
    cell["evaluation"]["attack"]["d"] = {**cell["evaluation"]["attack"]["c"], "hours_to_half": None, "requests": 300}
    assert hours_to_half(cell) == math.inf
    assert leaked(cell) == 80 / 400


def test_a_cell_is_computed_once_and_then_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = Cell("configs/scenarios/small.yaml", 1_001, "volume")
    [computed] = cells.compute([cell], tmp_path, BuiltinTexts())
    assert cells.cached(cell, tmp_path) is not None
    assert computed["attackers"] == 12
    monkeypatch.setattr(tables, "compute", lambda *_: pytest.fail("it is in the cache"))
    out = tmp_path / "docs" / "results.md"
    arguments = ["--scenario", cell.scenario, "--seeds", "1", "--detector", "volume", "--cache", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["tables", *arguments, "--out", str(out)])
    tables.main()
    assert "| volume |" in out.read_text(encoding="utf-8")
    assert (out.parent / "pictures" / "results-roc-small.svg").read_text(encoding="utf-8").startswith("<svg")


def test_whatever_decides_a_cell_changes_its_key(tmp_path: Path) -> None:
    (tmp_path / "prompts.jsonl.gz").write_bytes(b"")
    cell = Cell("configs/scenarios/small.yaml", 1, "volume")
    others = [
        Cell("configs/scenarios/demo.yaml", 1, "volume"),
        Cell("configs/scenarios/small.yaml", 2, "volume"),
        Cell("configs/scenarios/small.yaml", 1, "entropy"),
        Cell("configs/scenarios/small.yaml", 1, "volume", texts=str(tmp_path)),
    ]
    assert len({cell.key(), *(other.key() for other in others)}) == 5
    assert cell.key() == Cell("configs/scenarios/small.yaml", 1, "volume").key()


def sources(detector: str) -> set[str]:
    return {str(path) for path in cells._sources(detector)}


def test_our_cells_depend_on_all_of_the_core() -> None:
    ours = sources("stillwatch")
    assert {
        "stillwatch/account/profile.py", "stillwatch/prompts/topics.py", "stillwatch/evidence.py", "stillwatch/tails.py",
        "stillwatch/correlation/evidence.py", "stillwatch/signals/base.py", "stillwatch/models/anomaly.py",
        "stillwatch/backtest/calibration.py", "stillwatch/simulator/relay.py", "benchmarks/crowds.py",
    } <= ours  # fmt: skip
    assert not any("/rivals/" in path for path in ours)


def test_a_rivals_cells_survive_changes_of_our_detector() -> None:
    theirs = sources("entropy")
    assert {
        "stillwatch/rivals/entropy.py", "stillwatch/fingerprint.py", "stillwatch/prompts/topics.py",
        "stillwatch/simulator/relay.py", "stillwatch/backtest/curves.py",
    } <= theirs  # fmt: skip
    assert not theirs & {
        "stillwatch/scoring.py", "stillwatch/evidence.py", "stillwatch/account/state.py", "stillwatch/event.py",
        "stillwatch/backtest/calibration.py", "stillwatch/backtest/ours.py",
    }  # fmt: skip


def test_the_calibration_table_says_what_accounts_are_worth_and_which_signals_break_their_promise() -> None:
    cell = a_cell(0.5)
    row = {"signal": "quiet_hours", "kind": "team", "accounts": 40, "independent": 9, "excess": 0.1, "excess_p": 0.8,
           "histogram": [0.05] * 20}  # fmt: skip
    cell["calibration"] = [row, {**row, "kind": "user", "independent": 40, "excess": 0.5, "excess_p": 1e-9}]
    text = document({("s", "stillwatch"): [cell]}, ["s"], "c", [])
    assert "1 of 2 have more small p-values" in text
    assert "quiet_hours on user." in text
    assert "| quiet_hours | team | 40 | 9 | 0.100 | 0.8 |" in text


def test_honest_kinds_without_an_opinion_are_named() -> None:
    cell = {**a_cell(0.5), "kinds": {"team": 40, "user": 100, "batch": 8}}
    row = {"signal": "quiet_hours", "kind": "team", "accounts": 40, "independent": 9, "excess": 0.1, "excess_p": 0.8,
           "histogram": [0.05] * 20}  # fmt: skip
    cell["calibration"] = [row, {**row, "kind": "user"}]
    text = document({("s", "stillwatch"): [cell]}, ["s"], "c", [])
    assert "no p-value, on batch: too few" in text
