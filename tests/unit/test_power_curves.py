"""Power curves from cells made by hand: rates that can be shown, medians, and prices that follow from the cells."""

from argparse import Namespace
from typing import Any

import numpy as np
import pytest

from benchmarks.power import COVERS, cells_of, found_by_campaign, points, worlds
from benchmarks.power_text import Found, accounts_for, document, pictures, rate_of


def a_cell(
    detector: str, cover: float, accounts: int, found: float, *, seed: int = 1, honest: int = 2_000
) -> dict[str, Any]:
    rates = {"0.01": min(2 * found, 1.0), "0.001": found, "0.0001": None}
    days = {str(day): {"relay": rates, "people": {**rates, "0.001": 0.0}} for day in (1, 7)}
    return {
        "seed": seed, "detector": detector, "cover": cover, "accounts": accounts, "requests_per_day": 25.6,
        "personas": {"relay": False, "people": True}, "events": 1, "honest": honest, "days": days,
    }  # fmt: skip


CELLS = [
    a_cell("stillwatch", 0.0, 100, 0.9), a_cell("stillwatch", 0.5, 100, 0.5), a_cell("stillwatch", 0.8, 100, 0.05),
    a_cell("stillwatch", 0.5, 20, 0.02), a_cell("midas", 0.5, 100, 0.0),
]  # fmt: skip


def test_each_campaign_is_found_above_what_honest_accounts_exceed() -> None:
    honest = {f"h{n}": float(n) for n in range(1_000)}
    scores = {**honest, "a0": 998.5, "a1": 998.0, "b0": 2_000.0}
    kinds = {**dict.fromkeys(honest, "user"), "a0": "attack", "a1": "attack", "b0": "attack", "b1": "attack"}
    of = {"a0": "ants", "a1": "ants", "b0": "bees", "b1": "bees", "silent": "bees"}
    found = found_by_campaign(scores, kinds, of)
    assert found["ants"] == {"0.01": 1.0, "0.001": 0.5, "0.0001": None}
    assert found["bees"]["0.001"] == 0.5, "an account without an opinion is not found"


@pytest.mark.parametrize(("honest", "rate"), [(11_000, 1e-4), (9_999, 1e-3), (1_000, 1e-3), (999, 1e-2)])
def test_the_rate_is_the_smallest_that_the_honest_accounts_can_show(honest: int, rate: float) -> None:
    assert rate_of([a_cell("stillwatch", 0.5, 100, 0.5, honest=honest)]) == rate


def test_the_label_says_that_ten_thousand_are_missing() -> None:
    text = document(CELLS, "the command", [])
    assert "one in 1,000 honest accounts exceed (a rate of 0.001); 2,000 accounts can not show 1 in 10,000" in text
    assert "found at a false positive rate of 0.001, %" in pictures(CELLS, "power")["power-cover.svg"]


def test_medians_and_spreads_are_over_seeds() -> None:
    cells = [a_cell("stillwatch", 0.5, 100, value, seed=seed) for seed, value in enumerate((0.2, 0.3, 0.7))]
    line = Found(cells).line("stillwatch", False, [(1.0, (0.5, 100), 7)])
    assert line is not None
    assert (line.y, line.low, line.high) == ((0.3,), (0.2,), (0.7,))
    assert "30% (20% – 70%)" in document(cells, "c", [])


def test_prices_follow_from_the_cells() -> None:
    text = document(CELLS, "c", [])
    price = text[text.index("What an attacker must pay") :]
    assert (
        "80% is the least share tried that stays below, at 5.0 requests for each that is harvested and 125,000 accounts"
        in price
    )
    assert "with 50% cover those of 20 accounts stay below, of 20, 100 tried; in groups of 20 the harvest" in price
    assert "is split over 2,500 campaigns" in price
    assert "it is above after 1 day(s), the first day looked at. New accounts every 1 day(s) are 2,250,000" in price
    assert "and that is not often enough" in price
    persons = price[price.index("as persons:") :]
    assert "0% is the least share tried that stays below" in persons
    assert "there is no need to within 7 days" in persons


def test_a_size_that_is_found_is_not_called_below_because_a_larger_one_is() -> None:
    found = {20: 0.65, 50: 0.0, 100: 0.66}
    text = document([a_cell("stillwatch", 0.5, size, value) for size, value in found.items()], "c", [])
    assert "those of 50 accounts stay below, of 20, 50, 100 tried; in groups of 50 the harvest" in text


def test_where_nothing_stays_below_it_says_that() -> None:
    cells = [a_cell("stillwatch", cover, 100, 0.8) for cover in COVERS]
    assert "no share tried stays below, up to 90%" in document(cells, "c", [])


def test_a_harvest_costs_more_accounts_the_more_cover_there_is() -> None:
    assert np.all(np.diff([accounts_for(cover, 26.0) for cover in COVERS]) > 0)


def test_without_the_grid_one_of_the_two_is_varied_at_a_time() -> None:
    assert {cover for cover, size in points(grid=False) if size != 100} == {0.5}
    assert set(points(grid=False)) < set(points(grid=True))


def test_detectors_of_a_world_see_the_same_events_and_days_end_with_the_traffic() -> None:
    chosen = Namespace(days=1, texts=None, detector=["stillwatch", "midas", "fraudar", "entropy", "hst"])
    jobs = cells_of("configs/scenarios/small.yaml", 0.25, 20, 1, chosen)
    found = worlds(jobs)
    assert [cell["detector"] for cell in found] == chosen.detector
    assert len({cell["events"] for cell in found}) == 1
    assert {(cell["cover"], cell["accounts"], *cell["days"]) for cell in found} == {(0.25, 20, "1")}
    assert all(cell["days"]["1"]["hydra"]["0.01"] is None for cell in found), "60 honest accounts can not show 1 in 100"
