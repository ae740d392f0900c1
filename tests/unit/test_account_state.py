"""One account's memory: what it forgets, how small it is, and that packing it changes nothing."""

from __future__ import annotations

import math
import random

import pytest
from factories import T0, an_event

from stillwatch.account import MAX_PACKED_BYTES, AccountState, AccountStore
from stillwatch.account.profile import Profile
from stillwatch.account.topics import TopicCounts
from stillwatch.event import RequestEvent
from stillwatch.fingerprint import event_fingerprint
from stillwatch.signals import MEMORIES

HOUR = 3_600 * 10**9
DAY = 24 * HOUR
# The start of an era of 14 days, so that tests say where in it they are.
ERA = T0 - T0 % (14 * DAY)


def observed(*events: RequestEvent, account: str = "a") -> AccountState:
    state = AccountState(account, events[0].time_unix_nano)
    for event in events:
        state.observe(event, event_fingerprint(event), MEMORIES)
    return state


def asked(number: int, at: int, prompt: str, **attributes: object) -> RequestEvent:
    return RequestEvent(f"r-{number}", "a", at, {"stillwatch.prompt.text": prompt, **attributes})  # type: ignore[dict-item]


def a_light_account(days: int, seed: int = 1) -> AccountState:
    """26 requests a day, two in a conversation, about 60 topics, as a platform reports them."""
    rng = random.Random(seed)
    state = AccountState("a", ERA)
    for number in range(26 * days):
        topic = min(int(rng.expovariate(1 / 15)), 59)
        event = asked(
            number, ERA + number * DAY // 26, f"please explain subject{topic} with example{number % 7} to me",
            **{
                "gen_ai.conversation.id": f"c-{number // 2}", "stillwatch.prompt.turn": 1 + number % 2,
                "gen_ai.usage.input_tokens": 120, "gen_ai.usage.output_tokens": 400 + number,
                "gen_ai.request.temperature": 0.7, "gen_ai.request.max_tokens": 1024,
                "stillwatch.org.id": "org-0123456789abcdef", "stillwatch.org.verification": "payment",
                "stillwatch.account.tier": "pro", "stillwatch.account.created_unix": 1_700_000_000,
                "stillwatch.account.payment": "pay-0123456789ab", "stillwatch.account.signup": "promo-spring",
                "client.address": f"198.51.100.{number % 3}", "user_agent.original": "openai-python/1.2.3",
                "stillwatch.system.text": "You are a helpful assistant.",
            },
        )  # fmt: skip
        state.observe(event, event_fingerprint(event), MEMORIES)
    return state


def test_a_month_of_a_light_account_takes_less_than_a_kibibyte() -> None:
    assert len(a_light_account(days=28).pack()) <= 1_024


def test_the_most_hostile_account_takes_less_than_four() -> None:
    rng = random.Random(2)
    state = AccountState("a", ERA)
    for number in range(6_000):
        unicode_name = "漢" * 64
        event = asked(
            number, ERA + number * DAY // 300, f"word{rng.randrange(10**6)} thing{rng.randrange(10**6)}",
            **{
                "gen_ai.conversation.id": f"c-{number % 97}", "gen_ai.request.temperature": rng.random(),
                "gen_ai.usage.input_tokens": 2**63 - 1, "gen_ai.usage.output_tokens": 2**63 - 1,
                "stillwatch.account.created_unix": 2**63 - 1,
                "stillwatch.org.id": unicode_name, "stillwatch.org.verification": unicode_name,
                "stillwatch.account.tier": unicode_name, "client.address": f"{rng.random()}" * 4,
                "stillwatch.account.payment": f"漢漢漢{rng.random()}", "stillwatch.account.signup": f"漢漢漢{number}",
                "stillwatch.account.invited_by": "漢" * 64,
                "user_agent.original": f"{number}", "stillwatch.system.text": f"system {rng.random()}",
            },
        )  # fmt: skip
        state.observe(event, event_fingerprint(event), MEMORIES)
    assert len(state.pack()) <= MAX_PACKED_BYTES


