"""What topic cells tell, on prompts that nothing was trained on: ``python -m benchmarks.fingerprint_cells [CORPORA]``.

Three tables: cells against known categories; people and made-up accounts against one shared pool, for one coarse cell, one
fine cell and the topics together; and how many bits of the sketch near-duplicates differ in. ``sw0`` is the first version's
cell, the hash of one salient word. What the columns mean: benchmarks/cell_measures.py and docs/fingerprint.md.
"""

from __future__ import annotations

import random
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.cell_measures import agreement, dealt_out, distance
from benchmarks.heldout import categories, folder_or_exit, people, unseen
from stillwatch.fingerprint import fingerprint
from stillwatch.lexicon import INSTRUCTION_WORDS, STOP_WORDS
from training.corpora import words_of

_MAX_ROWS: Final = 6_000
_ACCOUNTS: Final = 80
_SEEDS: Final = (1, 2, 3)


def sw0(text: str) -> list[int]:
    """The longest of the first six content words, lengths capped at eight, cut to six letters, hashed."""
    words = words_of(text)
    content = [word for word in words if word not in STOP_WORDS and word not in INSTRUCTION_WORDS][:6]
    topic = max(content, key=lambda word: min(len(word), 8))[:6] if content else b" ".join(words[:3])
    return [zlib.crc32(topic) % 256]


WAYS: Final[Mapping[str, Callable[[str], Sequence[int]]]] = {
    "sw0": sw0,
    "coarse": lambda text: [fingerprint(text).cell],
    "fine": lambda text: [fingerprint(text).fine],
    "topics": lambda text: fingerprint(text).topics,
}


def against_categories(folder: Path) -> None:
    print("\n| NMI / kNN recall / effective cells | prompts | sw0 | coarse | fine |\n|---|---|---|---|---|")
    for name, (texts, labels) in categories(folder).items():
        picked = random.Random(1).sample(range(len(texts)), min(len(texts), _MAX_ROWS))
        columns = []
        for way in ("sw0", "coarse", "fine"):
            told = agreement([WAYS[way](texts[i])[0] for i in picked], [labels[i] for i in picked])
            columns.append("{:.3f} / {:.3f} / {:.0f}".format(*told))
        print(f"| {name} | {len(picked):,} | {' | '.join(columns)} |")


def against_a_pool(folder: Path) -> None:
    print("\n| F, and F / standard error of a pool | prompts | owners | sw0 | coarse | fine | topics |")
    print("|---|---|---|---|---|---|---|")
    for name, (texts, owners) in people(folder).items():
        print(f"| {name} | {len(texts):,} | {len(set(owners)):,} | {_row(texts, [owners])} |")
    for name, (texts, labels) in categories(folder).items():
        dealt = [dealt_out(labels, _ACCOUNTS, seed=seed) for seed in _SEEDS]
        print(f"| {name}, dealt out | {len(texts):,} | {_ACCOUNTS} | {_row(texts, dealt)} |")


def _row(texts: Sequence[str], owners: Sequence[Sequence[str]]) -> str:
    """One column a way; the ratio's range where there are several ways to deal out."""
    columns = []
    for way in WAYS.values():
        vectors = [way(text) for text in texts]
        found = [distance(vectors, some) for some in owners]
        ratios = sorted(one.ratio for one in found)
        spread = f" ({ratios[0]:.0f} to {ratios[-1]:.0f})" if len(found) > 1 else ""
        columns.append(f"{np.mean([one.f for one in found]):.4f}, {np.mean(ratios):.1f}{spread}")
    return " | ".join(columns)


def sketches(folder: Path) -> None:
    print(
        "\n| bits that differ, 5 %, median, 95 % | one word replaced | a sentence appended | another prompt of the set |"
    )
    print("|---|---|---|---|")
    for name in ("attack_gsm8k_train", "attack_evolcode", "honest_arena_hard", "honest_hh_harmless"):
        rng = random.Random(3)
        texts = [row["text"] for row in unseen(folder, name) if 30 <= len(row["text"].split()) <= 400][:400]
        made = [fingerprint(text).sketch for text in texts]
        replaced, appended, others = [], [], []
        for index, text in enumerate(texts):
            words = text.split(" ")
            words[rng.randrange(len(words))] = "lantern"
            replaced.append((made[index] ^ fingerprint(" ".join(words)).sketch).bit_count())
            appended.append((made[index] ^ fingerprint(f"{text} Keep it under forty lines.").sketch).bit_count())
            others.append((made[index] ^ made[rng.randrange(len(made))]).bit_count())
        columns = [
            "{:.0f}, {:.0f}, {:.0f}".format(*np.quantile(one, (0.05, 0.5, 0.95)))
            for one in (replaced, appended, others)
        ]
        print(f"| {name} | {' | '.join(columns)} |")


def main() -> None:
    folder = folder_or_exit(sys.argv[1:])
    against_categories(folder)
    against_a_pool(folder)
    sketches(folder)


if __name__ == "__main__":
    main()
