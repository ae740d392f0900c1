"""What is normal at a moment, and what must not teach it: known campaigns, copies of one group, groups of strange conduct."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from moment_worlds import NO_HANDOFFS, a_world, conducted, honest, over
from summary_worlds import people, pool_accounts

from stillwatch.summary import AccountSummary

VIEWS = ("signup", "payment", "client", "address", "system")


def under(summaries: list[AccountSummary], *values: tuple[str, str]) -> list[AccountSummary]:
    return [replace(summary, links=values) for summary in summaries]


def test_a_group_seen_under_five_values_counts_once_in_what_is_normal() -> None:
    rng = np.random.default_rng(1)
    crowd, pool = honest(rng), over(conducted(rng, pool_accounts(rng, 30), shift=0.0), days=10)
    once = a_world(crowd, under(pool, ("signup", "own"))).moment().content
    often = a_world(crowd, under(pool, *((view, "own") for view in VIEWS))).moment().content
    assert once is not None
    assert often == once


def test_groups_of_strange_conduct_do_not_teach_how_honest_groups_differ_in_content() -> None:
    rng = np.random.default_rng(2)
    crowd = honest(rng)
    pool = pool_accounts(rng, 90)
    batches = [under(pool[15 * n : 15 * n + 15], ("signup", f"batch-{n}")) for n in range(6)]
    without = a_world(crowd).moment().content
    like_people = a_world(crowd, *(over(conducted(rng, batch), 10) for batch in batches)).moment().content
    like_machines = a_world(crowd, *(over(conducted(rng, batch, shift=6.0), 10) for batch in batches)).moment().content
    assert without is not None
    assert like_people is not None
    assert like_machines is not None
    assert like_people.groups == without.groups + 6
    assert like_machines.groups <= without.groups + 1
    assert like_machines.centre == pytest.approx(without.centre, rel=0.1)


def test_known_members_of_a_campaign_teach_nothing() -> None:
    rng = np.random.default_rng(3)
    crowd = honest(rng)
    pool = over(conducted(rng, pool_accounts(rng, 60)), 10)
    world = a_world(crowd, pool)
    without = a_world(crowd)
    assert world.moment().content != without.moment().content
    known = world.moment([int(slot) for slot in world.slots("x")])
    assert known.content == without.moment().content
    assert known.population.mixture == pytest.approx(without.moment().population.mixture)


def test_they_stop_teaching_when_they_become_known_and_not_when_their_group_has_outgrown_them() -> None:
    rng = np.random.default_rng(3)
    mixed = [*honest(rng, 12), *over(conducted(rng, pool_accounts(rng, 12)), 10)]
    world = a_world(honest(rng, 300), under([replace(s, account=f"m{s.account}") for s in mixed], ("payment", "both")))
    before = world.moment().content
    known = world.moment([int(slot) for slot in world.slots("mx")]).content
    fresh = a_world(*[[world.table.summary(slot)] for slot in range(len(world.table))])
    assert before != known
    assert known == fresh.moment([int(slot) for slot in fresh.slots("mx")]).content


def test_a_campaign_in_a_quarter_of_all_groups_does_not_make_itself_normal() -> None:
    rng = np.random.default_rng(4)
    pool = over(conducted(rng, pool_accounts(rng, 80)), 10)
    batches = [under(pool[10 * n : 10 * n + 10], ("payment", f"card-{n}")) for n in range(8)]
    content = a_world(honest(rng), *batches).moment().content
    assert content is not None
    assert content.centre > 0.05
    assert content.p_value(0.0, 1e-6, 30) < 0.05


def test_groups_with_one_job_teach_nothing_about_the_others() -> None:
    rng = np.random.default_rng(5)
    crowd = honest(rng)
    jobs = [
        under(over(conducted(rng, pool_accounts(rng, 10, topics=5, prefix=f"j{n}-")), 10), ("payment", f"job-{n}"))
        for n in range(10)
    ]
    without, beside = a_world(crowd).moment().content, a_world(crowd, *jobs).moment().content
    assert without is not None
    assert beside is not None
    assert beside.groups == without.groups


def test_newcomers_do_not_say_what_ordinary_conduct_is_where_enough_are_settled() -> None:
    rng = np.random.default_rng(6)
    crowd = honest(rng)
    fresh = [
        replace(s, created_unix=crowd[0].last_seen_unix_nano // 10**9 - 86_400)
        for s in over(conducted(rng, people(rng, 300, prefix="n"), shift=5.0), 10)
    ]
    alone, together = a_world(crowd), a_world(crowd, fresh)
    of_alone, of_together = alone.moment().conduct.z, together.moment().conduct.z
    assert of_together[together.slots("p")] == pytest.approx(of_alone[alone.slots("p")], nan_ok=True)
    assert np.nanmedian(of_together[together.slots("n"), :3]) > 3


def test_without_enough_honest_accounts_there_is_no_moment() -> None:
    rng = np.random.default_rng(7)
    world = a_world(honest(rng, 39))
    assert world.normality.now((), NO_HANDOFFS, 1) is None
    assert a_world().normality.now((), NO_HANDOFFS, 0) is None
