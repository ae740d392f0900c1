"""The audit's hash chains: what ties an entry to the one before it, and the check that finds what was done to them.

Each writer (one life of a process) numbers its entries and puts the SHA-256 of its last stored entry into the next one, as
in Haber and Stornetta, "How to time-stamp a digital document" (1991). The first entry of a writer takes the hash of what
was newest in the whole log then, so that no chain can vanish as a whole unless it was the last. Whoever can rewrite the
log can also compute all hashes anew, and can cut off its end. Against that help heads that were kept elsewhere
(:attr:`Report.heads`): each must be found again, in its place. Only one that stood before the oldest entry is forgiven, and
not all of them.

A stream loses entries by age and size only at its front. So each entry says where the one before it stood: what it misses
behind the front was taken away, and so was whatever leaves a hole in the stream's sequences.

An append whose answer was lost may have been stored or not. Its writer goes on from the last entry that it knows of, so
one number can stand there twice, after the same entry: that is no finding.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

KEY: Final = "chain"  # of an entry's JSON document
# Hashes remembered of entries gone by, some 150 bytes each. A new chain follows an entry that is seconds old.
_REMEMBERED: Final = 100_000
# Beyond it a person does not read on, and a log of garbage must not fill the memory.
_MAX_FINDINGS: Final = 1_000
_MAX_WRITERS: Final = 200_000

Trouble = Literal["changed", "missing", "reordered", "foreign", "unknown head"]


@dataclass(frozen=True, slots=True)
class Link:
    """``previous``: hexadecimal SHA-256 of the entry before; of a first entry (``number`` 1) the newest one of the whole
    log, "" in an empty one. ``after``: its sequence in the stream; 0 where there is none, and of versions that did not say."""

    writer: str
    number: int
    previous: str
    after: int = 0


def digest(document: bytes) -> str:
    return hashlib.sha256(document).hexdigest()


def sealed(entry: Mapping[str, Any], link: Link) -> bytes:
    """The entry's document as it is stored.

    >>> sealed({"actor": "api-key:ops"}, Link("serve.1f", 1, ""))
    b'{"actor": "api-key:ops", "chain": {"writer": "serve.1f", "number": 1, "previous": "", "after": 0}}'
    """
    chain = {"writer": link.writer, "number": link.number, "previous": link.previous, "after": link.after}
    # `default=str`: an entry must never be lost because a detail has an unusual type.
    return json.dumps({**entry, KEY: chain}, ensure_ascii=False, default=str).encode()


class Head(NamedTuple):
    """A writer's last entry, to be kept elsewhere. ``sequence``: its place in the stream; 0: of a version that did not keep it,
    and then it is never forgiven."""

    number: int
    sha256: str
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """``sequence``: where in the stream it shows."""

    trouble: Trouble
    sequence: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Report:
    """``unchained``: entries of versions without chains, before the first chained one. ``forgotten``: chains whose
    beginning the stream no longer keeps. ``heads``: of each writer. ``forgiven``: kept heads that stood before the oldest
    entry, so that nobody can say whether they were right."""

    entries: int
    unchained: int
    forgotten: int
    findings: Sequence[Finding]
    more_findings: int
    heads: Mapping[str, Head]
    forgiven: int = 0

    @property
    def intact(self) -> bool:
        return not self.findings


@dataclass(slots=True)
class _Last:
    number: int
    sha256: str
    previous: str
    sequence: int


@dataclass(slots=True)
class ChainCheck:
    """Takes the stored entries in stream order. ``first_sequence``: the oldest that the stream still keeps; above 1 the
    beginnings of chains may be gone by age. ``kept``: heads of an earlier report. ``last_sequence``: what the stream told of
    its end before it was read; 0: not known."""

    first_sequence: int
    kept: Mapping[str, Head] = field(default_factory=dict)
    last_sequence: int = 0
    _next: int = 0  # the sequence that comes next, once one came
    _heads: dict[str, _Last] = field(default_factory=dict)
    _seen: OrderedDict[str, int] = field(default_factory=OrderedDict)
    _findings: list[Finding] = field(default_factory=list)
    _gaps: dict[tuple[str, int], Finding] = field(default_factory=dict)  # at most one for each finding
    _kept_found: set[str] = field(default_factory=set)
    _entries: int = 0
    _unchained: int = 0
    _forgotten: int = 0
    _more: int = 0

    def take(self, sequence: int, document: bytes, claimed_sha256: str | None) -> None:
        """``claimed_sha256``: the header that stands beside the document; it also guards an entry that none follows."""
        self._entries += 1
        self._hole(self._next or self.first_sequence, sequence)
        self._next = sequence + 1
        found = digest(document)
        link = _link_of(document)
        if link is None:
            self._unlinked(sequence)
        else:
            if claimed_sha256 != found:
                self._add("changed", sequence, f"Entry {link.number} of {link.writer} is not what was written")
                found = claimed_sha256 or found  # what follows was tied to the original
            self._linked(sequence, link, found)
        self._seen[found] = sequence
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)

    def report(self) -> Report:
        self._hole(self._next or self.first_sequence, self.last_sequence + 1)
        forgiven = 0
        for writer, head in sorted(self.kept.items()):
            if writer in self._kept_found:
                continue
            if 0 < head.sequence < self.first_sequence:
                forgiven += 1
                continue
            text = f"Entry {head.number} of {writer}, whose hash was kept, is not there: cut off, or written anew"
            self._add("unknown head", head.sequence, text)
        if forgiven and forgiven == len(self.kept):
            text = f"All {forgiven} kept heads stood before the oldest entry: nothing ties this log to the one that they are of"
            self._add("unknown head", self.first_sequence, text)
        heads = {writer: Head(last.number, last.sha256, last.sequence) for writer, last in sorted(self._heads.items())}
        return Report(
            self._entries, self._unchained, self._forgotten, tuple(self._findings), self._more, heads, forgiven
        )

    def _hole(self, first: int, end: int) -> None:
        """``end``: the sequence that stands there, or the one behind the stream's last."""
        if first < end:
            which = f"sequence {first} is" if end == first + 1 else f"sequences {first} to {end - 1} are"
            self._add("missing", end, f"Of the stream, {which} not there: it loses entries only at its front")

    def _unlinked(self, sequence: int) -> None:
        if self._heads:
            self._add("foreign", sequence, "This entry has no chain: none of our writers wrote it")
        else:
            self._unchained += 1

    def _linked(self, sequence: int, link: Link, sha256: str) -> None:
        head = self._heads.get(link.writer)
        if head is None:
            self._first(sequence, link)
        elif link.number == head.number and link.previous == head.previous:
            pass  # the answer to the one before was lost
        elif link.number <= head.number:
            text = f"Entry {link.number} of {link.writer} stands behind its entry {head.number}"
            self._add("reordered", sequence, text)
            self._found_late(link)
            return  # the head stays where the chain had come to
        elif link.number > head.number + 1:
            self._gap(sequence, link.writer, head.number + 1, link.number - 1)
        elif link.previous != head.sha256:
            text = f"Entry {head.number} of {link.writer} is not the one that entry {link.number} was written after"
            self._add("changed", head.sequence, text)
        kept = self.kept.get(link.writer)
        if kept is not None and kept == (link.number, sha256, sequence if kept.sequence else 0):
            self._kept_found.add(link.writer)
        if head is not None or len(self._heads) < _MAX_WRITERS:
            self._heads[link.writer] = _Last(link.number, sha256, link.previous, sequence)

    def _first(self, sequence: int, link: Link) -> None:
        """A first entry with ``previous`` "" is accepted anywhere: two processes can both find the log empty."""
        if link.number == 1 and (not link.previous or link.previous in self._seen):
            return
        if max(link.after, 1) < self.first_sequence:
            self._forgotten += 1
        elif link.number == 1:
            text = f"{link.writer} began after an entry (sequence {link.after} then) that is not there"
            self._add("missing", sequence, text)
        else:  # of those before the last one, age may have taken some
            self._gap(sequence, link.writer, 1 if self.first_sequence == 1 else link.number - 1, link.number - 1)

    def _gap(self, sequence: int, writer: str, first: int, last: int) -> None:
        which = f"entry {first}" if first == last else f"entries {first} to {last}"
        self._add("missing", sequence, f"Of {writer}, {which} should stand before this")
        if first == last and not self._more:
            self._gaps[writer, first] = self._findings[-1]

    def _found_late(self, link: Link) -> None:
        """An entry that stands in the wrong place is not missing as well."""
        gap = self._gaps.pop((link.writer, link.number), None)
        if gap is not None and gap in self._findings:
            self._findings.remove(gap)

    def _add(self, trouble: Trouble, sequence: int, sentence: str) -> None:
        if len(self._findings) < _MAX_FINDINGS:
            self._findings.append(Finding(trouble, sequence, sentence))
        else:
            self._more += 1


def _link_of(document: bytes) -> Link | None:
    try:
        link = Link(**json.loads(document)[KEY])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    fits = isinstance(link.number, int) and isinstance(link.after, int) and link.number >= 1
    return link if fits and isinstance(link.writer, str) and isinstance(link.previous, str) else None
