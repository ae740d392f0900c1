"""What conduct and content prove together, what neither proves alone, and what sets evidence aside."""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np
import pytest
from factories import a_summary, topic_counts
from moment_worlds import a_world, conducted, honest, over
from summary_worlds import CELLS, people, pool_accounts

from launch.settings import load_policy
from stillwatch.correlation.verify import MAX_ALONE_E
from stillwatch.summary import AccountSummary

RULES = load_policy("configs/policies/default.yaml").rules
REVOKES = min(rule.min_e_value or 1.0 for rule in RULES if rule.action == "revoke")
THROTTLES = min(rule.min_e_value or 1.0 for rule in RULES if rule.action == "throttle")


def sharing(summaries: list[AccountSummary]) -> list[AccountSummary]:
    return [replace(summary, links=(("payment", "one"),)) for summary in summaries]


def strangers(rng: np.random.Generator, count: int, conversations: int = 40) -> list[AccountSummary]:
    return sharing(people(rng, count, conversations, prefix="z"))


def covered(rng: np.random.Generator, count: int, cover: float) -> list[AccountSummary]:
    """A pool under cover traffic: that share of each account's conversations is about interests of its own."""
    pool = rng.dirichlet(np.full(CELLS, 1.0))
    mixtures = [(1 - cover) * pool + cover * rng.dirichlet(np.full(CELLS, 8 / CELLS)) for _ in range(count)]
    return sharing([a_summary(f"z{n:03d}", topic_counts(rng, mixture, 40)) for n, mixture in enumerate(mixtures)])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_conduct_of_machines_proves_nothing_where_content_does_not_support_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = a_world(honest(rng), over(conducted(rng, strangers(rng, 30), shift=6.0), 10)).examined("z")
    assert found.conduct is not None
    assert found.conduct.p_value < 1e-6
    assert found.e_value < 1


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_where_content_supports_it_conduct_multiplies(seed: int) -> None:
    rng = np.random.default_rng(seed)
    crowd, group = honest(rng), covered(rng, 30, cover=0.5)
    like_people = a_world(crowd, over(conducted(rng, group), 10)).examined("z")
    like_machines = a_world(crowd, over(conducted(rng, group, shift=3.0), 10)).examined("z")
    assert like_people.e_value < 20
    assert like_machines.e_value > 20 * max(like_people.e_value, 1)
    assert like_machines.void is None


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_group_of_which_nothing_stands_out_has_next_to_no_evidence(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = a_world(honest(rng), over(conducted(rng, strangers(rng, 30)), 10)).examined("z")
    assert found.e_value < 0.5
    assert (found.void, found.supported) == (None, found.e_value)


def too_alike_to_be_void(rng: np.random.Generator) -> list[AccountSummary]:
    """In between: not alike enough for content to support it, nor different enough to be no pool at all."""
    return covered(rng, 12, cover=0.75)


@pytest.mark.parametrize("seed", [1, 2, 4])
def test_extreme_volume_alone_can_throttle_and_never_revoke(seed: int) -> None:
    rng = np.random.default_rng(seed)
    loud = over(conducted(rng, too_alike_to_be_void(rng), shift=6.0), days=0.02)
    found = a_world(honest(rng), loud).examined("z")
    assert found.conduct is not None
    assert found.conduct.volume > 3.5
    assert found.conduct.e_value > MAX_ALONE_E
    assert found.e_value < REVOKES
    if found.void is None and found.supported < 20:
        assert THROTTLES < found.e_value < MAX_ALONE_E


@pytest.mark.parametrize("seed", [1, 2, 4])
def test_the_same_volume_of_verified_companies_alone_is_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    loud = over(conducted(rng, too_alike_to_be_void(rng), shift=6.0), days=0.02)
    jobs = [replace(one, organisation=f"company-{n}", verification="business") for n, one in enumerate(loud)]
    found = a_world(honest(rng), jobs).examined("z")
    assert found.conduct is not None
    assert found.conduct.volume > 3.5
    assert found.e_value == found.supported < THROTTLES


def test_the_same_conduct_at_peoples_volume_alone_is_nothing() -> None:
    rng = np.random.default_rng(1)
    loud = over(conducted(rng, strangers(rng, 30), shift=6.0), days=10)
    assert a_world(honest(rng), loud).examined("z").e_value < 1


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_group_that_covers_few_topics_is_a_product_with_one_job(seed: int) -> None:
    rng = np.random.default_rng(seed)
    product = sharing(pool_accounts(rng, 30, conversations=120, topics=8, prefix="z"))
    found = a_world(honest(rng), over(conducted(rng, product, shift=6.0), 10)).examined("z")
    assert found.e_value <= 1
    assert found.void is not None
    assert "one job" in found.void


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_loud_group_whose_accounts_differ_as_people_do_is_no_pool(seed: int) -> None:
    rng = np.random.default_rng(seed)
    loud = over(conducted(rng, strangers(rng, 30), shift=6.0), days=0.02)
    found = a_world(honest(rng), loud).examined("z")
    assert found.conduct is not None
    assert found.conduct.volume > 3.5
    assert found.e_value <= 1
    assert found.void is not None
    assert "no common source" in found.void


def test_keys_of_one_organisation_are_one_unit_and_no_group() -> None:
    rng = np.random.default_rng(4)
    keys = [replace(s, organisation="acme") for s in sharing(pool_accounts(rng, 30, prefix="z"))]
    world = a_world(honest(rng), over(conducted(rng, keys, shift=6.0), 10))
    with pytest.raises(AssertionError):
        world.examined("z")


def test_the_core_of_a_group_found_by_conduct_is_who_behaves_like_it() -> None:
    rng = np.random.default_rng(5)
    pool = covered(rng, 40, cover=0.4)
    machines, bystanders = conducted(rng, pool[:28], shift=4.0), conducted(rng, pool[28:], shift=-2.0)
    found = (world := a_world(honest(rng), over([*machines, *bystanders], 10))).examined("z")
    core = {world.table.summary(int(slot)).account for slot in found.kept}
    assert found.e_value > 40  # six tests share the mean here, five when it was 50
    assert core
    assert core <= {summary.account for summary in machines}


def test_what_is_tested_does_not_depend_on_the_order_of_arrival() -> None:
    rng = np.random.default_rng(6)
    summaries = [*honest(rng), *over(conducted(rng, covered(rng, 30, 0.4), shift=2.0), 10)]
    one, other = a_world(summaries), a_world([summaries[n] for n in rng.permutation(len(summaries))])
    first, second = one.examined("z"), other.examined("z")
    assert [one.table.summary(int(s)).account for s in first.kept] == [
        other.table.summary(int(s)).account for s in second.kept
    ]
    assert first.conduct is not None
    assert second.conduct is not None
    assert astuple(first.conduct) == astuple(second.conduct)
    assert (first.e_value, first.f, first.p_value) == (second.e_value, second.f, second.p_value)


def test_machines_of_companies_behave_like_machines_and_that_is_no_evidence() -> None:
    rng = np.random.default_rng(8)
    group = over(conducted(rng, covered(rng, 30, cover=0.3), shift=3.0), 10)
    companies = [replace(one, organisation=f"o{n}", verification="business") for n, one in enumerate(group)]
    alone, verified = (a_world(honest(np.random.default_rng(9)), some).examined("z") for some in (group, companies))
    assert alone.e_value > 1_000
    assert verified.e_value < 50
