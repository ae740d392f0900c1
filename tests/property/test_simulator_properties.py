"""Laws of the simulator that hold for any size, any seed, any small scenario."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stillwatch.event import RequestEvent, parse_event
from stillwatch.simulator import BuiltinTexts, from_map, labels, trace
from stillwatch.simulator.phrases import Template
from stillwatch.simulator.seeds import Shuffle
from stillwatch.wire import from_json_line, to_json_line

TEXTS = BuiltinTexts()


@given(size=st.integers(1, 3_000), seed=st.integers(0, 2**32))
def test_a_shuffle_is_a_permutation(size: int, seed: int) -> None:
    order = Shuffle(size, random.Random(seed))
    assert sorted(order.at(position) for position in range(size)) == list(range(size))


@given(size=st.integers(2, 10**15), seed=st.integers(0, 2**32), data=st.data())
def test_a_large_shuffle_stays_inside_and_keeps_places_apart(size: int, seed: int, data: st.DataObject) -> None:
    order = Shuffle(size, random.Random(seed))
    one = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1).filter(lambda place: place != one))
    assert 0 <= order.at(one) < size
    assert order.at(one) != order.at(other)


@given(sizes=st.lists(st.integers(2, 5), min_size=2, max_size=4))
def test_a_template_numbers_each_of_its_texts_once(sizes: list[int]) -> None:
    names = "abcd"[: len(sizes)]
    options = {
        name: tuple(f"{name}{number}" for number in range(size)) for name, size in zip(names, sizes, strict=True)
    }
    template = Template(" ".join(f"{{{name}}}" for name in names) + " {a2} [x|y|z]", options)
    texts = {template.render(number) for number in range(template.size)}
    assert len(texts) == template.size
    assert all(text.split()[0] != text.split()[len(sizes)] for text in texts)


counts = st.integers(2, 6)
groups = st.lists(
    st.one_of(
        st.fixed_dictionaries({"kind": st.just("people"), "count": counts, "focused_share": st.floats(0, 1)}),
        st.fixed_dictionaries({"kind": st.just("team"), "members": counts}),
        st.fixed_dictionaries({"kind": st.just("saas"), "keys": counts, "turns_mean": st.floats(1, 4)}),
        st.fixed_dictionaries({"kind": st.just("gateway"), "keys": counts}),
        st.fixed_dictionaries({"kind": st.just("agents"), "count": counts}),
        st.fixed_dictionaries({"kind": st.just("classroom"), "students": counts, "copies": st.integers(1, 2)}),
        st.fixed_dictionaries({"kind": st.just("reseller"), "keys": counts, "customers": counts}),
        st.fixed_dictionaries({"kind": st.just("batch"), "keys": counts, "records": st.integers(10, 40)}),
        st.fixed_dictionaries({"kind": st.just("ci"), "keys": counts, "runs_mean": st.floats(1, 9)}),
        st.fixed_dictionaries({"kind": st.just("evaluation"), "keys": counts, "suite": st.integers(10, 30)}),
        st.fixed_dictionaries(
            {
                "kind": st.just("campaign"),
                "accounts": counts,
                "cohorts": st.integers(1, 2),
                "cover_share": st.floats(0, 0.95),
                "choice": st.sampled_from(["least_used", "round_robin", "weighted"]),
                "sticky": st.sampled_from(["conversation", "renewed", "window"]),
                "sticky_h": st.floats(0.01, 5),
                "failover_s": st.sampled_from([0.0, 3.0]),
                "personas": st.booleans(),
                "linked": st.sampled_from(["strong", "weak", "none"]),
                "lost_per_day": st.sampled_from([0.0, 0.5]),
                "replace_after_h": st.sampled_from([None, 1.0]),
                "rest_hours": st.integers(0, 20),
                "signup_days_before": st.floats(0, 30),
                "window_h": st.integers(1, 24),
            }
        ),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**62), start=st.integers(10**9, 4 * 10**9), raw_groups=groups)
def test_any_scenario_gives_good_events_in_order_on_known_accounts(
    seed: int, start: int, raw_groups: list[dict[str, Any]]
) -> None:
    raw = [{**group, "name": f"g{index}"} for index, group in enumerate(raw_groups)]
    scenario = from_map({"name": "any", "seed": seed, "days": 1, "start_unix_s": start, "groups": raw})
    accounts = {row.account for row in labels(scenario)}
    before, ids = 0, set()
    conversations: dict[str, set[str]] = defaultdict(set)
    for traced in trace(scenario, TEXTS):
        event = traced.event
        assert before <= event.time_unix_nano < (start + 86_400) * 10**9
        assert event.time_unix_nano >= start * 10**9
        assert event.account in accounts
        parsed = parse_event(event.to_map())
        assert isinstance(parsed, RequestEvent)
        assert from_json_line(to_json_line(event)) == parsed == event
        conversations[str(event.attributes["gen_ai.conversation.id"])].add(event.account)
        before = event.time_unix_nano
        assert event.id not in ids
        ids.add(event.id)
    assert all(len(used) == 1 for used in conversations.values())
