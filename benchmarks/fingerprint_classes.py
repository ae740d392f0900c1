"""Capabilities, languages and source code on prompts of known kind: ``python -m benchmarks.fingerprint_classes [CORPORA]``.

Only rows that the codebook's training did not see. A capability is right when one of the fingerprint's 1 to 3 is among those
that the kind promises; *first* counts the strongest alone. The kinds are what the corpora say of their prompts, which is
not always what a person would say.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Final

from benchmarks.heldout import folder_or_exit, unseen
from stillwatch.fingerprint import fingerprint
from training.corpora import LEFT_OUT, LICENCES

# (corpus, its topic or source, what it promises)
KINDS: Final = (
    ("attack_gsm8k_train", None, "math"),
    ("attack_evolcode", None, "code debug sql"),
    ("attack_gpteacher", "gpteacher/codegen", "code debug sql"),
    ("attack_gpteacher", "gpteacher/roleplay", "roleplay creative"),
    ("attack_glaive_toolcall", None, "tools"),
    ("honest_api_clinc150", "translate", "translate"),
    ("honest_api_clinc150", "greeting", "chat"),
    ("honest_api_clinc150", "calculator", "math"),
    ("honest_api_clinc150", "definition", "explain qa"),
    ("honest_api_clinc150", "reminder", "tools"),
    ("honest_api_clinc150", "tell_joke", "creative"),
    ("honest_api_clinc150", "travel_suggestion", "advice ideas plan"),
    ("honest_dolly3k", "classification", "classify"),
    ("honest_dolly3k", "open_qa", "qa explain"),
    ("honest_dolly3k", "closed_qa", "reading qa"),
    ("honest_dolly3k", "summarization", "summary"),
    ("honest_dolly3k", "information_extraction", "extract"),
    ("honest_dolly3k", "brainstorming", "ideas advice"),
    ("honest_dolly3k", "creative_writing", "creative"),
    ("honest_bench_bbh", "formal_fallacies", "logic"),
    ("honest_bench_bbh", "multistep_arithmetic_two", "math"),
    ("honest_bench_bbh", "logical_deduction_five_objects", "logic"),
    ("honest_arena_hard", "coding", "code debug sql"),
    ("honest_arena_hard", "creative_writing", "creative roleplay"),
    ("honest_arena_hard", "math", "math"),
    ("honest_awesome_prompts", None, "roleplay"),
)
_MAX_ROWS: Final = 1_500
_CHUNK_CHARS: Final = 1_500
_ROOT: Final = Path(__file__).resolve().parents[1]


def capabilities(folder: Path) -> None:
    print("| corpus, kind | prompts | promised | recognised | first | strongest classes |\n|---|---|---|---|---|---|")
    for name, kind, promised in KINDS:
        wanted = set(promised.split())
        found = [row for row in unseen(folder, name) if kind is None or kind in (row.get("topic"), row["source"])]
        told = [fingerprint(row["text"]).capabilities for row in found[:_MAX_ROWS]]
        if not told:
            continue
        most = ", ".join(f"{one} {n / len(told):.2f}" for one, n in Counter(c[0] for c in told).most_common(3))
        right, first = sum(bool(wanted & set(c)) for c in told), sum(c[0] in wanted for c in told)
        print(
            f"| {name}, {kind or 'all'} | {len(told):,} | {promised} | {right / len(told):.2f} | {first / len(told):.2f}"
            f" | {most} |"
        )


def languages(folder: Path) -> None:
    print("\n| corpus | prompts | languages | more than half code |\n|---|---|---|---|")
    for name in [*LICENCES, *LEFT_OUT]:
        made = [fingerprint(row["text"]) for row in unseen(folder, name)[:_MAX_ROWS]]
        most = ", ".join(f"{one} {n / len(made):.3f}" for one, n in Counter(f.language for f in made).most_common(4))
        print(f"| {name} | {len(made):,} | {most} | {sum(f.code_share > 0.5 for f in made) / len(made):.3f} |")


def source_code() -> None:
    """This repository's own files, cut into pieces of 1,500 characters."""
    print("\n| files of this repository | pieces | mean share of code | more than half |\n|---|---|---|---|")
    for pattern in ("stillwatch/**/*.py", "tests/**/*.py", "console/**/*.js", "helm/**/*.yaml", "docs/**/*.md"):
        texts = [path.read_text(encoding="utf-8") for path in sorted(_ROOT.glob(pattern))]
        pieces = [text[at : at + _CHUNK_CHARS] for text in texts for at in range(0, len(text), _CHUNK_CHARS)]
        shares = [fingerprint(piece).code_share for piece in pieces if len(piece) > _CHUNK_CHARS // 2]
        if shares:
            over = sum(share > 0.5 for share in shares) / len(shares)
            print(f"| {pattern} | {len(shares):,} | {sum(shares) / len(shares):.2f} | {over:.2f} |")


def main() -> None:
    folder = folder_or_exit(sys.argv[1:])
    capabilities(folder)
    languages(folder)
    source_code()


if __name__ == "__main__":
    main()
