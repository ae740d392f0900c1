"""Rotation: the keys file with a second secret for one holder, and with an end for the first. Text in, text out.

Order of a rotation: the file gets the new secret beside the old one, replicas read it within seconds, the holder changes
over, the old one ends by itself.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import yaml

from serve.keys import MAX_SECRETS, KeyEntry, SecretEntry, new_secret, parse_key_file, unix_s
from stillwatch.errors import Conflict, NotFound

_TOP: Final = ("#", "\n")


def rotated(text: str, id: str, now_unix_s: float, overlap_s: float) -> tuple[str, str]:
    """The new key, to be shown once, and the file's new text. The secret that was valid until now ends ``overlap_s`` from
    now, if it does not end before. Comments at the top of the file stay, others are lost. Raises ``NotFound`` for an
    unknown id, ``Conflict`` while a rotation is under way, ``SettingsError`` for a file that can not be read."""
    file = parse_key_file(text)
    entry = next((entry for entry in file.keys if entry.id == id), None)
    if entry is None:
        raise NotFound("API key", id)
    valid = [one for one in entry.all_secrets() if not _ended(one, now_unix_s)]
    if len(valid) >= MAX_SECRETS:
        raise Conflict(
            f"API key {id}", "two secrets are valid; wait for the end of the old one, or take it out of the file"
        )
    key, sha256 = new_secret(id)
    end = datetime.fromtimestamp(int(now_unix_s + overlap_s), UTC)
    old = [one if _sooner(one, end) else one.model_copy(update={"expires": end}) for one in valid]
    changed = entry.model_copy(update={"sha256": None, "secrets": [*old, SecretEntry(sha256=sha256)]})
    return key, _head(text) + _dumped([changed if one is entry else one for one in file.keys])


def _dumped(entries: list[KeyEntry]) -> str:
    rows = [entry.model_dump(exclude_defaults=True, exclude_none=True) for entry in entries]
    return yaml.safe_dump({"keys": rows}, sort_keys=False, default_flow_style=None, allow_unicode=True, width=120)


def _head(text: str) -> str:
    lines = []
    for line in text.splitlines(keepends=True):
        if not line.startswith(_TOP):
            break
        lines.append(line)
    return "".join(lines)


def _ended(secret: SecretEntry, now_unix_s: float) -> bool:
    end = unix_s(secret.expires)
    return end is not None and end <= now_unix_s


def _sooner(secret: SecretEntry, end: datetime) -> bool:
    own = unix_s(secret.expires)
    return own is not None and own <= end.timestamp()
