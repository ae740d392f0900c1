"""On real prompts: capabilities and cells mean something. Floors, not targets; docs/fingerprint.md has the numbers."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import msgpack
import numpy as np
import pytest

from benchmarks.fingerprint_cells import accounts, information, lift, simhash_signs, sw0
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


def test_cells_put_intents_together_better_than_sign_bits_do() -> None:
    path = CORPORA / "honest_api_clinc150.jsonl.gz"
    prompts = texts("honest_api_clinc150")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        topics = [json.loads(line)["topic"] for line in lines]
    picked = np.random.default_rng(0).permutation(len(prompts))[:3_000]
    categories = [topics[i] for i in picked]
    ours, theirs = [sw0(prompts[i]) for i in picked], [simhash_signs(prompts[i]) for i in picked]
    assert lift(ours, categories) > 2 * lift(theirs, categories) > 2
    assert information(ours, categories, np.random.default_rng(0)) > 0.15


def test_nineteen_fingerprints_of_twenty_take_at_most_256_bytes() -> None:
    prompts = [*texts("honest_arena_hard"), *texts("attack_evolcode")[:1_000], *texts("honest_awesome_prompts")]
    sizes = [len(msgpack.packb(fingerprint(prompt, "You are a helpful assistant.").attributes())) for prompt in prompts]
    assert np.quantile(sizes, 0.95) <= 256


def test_the_measures_tell_perfect_from_random() -> None:
    rng = np.random.default_rng(3)
    categories = [str(n % 8) for n in range(2_000)]
    perfect = [n % 8 for n in range(2_000)]
    noise = [int(n) for n in rng.integers(0, 256, 2_000)]
    assert information(perfect, categories, rng) > 0.95
    assert abs(information(noise, categories, rng)) < 0.05
    assert lift(noise, categories) == pytest.approx(1.0, abs=0.3)
    assert accounts(perfect, categories, rng) == 1.0
    assert accounts(noise, categories, rng) < 0.35
