"""On real prompts: capabilities and cells mean something. Floors, not targets; docs/fingerprint.md has the numbers."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import msgpack
import numpy as np
import pytest

from benchmarks.cell_measures import agreement, dealt_out, distance
from benchmarks.heldout import categories
from stillwatch.fingerprint import fingerprint

CORPORA = Path(__file__).resolve().parents[3] / "shared" / "corpora"


def texts(name: str, topic: str | None = None) -> list[str]:
    path = CORPORA / f"{name}.jsonl.gz"
    if not path.exists():
        pytest.skip("the corpora do not belong to the project and are not here")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [row["text"] for row in rows if topic is None or row["topic"] == topic]


@pytest.mark.parametrize(
    ("name", "topic", "capability", "floor"),
    [
        ("attack_gsm8k_train", None, "math", 0.8),
        ("attack_evolcode", None, "code", 0.7),
        ("honest_api_clinc150", "translate", "translate", 0.7),
        ("honest_api_clinc150", "greeting", "chat", 0.8),
        ("honest_dolly3k", "classification", "classify", 0.7),
        ("honest_dolly3k", "open_qa", "qa", 0.7),
        ("honest_bench_bbh", "formal_fallacies", "logic", 0.9),
        ("honest_arena_hard", "coding", "code", 0.5),
        ("honest_arena_hard", "creative_writing", "creative", 0.4),
    ],
)
def test_most_prompts_of_a_kind_get_its_capability(name: str, topic: str | None, capability: str, floor: float) -> None:
    prompts = texts(name, topic)[:1_000]
    recognised = sum(capability in fingerprint(prompt).capabilities for prompt in prompts)
    assert recognised / len(prompts) >= floor


@pytest.mark.parametrize(("capability", "ceiling"), [("code", 0.05), ("math", 0.05), ("sql", 0.02), ("roleplay", 0.02)])
def test_few_restaurant_bookings_get_a_capability_that_they_do_not_need(capability: str, ceiling: float) -> None:
    prompts = texts("honest_api_restaurant8k")[:1_000]
    assert sum(capability in fingerprint(prompt).capabilities for prompt in prompts) / len(prompts) <= ceiling


def test_cells_and_topics_of_held_out_prompts_tell_what_they_are_about() -> None:
    if not (CORPORA / "honest_api_clinc150.jsonl.gz").exists():
        pytest.skip("the corpora do not belong to the project and are not here")
    prompts, topics = categories(CORPORA)["clinc150, intents"]
    made = [fingerprint(prompt) for prompt in prompts]
    nmi, recall, used = agreement([one.cell for one in made], topics)
    assert nmi > 0.6
    assert recall > 0.19
    assert used > 80
    owners = dealt_out(topics, 80)
    one, several = distance([[one.cell] for one in made], owners), distance([one.topics for one in made], owners)
    assert several.ratio > 1.15 * one.ratio > 60


def test_every_fingerprint_takes_less_than_256_bytes() -> None:
    prompts = [*texts("honest_arena_hard"), *texts("attack_evolcode")[:1_000]]
    sizes = {len(msgpack.packb(fingerprint(prompt, "You are a helpful assistant.").attributes())) for prompt in prompts}
    assert sizes == {104}


def test_the_measures_tell_perfect_from_random() -> None:
    rng = np.random.default_rng(3)
    labels = [str(n % 8) for n in range(2_000)]
    perfect = [n % 8 for n in range(2_000)]
    noise = [int(n) for n in rng.integers(0, 256, 2_000)]
    assert agreement(perfect, labels) == pytest.approx((1.0, 1.0, 8.0))
    assert agreement(noise, labels)[1] < 0.2
    owners = [str(n % 40) for n in range(2_000)]  # each owner's prompts are of one category
    assert distance([[cell] for cell in perfect], owners).f > 0.8
    assert abs(distance([[cell] for cell in noise], owners).ratio) < 4


def test_dealing_out_gives_every_prompt_an_owner_with_interests() -> None:
    labels = [str(n % 8) for n in range(4_000)]
    owners = dealt_out(labels, 20, concentration=1.0)
    assert len(owners) == len(labels)
    assert distance([[int(label)] for label in labels], owners).ratio > 20
