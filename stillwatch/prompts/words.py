"""A text as words: which part of it is looked at, and what counts as a word. Pure, total, linear in time.

Words are lower-case UTF-8 bytes: splitting, looking up and hashing bytes costs a fifth of a regular expression's matches.
"""

from __future__ import annotations

import itertools
import re
from typing import Final

# A prompt's task stands at its beginning or at its end; what lies between is material. Bounds the cost of any prompt.
HEAD_CHARS: Final = 3_072
TAIL_CHARS: Final = 1_024
MAX_WORDS: Final = 1_024

_LETTERS_ONLY: Final = bytes(c if c >= 128 or 97 <= c <= 122 or c == 10 else 32 for c in range(256))
_OTHER_PUNCTUATION: Final = re.compile(r"[\u0080-\u00bf\u2000-\u206f\u3000-\u303f\uff00-\uff20]+")
# Scripts that are written without spaces; their words are taken as overlapping pairs of characters.
_UNSPACED: Final = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]+")


def looked_at(text: str) -> str:
    """The first ``HEAD_CHARS`` and the last ``TAIL_CHARS`` characters, in lower case (which can lengthen a few letters).

    >>> len(looked_at("x" * 65_536))
    4097
    """
    seen = text if len(text) <= HEAD_CHARS + TAIL_CHARS else f"{text[:HEAD_CHARS]}\n{text[-TAIL_CHARS:]}"
    return seen.lower()


def lines_of(seen: str) -> list[list[bytes]]:
    """The words of each line of a lower-case text, without digits and punctuation.

    >>> lines_of("add 12 eggs, then\\nfry") == [[b"add", b"eggs", b"then"], [b"fry"]]
    True
    >>> [word.decode() for word in lines_of("面包店")[0]]
    ['面包', '包店']
    """
    if not seen.isascii():
        seen = _UNSPACED.sub(_pairs, _OTHER_PUNCTUATION.sub(" ", seen))
    plain = seen.encode("utf-8", "surrogatepass").translate(_LETTERS_ONLY)
    return [line.split() for line in plain.split(b"\n")]


def _pairs(run: re.Match[str]) -> str:
    found = run.group()
    return f" {' '.join([first + second for first, second in itertools.pairwise(found)]) or found} "
