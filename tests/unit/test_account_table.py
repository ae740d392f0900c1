"""The aggregator's memory of accounts: which summary is the newer one, what is shared, who belongs to an organisation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from factories import HOUR, T0, a_summary, an_event, topic_counts

from stillwatch.account import AccountState
from stillwatch.correlation.linkage import LinkageIndex
from stillwatch.correlation.table import NEVER_S, AccountTable
from stillwatch.fingerprint import CELLS, fingerprint
from stillwatch.summary import AccountSummary, summarise

DAY = 24 * HOUR


def a_table(*summaries: AccountSummary, max_accounts: int = 1_000) -> AccountTable:
    table = AccountTable(max_accounts, LinkageIndex(max_group=500))
    for summary in summaries:
        table.put(summary)
    return table


def some(conversations: int = 20, seed: int = 1) -> np.ndarray:
    return topic_counts(np.random.default_rng(seed), np.full(CELLS, 1 / CELLS), conversations)


def test_an_account_goes_on_being_seen_when_an_era_has_ended_and_older_requests_are_forgotten() -> None:
    state, about = AccountState("a", T0), fingerprint("Explain binary search.")
    for number in range(60):  # two eras and a half of it, then silence for more than an era
        state.observe(replace(an_event("a", number), time_unix_nano=T0 + number * DAY // 2), about)
    table = a_table(summarise(state, 0))
    state.observe(replace(an_event("a", 99), time_unix_nano=T0 + 90 * DAY), about)
    after = summarise(state, 0)
    assert after.events == 1
    assert table.put(after)
    assert table.summary(0) == replace(after, begun=(), failed=())


def test_the_same_summary_again_is_no_news() -> None:
    summary = a_summary("a", some())
    assert not a_table(summary).put(summary)


def test_a_summary_that_comes_late_is_no_news() -> None:
    newer, older = (a_summary("a", some(n), now=T0 + n * HOUR) for n in (40, 20))
    assert not a_table(newer).put(older)


def test_a_label_is_news_though_no_request_was_made() -> None:
    summary = a_summary("a", some())
    assert a_table(summary).put(replace(summary, label="person"))


def test_an_account_that_moves_to_another_organisation_is_counted_there() -> None:
    accounts = [a_summary(f"a{n}", some(), organisation="old") for n in range(4)]
    table = a_table(*accounts)
    assert table.belongs_to_an_organisation().all()
    for summary in accounts[:2]:
        table.put(replace(summary, organisation=f"new-{summary.account}", events=summary.events + 1))
    assert not table.belongs_to_an_organisation().any()
    assert len(np.unique(table.units(np.arange(4)))) == 3


def test_a_value_that_an_account_no_longer_shows_links_it_no_longer() -> None:
    links = LinkageIndex(max_group=10)
    table = AccountTable(10, links)
    summary = a_summary("a", some(), (("client", "x"), ("client", "y")))
    table.put(summary)
    table.put(replace(summary, links=(("client", "y"),), events=summary.events + 1))
    assert (links.sharing(("client", "x")), links.sharing(("client", "y"))) == (set(), {0})


def test_what_an_evicted_account_shared_is_gone_with_it() -> None:
    links = LinkageIndex(max_group=10)
    table = AccountTable(2, links)
    for name in "abc":
        table.put(a_summary(name, some(), (("client", name),)))
    assert links.sharing(("client", "a")) == set()
    assert [table.slot(name) is None for name in "abc"] == [True, False, False]


def test_counts_as_large_as_an_account_state_can_hold_do_not_overflow() -> None:
    counts = np.zeros((2, CELLS), dtype=np.int64)
    counts[:, 3] = 65_535
    table = a_table(a_summary("a", counts))
    assert table.counts([0])[0, 3] == 2 * 65_535


def test_nobody_is_kin_of_an_empty_group_and_a_popular_value_makes_none() -> None:
    table = a_table(*(a_summary(f"a{n}", some(), (("client", "popular"),)) for n in range(20)))
    assert table.kin(np.array([], dtype=np.int64)).tolist() == []
    assert table.kin(np.arange(3)).tolist() == []


def test_first_uses_of_models_are_the_latest_summarys() -> None:
    summary = replace(a_summary("a", some()), models=((7, 100), (9, 200)))
    table = a_table(summary)
    table.put(replace(summary, models=((9, 200),), last_seen_unix_nano=T0 + HOUR))
    models, first_s, seen_s = table.first_uses(np.array([0]))
    assert (int(models[0, 0]), int(first_s[0, 0]), int(first_s[0, 1])) == (9, 200, NEVER_S)
    assert seen_s.tolist() == [[T0 // 10**9, (T0 + HOUR) // 10**9]]


def test_an_organisations_volume_is_that_of_all_its_keys() -> None:
    keys = [a_summary(f"key-{n}", some(20), organisation="acme") for n in range(3)]
    alone = replace(a_summary("z", some(20)), window_from_unix_nano=T0 - 4 * DAY)
    table = a_table(*(replace(key, window_from_unix_nano=T0 - 2 * DAY) for key in keys), alone)
    conversations, days = table.volumes_of_units(np.arange(4), T0)
    assert sorted(zip(conversations.tolist(), days.tolist(), strict=True)) == [(20.0, 4.0), (60.0, 2.0)]


def test_of_two_summaries_that_differ_in_refused_calls_alone_the_later_counts_in_any_order() -> None:
    before = a_summary("a", some())
    after = replace(before, failures=2, refused=2)
    for told in ((before, after), (after, before)):
        table = a_table(*told)
        assert table.failures(table.slots(["a"])) == 2
