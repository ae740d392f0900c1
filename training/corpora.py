"""The corpora as the trainer and the benchmarks read them: each text once, a quarter of them never trained on."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Final

from stillwatch.lexicon import STOP_WORDS
from stillwatch.prompts.codebook import slot_of, stem_hash
from stillwatch.prompts.words import MAX_WORDS, lines_of, looked_at

LEFT_OUT: Final[Mapping[str, str]] = {
    "honest_bench_bbh": "its authors ask that it stays out of training",
    "honest_dolly3k": "share-alike licence; kept as a set of an unseen origin",
    "honest_oasst": "kept as real users of an unseen origin",
    "honest_awesome_prompts": "kept as real users of an unseen origin",
}
# By file, from the corpora's inventory; what is made of them ships, so every one must allow it.
LICENCES: Final[Mapping[str, str]] = {
    "attack_chinese_selfinstruct": "Apache-2.0 (LianjiaTech/BELLE and others)",
    "attack_evolcode": "Apache-2.0 (nickrosh/evol-teacher)",
    "attack_glaive_toolcall": "Apache-2.0 (hiyouga/LLaMA-Factory, Glaive sample)",
    "attack_gpteacher": "MIT (teknium1/GPTeacher)",
    "attack_gsm8k_train": "MIT (openai/grade-school-math)",
    "honest_api_clinc150": "CC BY 3.0 (clinc/oos-eval)",
    "honest_api_restaurant8k": "CC BY 4.0 (PolyAI-LDN/task-specific-datasets)",
    "honest_arena_hard": "Apache-2.0 (lmarena/arena-hard-auto)",
    "honest_hh_harmless": "MIT (anthropics/hh-rlhf)",
    "honest_irc": "CC BY 4.0 (jkkummerfeld/irc-disentanglement)",
}
HELD_OUT: Final = 64  # of 256 values of the hash's first byte
MAX_TRAINING_WORDS: Final = 200  # distinct content words of a text; the rest is mostly material


@dataclass(frozen=True, slots=True)
class Corpus:
    """Texts as slots, in the order of their words, each slot once; ``lengths`` are the words' bytes."""

    slots: list[list[int]] = field(default_factory=list)
    lengths: list[list[int]] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    files: list[dict[str, Any]] = field(default_factory=list)  # name, licence, rows, rows used, sha256


def words_of(text: str) -> list[bytes]:
    return list(chain.from_iterable(lines_of(looked_at(text))))


def features(words: list[bytes]) -> tuple[list[int], list[int]]:
    """Slots and lengths of the distinct stems that are no stop words; only stop words: then of these."""
    distinct = list(dict.fromkeys(words))[:MAX_WORDS]
    content = [word for word in distinct if word not in STOP_WORDS] or distinct
    lengths: dict[int, int] = {}
    for word in content[:MAX_TRAINING_WORDS]:
        lengths.setdefault(slot_of(stem_hash(word)), len(word))
    return list(lengths), list(lengths.values())


def held_out(text: str) -> bool:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=2).digest()[0] < HELD_OUT


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """Each text once. Who is spoken to in a chat channel is no topic."""
    seen: set[str] = set()
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if path.name.startswith("honest_irc"):
                row["text"] = row["text"].split(": ", 1)[-1]
            if row["text"] not in seen:
                seen.add(row["text"])
                yield row


def read(folder: Path) -> Corpus:
    """Everything in ``folder`` whose licence is known here, less what is left out and what is held out."""
    corpus = Corpus()
    for name, licence in sorted(LICENCES.items()):
        path = folder / f"{name}.jsonl.gz"
        if not path.exists():
            continue
        count = used = 0
        for row in rows(path):
            count += 1
            if held_out(row["text"]):
                continue
            used += 1
            slots, lengths = features(words_of(row["text"]))
            corpus.slots.append(slots)
            corpus.lengths.append(lengths)
            corpus.sources.append(row["source"])
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        corpus.files.append(
            {"name": path.name, "licence": licence, "distinct_rows": count, "rows_used": used, "sha256": digest}
        )
    return corpus
