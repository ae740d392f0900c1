"""Whatever the text, a fingerprint is made, is small, valid and the same again."""

from __future__ import annotations

import base64

import msgpack
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stillwatch.event import RequestEvent, parse_event
from stillwatch.fingerprint import HEAD_CHARS, TAIL_CHARS, event_fingerprint, fingerprint
from stillwatch.fingerprint_wire import decode, encode
from stillwatch.lexicon import CAPABILITIES, MARKERS
from stillwatch.prompts.languages import LANGUAGES
from stillwatch.prompts.vocabulary import forget

# Every code point, lone surrogates included, and the words that mean something to the lexicon.
anything = st.text(st.characters(codec=None), max_size=400)
phrases = st.lists(
    st.sampled_from(
        [
            "write",
            "json",
            "step by step",
            "```",
            '"',
            "翻译",
            "代码",
            "1 + 2 =",
            "\n",
            "?",
            "you are",
            "é",
            "ß",
            "İ",
            "\ud800",
        ]
    )
    | st.text(max_size=8),
    max_size=60,
).map(" ".join)
prompts = anything | phrases


@given(prompts, st.none() | prompts)
@example("", "")
@example("\ud800", "\udfff")
@example("\x00" * 100, None)
@example('"' * 5_000, None)
@example("`" * 5_000, None)
def test_a_fingerprint_is_valid_and_survives_the_wire(prompt: str, system: str | None) -> None:
    made = fingerprint(prompt, system)
    assert made == fingerprint(prompt, system)
    assert 0 <= made.cell <= 255
    assert made.fine >> 2 == made.cell
    assert made.topics[0] == made.fine
    assert 1 <= len(made.topics) == len(set(made.topics)) <= 8
    assert all(0 <= topic <= 1_023 for topic in made.topics)
    assert 0 <= made.sketch < 2**64
    assert all(value is None or 0 < value < 2**32 for value in (made.template, made.system))
    assert 1 <= len(made.capabilities) <= 3
    assert set(made.capabilities) <= set(CAPABILITIES)
    assert len(set(made.capabilities)) == len(made.capabilities)
    assert set(made.markers) <= set(MARKERS)
    assert made.chars == len(prompt)
    assert made.language in LANGUAGES
    assert 0 <= made.code_share <= 1
    assert round(255 * made.code_share) == pytest.approx(255 * made.code_share)
    packed = msgpack.packb(made.attributes())
    assert len(packed) <= 256
    event = parse_event(RequestEvent("r", "a", 1_790_000_000_000_000_000, msgpack.unpackb(packed)).to_map())
    assert isinstance(event, RequestEvent)
    assert event_fingerprint(event) == made


@given(st.lists(prompts, min_size=1, max_size=5))
def test_what_was_read_before_changes_nothing(before: list[str]) -> None:
    """The vocabulary's cache holds what is known of words; without it everything is the same."""
    forget()
    alone = fingerprint(before[-1])
    for prompt in before:
        fingerprint(prompt)
    assert fingerprint(before[-1]) == alone


@given(st.binary(min_size=42, max_size=42) | st.binary(max_size=60))
def test_any_bytes_are_a_fingerprint_or_none(raw: bytes) -> None:
    data = base64.urlsafe_b64encode(raw).decode()
    fields = decode(data)
    assert fields is None or encode(*fields) == data


@given(st.text(st.characters(codec=None), max_size=60))
def test_any_text_is_a_fingerprint_or_none(data: str) -> None:
    fields = decode(data)
    assert fields is None or encode(*fields) == data


@given(prompts)
def test_it_keeps_no_word_of_the_text(prompt: str) -> None:
    secret = "xylographQ7"
    assert secret.lower() not in str(fingerprint(f"{prompt} {secret}", secret)).lower()


@given(st.sampled_from([" ", "\t", "  "]), st.sampled_from(["Write a poem about otters", "explain JSON\nstep by step"]))
def test_case_and_spaces_at_the_edges_do_not_matter(space: str, prompt: str) -> None:
    plain, changed = fingerprint(prompt), fingerprint(space + prompt.upper() + space)
    assert (plain.topics, plain.sketch, plain.template) == (changed.topics, changed.sketch, changed.template)
    assert (plain.capabilities, plain.markers) == (changed.capabilities, changed.markers)


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(['"', "`", "http", "a\u0301", "翻", "ﷺ", "\ud800", "1+1=", "a ", "\n", "write ", "“"]), st.data()
)
def test_a_64_kib_prompt_is_as_good_as_its_beginning_and_its_end(piece: str, data: st.DataObject) -> None:
    other = data.draw(st.sampled_from(["", "x", " ", '"', "\n"]))
    prompt = ((piece + other) * 65_536)[:65_536]
    other_middle = f"{prompt[:HEAD_CHARS]}{' nothing like it' * 9}{prompt[-TAIL_CHARS:]}"
    assert fingerprint(prompt)._replace(chars=0) == fingerprint(other_middle)._replace(chars=0)
    assert fingerprint(prompt, prompt).system == fingerprint("", prompt).system
