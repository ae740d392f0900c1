import numpy as np
import pytest
from factories import a_summary, topic_counts
from summary_worlds import CELLS, evaluated, people, pool_accounts

from stillwatch.aggregator import AggregatorCore
from stillwatch.settings import DetectionSettings


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_accounts_fed_from_one_pool_are_a_campaign(seed: int) -> None:
    rng = np.random.default_rng(seed)
    core = evaluated(people(rng, 300), pool_accounts(rng, 60))
    campaigns = core.campaigns()
    assert len(campaigns) == 1
    sure = {member.account for member in campaigns[0].members if member.confidence >= 0.9}
    assert len({name for name in sure if name.startswith("x")}) >= 54
    assert not {name for name in sure if name.startswith("p")}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_people_who_share_cohorts_and_clients_are_not_a_campaign(seed: int) -> None:
    core = evaluated(people(np.random.default_rng(seed), 400))
    assert core.tests > 0
    assert core.campaigns() == []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_team_that_shares_everything_but_its_interests_is_not_a_campaign(seed: int) -> None:
    rng = np.random.default_rng(seed)
    field = rng.dirichlet(np.full(CELLS, 60 / CELLS))  # they work in one field ...
    team = []
    for number in range(25):
        mixture = 0.5 * field + 0.5 * rng.dirichlet(np.full(CELLS, 8 / CELLS))  # ... on tasks of their own
        links = (("client", "tool"), ("payment", "corp"), ("system", "tool-prompt"), ("signup", "corp"))
        team.append(a_summary(f"t{number:03d}", topic_counts(rng, mixture, 60), links))
    assert evaluated(people(rng, 300), team).campaigns() == []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_product_with_one_job_that_shards_its_keys_is_not_a_campaign(seed: int) -> None:
    rng = np.random.default_rng(seed)
    product = pool_accounts(rng, 30, conversations=120, topics=6, prefix="s")
    assert evaluated(people(rng, 300), product).campaigns() == []


def test_folding_is_idempotent_and_its_order_is_irrelevant() -> None:
    rng = np.random.default_rng(5)
    summaries = [*people(rng, 200), *pool_accounts(rng, 60)]
    shuffled = [summaries[index] for index in rng.permutation(len(summaries))]
    once, twice = evaluated(summaries), evaluated(shuffled, summaries, shuffled)
    assert once.campaigns() == twice.campaigns()
    assert once.campaigns() != []


def test_an_older_summary_does_not_replace_a_newer_one() -> None:
    core = AggregatorCore(DetectionSettings())
    rng = np.random.default_rng(1)
    newer, older = (a_summary("a", topic_counts(rng, np.full(CELLS, 1 / CELLS), n)) for n in (40, 20))
    assert core.fold([newer]) == 1
    assert core.fold([older]) == 0
    slot = core.table.slot("a")
    assert slot is not None
    assert core.table.summary(slot).events == 40


def test_evaluating_again_without_news_reports_nothing() -> None:
    rng = np.random.default_rng(2)
    core = evaluated(people(rng, 300), pool_accounts(rng, 60))
    tests = core.tests
    assert core.evaluate() == []
    assert core.tests == tests


def test_a_campaign_keeps_its_id_while_it_grows() -> None:
    rng = np.random.default_rng(3)
    first = pool_accounts(rng, 40)
    core = evaluated(people(rng, 300), first)
    before = core.campaigns()[0]
    mixture = np.zeros(CELLS)
    for summary in first:
        for half in summary.cells:
            for cell, count in half:
                mixture[cell] += count
    mixture /= mixture.sum()
    late = [
        a_summary(f"y{n:03d}", topic_counts(rng, mixture, 40), (("client", "sdk-1"), ("signup", f"batch-{n % 3}")))
        for n in range(20)
    ]
    core.fold(late)
    core.evaluate()
    after = core.campaigns()[0]
    assert (after.id, after.detected_at_unix_nano) == (before.id, before.detected_at_unix_nano)
    assert len(after.members) > len(before.members)
    assert after.requests > before.requests


def test_a_new_life_recalls_published_campaigns_under_their_ids() -> None:
    rng = np.random.default_rng(4)
    summaries = [*people(rng, 300), *pool_accounts(rng, 60)]
    published = evaluated(summaries).campaigns()[0]
    core = AggregatorCore(DetectionSettings())
    core.recall(published)
    assert core.campaign_of("x0003") == published.id
    core.fold(summaries)
    core.evaluate()
    assert [campaign.id for campaign in core.campaigns()] == [published.id]


def test_every_signal_of_a_campaign_is_a_sentence_with_its_number() -> None:
    rng = np.random.default_rng(6)
    campaign = evaluated(people(rng, 300), pool_accounts(rng, 60)).campaigns()[0]
    homogeneity = campaign.signals[0]
    assert homogeneity.name == "homogeneity"
    assert f"{homogeneity.value:.4f}" in homogeneity.sentence
    assert homogeneity.normal is not None
    assert homogeneity.value < homogeneity.normal[0]
    assert campaign.e_value > 1_000
    assert campaign.growth[-1][1] == sum(1 for member in campaign.members if member.confidence >= 0.5)


def test_memory_is_bounded_by_the_longest_silent_account() -> None:
    core = AggregatorCore(DetectionSettings(max_accounts=100))
    core.fold(people(np.random.default_rng(1), 150))
    assert len(core.table) == 100
    assert core.table.evicted == 50
    assert core.table.slot("p0000") is None
    assert core.table.slot("p0149") is not None
