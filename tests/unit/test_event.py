import math
import pickle
from itertools import permutations

import pytest
from factories import T0, an_event

from stillwatch import errors
from stillwatch import event as event_module
from stillwatch.event import MAX_FUTURE_NANO, Rejected, RequestEvent, check_arrival, parse_event
from stillwatch.wire import Undecoded, decode_message, encode_envelope, encode_event, from_json_line, to_json_line


def a_map(**changes: object) -> dict[str, object]:
    out: dict[str, object] = {"v": 1, "id": "r-1", "time_unix_nano": T0, "account": "acct-1", "attributes": {}}
    return {**out, **changes}


def test_a_minimal_event_is_accepted() -> None:
    assert parse_event(a_map()) == RequestEvent("r-1", "acct-1", T0)


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"v": 2}, "v", "unknown_version"),
        ({"v": True}, "v", "unknown_version"),
        ({"id": None}, "id", "missing_field"),
        ({"id": ""}, "id", "wrong_type"),
        ({"id": "x" * 129}, "id", "wrong_type"),
        ({"id": "a\r\nb"}, "id", "wrong_type"),
        ({"account": "a b"}, "account", "wrong_type"),
        ({"account": "a.b"}, "account", "wrong_type"),
        ({"account": "a" * 65}, "account", "wrong_type"),
        ({"account": "acct\n"}, "account", "wrong_type"),
        ({"time_unix_nano": 1_790_000_000}, "time_unix_nano", "wrong_type"),
        ({"time_unix_nano": float(T0)}, "time_unix_nano", "wrong_type"),
        ({"time_unix_nano": 2**70}, "time_unix_nano", "wrong_type"),
        ({"attributes": []}, "attributes", "wrong_type"),
        ({"attributes": {f"k{i}": 1 for i in range(129)}}, "attributes", "oversize"),
        ({"trace_id": b"short", "span_id": b"12345678"}, "trace_id", "wrong_type"),
        ({"span_id": "zz"}, "span_id", "wrong_type"),
    ],
)
def test_a_bad_field_is_named(changes: dict[str, object], field: str, reason: str) -> None:
    rejected = parse_event(a_map(**changes))
    assert isinstance(rejected, Rejected)
    assert (rejected.field, rejected.reason) == (field, reason)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gen_ai.usage.input_tokens", math.nan),
        ("gen_ai.usage.input_tokens", math.inf),
        ("gen_ai.usage.input_tokens", -1),
        ("gen_ai.usage.input_tokens", "12"),
        ("gen_ai.usage.input_tokens", True),
        ("gen_ai.request.stream", 1),
        ("stillwatch.prompt.text", b"bytes"),
        ("stillwatch.prompt.text", "x" * 65_537),
        ("stillwatch.prompt.text", "\ud800"),
        ("gen_ai.response.finish_reasons", "stop"),
        ("gen_ai.response.finish_reasons", [1]),
    ],
)
def test_a_known_attribute_of_the_wrong_type_rejects_the_event(name: str, value: object) -> None:
    rejected = parse_event(a_map(attributes={name: value}))
    assert isinstance(rejected, Rejected)
    assert rejected.field == f"attributes.{name}"


def test_an_unknown_attribute_is_left_out_whatever_it_holds() -> None:
    event = parse_event(a_map(attributes={"x.y": {"deep": [float("nan")]}, "stillwatch.org.id": "o"}, unknown=1))
    assert isinstance(event, RequestEvent)
    assert event.attributes == {"stillwatch.org.id": "o"}


VALUES: dict[str, list[object]] = {
    "gen_ai.request.model": ["m", "", 3, None, "x" * 65_537, "\ud800", ["m"]],
    "stillwatch.org.id": ["o", None, b"o"],
    "gen_ai.request.temperature": [0.7, 0, -0.0, -1.0, math.nan, math.inf, 2**63, True, "0.7", None],
    "gen_ai.usage.input_tokens": [12, 2**63 - 1, False],
    "gen_ai.request.stream": [True, 1, "true", None],
    "gen_ai.response.finish_reasons": [["stop"], [], ["stop", "length"], [3], "stop", ["x" * 129], None],
    "stillwatch.client.asn": [64_500, "AS64500", -1, True, None],
}