def test_packing_changes_nothing_now_or_later() -> None:
    whole = a_light_account(days=10)
    again = AccountState.unpack("a", whole.pack())
    assert again.pack() == whole.pack()
    for state in (whole, again):
        state.observe(event := asked(999, ERA + 15 * DAY, "and now something else"), event_fingerprint(event), MEMORIES)
    assert again.pack() == whole.pack()


def test_after_two_eras_an_account_is_judged_by_what_is_left() -> None:
    early = [asked(n, ERA + n, f"prompt number {n}") for n in range(10)]
    middle = [asked(100 + n, ERA + 14 * DAY + n, f"prompt number {n}") for n in range(4)]
    late = [asked(200 + n, ERA + 28 * DAY + n, f"prompt number {n}") for n in range(2)]
    assert observed(*early, *middle).profile.events == 14
    state = observed(*early, *middle, *late)
    assert state.profile.events == 6
    assert state.profile.topics.conversations == 6
    assert state.profile.hours == observed(*middle, *late).profile.hours


def test_after_a_silent_era_nothing_is_left() -> None:
    state = observed(asked(1, ERA, "first"), asked(2, ERA + 40 * DAY, "much later"))
    assert state.profile.events == 1


def test_a_late_event_counts_in_the_era_that_is_running() -> None:
    state = observed(asked(1, ERA + 15 * DAY, "on time"), asked(2, ERA + 2 * DAY, "late"))
    assert state.profile.events == 2
    assert state.first_seen_unix_nano == ERA + 2 * DAY


def test_only_openings_count_as_topics_and_follow_ups_as_coherence() -> None:
    turns = [
        asked(n, ERA + n, "tell me about rust", **{"gen_ai.conversation.id": "c", "stillwatch.prompt.turn": n + 1})
        for n in range(3)
    ]
    profile = observed(*turns).profile
    assert (profile.openings, profile.coherence_pairs, profile.coherence_sum) == (1, 2, 2.0)


def test_silent_days_are_days() -> None:
    state = observed(asked(1, ERA, "x"), asked(2, ERA, "y"), asked(3, ERA + 3 * DAY, "z"))
    assert (state.profile.days, state.profile.days_sum, state.profile.days_sum_squared) == (3, 2, 4)


def test_two_halves_of_an_account_merge_into_the_whole() -> None:
    events = [asked(n, ERA + n * DAY, f"prompt about topic{n % 5}") for n in range(20)]
    whole, even, odd = observed(*events), observed(*events[::2]), observed(*events[1::2])
    even.merge(odd)
    assert even.profile.events == whole.profile.events
    assert even.profile.topics.halves() == whole.profile.topics.halves()
    assert even.profile.capabilities == whole.profile.capabilities
    assert even.last_seen_unix_nano == whole.last_seen_unix_nano


def test_what_was_added_can_be_taken_out_again() -> None:
    one, other = a_light_account(5, seed=1).profile, a_light_account(5, seed=2).profile
    before = one.pack()
    one.add(other)
    one.add(other, sign=-1)
    after = Profile.unpack(before)
    assert one.topics.halves() == after.topics.halves()
    assert (one.events, one.hours, one.parameters) == (after.events, after.hours, after.parameters)


def test_rarefaction_needs_its_sample() -> None:
    with pytest.raises(ValueError, match="a sample of 2"):
        TopicCounts().rarefied(2)


def test_more_topics_than_fit_leave_the_most_asked() -> None:
    topics = TopicCounts()
    for cell in range(256):
        for _ in range(2 if cell < 100 else 1):
            topics.count(cell, half=cell & 1)
    assert topics.distinct == 192
    assert {cell for half in topics.halves() for cell, _ in half} >= set(range(100))
    assert topics.conversations == sum(count for half in topics.halves() for _, count in half)


