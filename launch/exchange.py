"""Exchange keys from their file: lines of a name and a key in hexadecimal; ``#`` begins a comment."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Final

from stillwatch.errors import SettingsError
from stillwatch.indicators import MAX_KEY_BYTES, MIN_KEY_BYTES, ExchangeKeys
from stillwatch.settings import Settings

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_REMEDY: Final = "`stillwatch indicators new-key NAME` prints a line for the file"


def read_exchange_keys(settings: Settings) -> ExchangeKeys:
    """None of them when no file is configured: then indicators go without signature and hashed values."""
    file = settings.exchange.keys_file
    if file is None:
        return {}
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError("exchange.keys_file", str(error), f"Name a readable file; {_REMEDY}") from error
    return parse_exchange_keys(text)


def parse_exchange_keys(text: str) -> dict[str, bytes]:
    """Errors name the line and never quote it.

    >>> parse_exchange_keys("# with the alliance\\nalliance-2026 " + "ab" * 32)["alliance-2026"].hex()[:4]
    'abab'
    """
    keys: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        where = f"exchange keys, line {number}"
        if len(words) != 2 or not _NAME.match(words[0]):
            raise SettingsError(where, "not a name and a key", _REMEDY)
        try:
            key = bytes.fromhex(words[1])
        except ValueError:
            raise SettingsError(where, "the key is not hexadecimal", _REMEDY) from None
        if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
            raise SettingsError(where, f"a key has {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes", _REMEDY)
        if words[0] in keys:
            raise SettingsError(where, f"the name {words[0]} stands there twice", "Give each key a name of its own")
        keys[words[0]] = key
    return keys


def new_key_line(name: str) -> str:
    if not _NAME.match(name):
        raise SettingsError("name", "not a name", "Use letters, digits, dots, dashes and underscores, at most 64")
    return f"{name} {secrets.token_hex(MIN_KEY_BYTES)}"
