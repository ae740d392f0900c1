"""Real prompts that nothing was trained on, with what is known of them: for the benchmarks of the fingerprint.

Of the corpora that the codebook is trained on only the quarter that it held out; of those that it left out, everything.
The corpora do not belong to the project.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from training.corpora import LEFT_OUT, LICENCES, held_out, rows

DEFAULT: Final = Path(__file__).resolve().parents[2] / "shared" / "corpora"
Labelled = tuple[list[str], list[str]]  # texts, and the category or the user of each
_PER_SOURCE: Final = 150


def folder_or_exit(arguments: Sequence[str]) -> Path:
    folder = Path(arguments[0]) if arguments else DEFAULT
    if not (folder / "honest_irc.jsonl.gz").exists():
        sys.exit(f"no corpora in {folder}: name the folder that holds them")
    return folder


def unseen(folder: Path, name: str) -> list[dict[str, Any]]:
    """The rows of one corpus that the training did not see."""
    found = rows(folder / f"{name}.jsonl.gz")
    return [row for row in found if name in LEFT_OUT or held_out(row["text"])]


def categories(folder: Path) -> Mapping[str, Labelled]:
    """Sets of prompts of which the corpora say what they are about."""

    def labelled(name: str, label: Callable[[dict[str, Any]], str | None]) -> Labelled:
        pairs = [(row["text"], label(row)) for row in unseen(folder, name)]
        return [text for text, said in pairs if said], [said for _, said in pairs if said]

    every: Labelled = ([], [])
    for name in [*LICENCES, *LEFT_OUT]:
        found = unseen(folder, name)[:_PER_SOURCE]
        every[0].extend(row["text"] for row in found)
        every[1].extend(row["source"] for row in found)
    return {
        "clinc150, intents": labelled(
            "honest_api_clinc150", lambda row: None if row["topic"] == "oos" else row["topic"]
        ),
        "BIG-Bench Hard, tasks": labelled("honest_bench_bbh", lambda row: row["topic"]),
        "dolly, kinds": labelled("honest_dolly3k", lambda row: row["topic"]),
        "sources of all corpora": every,
    }


def people(folder: Path) -> Mapping[str, Labelled]:
    """Prompts or messages by who wrote them; those of a conversation by the conversation."""

    def by(name: str, key: str, at_least: int) -> Labelled:
        found = [row for row in unseen(folder, name) if row.get(key)]
        count = Counter(row[key] for row in found)
        kept = [row for row in found if count[row[key]] >= at_least]
        return [row["text"] for row in kept], [row[key] for row in kept]

    return {
        "IRC users": by("honest_irc", "user", 8),
        "role-prompt authors": by("honest_awesome_prompts", "user", 3),
        "oasst users": by("honest_oasst", "user", 2),
        "hh conversations": by("honest_hh_harmless", "thread", 2),
    }
