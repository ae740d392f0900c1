"""The fingerprint: what is known of a prompt once its text is gone. Version ``sw0``, made without a model.

Pure and deterministic: the same text gives the same fingerprint in every process, on every machine, for ever (a
golden test holds that). Total: any text is good, also empty, 64 KiB long, or with lone surrogates. Work is bounded:
only the first ``HEAD_CHARS`` characters are looked at. No text is kept: the fields are a topic cell, hashes, classes
and a length. Why the cell is made as it is, with the measurements: docs/fingerprint.md.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain
from typing import Final, get_args

import numpy as np

from stillwatch.event import AttributeValue, RequestEvent
from stillwatch.lexicon import (
    INSTRUCTION_WORDS,
    KEPT_IN_TEMPLATES,
    MAX_CAPABILITIES,
    MAX_MARKERS,
    STOP_WORDS,
    Capability,
    Marker,
    read,
)

VERSION: Final = "sw0"
CELLS: Final = 256
# A prompt's task stands at its beginning or at its end; what lies between is material. Bounds the cost of any prompt.
HEAD_CHARS: Final = 3_072
TAIL_CHARS: Final = 1_024
MAX_WORDS: Final = 1_024

_NOT_TOPICS: Final = STOP_WORDS | INSTRUCTION_WORDS
_TOPIC_WORDS: Final = 6  # the first content words: behind them comes material
_TOPIC_LENGTH: Final = 8  # longer words are not rarer, they are German
_STEM: Final = 6  # transfer, transfers, transferring: one topic
_TEMPLATE_LINES: Final = 24
_TEMPLATE_WORDS: Final = 12  # per line, stop words not counted
_LONG_SLOT: Final = 3  # so many content words in a row: the rest of the line belongs to what was filled in
_TEMPLATE_MIN: Final = 2  # fewer instruction words are no skeleton

# Words are kept as UTF-8 bytes: splitting, looking up and hashing bytes costs a fifth of a regular expression's matches.
_LETTERS_ONLY: Final = bytes(c if c >= 128 or 97 <= c <= 122 or c == 10 else 32 for c in range(256))
_OTHER_PUNCTUATION: Final = re.compile(r"[\u0080-\u00bf\u2000-\u206f\u3000-\u303f\uff00-\uff20]+")
# Scripts that are written without spaces; their words are taken as overlapping pairs of characters.
_UNSPACED: Final = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]+")
_SLOT: Final = re.compile(r"```.*?(?:```|\Z)|\"[^\"\n]*\"|“[^”\n]*”|https?://\S+", re.DOTALL)
_OPERATION: Final = re.compile(r"\d\s*[-+*/×÷^=%]\s*[\d(]|\$\d")
_HEX: Final = re.compile(r"[0-9a-f]+\Z")

_DIGITS: Final = re.compile(r"\d+")
_PAIR: Final = np.uint64(0x9E3779B1)
_MIX: Final = tuple(np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9))
_HALF: Final = np.uint64(32)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A content-free summary of one prompt."""

    version: str
    cell: int  # topic, 0..255; like next to like
    sketch: str  # 64-bit SimHash in hexadecimal; near-duplicates differ in few bits
    template: str | None  # the prompt's skeleton, 32 bits in hexadecimal; `None` where it has none
    system: str | None  # the system prompt with its digits masked, 32 bits in hexadecimal
    capabilities: tuple[Capability, ...]  # 1..3, strongest first
    markers: tuple[Marker, ...]  # 0..3
    chars: int  # of the whole prompt, not only of the part looked at

    def attributes(self) -> dict[str, AttributeValue]:
        """As attributes of a request event; what is absent is left out."""
        out: dict[str, AttributeValue] = {
            "stillwatch.fp.version": self.version,
            "stillwatch.fp.cell": self.cell,
            "stillwatch.fp.sketch": self.sketch,
            "stillwatch.fp.capabilities": list(self.capabilities),
            "stillwatch.fp.chars": self.chars,
        }
        if self.template is not None:
            out["stillwatch.fp.template"] = self.template
        if self.system is not None:
            out["stillwatch.fp.system"] = self.system
        if self.markers:
            out["stillwatch.fp.markers"] = list(self.markers)
        return out


def fingerprint(prompt: str, system: str | None = None) -> Fingerprint:
    """Fingerprint a user's prompt, and the system prompt it came under.

    >>> first = fingerprint('Translate "good morning" into French.', "You are a helpful assistant.")
    >>> first.capabilities, first.template == fingerprint('Translate "good night" into French.').template
    (('translate',), True)
    """
    seen = _seen(prompt).lower()
    lines = _lines(seen)
    words = list(chain.from_iterable(lines))[:MAX_WORDS]
    distinct = list(dict.fromkeys(words))
    capabilities, markers = read(lines, distinct, _cues(seen))
    return Fingerprint(
        version=VERSION,
        cell=_cell(seen, words),
        sketch=_sketch(distinct),
        template=_template(_lines(_SLOT.sub(" ", seen)) if _has_slot(seen) else lines),
        system=_system(system) if system else None,
        capabilities=capabilities,
        markers=markers,
        chars=len(prompt),
    )


def event_fingerprint(event: RequestEvent) -> Fingerprint | None:
    """The edge's fingerprint when the event carries one that is whole, else one of its text, else ``None``."""
    found = _from_attributes(event)
    if found is not None:
        return found
    text = event.text("stillwatch.prompt.text")
    return None if text is None else fingerprint(text, event.text("stillwatch.system.text"))


