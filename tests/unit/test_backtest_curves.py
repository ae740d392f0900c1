import itertools
import math

import numpy as np
import pytest
from scipy.special import ndtr

from stillwatch.backtest.calibration import calibrate, excess_of_small, independent
from stillwatch.backtest.curves import area, found_at, hit_by_kind, roc, split, threshold_at
from stillwatch.verdict import Signal

HONEST = {f"u{n}": float(n) for n in range(1_000)}


def kinds(attackers: int = 2) -> dict[str, str]:
    return dict.fromkeys(HONEST, "user") | {f"x{n}": "attack" for n in range(attackers)}


def test_at_one_in_a_hundred_a_hundredth_of_the_honest_is_above_the_threshold() -> None:
    honest = np.array(list(HONEST.values()))
    for rate in (1e-2, 1e-3):
        threshold = threshold_at(honest, rate)
        assert threshold is not None
        assert (honest > threshold).mean() == rate


def test_a_rate_below_one_account_is_no_number() -> None:
    scores = split(HONEST | {"x0": 5.0}, kinds(1))
    assert found_at(scores, 1e-4) is None
    assert hit_by_kind(scores, 1e-4) == {}


def test_an_attacker_that_ties_with_the_threshold_is_not_found() -> None:
    scores = split(HONEST | {"x0": 989.0, "x1": 989.5}, kinds())
    assert found_at(scores, 1e-2) == 0.5


def test_an_account_without_an_opinion_is_below_all_others() -> None:
    scores = split({"u0": -5.0, "x0": -7.0}, {"u0": "user", "x0": "attack", "x1": "attack"})
    assert scores.attack.tolist() == [-7.0, -math.inf]
    assert area(scores) == 0.0


def test_false_positives_are_told_apart_by_kind_at_one_threshold() -> None:
    truth = {f"u{n}": "team" if n >= 995 else "user" for n in range(1_000)}
    hit = hit_by_kind(split(HONEST, truth), 1e-2)
    assert hit == {"team": 1.0, "user": 5 / 995}


def test_a_roc_curve_never_falls_and_ends_in_the_corner() -> None:
    rng = np.random.default_rng(3)
    scores = split({a: float(rng.normal()) for a in kinds(200)}, kinds(200))
    points = roc(scores)
    assert points[0] == (0.0, 0.0)
    assert points[-1] == (1.0, 1.0)
    assert all(a[0] <= b[0] and a[1] <= b[1] for a, b in itertools.pairwise(points))
    under = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in itertools.pairwise(points))
    assert under == pytest.approx(area(scores))


def test_the_uniform_passes_and_p_values_that_are_too_small_do_not() -> None:
    rng = np.random.default_rng(5)
    uniform = rng.uniform(size=2_000)
    assert excess_of_small(uniform.tolist())[1] > 1e-3
    assert excess_of_small(np.sqrt(uniform).tolist())[1] > 0.9  # conservative: too large on purpose
    assert excess_of_small((uniform**2).tolist())[1] < 1e-6


def test_the_check_raises_a_false_alarm_as_rarely_as_it_says() -> None:
    rng = np.random.default_rng(7)
    alarms = sum(excess_of_small(rng.uniform(size=60).tolist())[1] < 0.05 for _ in range(1_000))
    assert 25 <= alarms <= 80  # 50 expected; five standard errors each way


def crowds_of_p_values(
    rng: np.random.Generator, crowds: int, members: int, *, alike: float, shift: float = 0.0
) -> tuple[list[float], list[str]]:
    """P-values of honest accounts (for ``shift=0``) that correlate by ``alike`` within a crowd."""
    shared = np.repeat(rng.normal(size=crowds), members) * alike**0.5
    z = shared + rng.normal(size=crowds * members) * (1 - alike) ** 0.5 - shift
    return ndtr(z).tolist(), [f"crowd-{n}" for n in np.repeat(np.arange(crowds), members)]


@pytest.mark.parametrize(("crowds", "members", "alike"), [(13, 20, 0.3), (13, 20, 0.7), (3, 30, 0.5), (40, 8, 0.3)])
def test_colleagues_who_are_alike_raise_no_more_alarms_than_strangers(crowds: int, members: int, alike: float) -> None:
    rng = np.random.default_rng(11)
    drawn = [crowds_of_p_values(rng, crowds, members, alike=alike) for _ in range(400)]
    assert sum(excess_of_small(p, of)[1] < 0.01 for p, of in drawn) <= 14  # 4 expected, five standard errors more
    assert sum(excess_of_small(p)[1] < 0.01 for p, _ in drawn) > 14  # taken for strangers, they would


def test_what_is_uncalibrated_in_every_crowd_is_seen_all_the_same() -> None:
    rng = np.random.default_rng(12)
    drawn = [crowds_of_p_values(rng, 13, 20, alike=0.3, shift=1.5) for _ in range(100)]
    assert sum(excess_of_small(p, of)[1] < 1e-3 for p, of in drawn) >= 90
    # Also where members of a crowd have nothing in common but that all are wrong.
    p, of = crowds_of_p_values(rng, 8, 30, alike=0.0, shift=1.0)
    assert excess_of_small(p, of)[1] < 1e-6


def test_accounts_are_worth_between_their_crowds_and_their_number() -> None:
    rng = np.random.default_rng(13)
    p, of = crowds_of_p_values(rng, 20, 10, alike=0.0)
    assert independent(p, of) > 80
    p, of = crowds_of_p_values(rng, 20, 10, alike=0.999)
    assert 20 <= independent(p, of) <= 22
    assert independent([0.3] * 8, ["one"] * 8) == 1


def test_calibration_is_per_signal_and_honest_kind_and_leaves_attackers_and_silence_out() -> None:
    views = [
        ("u", (Signal("s", 1.0, None, 2.0, ""), Signal("quiet", 1.0, None, None, ""))),
        ("t", (Signal("s", 1.0, None, 0.0, ""),)),
        ("x", (Signal("s", 1.0, None, 9.0, ""),)),
    ]
    found = calibrate(views, {"u": "user", "t": "team", "x": "attack"})
    assert [(row.signal, row.kind, row.accounts) for row in found] == [("s", "team", 1), ("s", "user", 1)]
    assert [row.independent for row in found] == [1, 1]
    assert found[0].conservative
    assert found[1].excess == pytest.approx(0.99)
