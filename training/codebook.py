"""Trains the topic codebook: ``python -m training.codebook --corpora DIR --seed 7``.

Stems × texts, inverse document frequency, truncated SVD, balanced spherical k-means of the words; then gains, so that all
coarse cells win about as often. The same corpora, seed and libraries give the same bytes; single-threaded BLAS is part
of that and set here. What is written are hashes, cells, weights and counts: no text, no word.
"""

from __future__ import annotations

import os

os.environ.update({name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")})

import argparse
import hashlib
import io
import json
import sys
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.sparse.linalg import svds

from stillwatch.lexicon import INSTRUCTION_WORDS
from stillwatch.prompts.codebook import CHILDREN, COARSE, FINE, FORMAT, MAX_GAIN, Codebook, slot_of, stem_hash
from stillwatch.prompts.topics import FADE, LONG_BYTES
from training.corpora import HELD_OUT, LEFT_OUT, Corpus, read
from training.function_words import FUNCTION_WORDS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DIMENSIONS: Final = 160
MIN_TEXTS: Final = 3  # a word in fewer texts has no company to be known by
MAX_STEMS: Final = 16_000
MAX_WEIGHT: Final = 255
SHARPNESS: Final = 1  # weight = (idf / largest idf) ** SHARPNESS
INSTRUCTION_SHARE: Final = 0.3
SOURCE_POWER: Final = 0.5  # a source of n texts counts as n ** 0.5 of them
GAIN_ROUNDS: Final = 14
GAIN_TEXTS: Final = 12_000
OUT: Final = Path(__file__).resolve().parents[1] / "stillwatch" / "data" / "codebook.npz"


def train(corpus: Corpus, seed: int) -> dict[str, npt.NDArray[Any]]:
    """The tables of the data file."""
    rng = np.random.Generator(np.random.PCG64(seed))
    in_texts = Counter(chain.from_iterable(corpus.slots))
    stems = sorted((s for s, n in in_texts.items() if n >= MIN_TEXTS), key=lambda s: (-in_texts[s], s))[:MAX_STEMS]
    column = {slot: place for place, slot in enumerate(stems)}
    sizes = Counter(corpus.sources)
    share = np.array([sizes[source] ** (SOURCE_POWER - 1) for source in corpus.sources])
    share /= share.mean()

    pairs = [(place, column[slot]) for place, text in enumerate(corpus.slots) for slot in text if slot in column]
    where = np.array(pairs).T
    shape = (len(corpus.slots), len(stems))
    present = sp.csr_matrix((np.ones(len(pairs)), (where[0], where[1])), shape=shape)
    frequency = present.T @ share
    idf = np.log(len(corpus.slots) / (frequency + 1) + 1)
    terms = present @ sp.diags(idf)
    norms = np.sqrt(np.asarray(terms.multiply(terms).sum(axis=1)).ravel())
    _, strength, right = svds(
        sp.diags(np.sqrt(share) / np.maximum(norms, 1e-9)) @ terms, k=DIMENSIONS + 1, v0=np.ones(min(shape))
    )
    # The strongest direction is what all prompts have in common.
    company = right[np.argsort(-strength)].T[:, 1:]
    company /= np.maximum(np.linalg.norm(company, axis=1, keepdims=True), 1e-12)

    mass = idf * np.sqrt(frequency)
    coarse = balanced_clusters(company, mass, COARSE, rng, rounds=15)
    cells = np.zeros(len(stems), dtype=np.int64)
    for cell in range(COARSE):
        mine = np.flatnonzero(coarse == cell)
        few = len(mine) <= CHILDREN
        parts = np.arange(len(mine)) if few else balanced_clusters(company[mine], mass[mine], CHILDREN, rng, rounds=8)
        cells[mine] = CHILDREN * cell + parts

    weights = (idf / np.log(len(corpus.slots))).clip(0, 1) ** SHARPNESS
    said_by_all = {slot_of(stem_hash(word)) for word in INSTRUCTION_WORDS}
    weights[[slot in said_by_all for slot in stems]] *= INSTRUCTION_SHARE
    table = {s: (int(c), max(1, round(MAX_WEIGHT * w))) for s, c, w in zip(stems, cells, weights, strict=True)}
    # Function words of other languages than the lexicon's tell no topic, whether the corpora have them or not.
    for word in sorted(FUNCTION_WORDS):
        slot = slot_of(stem_hash(word))
        table[slot] = (table[slot][0] if slot in table else slot % FINE, 1)
    slots = sorted(table)
    tables: dict[str, npt.NDArray[Any]] = {
        "slots": np.array(slots, dtype=np.uint32),
        "cells": np.array([table[slot][0] for slot in slots], dtype=np.uint16),
        "weights": np.array([table[slot][1] for slot in slots], dtype=np.uint8),
    }
    tables["gains"] = even_gains(corpus, tables, rng)
    return tables


def balanced_clusters(points: Floats, mass: Floats, count: int, rng: np.random.Generator, rounds: int) -> Ints:
    """Spherical k-means in which a cluster that has more mass than the others becomes less attractive."""
    centres = points[rng.choice(len(points), count, replace=False, p=mass / mass.sum())].copy()
    bias = np.zeros(count)
    for _ in range(rounds):
        nearest = (points @ centres.T - bias).argmax(axis=1)
        members = sp.csr_matrix((mass, (nearest, np.arange(len(points)))), shape=(count, len(points)))
        centres = np.asarray(members @ points)
        held = np.asarray(members.sum(axis=1)).ravel()
        bias += 0.03 * np.log((held + 1e-3 * held.mean()) / held.mean())
        empty = np.flatnonzero(held == 0)
        centres[empty] = points[rng.choice(len(points), len(empty))]
        centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-12)
    closest: Ints = (points @ centres.T - bias).argmax(axis=1).astype(np.int64)
    return closest


def even_gains(
    corpus: Corpus, tables: Mapping[str, npt.NDArray[Any]], rng: np.random.Generator
) -> npt.NDArray[np.uint16]:
    """What a cell's votes are worth, so that all coarse cells win about as often over a mix of sources.

    Without it a few cells of words that stand in every prompt win nearly all prompts of a domain that is new.
    """
    sizes = Counter(corpus.sources)
    chance = np.array([sizes[source] ** -0.75 for source in corpus.sources])
    picked = rng.choice(len(chance), min(GAIN_TEXTS, len(chance)), replace=False, p=chance / chance.sum())
    book = Codebook(pack({**tables, "gains": np.ones(FINE, dtype=np.uint16)}, {"format": FORMAT}))
    votes = sp.lil_matrix((len(picked), FINE))
    for row, text in enumerate(picked):
        for slot, length, fade in zip(corpus.slots[text], corpus.lengths[text], FADE, strict=False):
            cell, weight, _ = book.place(slot)
            votes[row, cell] += weight * min(length, LONG_BYTES) * fade
    ballots = sp.csr_matrix(votes)
    families = sp.csr_matrix((np.ones(FINE), (np.arange(FINE), np.arange(FINE) // CHILDREN)), shape=(FINE, COARSE))
    gains = np.ones(FINE)
    for _ in range(GAIN_ROUNDS):
        winners = np.asarray((ballots @ sp.diags(gains) @ families).argmax(axis=1)).ravel()
        won = np.bincount(winners, minlength=COARSE) + 2.0
        gains *= np.repeat((won / won.mean()) ** -0.15, CHILDREN)
    return scaled(gains)


def scaled(gains: Floats) -> npt.NDArray[np.uint16]:
    whole: Floats = np.clip(np.rint(gains / gains.max() * MAX_GAIN), 1, MAX_GAIN)
    return whole.astype(np.uint16)


def pack(tables: Mapping[str, npt.NDArray[Any]], provenance: Mapping[str, Any]) -> bytes:
    """An .npz of fixed dates and order: numpy's own writer stamps the time."""
    said = np.frombuffer(json.dumps(provenance, sort_keys=True).encode(), dtype=np.uint8)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, table in sorted({**tables, "provenance": said}.items()):
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(table), allow_pickle=False)
            file.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue(), compress_type=zipfile.ZIP_DEFLATED)
    return out.getvalue()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Train the topic codebook from a folder of corpora.")
    parser.add_argument("--corpora", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args(arguments)
    corpus = read(given.corpora)
    if not corpus.slots:
        sys.exit(f"no *.jsonl.gz with texts in {given.corpora}")
    data = pack(
        train(corpus, given.seed),
        {
            "format": FORMAT,
            "command": f"python -m training.codebook --seed {given.seed}",
            "seed": given.seed,
            "held_out": f"blake2b(text, 2 bytes)[0] < {HELD_OUT}",
            "left_out": dict(LEFT_OUT),
            "files": corpus.files,
        },
    )
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_bytes(data)
    sys.stdout.write(
        f"{given.out}: {len(data):,} bytes from {len(corpus.slots):,} texts, sha256 {hashlib.sha256(data).hexdigest()}\n"
    )


if __name__ == "__main__":
    main()
