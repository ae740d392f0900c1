"""The topic codebook: total, with its provenance, small, and refused where it is broken."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from stillwatch.errors import SettingsError
from stillwatch.prompts.codebook import CHILDREN, FINE, MAX_GAIN, Codebook, builtin
from stillwatch.prompts.topics import VOTERS, ballot, topics_of
from training.corpora import LEFT_OUT, features, held_out

_DATA = resources.files("stillwatch").joinpath("data/codebook.npz")
_CORPORA = Path(__file__).resolve().parents[3] / "shared" / "corpora"


def test_any_words_have_topics_and_the_first_is_the_fine_cell() -> None:
    rng = random.Random(3)
    for _ in range(300):
        ballots = [ballot(rng.randbytes(rng.randrange(1, 40))) for _ in range(rng.randrange(1, 60))]
        topics = topics_of(ballots)
        assert 1 <= len(topics) == len(set(topics)) <= 8
        assert all(0 <= topic < FINE for topic in topics)
        # Some voter's cell wins.
        assert topics[0] // CHILDREN in {one[0] for one in ballots[:VOTERS]}


def test_only_so_many_words_vote() -> None:
    first = [ballot(b"otter%c" % (97 + n % 26)) for n in range(VOTERS)]
    assert topics_of(first) == topics_of([*first, *[ballot(b"quantum")] * 50])


def test_words_that_nobody_knows_spread_over_the_cells() -> None:
    cells = Counter(ballot(b"q%dx" % n)[0] for n in range(4_000))
    assert 1 / sum((n / 4_000) ** 2 for n in cells.values()) > 150


def test_function_words_of_any_language_tell_less_than_what_a_prompt_is_about() -> None:
    for word, name in ((b"nicht", b"fahrrad"), ("что".encode(), "фотосинтез".encode()), (b"pour", b"bicyclette")):
        assert ballot(name)[4] > 20 * ballot(word)[4]


def test_the_data_file_is_small_and_says_where_it_comes_from() -> None:
    assert len(_DATA.read_bytes()) < 200_000
    said = builtin().provenance
    assert {"format", "command", "seed", "held_out", "left_out", "files"} == set(said)
    assert said["left_out"] == LEFT_OUT
    for file in said["files"]:
        assert len(file["sha256"]) == 64
        assert 0 < file["rows_used"] < file["distinct_rows"]
        assert file["licence"].startswith(("MIT", "Apache-2.0", "CC BY 3.0", "CC BY 4.0"))
        assert file["name"].removesuffix(".jsonl.gz") not in said["left_out"]


def test_the_data_file_holds_numbers_only() -> None:
    with np.load(str(_DATA), allow_pickle=False) as file:
        assert {name: file[name].dtype.name for name in file.files} == {
            "slots": "uint32", "cells": "uint16", "weights": "uint8", "gains": "uint16", "provenance": "uint8",
        }  # fmt: skip
        assert 1 <= file["gains"].min() <= file["gains"].max() == MAX_GAIN
        assert file["weights"].min() >= 1


@pytest.mark.parametrize("data", [b"", b"PK nonsense", _DATA.read_bytes()[:2_000]])
def test_a_broken_file_is_refused_with_a_remedy(data: bytes) -> None:
    with pytest.raises(SettingsError, match=r"training\.codebook"):
        Codebook(data)


def test_a_quarter_of_the_texts_is_held_out() -> None:
    share = sum(held_out(f"text {n}") for n in range(4_000)) / 4_000
    assert 0.22 < share < 0.28


def test_training_sees_each_stem_once_and_no_stop_word() -> None:
    slots, lengths = features([b"the", b"transfer", b"transfers", b"of", b"money"])
    assert len(slots) == 2
    assert lengths == [8, 5]


def test_training_is_reproducible_and_depends_on_the_seed() -> None:
    """On a small made-up corpus: four subjects with words of their own."""
    from training.codebook import pack, train
    from training.corpora import Corpus

    rng = random.Random(5)
    corpus = Corpus()
    for number in range(600):
        words = [b"s%dw%d" % (number % 4, rng.randrange(120)) for _ in range(12)]
        slots, lengths = features([word.translate(bytes.maketrans(b"0123456789", b"abcdefghij")) for word in words])
        corpus.slots.append(slots)
        corpus.lengths.append(lengths)
        corpus.sources.append("made up")
    first, again, other = (pack(train(corpus, seed), {"format": 2}) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert Codebook(first).place(0)[1] == 160


def test_the_corpora_beside_the_project_are_those_it_was_trained_on() -> None:
    files = builtin().provenance["files"]
    if not (_CORPORA / files[0]["name"]).exists():
        pytest.skip("the corpora are no part of the project and are not beside it")
    for file in files[:4]:
        assert hashlib.sha256((_CORPORA / file["name"]).read_bytes()).hexdigest() == file["sha256"]
