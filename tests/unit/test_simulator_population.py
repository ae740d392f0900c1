"""The honest population is as uneven and as diverse as real people, and no value gives the campaign away."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from statistics import mean, median, quantiles

import pytest

from stillwatch.event import AttributeValue
from stillwatch.simulator import BuiltinTexts, Traced, from_map, trace
from stillwatch.simulator.interests import BROAD, FOCUSED, Breadth, Interests, rarefied_distinct
from stillwatch.simulator.population import People
from stillwatch.simulator.rhythm import BURSTY, EVENING, OFFICE, STEADY, DayCurve, arrivals, hourly, turns

TEXTS = BuiltinTexts()
# The figures were measured over 256 cells; a built-in topic is a quarter of one.
CELL = [topic // 4 for topic in range(len(TEXTS.topics))]
MONDAY = 1_740_960_000


def distinct_in_twenty(people: list[Interests], conversations: int = 60) -> tuple[float, float, float]:
    """5 / 50 / 95 % over people of the rarefied number of distinct topic cells."""
    rng = random.Random(8)
    values = [
        rarefied_distinct(list(Counter(CELL[person.draw(rng)] for _ in range(conversations)).values()))
        for person in people
    ]
    cuts = quantiles(values, n=20)
    return cuts[0], median(values), cuts[-1]


@pytest.mark.parametrize(
    ("breadth", "measured"),
    [(BROAD, (14.8, 16.8, 18.3)), (FOCUSED, (10.6, 13.2, 16.3))],
    ids=["users of a chat assistant", "users of a forum"],
)
def test_people_are_as_diverse_as_was_measured(breadth: Breadth, measured: tuple[float, float, float]) -> None:
    rng, everybody = random.Random(5), Interests(TEXTS.popularity)
    found = distinct_in_twenty([everybody.person(breadth, rng) for _ in range(600)])
    assert found == pytest.approx(measured, abs=0.8)


def test_the_prompts_of_many_people_together_are_as_diverse_as_was_measured() -> None:
    assert distinct_in_twenty([Interests(TEXTS.popularity)] * 400) == pytest.approx((17.0, 18.0, 18.8), abs=0.4)


def test_a_pool_of_attack_prompts_is_as_diverse_as_was_measured() -> None:
    rng, everybody = random.Random(6), Interests(TEXTS.popularity)
    pools = [everybody.around(BROAD.median_concentration, rng) for _ in range(300)]
    assert distinct_in_twenty(pools) == pytest.approx((15.2, 17.0, 18.1), abs=0.6)


def test_rarefaction_of_equal_counts_is_exact() -> None:
    # 20 of 40 items, two of each of 20 topics: a topic is missed with probability C(38,20)/C(40,20).
    assert rarefied_distinct([2] * 20, 20) == pytest.approx(20 * (1 - (20 * 19) / (40 * 39)))


def test_volumes_have_a_heavy_tail() -> None:
    people = People(name="people", count=1)
    world = from_map({"name": "x", "days": 1, "groups": [{"kind": "people", "name": "p", "count": 1}]}).world()
    volumes = sorted(people.requests_per_day(world, index) for index in range(6_000))
    assert median(volumes) == pytest.approx(8.0, rel=0.1)
    assert mean(volumes) == pytest.approx(26.0, rel=0.12)
    assert sum(volumes[-600:]) > 0.5 * sum(volumes)  # the busiest tenth writes more than half


def test_conversations_have_the_measured_lengths() -> None:
    rng = random.Random(7)
    lengths = sorted(turns(rng, 2.35) for _ in range(40_000))
    assert mean(lengths) == pytest.approx(2.35, abs=0.05)
    assert lengths[20_000] == 1
    assert lengths[38_000] in (7, 8)


@pytest.mark.parametrize("average", [1.0, 1.2, 1.6, 5.0])
def test_conversations_have_the_mean_length_that_was_asked_for(average: float) -> None:
    rng = random.Random(8)
    assert mean(turns(rng, average) for _ in range(30_000)) == pytest.approx(average, rel=0.04)


@pytest.mark.parametrize("curve", [OFFICE, EVENING, STEADY])
def test_a_week_has_the_volume_that_was_asked_for(curve: DayCurve) -> None:
    expected = hourly(random.Random(1), 40.0, curve, start_unix_s=MONDAY, days=7, utc_offset_h=-5)
    assert sum(expected) / 7 == pytest.approx(40.0, rel=0.02)


def test_people_sleep_at_night_where_they_live() -> None:
    tokyo = list(hourly(random.Random(1), 24.0, OFFICE, start_unix_s=MONDAY, days=1, utc_offset_h=9))
    assert tokyo[18] < 0.05 * tokyo[1]  # 3 in the morning against 10 in the morning, local time


@pytest.mark.parametrize("shape", [BURSTY, 1.0])
def test_arrivals_come_in_order_at_the_expected_rate(shape: float) -> None:
    rng = random.Random(2)
    times = list(arrivals(rng, [0.0, 3_000.0, 0.0, 6_000.0], shape))
    assert times == sorted(times)
    assert len(times) == pytest.approx(9_000, rel=0.06)
    assert all(3_600 <= time <= 7_200 or 10_800 <= time <= 14_400 for time in times)


@pytest.fixture(scope="module")
def mixed() -> list[Traced]:
    groups = [
        {"kind": "people", "name": "people", "count": 300},
        {"kind": "team", "name": "team", "members": 12},
        {"kind": "saas", "name": "product", "keys": 4},
        {"kind": "gateway", "name": "reseller", "keys": 2},
        {"kind": "evaluation", "name": "benchmark"},
        {"kind": "campaign", "name": "hydra", "accounts": 40, "cover_share": 0.2},
        {"kind": "campaign", "name": "heron", "accounts": 15, "linked": "weak", "personas": True, "staggered": True,
         "sticky": "window", "failover_s": 4},
        {"kind": "campaign", "name": "strangers", "accounts": 15, "linked": "none", "personas": True},
    ]  # fmt: skip
    return list(trace(from_map({"name": "mixed", "seed": 3, "days": 2, "groups": groups}), TEXTS))


def values_of(mixed: list[Traced]) -> dict[str, dict[bool, Counter[str]]]:
    """For each attribute: its values as text, in attack events (True) and in honest ones."""
    found: dict[str, dict[bool, Counter[str]]] = defaultdict(lambda: {True: Counter(), False: Counter()})
    for traced in mixed:
        attack = traced.identity.kind == "attack"
        everything: dict[str, AttributeValue] = {
            "id": traced.event.id, "account": traced.event.account, **traced.event.attributes,
        }  # fmt: skip
        for name, value in everything.items():
            found[name][attack][repr(value)] += 1
    return found


def senders(mixed: list[Traced], name: str, value: str) -> set[str]:
    return {traced.event.account for traced in mixed if repr(traced.event.attributes.get(name)) == value}


# What identifies one account or one request. Values differ by design; formats must not.
IDENTIFIERS = {
    "id", "account", "stillwatch.org.id", "gen_ai.conversation.id", "client.address", "stillwatch.account.payment",
    "stillwatch.account.signup",
}  # fmt: skip
NUMBERS = {"gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "stillwatch.account.created_unix"}
TEXT = {"stillwatch.prompt.text"}


def test_no_attribute_is_only_sent_or_only_left_out_by_attackers(mixed: list[Traced]) -> None:
    for name, by_side in values_of(mixed).items():
        honest_has = by_side[False].total()
        honest_lacks = sum(traced.identity.kind != "attack" for traced in mixed) - honest_has
        attack_has = by_side[True].total()
        attack_lacks = sum(traced.identity.kind == "attack" for traced in mixed) - attack_has
        assert not (attack_has and not honest_has), name
        assert not (attack_lacks and not honest_lacks), name


def test_no_value_of_an_attribute_belongs_to_attackers_alone(mixed: list[Traced]) -> None:
    checked = 0
    for name, by_side in values_of(mixed).items():
        if name in IDENTIFIERS | NUMBERS | TEXT:
            continue
        strangers = set(by_side[True]) - set(by_side[False])
        # A long conversation's turn number can be the longest of all by chance.
        if name == "stillwatch.prompt.turn":
            strangers = {turn for turn in strangers if int(turn) < 20}
        # Own words in a system prompt are one person's; what several attackers send, honest people send too.
        strangers = {value for value in strangers if len(senders(mixed, name, value)) > 1}
        assert not strangers, f"{name}: {strangers} is sent by attackers only"
        checked += 1
    assert checked >= 12


def test_identifiers_of_attackers_look_like_everybodys(mixed: list[Traced]) -> None:
    def formats(values: Counter[str]) -> set[str]:
        return {re.sub(r"\d+'$", "N'", re.sub(r"[0-9a-f]{24}", "HEX", value)) for value in values}

    for name, by_side in values_of(mixed).items():
        if name in IDENTIFIERS:
            assert formats(by_side[True]) == formats(by_side[False]), name


def test_no_number_separates_attackers_from_everybody(mixed: list[Traced]) -> None:
    for name, by_side in values_of(mixed).items():
        if name in NUMBERS:
            attack = [float(value) for value in by_side[True]]
            low, high = min(attack), max(attack)
            honest = by_side[False]
            inside = sum(count for value, count in honest.items() if low <= float(value) <= high)
            assert inside > 0.03 * honest.total(), name


def test_what_a_campaign_shares_honest_people_share_too(mixed: list[Traced]) -> None:
    accounts: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for traced in mixed:
        side = "attack" if traced.identity.kind == "attack" else "honest"
        for name in ("stillwatch.account.payment", "stillwatch.account.signup", "stillwatch.client.ja4"):
            value = traced.event.attributes.get(name)
            if isinstance(value, str):
                accounts[f"{name}={value}"][side].add(traced.event.account)
    shared_by_the_campaign = [sides for sides in accounts.values() if len(sides["attack"]) >= 8]
    assert len(shared_by_the_campaign) >= 3
    assert sum(bool(sides["honest"]) for sides in shared_by_the_campaign) >= 0.7 * len(shared_by_the_campaign)
    # And there are groups of the same size that no attacker is in, or hardly one.
    assert sum(len(sides["honest"]) >= 8 > len(sides["attack"]) for sides in accounts.values()) >= 3


def test_attackers_and_honest_people_write_about_the_same_things_in_the_same_words(mixed: list[Traced]) -> None:
    def vocabulary(kinds: set[str], limit: int) -> set[str]:
        texts = [str(t.event.attributes["stillwatch.prompt.text"]) for t in mixed if t.identity.kind in kinds]
        return set(re.findall(r"[a-z]{3,}", " ".join(texts[:limit]).lower()))

    attack, honest = vocabulary({"attack"}, 1_500), vocabulary({"user"}, 12_000)
    assert len(attack - honest) < 0.02 * len(attack)


def test_a_team_shares_tool_prompt_and_company_and_nothing_of_its_interests(mixed: list[Traced]) -> None:
    team = [traced for traced in mixed if traced.identity.kind == "team"]
    for name in ("stillwatch.client.ja4", "user_agent.original", "stillwatch.system.text", "stillwatch.org.id"):
        assert len({str(traced.event.attributes[name]) for traced in team}) == 1, name
    assert {traced.event.attributes["stillwatch.org.verification"] for traced in team} == {"business"}
    favourites = {
        account: Counter(t.topic for t in team if t.event.account == account).most_common(1)[0][0]
        for account in {traced.event.account for traced in team}
    }
    assert len(set(favourites.values())) > 0.5 * len(favourites)


def test_the_keys_of_a_product_are_alike_and_narrow(mixed: list[Traced]) -> None:
    topics: dict[str, Counter[int]] = defaultdict(Counter)
    for traced in mixed:
        if traced.identity.kind == "saas" and traced.turn == 1:
            topics[traced.event.account][CELL[traced.topic]] += 1
    first, second, *_ = topics.values()
    shared = sum((first & second).values()) / min(first.total(), second.total())
    assert shared > 0.7
    assert rarefied_distinct(list(first.values())) < 12


def test_an_evaluation_asks_everything_once_a_day_and_the_same_again_tomorrow(mixed: list[Traced]) -> None:
    asked = [t.event.attributes["stillwatch.prompt.text"] for t in mixed if t.identity.kind == "evaluation"]
    assert len(asked) == 800
    assert asked[:400] == asked[400:]
    assert len(set(map(str, asked))) == 400
