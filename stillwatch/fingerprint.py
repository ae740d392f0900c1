"""The fingerprint: what is known of a prompt once its text is gone. Version ``sw1``.

Pure and deterministic: the same text gives the same fingerprint in every process, on every machine, for ever (golden
vectors hold that). Total: any text is good, also empty, 64 KiB long, or with lone surrogates. Work is bounded: only the
first 3,072 and the last 1,024 characters are looked at. No text is kept: the fields are cells, hashes, classes and a
length. The algorithm for other languages, the bytes and the measurements: docs/fingerprint.md.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import Final, NamedTuple

from stillwatch.event import AttributeValue, RequestEvent
from stillwatch.fingerprint_wire import decode, encode
from stillwatch.lexicon import Capability, Marker, read
from stillwatch.prompts.codebook import CHILDREN, COARSE, FINE
from stillwatch.prompts.languages import language_of
from stillwatch.prompts.simhash import settle
from stillwatch.prompts.skeleton import system_id, template
from stillwatch.prompts.source_code import code_share
from stillwatch.prompts.topics import VOTERS, topics_of
from stillwatch.prompts.vocabulary import known
from stillwatch.prompts.words import HEAD_CHARS, MAX_WORDS, TAIL_CHARS, lines_of, looked_at

__all__ = [
    "CELLS",
    "FINE_CELLS",
    "HEAD_CHARS",
    "TAIL_CHARS",
    "VERSION",
    "Fingerprint",
    "event_fingerprint",
    "fingerprint",
]

VERSION: Final = "sw1"
CELLS: Final = COARSE
FINE_CELLS: Final = FINE
VERSION_ATTRIBUTE: Final = "stillwatch.fp.version"
DATA_ATTRIBUTE: Final = "stillwatch.fp.data"
_MOSTLY_CODE: Final = 0.5
# The operator first, so that the search skips to the next one; then what stands before it.
_OPERATION: Final = re.compile(r"[-+*/×÷^=%$](?:(?<=\$)\d|(?:(?<=\d.)|(?<=\d\s.))\s*[\d(])")
_OPERATION_CHARS: Final = 1_024  # operations are counted in so much of the text; a few decide


class Fingerprint(NamedTuple):
    """A content-free summary of one prompt. A tuple, because one is made for every request and tuples are made fastest."""

    version: str
    cell: int  # topic, 0..255; like next to like
    fine: int  # the same more finely, 0..1023; ``fine >> 2 == cell``
    topics: tuple[int, ...]  # 1..8 distinct numbers 0..1023 by strength: ``fine``, then hashed words
    sketch: int  # 64-bit SimHash; near-duplicates differ in few bits
    template: int | None  # the prompt's skeleton, 32 bits and not 0; `None` where it has none
    system: int | None  # the system prompt with its digits masked, 32 bits and not 0
    capabilities: tuple[Capability, ...]  # 1..3, strongest first
    markers: tuple[Marker, ...]  # 0..3
    chars: int  # of the whole prompt, not only of the part looked at
    language: str  # ISO 639-1; `code` when it is mostly source code, `und` when it is not known
    code_share: float  # 0..1 of what was looked at, in 1/255ths

    def attributes(self) -> dict[str, AttributeValue]:
        """As attributes of a request event.

        >>> sorted(fingerprint("Write a poem about otters.").attributes())
        ['stillwatch.fp.data', 'stillwatch.fp.version']
        """
        data = encode(
            self.topics, self.sketch, self.template, self.system, self.capabilities, self.markers, self.chars,
            self.language, self.code_share,
        )  # fmt: skip
        return {VERSION_ATTRIBUTE: self.version, DATA_ATTRIBUTE: data}


def fingerprint(prompt: str, system: str | None = None) -> Fingerprint:
    """Fingerprint a user's prompt, and the system prompt it came under.

    >>> first = fingerprint('Translate "good morning" into French.', "You are a helpful assistant.")
    >>> first.capabilities, first.template == fingerprint('Translate "good night" into French.').template
    (('translate',), True)
    """
    seen = looked_at(prompt)
    lines = lines_of(seen)
    words = known(list(dict.fromkeys(lines[0] if len(lines) == 1 else chain.from_iterable(lines)))[:MAX_WORDS])
    content = [word for word in words if word[0]] or words
    topics = topics_of([word[2] for word in content[:VOTERS]])
    share = code_share(seen)
    capabilities, markers = read(lines, [word[4] for word in words if word[4]], _cues(seen))
    language = "code" if share > _MOSTLY_CODE else language_of([word[3] for word in words if word[3]])
    return Fingerprint(
        VERSION, topics[0] // CHILDREN, topics[0], topics, settle([word[1] for word in content]), template(seen, lines),
        system_id(system) if system else None, capabilities, markers, min(len(prompt), 0xFFFF_FFFF), language, share,
    )  # fmt: skip


def event_fingerprint(event: RequestEvent) -> Fingerprint | None:
    """The edge's fingerprint when the event carries one that is whole, else one of its text, else ``None``."""
    found = _from_attributes(event)
    if found is not None:
        return found
    text = event.text("stillwatch.prompt.text")
    return None if text is None else fingerprint(text, event.text("stillwatch.system.text"))


def _from_attributes(event: RequestEvent) -> Fingerprint | None:
    """Cells and sketches of another version mean something else, so such an event counts as one without."""
    if event.attributes.get(VERSION_ATTRIBUTE) != VERSION:
        return None
    data = event.attributes.get(DATA_ATTRIBUTE)
    fields = decode(data) if isinstance(data, str) else None
    return None if fields is None else Fingerprint(VERSION, fields[0][0] // CHILDREN, fields[0][0], *fields)


def _cues(seen: str) -> dict[Capability, int]:
    """What punctuation says. Single characters are looked for first: most prompts have none of it."""
    cues: dict[Capability, int] = {}
    if (
        ("(" in seen and ("();" in seen or "def " in seen))
        or ("`" in seen and "```" in seen)
        or ("#" in seen and "#include" in seen)
    ):
        cues["code"] = 8
    if '"' in seen and ('{"' in seen or '": ' in seen):
        cues["struct"] = 6
    if "=" in seen or "$" in seen or "+" in seen or "*" in seen:
        operations = len(_OPERATION.findall(seen, 0, _OPERATION_CHARS))
        if operations:
            cues["math"] = min(8, 3 * operations)
    if "?" in seen or "？" in seen:
        cues["qa"] = 3
    return cues
