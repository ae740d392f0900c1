"""Whatever the text, a fingerprint is made, is small, valid and the same again."""

from __future__ import annotations

import time

import msgpack
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stillwatch.event import RequestEvent, parse_event
from stillwatch.fingerprint import event_fingerprint, fingerprint
from stillwatch.lexicon import CAPABILITIES, MARKERS

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
    assert 1 <= len(made.capabilities) <= 3
    assert set(made.capabilities) <= set(CAPABILITIES)
    assert len(set(made.capabilities)) == len(made.capabilities)
    assert set(made.markers) <= set(MARKERS)
    assert made.chars == len(prompt)
    packed = msgpack.packb(made.attributes())
    assert len(packed) <= 320
    event = parse_event(RequestEvent("r", "a", 1_790_000_000_000_000_000, msgpack.unpackb(packed)).to_map())
    assert isinstance(event, RequestEvent)
    assert event_fingerprint(event) == made


@given(prompts)
def test_it_keeps_no_word_of_the_text(prompt: str) -> None:
    secret = "xylographQ7"
    assert secret.lower() not in str(fingerprint(f"{prompt} {secret}", secret)).lower()


@given(st.sampled_from([" ", "\t", "  "]), st.sampled_from(["Write a poem about otters", "explain JSON\nstep by step"]))
def test_case_and_spaces_at_the_edges_do_not_matter(space: str, prompt: str) -> None:
    plain, changed = fingerprint(prompt), fingerprint(space + prompt.upper() + space)
    assert (plain.cell, plain.sketch, plain.template) == (changed.cell, changed.sketch, changed.template)
    assert (plain.capabilities, plain.markers) == (changed.capabilities, changed.markers)


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(['"', "`", "http", "a\u0301", "翻", "ﷺ", "\ud800", "1+1=", "a ", "\n", "write ", "“"]), st.data()
)
def test_no_64_kib_prompt_takes_long(piece: str, data: st.DataObject) -> None:
    other = data.draw(st.sampled_from(["", "x", " ", '"', "\n"]))
    prompt = ((piece + other) * 65_536)[:65_536]
    started = time.perf_counter()
    fingerprint(prompt, prompt)
    # Typically 1 ms; a quadratic expression would take minutes. The bound leaves room for a busy machine.
    assert time.perf_counter() - started < 0.5
