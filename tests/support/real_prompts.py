"""Real prompts from the shared corpora, where they are at hand. Read, never copied."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from pathlib import Path

CORPORA = Path(__file__).resolve().parents[3] / "shared" / "corpora"
# Enough texts of each source for a pool without repeats, few enough to read in seconds.
_TEXTS_PER_SOURCE = 1_500
_SOURCES = (
    "attack_evolcode", "attack_gpteacher", "attack_gsm8k_train", "honest_api_clinc150", "honest_api_restaurant8k",
    "honest_arena_hard", "honest_dolly3k", "honest_hh_harmless", "honest_awesome_prompts",
)  # fmt: skip


def prompts_by_source() -> dict[str, list[str]]:
    """Texts of each source; attackers and honest people will draw from all of them alike."""
    found: dict[str, list[str]] = defaultdict(list)
    for source in _SOURCES:
        with gzip.open(CORPORA / f"{source}.jsonl.gz", "rt", encoding="utf-8") as lines:
            for line in lines:
                text = json.loads(line)["text"]
                if 10 <= len(text) <= 4_000:
                    found[source].append(text)
                if len(found[source]) >= _TEXTS_PER_SOURCE:
                    break
    return dict(found)