@pytest.mark.parametrize("name", VALUES)
def test_a_request_is_read_alike_whether_or_not_one_with_the_same_names_came_before(name: str) -> None:
    for value in VALUES[name]:
        attributes = {known: values[0] for known, values in VALUES.items()} | {name: value}
        raw = {**an_event().to_map(), "attributes": attributes}
        # With a name that nobody knows it is read by itself, and that name is left out.
        alone = parse_event({**raw, "attributes": {**attributes, "unknown": 1}})
        assert repr(parse_event(raw)) == repr(parse_event(raw)) == repr(alone)


def test_names_of_attributes_are_remembered_up_to_a_bound() -> None:
    names = [f"stillwatch.{n}" for n in ("org.id", "account.tier", "account.payment", "account.signup", "client.ja4")]
    for order in permutations([*names, "client.address"]):
        parse_event({**an_event().to_map(), "attributes": dict.fromkeys(order, "v")})
    assert 0 < len(event_module._SHAPES) <= event_module._MAX_SHAPES


def test_what_a_caller_does_to_its_map_later_does_not_change_the_event() -> None:
    raw = {**an_event().to_map(), "attributes": {"gen_ai.request.model": "m"}}
    event = parse_event(raw)
    raw["attributes"]["gen_ai.request.model"] = "other"
    assert isinstance(event, RequestEvent)
    assert event.attributes == {"gen_ai.request.model": "m"}


def test_a_missing_value_is_not_known_and_not_zero() -> None:
    event = parse_event(a_map(attributes={"gen_ai.usage.input_tokens": None}))
    assert isinstance(event, RequestEvent)
    assert event.number("gen_ai.usage.input_tokens") is None


@pytest.mark.parametrize("raw", [None, 3, "x", [], b"", 1.5])
def test_what_is_not_a_map_is_rejected(raw: object) -> None:
    rejected = parse_event(raw)
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "not_a_map"


def test_an_event_a_day_ahead_of_its_arrival_is_rejected_and_a_skewed_clock_is_not() -> None:
    event = an_event()
    assert check_arrival(event, event.time_unix_nano - 60 * 10**9) is None
    late = check_arrival(event, event.time_unix_nano - MAX_FUTURE_NANO - 1)
    assert late is not None
    assert late.reason == "time_in_future"


def test_an_event_survives_msgpack_and_json() -> None:
    event = RequestEvent(
        "r-1", "a", T0, {"stillwatch.org.id": "ö", "gen_ai.request.temperature": 0.2}, b"t" * 16, b"s" * 8
    )
    assert decode_message(encode_event(event)) == [event]
    assert from_json_line(to_json_line(event)) == event


def test_one_bad_event_in_an_envelope_does_not_spoil_the_others() -> None:
    import msgpack

    good = an_event()
    decoded = decode_message(msgpack.packb([good.to_map(), {"v": 1}, good.to_map()]))
    assert [type(item) for item in decoded] == [RequestEvent, Undecoded, RequestEvent]
    bad = decoded[1]
    assert isinstance(bad, Undecoded)
    assert (bad.index, bad.rejected.field) == (1, "id")
    assert msgpack.unpackb(bad.payload) == {"v": 1}


def test_an_envelope_keeps_its_order() -> None:
    events = [an_event(number=n) for n in range(5)]
    assert decode_message(encode_envelope(events)) == events


ALL_ERRORS = [
    errors.SettingsError("nats.urls", "is empty", "Write one"),
    errors.DeploymentMismatch("S", 8, 16),
    errors.NotOwner("shard-000", 3),
    errors.Unavailable("NATS", "down", 2.0),
    errors.StreamRewound(3, 17, "the stream was made anew"),
    errors.Conflict("key", "other body"),
    errors.NotFound("campaign", "c-1"),
    errors.SnapshotIncompatible("x", "a", "b"),
    errors.SnapshotDamaged("x", "torn"),
    errors.SnapshotUntrusted("x"),
    errors.Fenced("x", 3),
]


@pytest.mark.parametrize("error", ALL_ERRORS, ids=lambda error: type(error).__name__)
def test_every_error_survives_pickling_with_its_fields_and_words(error: errors.StillwatchError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


def test_every_error_class_is_in_the_round_trip() -> None:
    assert {type(error) for error in ALL_ERRORS} == set(errors.StillwatchError.__subclasses__())
