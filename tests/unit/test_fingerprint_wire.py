"""The 42 bytes: what goes in comes out, and nothing else is taken for a fingerprint."""

from __future__ import annotations

import base64
import struct

import pytest

from stillwatch.fingerprint_wire import ENCODED_CHARS, PACKED_BYTES, decode, encode

FILL = 0xFFFF
WHOLE = ((483, 755, 902), 2**64 - 1, 1, None, ("code", "sql"), ("asks_structured",), 1_024, "en", 1.0)


def packed(**changed: object) -> str:
    values = {
        "topics": [483, 755, FILL, FILL, FILL, FILL, FILL, FILL], "sketch": 7, "template": 0, "system": 9,
        "capabilities": [3, 0, 255], "markers": 0b101, "chars": 12, "language": 2, "code": 0,
    } | changed  # fmt: skip
    raw = struct.pack(
        "<8HQII3BBIBB", *values["topics"], values["sketch"], values["template"], values["system"],  # type: ignore[misc]
        *values["capabilities"], values["markers"], values["chars"], values["language"], values["code"],  # type: ignore[misc]
    )  # fmt: skip
    return base64.urlsafe_b64encode(raw).decode()


def test_what_is_encoded_is_decoded() -> None:
    assert PACKED_BYTES == 42
    assert len(encode(*WHOLE)) == ENCODED_CHARS == 56  # type: ignore[arg-type]
    assert decode(encode(*WHOLE)) == WHOLE  # type: ignore[arg-type]


def test_the_bytes_stand_where_the_documentation_says() -> None:
    assert decode(packed()) == (
        (483, 755), 7, None, 9, ("logic", "code"), ("asks_reasoning", "asks_persona"), 12, "en", 0.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    "changed",
    [
        {"topics": [FILL] * 8},
        {"topics": [FILL, 1, 2, 3, 4, 5, 6, 7]},
        {"topics": [1, FILL, 2, FILL, FILL, FILL, FILL, FILL]},
        {"topics": [1_024, 1, 2, 3, 4, 5, 6, 7]},
        {"topics": [1, 1, FILL, FILL, FILL, FILL, FILL, FILL]},
        {"capabilities": [255, 255, 255]},
        {"capabilities": [255, 1, 2]},
        {"capabilities": [1, 255, 2]},
        {"capabilities": [1, 1, 255]},
        {"capabilities": [24, 255, 255]},
        {"markers": 0b1111},
        {"language": 200},
    ],
)
def test_a_field_out_of_its_range_is_no_fingerprint(changed: dict[str, object]) -> None:
    assert decode(packed()) is not None
    assert decode(packed(**changed)) is None


def test_one_fingerprint_has_one_text() -> None:
    """The other alphabet, blanks and padding are refused, so that texts can be compared instead of fingerprints."""
    text = encode(*WHOLE)  # type: ignore[arg-type]
    assert "_" in text
    assert decode(text.replace("_", "/")) is None
    assert decode(text[:-1] + "=") is None
    assert decode(text[:-1] + "\n") is None


def test_a_length_beyond_32_bits_is_capped() -> None:
    fields = decode(encode(*WHOLE[:6], 2**40, *WHOLE[7:]))  # type: ignore[arg-type]
    assert fields is not None
    assert fields[6] == 2**32 - 1