# -- all accounts of a partition -------------------------------------------------------------------------------------


def filled(store: AccountStore, names: str) -> AccountStore:
    for number, name in enumerate(names):
        state, _ = store.open(name, ERA)
        state.observe(event := an_event(name, number), event_fingerprint(event))
    return store


def test_an_account_is_the_same_busy_or_idle() -> None:
    small, large = filled(AccountStore(100, 1, 14), "abcabcacb"), filled(AccountStore(100, 50, 14), "abcabcacb")
    for name in "abc":
        one, other = small.get(name), large.get(name)
        assert one is not None
        assert other is not None
        assert one.pack() == other.pack()


def test_a_full_store_makes_room_by_dropping_the_longest_unseen() -> None:
    store = filled(AccountStore(4, 2, 14), "abcd")
    store.open("a", ERA)
    _, evicted = store.open("e", ERA)
    assert evicted == ["b"]
    assert "a" in store
    assert len(store) == 4


def test_a_restored_store_makes_room_in_the_same_order() -> None:
    store, again = filled(AccountStore(4, 2, 14), "abcda"), AccountStore(4, 2, 14)
    again.restore(store.pack())
    assert store.open("e", ERA)[1] == again.open("e", ERA)[1]
    assert again.pack() == store.pack()


@pytest.mark.parametrize("largest", [3, 29, 30, 31, 32, 90, 400])
def test_rarefaction_is_hypergeometric(largest: int) -> None:
    counts, sample = [1, 2, largest], 3
    topics = TopicCounts()
    for cell, count in enumerate(counts):
        for _ in range(count):
            topics.count(cell, half=0)
    n = sum(counts)
    exact = sum(1 - math.comb(n - count, sample) / math.comb(n, sample) for count in counts)
    assert topics.rarefied(sample) == pytest.approx(exact, abs=2e-3)


def using(at: int, model: str, **attributes: object) -> RequestEvent:
    return asked(at, at, "x", **{"gen_ai.request.model": model, **attributes})


def first_uses(state: AccountState) -> list[int]:
    return sorted(first_s - ERA // 10**9 for first_s in state.models.values())


def test_of_each_model_the_first_use_is_known() -> None:
    hours = [(0, "old"), (5, "new"), (6, "old"), (7, "new")]
    state = observed(*(using(ERA + hour * HOUR, model) for hour, model in hours))
    assert first_uses(state) == [0, 5 * 3_600]


def test_a_first_use_that_is_told_late_counts() -> None:
    state = observed(using(ERA + 9 * HOUR, "new"), using(ERA + 2 * HOUR, "new"))
    assert first_uses(state) == [2 * 3_600]


def test_a_model_that_the_platform_refused_was_not_used() -> None:
    state = observed(using(ERA, "no-such-model", **{"http.response.status_code": 404}))
    assert state.models == {}


def test_of_many_models_those_taken_up_last_are_kept() -> None:
    state = observed(*(using(ERA + n * HOUR, f"model-{n}") for n in range(6)))
    assert first_uses(state) == [3 * 3_600, 4 * 3_600, 5 * 3_600]


def test_who_uses_models_by_turns_has_used_each_since_the_first_time() -> None:
    state = observed(*(using(ERA + n * HOUR, f"model-{n % 3}") for n in range(60)))
    assert first_uses(state) == [0, 3_600, 2 * 3_600]


def test_first_uses_merge_and_are_packed() -> None:
    events = [using(ERA + n * HOUR, f"model-{n // 5}") for n in range(15)]
    whole, even, odd = observed(*events), observed(*events[::2]), observed(*events[1::2])
    even.merge(odd)
    assert even.models == whole.models
    assert AccountState.unpack("a", whole.pack()).models == whole.models


def test_a_model_is_used_since_its_first_use_when_eras_have_passed() -> None:
    state = observed(using(ERA, "old"), using(ERA + 50 * DAY, "old"))
    assert first_uses(state) == [0]
