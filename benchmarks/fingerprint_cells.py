"""Which way of making topic cells puts like next to like: ``python -m benchmarks.fingerprint_cells [CORPORA]``.

Each way maps a prompt to one of 256 cells without a model. Three measures against known categories, all of them free of
what chance gives:

* *information*: mutual information of cell and category, less that of shuffled cells, as a share of the categories'
  entropy. 0 says nothing, 1 says all.
* *lift*: how much likelier two prompts of one category are to share a cell than two of different ones. 1 is chance.
* *accounts*: prompts of one category are dealt out to made-up accounts of 20. How often is the account with the most
  similar cells of the same category? That is what the cells are for.

Numbers and the choice are in docs/fingerprint.md. The corpora do not belong to the project; without them this says so.
"""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stillwatch.fingerprint import CELLS, _lines, fingerprint
from stillwatch.lexicon import INSTRUCTION_WORDS, STOP_WORDS

Rows = list[tuple[str, str]]
Way = Callable[[str], int]
_MAX_ROWS = 6_000
_ACCOUNT = 20


def corpora(folder: Path) -> dict[str, Rows]:
    """Named sets of (text, category)."""
    read = {path.name.removesuffix(".jsonl.gz"): _rows(path) for path in sorted(folder.glob("*.jsonl.gz"))}
    irc = read["honest_irc"]
    talkative = {user for user, _ in Counter(row["user"] for row in irc).most_common(60)}
    roles = read["honest_awesome_prompts"]
    busy = {user for user, n in Counter(row["user"] for row in roles).items() if n >= 10}
    return {
        "clinc150 intents": [(r["text"], r["topic"]) for r in read["honest_api_clinc150"] if r["topic"] != "oos"],
        "bbh tasks": [(r["text"], r["topic"]) for r in read["honest_bench_bbh"]],
        "dolly categories": [(r["text"], r["topic"]) for r in read["honest_dolly3k"]],
        "source files": [(r["text"], name) for name, rows in read.items() for r in rows[:: max(1, len(rows) // 500)]],
        "irc users": [(r["text"].split(": ", 1)[-1], r["user"]) for r in irc if r["user"] in talkative],
        "role prompts by user": [(r["text"], r["user"]) for r in roles if r["user"] in busy],
    }


def _rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _content(text: str, instructions: bool = False) -> list[bytes]:
    """Distinct stems of the words that are neither stop words nor, unless asked for, instructions."""
    words = [w for line in _lines(text[:4_096].lower()) for w in line if w not in STOP_WORDS]
    kept = words if instructions else [w for w in words if w not in INSTRUCTION_WORDS]
    return list(dict.fromkeys(word[:6] for word in kept or words)) or [b""]


def _hashes(words: Sequence[bytes]) -> npt.NDArray[np.uint64]:
    return _mixed(np.fromiter(map(zlib.crc32, words), dtype=np.uint64, count=len(words)))


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    values = (values + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(32))) * np.uint64(0xBF58476D1CE4E5B9)
    return values ^ (values >> np.uint64(29))


def simhash_signs(text: str) -> int:
    """Eight sign bits of the sum of hashed words."""
    hashes = _hashes(_content(text))
    bits = (hashes[:, None] >> np.arange(8, dtype=np.uint64)) & np.uint64(1)
    return int((2 * bits.sum(axis=0) > len(hashes)) @ (1 << np.arange(8)))


def cross_polytope(text: str) -> int:
    """The largest of 128 random projections, with its sign."""
    steps = np.arange(1, 17, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    hashes = _hashes(_content(text))
    sums = _mixed(hashes[:, None] + steps).view(np.int8).reshape(len(hashes), 128).astype(np.int64).sum(axis=0)
    axis = int(np.argmax(np.abs(sums)))
    return 2 * axis + int(sums[axis] > 0)


def minhash(text: str) -> int:
    """The word with the smallest hash."""
    return int(_mixed(_hashes(_content(text)).min(keepdims=True))[0] % np.uint64(CELLS))


def first_word(text: str) -> int:
    """The first word that is no stop word: mostly the instruction, so a style and not a topic. For comparison."""
    return zlib.crc32(_content(text, instructions=True)[0]) % CELLS


def longest_word(text: str) -> int:
    """The longest of all content words."""
    words = [w for line in _lines(text[:4_096].lower()) for w in line if w not in STOP_WORDS | INSTRUCTION_WORDS]
    return zlib.crc32(max(words, key=len, default=b"")[:6]) % CELLS


def sw0(text: str) -> int:
    """As shipped: the longest of the first six content words, lengths capped at eight."""
    return fingerprint(text).cell


WAYS: Mapping[str, Way] = {
    "SimHash, 8 sign bits": simhash_signs,
    "cross-polytope": cross_polytope,
    "minhash of words": minhash,
    "longest word": longest_word,
    "sw0": sw0,
    "(first word)": first_word,
}


def information(cells: Sequence[int], categories: Sequence[str], rng: np.random.Generator) -> float:
    shuffled = [int(c) for c in rng.permutation(np.array(cells))]
    return (_mutual(cells, categories) - _mutual(shuffled, categories)) / _entropy(Counter(categories))


def _mutual(cells: Sequence[int], categories: Sequence[str]) -> float:
    return (
        _entropy(Counter(cells))
        + _entropy(Counter(categories))
        - _entropy(Counter(zip(cells, categories, strict=True)))
    )


def _entropy(counts: Counter[int] | Counter[str] | Counter[tuple[int, str]]) -> float:
    shares = np.array(list(counts.values())) / counts.total()
    return float(-(shares * np.log2(shares)).sum())


def lift(cells: Sequence[int], categories: Sequence[str]) -> float:
    def pairs(counts: Counter[int] | Counter[str] | Counter[tuple[int, str]]) -> int:
        return sum(n * (n - 1) for n in counts.values())

    like, all_pairs = pairs(Counter(categories)), len(cells) * (len(cells) - 1)
    both = pairs(Counter(zip(cells, categories, strict=True)))
    return (both / like) / ((pairs(Counter(cells)) - both) / (all_pairs - like))


def accounts(cells: Sequence[int], categories: Sequence[str], rng: np.random.Generator) -> float:
    histograms, owners = [], []
    for category in sorted(set(categories)):
        mine = rng.permutation([cell for cell, other in zip(cells, categories, strict=True) if other == category])
        parts = [mine[i : i + _ACCOUNT] for i in range(0, min(len(mine), 10 * _ACCOUNT) - _ACCOUNT + 1, _ACCOUNT)]
        if len(parts) > 1:
            histograms += [np.sqrt(np.bincount(part, minlength=CELLS)) for part in parts]
            owners += [category] * len(parts)
    unit = np.array(histograms) / np.sqrt(_ACCOUNT)
    likeness = unit @ unit.T
    np.fill_diagonal(likeness, -1.0)
    return float(
        np.mean([owners[int(best)] == owner for best, owner in zip(likeness.argmax(axis=1), owners, strict=True)])
    )


def main() -> None:
    default = Path(__file__).resolve().parents[2] / "shared" / "corpora"
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    if not (folder / "honest_irc.jsonl.gz").exists():
        sys.exit(f"no corpora in {folder}: name the folder that holds them")
    print(f"{'':22s} {'':22s} {'information':>12s} {'lift':>8s} {'accounts':>9s}")
    for name, rows in corpora(folder).items():
        picked = np.random.default_rng(1).permutation(len(rows))[:_MAX_ROWS]
        texts, categories = [rows[i][0] for i in picked], [rows[i][1] for i in picked]
        for way, cell_of in WAYS.items():
            rng = np.random.default_rng(0)
            cells = [cell_of(text) for text in texts]
            told, much, same = (
                information(cells, categories, rng),
                lift(cells, categories),
                accounts(cells, categories, rng),
            )
            print(f"{name:22s} {way:22s} {told:12.3f} {much:8.2f} {same:9.3f}")


if __name__ == "__main__":
    main()
