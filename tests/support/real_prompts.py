"""Real prompts from the shared corpora, where they are at hand. Read, never copied."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from pathlib import Path

CORPORA = Path(__file__).resolve().parents[3] / "shared" / "corpora"
# Sources whose texts carry a topic. BIG-Bench-Hard has one too; it stays out of anything that looks like training.
_SOURCES = ("honest_api_clinc150", "honest_dolly3k", "attack_gpteacher", "attack_evolcode", "honest_arena_hard")
_TEXTS_PER_TOPIC = 400
_MIN_TEXTS = 60


def prompts_by_topic() -> dict[str, list[str]]:
    """Texts of each (source, topic) with enough of them; attackers and honest people draw from all of them alike."""
    found: dict[str, list[str]] = defaultdict(list)
    for source in _SOURCES:
        with gzip.open(CORPORA / f"{source}.jsonl.gz", "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                topic = f"{source}/{row.get('topic') or row.get('label') or 'all'}"
                if 5 <= len(row["text"]) <= 4_000 and len(found[topic]) < _TEXTS_PER_TOPIC:
                    found[topic].append(row["text"])
    return {topic: texts for topic, texts in sorted(found.items()) if len(set(texts)) >= _MIN_TEXTS}
