"""Laws of the state, over inputs that nobody chose."""

import msgpack
from factories import HOUR, T0, a_core, a_message, an_event
from hypothesis import Phase, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from stillwatch.event import RequestEvent, parse_event
from stillwatch.partition import partition_of
from stillwatch.ports import RawMessage
from stillwatch.shard import PartitionCore
from stillwatch.summary import Report, decode_report, encode_report
from stillwatch.wire import decode_message, encode_event, from_json_line, to_json_line

# A partition core costs 60 ms to make, so examples are few and not shrunk for minutes.
SOME = examples(deadline=None, max_examples=25, phases=[Phase.explicit, Phase.generate])

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=20)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(scalars, inner, max_size=4)
)
tokens = st.text(alphabet="abcXYZ019_-", min_size=1, max_size=64)
prompts = st.sampled_from(["what is rust", "fix this loop", "2+2?", "translate cat", "plan a trip", ""])
events = st.builds(
    lambda account, number, prompt, conversation: an_event(
        account, number, prompt=prompt, gen_ai__conversation__id=conversation
    ),
    st.sampled_from(["a", "b", "c", "d"]), st.integers(0, 500), prompts, st.sampled_from(["x", "y", "z"]),
)  # fmt: skip


@given(anything)
def test_parsing_is_total(raw: object) -> None:
    parse_event(raw)


@given(st.binary(max_size=300))
def test_decoding_is_total(payload: bytes) -> None:
    assert decode_message(payload)


@given(st.text(max_size=200))
def test_reading_a_line_is_total(line: str) -> None:
    from_json_line(line)


@given(events)
def test_what_is_accepted_survives_the_wire(event: RequestEvent) -> None:
    assert decode_message(encode_event(event)) == [event]
    assert from_json_line(to_json_line(event)) == event


@given(tokens, st.integers(1, 1024))
def test_every_account_has_a_partition(account: str, partitions: int) -> None:
    assert 0 <= partition_of(account, partitions) < partitions


def state_of(core: PartitionCore) -> dict[str, object]:
    """What a snapshot holds, without River's pickles: equal objects do not pickle to equal bytes."""
    body: dict[str, object] = msgpack.unpackb(core.snapshot(), strict_map_key=False)
    scorer = body["scorer"]
    assert isinstance(scorer, dict)
    return {**body, "scorer": [scorer[part] for part in ("baseline", "cohort", "evidence")]}


PROBES = [an_event(account, 999, prompt="what is rust") for account in "abcd"]


@SOME
@given(st.lists(events, max_size=40), st.lists(st.integers(1, 40), max_size=6))
def test_a_crash_anywhere_and_a_replay_change_nothing(stream: list[RequestEvent], crashes: list[int]) -> None:
    """The crash is a restored snapshot, after which everything so far is delivered again."""
    messages = [a_message(event, sequence) for sequence, event in enumerate(stream, start=1)]
    untouched, crashed = a_core(), a_core()
    untouched.observe(messages)
    for at in sorted(crashes):
        crashed.observe(messages[:at])
        restored = a_core()
        restored.restore(crashed.snapshot())
        crashed = restored
    crashed.observe(messages)
    assert state_of(crashed) == state_of(untouched)
    assert [crashed.score(probe) for probe in PROBES] == [untouched.score(probe) for probe in PROBES]


@SOME
@given(st.lists(st.binary(max_size=60), max_size=20))
def test_hostile_bytes_never_stop_a_partition(payloads: list[bytes]) -> None:
    core = a_core()
    subject = "stillwatch.partition.0.a"
    observed = core.observe([RawMessage(n, subject, payload, T0) for n, payload in enumerate(payloads, start=1)])
    assert observed.last_sequence == len(payloads)
    assert observed.taken + observed.duplicates + len(observed.dead_letters) >= len(payloads)


@SOME
@given(st.lists(events, min_size=1, max_size=40))
def test_reports_survive_the_wire(stream: list[RequestEvent]) -> None:
    core = a_core()
    core.observe([a_message(event, n) for n, event in enumerate(stream, start=1)])
    core.close(T0 + 100 * HOUR)
    report = Report(
        [summary for cut in core.take_cuts() for summary in cut.summaries],
        [core.score(event) for event in stream[:3]],
        ["00-" + "a" * 32 + "-" + "b" * 16 + "-01"],
    )
    assert decode_report(encode_report(report)) == report
