"""The rivals from graph mining: MIDAS-R and FRAUDAR, against their papers."""

import zlib

import numpy as np
import pytest
from factories import T0
from hypothesis import given, settings
from hypothesis import strategies as st

from stillwatch.event import RequestEvent
from stillwatch.rivals.fraudar import density, peel
from stillwatch.rivals.midas import CountMin, Midas, burst_score

HOUR = 3_600_000_000_000


def test_the_burst_score_is_the_chi_squared_statistic_of_the_paper() -> None:
    """Two bins, the current tick and all before it: (o - e)²/e over both equals the closed form."""
    now, total, tick = 30.0, 90.0, 6
    expected = total / tick
    both = (now - expected) ** 2 / expected + ((total - now) - (total - expected)) ** 2 / (total - expected)
    assert burst_score(now, total, tick) == pytest.approx(both)


def test_a_steady_edge_and_the_first_tick_score_nothing() -> None:
    assert burst_score(now=5, total=50, tick=10) == 0
    assert burst_score(now=50, total=50, tick=1) == 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 50), max_size=300))
def test_a_count_min_sketch_never_counts_too_little(keys: list[int]) -> None:
    sketch, truth = CountMin(columns=16), dict.fromkeys(range(51), 0)
    for key in keys:
        truth[key] += 1
        assert sketch.add(str(key).encode()) >= truth[key]


def test_the_rows_of_the_sketch_collide_independently() -> None:
    """Rows that shared their collisions would make the second row useless."""
    keys = [f"key-{number}".encode() for number in range(2_000)]
    sketch = CountMin()
    places = []
    for key in keys:
        before = [row.copy() for row in sketch._cells]
        sketch.add(key)
        places.append(
            tuple(int(np.argmax(np.asarray(r) - np.asarray(b))) for r, b in zip(sketch._cells, before, strict=True))
        )
    both = sum(count - 1 for count in np.unique(places, axis=0, return_counts=True)[1])
    assert len({zlib.crc32(key) for key in keys}) == len(keys)
    assert both < 12  # 2000² / 2 / 1024² = 1.9 expected; shared collisions would make it over 900


def test_midas_sees_a_burst_of_one_edge_and_not_steady_traffic() -> None:
    rival = Midas()
    for hour in range(48):
        for account in range(30):
            rival.observe(
                RequestEvent(
                    f"s-{hour}-{account}", f"steady{account}", T0 + hour * HOUR, {"client.address": f"a{account}"}
                )
            )
    for number in range(200):
        rival.observe(RequestEvent(f"b-{number}", "burst", T0 + 48 * HOUR + number, {"client.address": "one"}))
    rival.advance(T0 + 49 * HOUR)
    scores = rival.scores()
    assert scores["burst"] > 3 * max(score for account, score in scores.items() if account != "burst")


def test_a_gap_of_years_costs_no_more_than_one_of_days() -> None:
    rival = Midas()
    rival.observe(RequestEvent("1", "a", T0, {"client.address": "x"}))
    rival.observe(RequestEvent("2", "a", T0 + 2_000_000 * HOUR, {"client.address": "x"}))
    rival.advance(T0 + 2_000_001 * HOUR)
    assert rival.scores()["a"] >= 0


def a_world(rng: np.random.Generator) -> list[tuple[str, str]]:
    """300 honest accounts with four of 400 popular values each; 20 attackers that share 8 values of their own."""
    honest = [(f"u{a}", f"v{v}") for a in range(300) for v in rng.choice(400, 4, replace=False)]
    block = [(f"x{a}", f"w{v}") for a in range(20) for v in range(8)]
    return honest + block


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_fraudar_ranks_a_planted_block_above_everybody(seed: int) -> None:
    scores = peel(a_world(np.random.default_rng(seed)))
    assert min(scores[f"x{a}"] for a in range(20)) > max(s for a, s in scores.items() if a.startswith("u"))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_camouflage_does_not_lower_the_density_of_the_block(seed: int) -> None:
    """Theorem of the paper: edges to honest columns leave the degrees of the block's own columns as they are."""
    rng = np.random.default_rng(seed)
    world = a_world(rng)
    camouflage = [(f"x{a}", f"v{v}") for a in range(20) for v in rng.choice(400, 12, replace=False)]
    accounts, values = {f"x{a}" for a in range(20)}, {f"w{v}" for v in range(8)}
    assert density(world + camouflage, accounts, values) == density(world, accounts, values)
    scores = peel(world + camouflage)
    ranked = sorted(scores, key=lambda account: -scores[account])
    assert sum(account.startswith("x") for account in ranked[:20]) == 20


def test_a_value_that_everybody_has_weighs_little() -> None:
    shared = [(f"u{a}", "sdk") for a in range(1_000)]
    pair = [("x0", "secret"), ("x1", "secret")]
    whole = shared + pair
    assert density(whole, {"x0", "x1"}, {"secret"}) > 2 * density(whole, {f"u{a}" for a in range(2)}, {"sdk"})


def test_every_account_gets_a_score_whatever_the_graph() -> None:
    assert peel([]) == {}
    assert set(peel([("a", "1"), ("b", "1"), ("c", "2")])) == {"a", "b", "c"}
