"""How much of a prompt is source code: fenced blocks, and lines that look like code. Pure, linear in time."""

from __future__ import annotations

from typing import Final

_FENCE: Final = "```"
_ENDS: Final = (";", "{", "}", "};", ");", "})", "):", "=>", "/>", "*/", "[")
_STARTS: Final = (
    "def ", "class ", "import ", "from ", "return ", "return;", "if (", "for (", "while (", "else:", "elif ", "} else",
    "#include", "public ", "private ", "protected ", "static ", "const ", "let ", "var ", "function ", "func ", "fn ",
    "async ", "await ", "try:", "except ", "raise ", "print(", "console.", "package ", "using ", "namespace ", "@",
    "//", "/*", "#!", "$ ", ">>> ", "</", "<!", "<?", "self.", "this.", "select ", "create table", "insert into",
)  # fmt: skip
_SYMBOLS: Final = b"{}[]()<>=;_|&#@\\/*+\"'`:"
_MANY_SYMBOLS: Final = 0.12  # of a line's bytes; prose has .01 to .04
_SOME_LETTERS: Final = 3
_DENSE_SYMBOLS: Final = 3  # a word in brackets is prose
_NO_LETTERS: Final = bytes(c for c in range(128) if not 97 <= c <= 122)
_SOME_SYMBOLS: Final = 2  # beside a beginning that a sentence may have too


def code_share(seen: str) -> float:
    """0..1 of the characters that are not blank, quantised to 1/255.

    >>> code_share("please explain this"), code_share("```\\nx = 1;\\n```")
    (0.0, 1.0)
    """
    fenced = "`" in seen and _FENCE in seen
    if not fenced and not ("{" in seen or "=" in seen or ";" in seen or "(" in seen or "<" in seen):
        return 0.0  # nearly all prose ends here: looking for single characters is fast
    code = total = 0
    inside = False
    for line in seen.split("\n"):
        text = line.strip()
        size = len(text)
        total += size
        if fenced and text.startswith(_FENCE):
            inside = not inside
            code += size
        elif size and (inside or _looks_like_code(text)):
            code += size
    return round(255 * code / total) / 255 if total else 0.0


def _looks_like_code(text: str) -> bool:
    data = text.encode("utf-8", "surrogatepass")
    symbols = len(data) - len(data.translate(None, _SYMBOLS))
    begins = text.startswith(_STARTS)
    if symbols < _SOME_SYMBOLS:
        return text in ("}", "{", ")", "]") or (begins and text.endswith(";"))
    # Without letters it is arithmetic.
    many = symbols >= max(_DENSE_SYMBOLS, _MANY_SYMBOLS * len(data))
    dense = many and len(data.translate(None, _NO_LETTERS)) >= _SOME_LETTERS
    return dense or begins or text.endswith(_ENDS)