def _from_attributes(event: RequestEvent) -> Fingerprint | None:
    """Cells and sketches of another version mean something else, so such an event counts as one without."""
    if event.attributes.get("stillwatch.fp.version") != VERSION:
        return None
    cell, chars = event.attributes.get("stillwatch.fp.cell"), event.attributes.get("stillwatch.fp.chars")
    sketch, template = event.text("stillwatch.fp.sketch"), event.text("stillwatch.fp.template")
    system = event.text("stillwatch.fp.system")
    capabilities = event.texts("stillwatch.fp.capabilities")
    markers = event.texts("stillwatch.fp.markers")
    whole = (
        type(cell) is int  # a bool is no cell
        and 0 <= cell < CELLS
        and type(chars) is int
        and chars >= 0
        and _is_hex(sketch, 16)
        and (template is None or _is_hex(template, 8))
        and (system is None or _is_hex(system, 8))
        and 1 <= len(capabilities) <= MAX_CAPABILITIES
        and set(capabilities) <= set(get_args(Capability))
        and len(markers) <= MAX_MARKERS
        and set(markers) <= set(get_args(Marker))
    )
    if not whole:
        return None
    return Fingerprint(VERSION, cell, sketch, template, system, tuple(capabilities), tuple(markers), chars)  # type: ignore[arg-type]


def _is_hex(value: str | None, digits: int) -> bool:
    return value is not None and len(value) == digits and _HEX.match(value) is not None


def _seen(text: str) -> str:
    return text if len(text) <= HEAD_CHARS + TAIL_CHARS else f"{text[:HEAD_CHARS]}\n{text[-TAIL_CHARS:]}"


def _lines(text: str) -> list[list[bytes]]:
    """The words of each line, without digits and punctuation."""
    if not text.isascii():
        text = _OTHER_PUNCTUATION.sub(" ", text)
        if _UNSPACED.search(text):
            text = _UNSPACED.sub(_pairs, text)
    plain = text.encode("utf-8", "surrogatepass").translate(_LETTERS_ONLY)
    return [line.split() for line in plain.split(b"\n")]


def _pairs(run: re.Match[str]) -> str:
    found = run.group()
    return f" {' '.join(map(str.__add__, found, found[1:])) or found} "


def _cues(seen: str) -> dict[Capability, int]:
    """What punctuation says. Cheap looks first: most prompts have none of it."""
    cues: dict[Capability, int] = {}
    if "```" in seen or "();" in seen or "def " in seen or "#include" in seen:
        cues["code"] = 8
    if '{"' in seen or '": ' in seen:
        cues["struct"] = 6
    if "=" in seen or "$" in seen or "+" in seen or "*" in seen:
        operations = len(_OPERATION.findall(seen[:1_024]))
        if operations:
            cues["math"] = min(8, 3 * operations)
    if "?" in seen or "？" in seen:
        cues["qa"] = 3
    return cues


def _cell(seen: str, words: Sequence[bytes]) -> int:
    """The longest of the first content words, stemmed by cutting, as a hash: a bucket per salient word."""
    content: list[bytes] = []
    for word in words:
        if word not in _NOT_TOPICS:
            content.append(word)
            if len(content) == _TOPIC_WORDS:
                break
    if content:
        topic = max(content, key=lambda word: min(len(word), _TOPIC_LENGTH))[:_STEM]
    else:
        topic = b" ".join(words[:3]) or seen.strip()[:_STEM].encode("utf-8", "surrogatepass")
    return zlib.crc32(topic) % CELLS


def _sketch(distinct: Sequence[bytes]) -> str:
    """SimHash over the distinct words that are not stop words, and over pairs of neighbours among them."""
    content = [word for word in distinct if word not in STOP_WORDS] or distinct
    if not content:
        return "0" * 16
    single = np.fromiter(map(zlib.crc32, content), dtype="<u8", count=len(content))
    mixed = np.concatenate((single, single[:-1] * _PAIR + single[1:]))
    # From 32 bits of CRC, which is linear, to 64 that behave as if they were independent.
    mixed *= _MIX[0]
    mixed ^= mixed >> _HALF
    mixed *= _MIX[1]
    mixed ^= mixed >> _HALF
    bits = np.unpackbits(mixed.view(np.uint8).reshape(-1, 8), axis=1)
    return np.packbits(2 * bits.sum(axis=0, dtype=np.uint16) > len(mixed)).tobytes().hex()


def _has_slot(seen: str) -> bool:
    return '"' in seen or "“" in seen or "```" in seen or "http" in seen


def _template(lines: Sequence[Sequence[bytes]]) -> str | None:
    """The instruction words in their lines, with slots for what stands between them.

    Stop words are no part of it: a slot that is filled with a sentence has some, one that is filled with a name has
    none. From the second line on, a line of which more than half was filled in is one slot.
    """
    skeletons: list[list[bytes]] = []
    instructions = 0
    for line in lines:
        kept: list[bytes] = []
        filled = run = 0
        for word in [word for word in line[: 3 * _TEMPLATE_WORDS] if word not in STOP_WORDS][:_TEMPLATE_WORDS]:
            if word in KEPT_IN_TEMPLATES:
                kept.append(word)
                run = 0
                continue
            filled, run = filled + 1, run + 1
            if run == 1:
                kept.append(b"_")
            if run == _LONG_SLOT:
                break
        told = len(kept) - kept.count(b"_")
        if skeletons and told < filled:
            kept, told = [b"_"], 0
        if kept and (not skeletons or skeletons[-1] != kept):
            skeletons.append(kept)
            instructions += told
            if len(skeletons) == _TEMPLATE_LINES:
                break
    if instructions < _TEMPLATE_MIN:
        return None
    return blake2b(b"\n".join(b" ".join(kept) for kept in skeletons), digest_size=4).hexdigest()


def _system(system: str) -> str:
    """Dates and counters change in a system prompt while it stays the same one."""
    masked = _DIGITS.sub("0", _seen(system))
    return blake2b(f"{len(masked)}\n{masked}".encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
