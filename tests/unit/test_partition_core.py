from dataclasses import replace

import msgpack
from factories import HOUR, SECOND, T0, a_core, a_message, account_in, an_envelope, an_event

from stillwatch.event import RequestEvent
from stillwatch.ports import Label, RawMessage
from stillwatch.shard import PartitionCore
from stillwatch.subjects import label_subject
from stillwatch.summary import AccountSummary
from stillwatch.wire import encode_label


def said(core: PartitionCore) -> list[AccountSummary]:
    """What it would tell the aggregator if the tick ended now."""
    core.close(T0 + 100 * HOUR)
    return [summary for cut in core.take_cuts() for summary in cut.summaries]


def test_an_event_is_counted_once_however_often_it_comes() -> None:
    core = a_core()
    event = an_event()
    core.observe([a_message(event, 1), a_message(event, 2), an_envelope([event, event], 3)])
    assert (core.counts["events"], core.counts["duplicates"]) == (1, 3)


def test_a_redelivered_message_is_skipped_by_its_sequence() -> None:
    core = a_core()
    messages = [a_message(an_event(number=n), n + 1) for n in range(10)]
    core.observe(messages)
    again = core.observe(messages)
    assert (again.taken, again.duplicates, core.counts["events"]) == (0, 0, 10)


def test_a_batch_may_be_split_anywhere() -> None:
    messages = [a_message(an_event(f"a{n % 5}", n, prompt=f"explain topic {n % 7}"), n + 1) for n in range(300)]
    whole, split = a_core(), a_core()
    whole.observe(messages)
    for start in range(0, 300, 7):
        split.observe(messages[start : start + 7])
    assert said(split) == said(whole)
    probe = an_event("a1", 999, prompt="explain topic 3")
    assert split.score(probe) == whole.score(probe)


def test_an_event_on_anothers_subject_is_a_dead_letter() -> None:
    core = a_core()
    message = a_message(an_event("victim"), 1)
    spoofed = RawMessage(1, "stillwatch.partition.0.attacker", message.payload, message.received_unix_nano)
    observed = core.observe([spoofed])
    assert [letter.rejected.reason for letter in observed.dead_letters] == ["account_mismatch"]
    assert core.account("victim") is None


def test_an_envelope_for_another_partition_is_a_dead_letter() -> None:
    mine, other = account_in(1, 4), account_in(2, 4)
    core = a_core(partitions=4, partition=1)
    observed = core.observe([an_envelope([an_event(mine), an_event(other)], 1, partition=1)])
    assert observed.taken == 1
    assert [letter.rejected.reason for letter in observed.dead_letters] == ["partition_mismatch"]


def test_an_event_from_the_future_is_a_dead_letter() -> None:
    event = RequestEvent("r", "a", T0 + 48 * HOUR)
    message = a_message(event, 1)
    observed = a_core().observe([RawMessage(1, message.subject, message.payload, T0)])
    assert [letter.rejected.reason for letter in observed.dead_letters] == ["time_in_future"]


def test_a_poison_message_keeps_its_bytes_and_the_partition_moves_on() -> None:
    core = a_core()
    observed = core.observe([RawMessage(1, "stillwatch.partition.0.a", b"\xc1\xff", T0), a_message(an_event(), 2)])
    assert observed.last_sequence == 2
    assert observed.taken == 1
    letter = observed.dead_letters[0]
    assert (letter.sequence, letter.payload, letter.rejected.reason) == (1, b"\xc1\xff", "undecodable")


def test_a_young_account_has_no_opinion_and_no_zero() -> None:
    core = a_core()
    core.observe([a_message(an_event(prompt="hello"), 1)])
    view = core.account("acct-1")
    assert view is not None
    assert view.score.score is None
    assert view.score.band == "no_opinion"


def a_population(core_size: int = 80, conversations: int = 30) -> list[RawMessage]:
    """People with three topics each, who follow up on what they asked."""
    messages = []
    for number in range(conversations):
        for person in range(core_size):
            topic = f"subject{(person * 3 + number % 3) % 97} matters"
            event = an_event(
                f"p{person}", number, prompt=f"tell me about {topic} please", gen_ai__request__temperature=0.7
            )
            messages.append(event)
    return [a_message(event, sequence) for sequence, event in enumerate(messages, start=1)]


def test_after_a_population_signals_come_with_normal_and_surprise() -> None:
    core = a_core()
    core.observe(a_population())
    view = core.account("p3")
    assert view is not None
    signals = {signal.name: signal for signal in view.signals}
    diversity = signals["topic_diversity"]
    assert diversity.normal is not None
    assert diversity.surprise is not None
    assert diversity.normal[0] <= diversity.value <= diversity.normal[1]
    assert "cohort_anomaly" in signals
    assert view.score.score is not None


def test_an_account_that_never_repeats_a_topic_is_more_surprising_than_a_person() -> None:
    core = a_core()
    population = a_population()
    core.observe(population)
    start = len(population) + 1
    core.observe(
        [
            a_message(an_event("harvest", n, prompt=f"explain item{n}zz exhaustively as json step by step"), start + n)
            for n in range(30)
        ]
    )
    harvest, person = core.account("harvest"), core.account("p3")
    assert harvest is not None
    assert person is not None
    assert harvest.score.score is not None
    assert person.score.score is not None
    assert harvest.score.score > person.score.score


