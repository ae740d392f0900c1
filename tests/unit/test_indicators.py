"""The document: what it can hold, who vouches for it, and what of a hostile one comes through (nothing)."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from indicator_values import SEEN_S, an_import, an_indicator

from launch.exchange import new_key_line, parse_exchange_keys
from stillwatch.errors import SettingsError
from stillwatch.fingerprint import CELLS
from stillwatch.indicators import (
    KEPT_S,
    MAX_AGE_S,
    MAX_DOCUMENT_BYTES,
    MAX_VALUES,
    Indicator,
    Refused,
    current,
    quantised,
    read,
    signed,
    value_hash,
    verified,
)
from stillwatch.shelf import MAX_INDICATORS, Shelf

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
KEYS = {"alliance": KEY}
HASH = "ab" * 16


def a_document(**changes: Any) -> dict[str, Any]:
    return {**an_indicator().document(), **changes}


def a_signed_one(**changes: Any) -> Indicator:
    return signed(an_indicator(values={"client": (HASH,), "system": (HASH,)}, **changes), "alliance", KEY)


def test_a_document_is_read_back_as_the_indicator_that_it_was() -> None:
    for one in (an_indicator(), a_signed_one()):
        document = json.loads(json.dumps(one.document()))
        assert read(document) == one
        assert verified(one, KEYS if one.key else {}) is None


def test_a_full_document_is_far_below_the_limit_of_its_size() -> None:
    hashes = tuple(value_hash(KEY, "client", str(number)) for number in range(MAX_VALUES))
    full = a_signed_one(issuer="i" * 64, campaign="c" * 64)
    full = replace(full, values=dict.fromkeys(("client", "parameters", "system", "template"), hashes))
    assert len(json.dumps(full.document())) < MAX_DOCUMENT_BYTES / 2


def test_there_is_no_fraction_in_a_document_so_that_every_language_writes_the_same_canonical_form() -> None:
    def numbers(value: Any) -> list[Any]:
        if isinstance(value, dict):
            return [number for item in value.values() for number in numbers(item)]
        if isinstance(value, list):
            return [number for item in value for number in numbers(item)]
        return [value] if isinstance(value, int | float) else []

    found = numbers(a_signed_one().document())
    assert len(found) > 5
    assert all(isinstance(number, int) for number in found)


@pytest.mark.parametrize(
    "field", ["accounts", "issuer", "campaign", "mixture", "rest_per_mille", "last_seen_unix_s", "values"]
)
def test_a_signed_document_that_was_changed_is_refused(field: str) -> None:
    changed = {
        "accounts": 61, "issuer": "second.example", "campaign": "x-1", "mixture": quantised(1.0 + an_indicator().shares()),
        "rest_per_mille": 13, "last_seen_unix_s": SEEN_S + 1, "values": {"client": (HASH,)},
    }  # fmt: skip
    refused = verified(replace(a_signed_one(), **{field: changed[field]}), KEYS)
    assert refused is not None
    assert refused.field == "signature"


def test_a_signature_of_another_key_or_none_at_all_is_refused_where_there_are_keys() -> None:
    forged = signed(an_indicator(), "alliance", OTHER)
    assert verified(forged, KEYS) is not None
    unsigned = verified(an_indicator(), KEYS)
    assert unsigned is not None
    assert "ask the issuer" in unsigned.detail
    unknown = verified(signed(an_indicator(), "elsewhere", KEY), KEYS)
    assert unknown is not None
    assert unknown.field == "key"
    assert verified(an_indicator(), {}) is None


def test_a_hashed_value_says_nothing_without_the_key_and_differs_by_view() -> None:
    assert value_hash(KEY, "client", "v") != value_hash(OTHER, "client", "v")
    assert value_hash(KEY, "client", "v") != value_hash(KEY, "system", "v")
    assert value_hash(KEY, "client", "v") == value_hash(KEY, "client", "v")


HOSTILE: list[tuple[str, Any]] = [
    ("format", "stix"), ("version", 2), ("version", True), ("version", 1.0), ("fingerprint", "sw2"), ("fingerprint", ["sw1"]),
    ("issuer", ""), ("issuer", "a b"), ("issuer", "x" * 65), ("issuer", "<script>"), ("issuer", None), ("issuer", "a\n"),
    ("campaign", 7), ("campaign", "../etc"),
    ("first_seen_unix_s", -1), ("first_seen_unix_s", 1.5), ("first_seen_unix_s", SEEN_S + 1), ("last_seen_unix_s", 10**30),
    ("last_seen_unix_s", "now"), ("accounts", 19), ("accounts", True), ("accounts", 10**13), ("conversations", -5),
    ("mixture", ""), ("mixture", "A" * 344), ("mixture", "!" * 344), ("mixture", "/" * 100_000), ("mixture", ["/"] * 344),
    ("mixture", quantised(an_indicator().shares())[:-4] + "===="), ("mixture", base64.b64encode(b"\xff" * 257).decode()),
    ("mixture", base64.b64encode(bytes([254] * CELLS)).decode()),
    ("rest_per_mille", 1_000), ("rest_per_mille", -1), ("rest_per_mille", "0"),
    ("conduct", []), ("conduct", {"volume": 1.5}), ("conduct", {"volume": 10**9}), ("conduct", {"karma": 1}),
    ("values", {"payment": [HASH]}), ("values", {"client": HASH}), ("values", {"client": [HASH, HASH]}),
    ("values", {"client": [HASH.upper()]}), ("values", {"client": [f"{n:032x}" for n in range(MAX_VALUES + 1)]}),
    ("values", {"client": [HASH]}), ("values", {"client": [[HASH]]}), ("values", {"client": [HASH + "\n"]}),
    ("key", "alliance"), ("signature", "0" * 64),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), HOSTILE, ids=[f"{n}-{field}" for n, (field, _) in enumerate(HOSTILE)])
def test_a_wrong_field_is_refused_with_its_name_and_what_to_do(field: str, value: Any) -> None:
    refused = read(a_document(**{field: value}))
    assert isinstance(refused, Refused)
    assert refused.field in {field, "signature" if field == "key" else field}
    assert len(refused.detail) > 10
    if len(str(value)) > 4:  # never quoted: it stands in answers and logs
        assert str(value) not in refused.detail


@pytest.mark.parametrize("field", sorted(an_indicator().document()))
def test_a_missing_field_is_refused_with_its_name(field: str) -> None:
    document = a_document()
    del document[field]
    refused = read(document)
    assert isinstance(refused, Refused)
    assert refused.field == field


def test_a_field_that_nobody_knows_is_refused() -> None:
    assert isinstance(read(a_document(accounts_list=["acct-1"])), Refused)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(st.sampled_from(sorted(a_signed_one().document())), ANY_JSON, ANY_JSON)
def test_whatever_is_sent_the_answer_is_an_indicator_or_a_sentence(field: str, value: Any, instead: Any) -> None:
    assert isinstance(read(instead), Refused)
    found = read({**a_signed_one().document(), field: value})
    if isinstance(found, Indicator):
        assert (found == a_signed_one()) == (verified(found, KEYS) is None)


def test_what_is_old_or_of_the_future_is_refused() -> None:
    assert current(an_indicator(), SEEN_S) is None
    assert current(an_indicator(), SEEN_S + MAX_AGE_S + 1) is not None
    assert current(an_indicator(), SEEN_S - 2 * 86_400) is not None


def test_the_shelf_is_bounded_and_throws_nobodys_out_for_another() -> None:
    shelf = Shelf()
    for number in range(MAX_INDICATORS):
        assert shelf.room_for(an_indicator(f"x-{number}"), SEEN_S) is None
        shelf.put(an_import(f"x-{number}"))
    refused = shelf.room_for(an_indicator("x-more"), SEEN_S)
    assert refused is not None
    assert "remove one" in refused.detail
    assert shelf.room_for(an_indicator("x-7"), SEEN_S) is None  # a newer one of a campaign that is there
    later = an_import().received_unix_s + KEPT_S
    assert shelf.room_for(an_indicator("x-more"), later) is None
    assert shelf.standing(later) == []


def test_a_later_one_of_the_same_campaign_takes_the_place_of_the_earlier() -> None:
    shelf = Shelf()
    shelf.put(an_import())
    newer = replace(an_import(), indicator=an_indicator(accounts=90), received_unix_s=1_790_000_100)
    shelf.put(newer)
    shelf.recall(an_import())
    assert shelf.standing(SEEN_S) == [newer]


def test_exchange_keys_are_lines_and_a_mistake_is_named_by_its_line_and_never_quoted() -> None:
    line = new_key_line("alliance")
    assert len(parse_exchange_keys(f"# ours\n\n{line}  # since May\n")["alliance"]) == 32
    for wrong in (f"{line}\n{line}", "alliance abc", "alliance", f"alliance {'ab' * 31}", f"a/b {'ab' * 32}"):
        with pytest.raises(SettingsError) as error:
            parse_exchange_keys(wrong)
        assert "line" in str(error.value)
        assert line.split()[1] not in str(error.value)
    with pytest.raises(SettingsError):
        new_key_line("a b")
