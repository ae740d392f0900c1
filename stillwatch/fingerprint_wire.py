"""A fingerprint as 42 bytes, in base64url 56 characters, and back. Reading is total: what is malformed is ``None``.

    offset  0   8 × u16  topics, the fine cell first, by strength; 0xFFFF fills up
           16   u64      sketch
           24   u32      template, 0: none
           28   u32      system, 0: none
           32   3 × u8   capabilities, strongest first, by their place in the taxonomy; 0xFF fills up
           35   u8       markers, bit i: marker i of the taxonomy; at most 3
           36   u32      chars
           40   u8       language, by its place in the list
           41   u8       share of source code, 1/255ths

All little-endian. 42 is divisible by 3: base64 needs no padding. The coarse cell is the fine one divided by four.
"""

from __future__ import annotations

import struct
from binascii import a2b_base64, b2a_base64
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from stillwatch.lexicon import CAPABILITIES, MARKERS, MAX_CAPABILITIES, MAX_MARKERS, Capability, Marker
from stillwatch.prompts.codebook import FINE
from stillwatch.prompts.languages import LANGUAGES
from stillwatch.prompts.topics import MAX_TOPICS

_LAYOUT: Final = struct.Struct("<8HQII3BBIBB")
PACKED_BYTES: Final = _LAYOUT.size
ENCODED_CHARS: Final = PACKED_BYTES * 4 // 3
_NO_TOPIC: Final = 0xFFFF
_NO_CAPABILITY: Final = 0xFF
_MAX_U32: Final = 0xFFFF_FFFF
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
# The standard alphabet's own + and / become a blank, which strict decoding refuses: one fingerprint, one text.
_FROM_URL: Final = bytes.maketrans(b"-_+/", b"+/  ")

Fields = tuple[
    tuple[int, ...], int, int | None, int | None, tuple[Capability, ...], tuple[Marker, ...], int, str, float
]


def encode(
    topics: Sequence[int], sketch: int, template: int | None, system: int | None, capabilities: Sequence[Capability],
    markers: Sequence[Marker], chars: int, language: str, code_share: float,
) -> str:  # fmt: skip
    """The fields as base64url text. ``chars`` beyond 32 bits is capped."""
    packed = _LAYOUT.pack(
        *topics, *(_NO_TOPIC,) * (MAX_TOPICS - len(topics)), sketch, template or 0, system or 0,
        *map(CAPABILITIES.index, capabilities), *(_NO_CAPABILITY,) * (MAX_CAPABILITIES - len(capabilities)),
        sum(1 << MARKERS.index(marker) for marker in markers), min(chars, _MAX_U32),
        LANGUAGES.index(language), round(255 * code_share),
    )  # fmt: skip
    return b2a_base64(packed, newline=False).translate(_TO_URL).decode()


def decode(data: str) -> Fields | None:
    """What :func:`encode` was given, or ``None``: of another length or alphabet, or a field out of its range."""
    if len(data) != ENCODED_CHARS:
        return None
    try:
        found = _LAYOUT.unpack(a2b_base64(data.encode().translate(_FROM_URL), strict_mode=True))
    except (ValueError, struct.error):  # binascii.Error is a ValueError; so is text that is not ASCII
        return None
    topics: tuple[int, ...] = found[:MAX_TOPICS]
    if topics[-1] == _NO_TOPIC:
        count = topics.index(_NO_TOPIC)
        if topics.count(_NO_TOPIC) != MAX_TOPICS - count:
            return None
        topics = topics[:count]
    _, _, _, _, _, _, _, _, sketch, template, system, first, second, third, marked, chars, language, code = found
    capabilities, markers = _capabilities(first, second, third), _markers(marked)
    if not topics or max(topics) >= FINE or len(set(topics)) != len(topics) or language >= len(LANGUAGES):
        return None
    if capabilities is None or markers is None:
        return None
    return (
        topics, sketch, template or None, system or None, capabilities, markers, chars, LANGUAGES[language], code / 255
    )  # fmt: skip


@lru_cache(16_384)
def _capabilities(*places: int) -> tuple[Capability, ...] | None:
    told = tuple(place for place in places if place != _NO_CAPABILITY)
    fits = told and places[: len(told)] == told and len(set(told)) == len(told) and max(told) < len(CAPABILITIES)
    return tuple(CAPABILITIES[place] for place in told) if fits else None


@lru_cache(256)
def _markers(bits: int) -> tuple[Marker, ...] | None:
    fits = bits.bit_count() <= MAX_MARKERS
    return tuple(marker for place, marker in enumerate(MARKERS) if bits >> place & 1) if fits else None
