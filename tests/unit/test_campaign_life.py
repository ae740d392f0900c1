"""A campaign sleeps, wakes, merges, and is recognised when all its accounts are new."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from factories import HOUR, T0
from summary_worlds import CELLS, evaluated, people, pool_accounts, pool_of

from stillwatch.aggregator import AggregatorCore
from stillwatch.life import MAX_HISTORY, noted
from stillwatch.settings import DetectionSettings
from stillwatch.summary import AccountSummary
from stillwatch.verdict import Campaign, Member

DAY = 24 * HOUR
S = 10**9


def seen(summaries: Sequence[AccountSummary], now: int, **known: object) -> list[AccountSummary]:
    return [replace(summary, last_seen_unix_nano=now, events=summary.events + 5, **known) for summary in summaries]  # type: ignore[arg-type]


def journey(campaign: Campaign) -> Campaign:
    """As the stream keeps it."""
    return Campaign.from_map(json.loads(json.dumps(campaign.to_map(), allow_nan=False)))


def events_of(campaign: Campaign) -> list[str]:
    return [what for _, what, _ in campaign.history]


# -- sleeping and waking -----------------------------------------------------------------------------------------------


def a_sleeping_one(rng: np.random.Generator) -> tuple[AggregatorCore, list[AccountSummary], list[AccountSummary]]:
    crowd, pool = people(rng, 300), pool_accounts(rng, 60)
    core = evaluated(crowd, pool)
    assert core.campaigns()[0].state == "awake"
    core.fold(seen(crowd[:100], T0 + 3 * DAY))
    core.evaluate()
    return core, crowd, pool


def test_a_campaign_sleeps_when_its_members_have_sent_nothing_for_days() -> None:
    core, _, _ = a_sleeping_one(np.random.default_rng(1))
    (campaign,) = core.campaigns()
    assert campaign.state == "asleep"
    assert [(at, what) for at, what, _ in campaign.history] == [(T0 // S, "found"), ((T0 + 3 * DAY) // S, "asleep")]
    assert campaign.extraction is not None
    assert campaign.extraction.requests_last_day == 0
    assert campaign.extraction.requests == campaign.requests


def test_while_it_sleeps_its_growth_has_no_new_rows() -> None:
    core, crowd, _ = a_sleeping_one(np.random.default_rng(1))
    rows = core.campaigns()[0].growth
    core.fold(seen(crowd[100:200], T0 + 5 * DAY))
    core.evaluate()
    assert core.campaigns()[0].growth == rows


def test_it_wakes_when_one_of_its_members_sends_again() -> None:
    core, _, pool = a_sleeping_one(np.random.default_rng(1))
    core.fold(seen(pool[:1], T0 + 4 * DAY))
    (changed,) = core.evaluate()
    assert changed.state == "awake"
    assert changed.history[-1] == ((T0 + 4 * DAY) // S, "awake", "members send again, 0 of them new")


def test_what_was_done_stands_in_its_history_once() -> None:
    core, _, _ = a_sleeping_one(np.random.default_rng(1))
    (campaign,) = core.campaigns()
    for _ in range(3):
        core.acted(campaign.id, "throttle")
        core.acted(campaign.id, "revoke")
    assert events_of(core.campaigns()[0])[2:] == ["acted on", "acted on"]


def test_state_and_history_survive_a_restart() -> None:
    core, crowd, pool = a_sleeping_one(np.random.default_rng(1))
    later = AggregatorCore(DetectionSettings())
    later.recall(journey(core.campaigns()[0]))
    later.fold([*crowd, *pool, *seen(crowd[:1], T0 + 3 * DAY)])
    later.evaluate()
    assert events_of(later.campaigns()[0]) == ["found", "asleep"]
    assert later.campaigns()[0].state == "asleep"


def test_a_history_keeps_its_first_row_and_the_newest() -> None:
    history = noted((), 0, "found", "")
    for number in range(1, 500):
        history = noted(history, number * S, "awake", str(number))
    assert len(history) == MAX_HISTORY
    assert (history[0], history[1], history[-1][0]) == ((0, "found", ""), (401, "awake", "401"), 499)


def test_what_was_published_before_there_was_any_of_this_is_still_read() -> None:
    raw = evaluated(people(rng := np.random.default_rng(1), 300), pool_accounts(rng, 60)).campaigns()[0].to_map()
    for name in ("extraction", "signature", "state", "history", "merged_into", "absorbed"):
        del raw[name]
    old = Campaign.from_map(raw)
    assert (old.state, old.history, old.extraction, old.signature, old.absorbed) == ("awake", (), None, None, ())
    core = AggregatorCore(DetectionSettings())
    core.recall(old)
    core.fold(pool_accounts(np.random.default_rng(1), 60))
    core.fold(people(np.random.default_rng(2), 300))
    core.evaluate()
    assert events_of(core.campaigns()[0])[0] == "found"


# -- merging -----------------------------------------------------------------------------------------------------------


def published(template: Campaign, id: str, accounts: Sequence[AccountSummary], at: int) -> Campaign:
    members = tuple(Member(s.account, 0.995, s.events, s.tokens) for s in accounts)
    return replace(journey(template), id=id, members=members, detected_at_unix_nano=at, signature=None)


def two_open(
    rng: np.random.Generator, older: list[AccountSummary], younger: list[AccountSummary]
) -> tuple[AggregatorCore, list[Campaign]]:
    crowd = people(rng, 300)
    (template,) = evaluated(crowd, older).campaigns()
    core = AggregatorCore(DetectionSettings())
    core.recall(published(template, "c-younger", younger, T0 + 1))
    core.recall(published(template, "c-older", older, T0))
    core.fold({s.account: s for s in (*crowd, *older, *younger)}.values())
    return core, core.evaluate()


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_two_that_hold_the_same_accounts_and_ask_from_one_pool_are_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pool = pool_accounts(rng, 60)
    core, changed = two_open(rng, pool[:40], pool[20:])
    younger, older = core.campaigns()
    assert (younger.id, younger.state, younger.merged_into, younger.members) == ("c-younger", "merged", "c-older", ())
    assert younger in changed
    assert older.absorbed == ("c-younger",)
    assert "merged" in events_of(younger)
    assert "absorbed" in events_of(older)
    assert {s.account for s in pool} <= {member.account for member in older.members}
    assert {core.campaign_of(s.account) for s in pool} == {"c-older"}


def test_what_was_merged_is_published_once_more_and_then_never_again() -> None:
    rng = np.random.default_rng(3)
    pool = pool_accounts(rng, 60)
    core, _ = two_open(rng, pool[:40], pool[20:])
    core.evaluate()
    assert core.evaluate() == []


def test_after_a_restart_what_was_merged_stays_merged() -> None:
    rng = np.random.default_rng(3)
    pool = pool_accounts(rng, 60)
    core, _ = two_open(rng, pool[:40], pool[20:])
    later = AggregatorCore(DetectionSettings())
    for campaign in core.campaigns():
        later.recall(journey(campaign))
    later.fold([*people(rng, 300), *pool])
    later.evaluate()
    assert {campaign.id: campaign.merged_into for campaign in later.campaigns()} == {
        "c-younger": "c-older", "c-older": None,
    }  # fmt: skip


@pytest.mark.parametrize("seed", [4, 5, 6])
def test_two_pools_stay_two_campaigns_though_some_accounts_are_listed_in_both(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one = pool_accounts(rng, 40)
    other = [replace(s, links=(("signup", f"lot-{n % 3}"),)) for n, s in enumerate(pool_accounts(rng, 40, prefix="y"))]
    core, _ = two_open(rng, one, [*one[:14], *other])
    assert {campaign.state for campaign in core.campaigns()} == {"awake"}


def test_one_pool_without_a_common_account_is_left_as_it_is() -> None:
    rng = np.random.default_rng(5)
    pool = pool_accounts(rng, 60)
    core = AggregatorCore(DetectionSettings())
    crowd = people(rng, 300)
    (template,) = evaluated(crowd, pool).campaigns()
    core.recall(published(template, "c-a", pool[:30], T0))
    core.recall(published(template, "c-b", pool[30:], T0 + 1))
    core.fold([*crowd, *(replace(s, links=()) for s in pool)])
    core.evaluate()
    assert {campaign.state for campaign in core.campaigns()} == {"awake"}


# -- after a takedown --------------------------------------------------------------------------------------------------


def replacements(
    rng: np.random.Generator, cells: np.ndarray, weights: np.ndarray, count: int = 30
) -> list[AccountSummary]:
    """New accounts of the same pool that share one of the campaign's values."""
    fresh = pool_of(rng, count, cells, weights, prefix="r", conversations=30)
    created = (T0 + 5 * DAY) // S
    return [replace(s, links=(("signup", "batch-0"),), created_unix=created) for s in seen(fresh, T0 + 7 * DAY)]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_replacements_are_recognised_when_none_of_the_first_accounts_is_left(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cells, weights = rng.permutation(CELLS)[:120], rng.dirichlet(np.full(120, 2.0))
    crowd = people(rng, 600)
    (campaign,) = evaluated(crowd, pool_of(rng, 60, cells, weights)).campaigns()
    newcomers = [replace(s, links=(("signup", "batch-0"),)) for s in people(rng, 10, prefix="n")]
    later = AggregatorCore(DetectionSettings(seed=seed))
    later.recall(journey(campaign))
    fresh = replacements(rng, cells, weights)
    later.fold([*crowd, *fresh, *seen(newcomers, T0 + 7 * DAY, created_unix=(T0 + 6 * DAY) // S)])
    later.evaluate()
    confidence = {member.account: member.confidence for member in later.campaign(campaign.id).members}  # type: ignore[union-attr]
    assert np.mean([confidence.get(s.account, 0.0) >= 0.9 for s in fresh]) >= 0.8
    assert max((confidence.get(s.account, 0.0) for s in newcomers), default=0.0) < 0.5


def test_without_its_signature_nobody_is_recognised() -> None:
    """So the test above shows what it says."""
    rng = np.random.default_rng(1)
    cells, weights = rng.permutation(CELLS)[:120], rng.dirichlet(np.full(120, 2.0))
    crowd = people(rng, 600)
    (campaign,) = evaluated(crowd, pool_of(rng, 60, cells, weights)).campaigns()
    later = AggregatorCore(DetectionSettings(min_group_accounts=100))  # no group of theirs is looked at
    later.recall(replace(journey(campaign), signature=None))
    fresh = replacements(rng, cells, weights)
    later.fold([*crowd, *fresh])
    later.evaluate()
    found = later.campaign(campaign.id)
    assert found is not None
    assert not {member.account for member in found.members} & {s.account for s in fresh}
