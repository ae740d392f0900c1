"""The test vectors for other languages: the same text gives the same 42 bytes for ever.

If this fails, every stored fingerprint has lost its meaning: give the new one another version, then write the vectors
again with ``python tests/golden/test_fingerprint_vectors.py``.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest

VECTORS = Path(__file__).with_name("fingerprint_sw1.json")
if __name__ == "__main__":
    sys.path[:0] = [str(VECTORS.parents[2]), str(VECTORS.parents[1] / "support")]

from prompts_of_ours import golden_texts, repeated

from stillwatch.fingerprint import VERSION, fingerprint


def vector(piece: str, chars: int, system: str | None) -> dict[str, Any]:
    """``chars`` characters of the piece over and over, and everything that is known of them."""
    made = fingerprint(repeated(piece, chars) if piece else "", system)
    data = str(made.attributes()["stillwatch.fp.data"])
    return {
        "piece": piece, "chars": chars, "system": system, "packed_hex": base64.urlsafe_b64decode(data).hex(), "data": data,
        "cell": made.cell, "topics": list(made.topics), "sketch": f"{made.sketch:016x}", "template": made.template,
        "system_id": made.system, "capabilities": list(made.capabilities), "markers": list(made.markers),
        "language": made.language, "code": round(255 * made.code_share),
    }  # fmt: skip


def vectors() -> list[dict[str, Any]]:
    return list(json.loads(VECTORS.read_text(encoding="ascii"))["vectors"])


def test_there_are_vectors_of_every_kind_of_text_and_they_are_of_this_version() -> None:
    assert json.loads(VECTORS.read_text(encoding="ascii"))["version"] == VERSION
    assert len(vectors()) >= 40
    assert [(one["piece"], one["chars"], one["system"]) for one in vectors()] == golden_texts()


@pytest.mark.parametrize("number", range(len(golden_texts())))
def test_a_text_has_the_fingerprint_that_it_always_had(number: int) -> None:
    stored = vectors()[number]
    assert vector(stored["piece"], stored["chars"], stored["system"]) == stored


if __name__ == "__main__":
    made = {"version": VERSION, "vectors": [vector(*text) for text in golden_texts()]}
    VECTORS.write_text(json.dumps(made, indent=1) + "\n", encoding="ascii")