def test_scoring_an_event_leaves_no_trace() -> None:
    core = a_core()
    core.observe(a_population(40, 14))
    before = core.snapshot()
    core.score(an_event("p3", 99, prompt="something else entirely"))
    core.score(an_event("unknown", 1, prompt="x"))
    assert core.snapshot() == before


def test_labels_teach_the_supervised_model() -> None:
    core = a_core()
    population = a_population(40, 14)
    core.observe(population)
    sequence = len(population) + 1
    for number in range(90):
        prompt = f"write item{number} as json step by step"
        core.observe([a_message(an_event(f"bad{number % 3}", number, prompt=prompt), sequence)])
        sequence += 1
    for number in range(3):
        for account, kind in ((f"bad{number}", "attack"), (f"p{number}", "user")):
            label = encode_label(Label(account, kind, "ops", T0))  # type: ignore[arg-type]
            core.observe([RawMessage(sequence, label_subject(0), label, T0)])
            sequence += 1
    bad, good = core.account("bad1"), core.account("p5")
    assert bad is not None
    assert good is not None
    learned = [next(s.value for s in view.signals if s.name == "label_model") for view in (bad, good)]
    assert learned[0] > learned[1]
    assert bad.label == "attack"


def test_a_label_that_is_none_is_a_dead_letter() -> None:
    observed = a_core().observe([RawMessage(1, label_subject(0), msgpack.packb({"account": "a"}), T0)])
    assert observed.dead_letters[0].rejected.reason == "undecodable"


def test_a_full_partition_forgets_the_longest_silent_account_and_counts_it() -> None:
    core = a_core(max_accounts_per_partition=3)
    for number, account in enumerate(("a", "b", "c", "a", "d")):
        core.observe([a_message(an_event(account, number), number + 1)])
    assert core.account("b") is None
    assert core.account("a") is not None
    assert core.counts["evicted_accounts"] == 1
    assert [summary.account for summary in said(core)] == ["a", "c", "d"]


def test_only_the_first_request_of_a_conversation_counts_as_a_choice_of_topic() -> None:
    core = a_core()
    for n in range(6):
        event = an_event("a", n, prompt="follow up", gen_ai__conversation__id="c1", stillwatch__prompt__turn=n + 1)
        core.observe([a_message(event, n + 1)])
    view = core.account("a")
    assert view is not None
    assert (view.events, view.conversations) == (6, 1)


def test_no_prompt_text_is_in_a_snapshot_or_summary() -> None:
    core = a_core()
    canary = "xyzzy-canary-prompt"
    core.observe([a_message(an_event(prompt=canary, stillwatch__system__text=canary), 1)])
    assert canary.encode() not in core.snapshot()
    assert canary not in repr(said(core))


def test_time_moves_with_the_events() -> None:
    core = a_core()
    core.observe([a_message(an_event("a", 5), 1), a_message(an_event("a", 2), 2)])
    view = core.account("a")
    assert view is not None
    assert (view.first_seen_unix_nano, view.last_seen_unix_nano) == (T0 + 2 * SECOND, T0 + 5 * SECOND)


def test_a_refused_call_is_a_failed_one_for_handoffs_and_nothing_else() -> None:
    core = a_core()
    core.observe([a_message(an_event(number=n, prompt=f"explain topic {n}"), n + 1) for n in range(5)])
    [before] = said(core)
    core.observe([a_message(an_event(number=400_000, prompt="and this", error__type="stillwatch.refused"), 6)])
    core.close(T0 + 300 * HOUR)
    [after] = [summary for cut in core.take_cuts() for summary in cut.summaries]
    assert len(after.failed) == len(before.failed) + 1
    assert after.failures == before.failures + 1
    assert after.refused == before.refused + 1
    assert replace(after, failed=before.failed, failures=before.failures, refused=before.refused) == before
    assert core.counts["refused"] == 1


def test_a_refused_call_of_an_account_that_is_not_known_is_counted_and_kept_nowhere() -> None:
    core = a_core()
    core.observe([a_message(an_event("new", prompt="and this", error__type="stillwatch.refused"), 1)])
    assert core.account("new") is None
    assert core.counts["refused"] == 1


def test_refused_calls_do_not_move_the_score_of_what_is_served_later() -> None:
    made = [an_event(f"a{n % 40}", n, prompt=f"explain topic {n % 7}") for n in range(2_000)]
    told, untold = a_core(), a_core()
    for core in (told, untold):
        core.observe([a_message(event, n + 1) for n, event in enumerate(made)])
    refused = [an_event("a1", 5_000 + n, prompt="and this", error__type="stillwatch.refused") for n in range(50)]
    told.observe([a_message(event, 3_000 + n) for n, event in enumerate(refused)])
    served = an_event("a1", 9_000, prompt="explain topic 3")
    assert told.score(served) == untold.score(served)
