"""The key that snapshots are signed with, from its file, or made at the first start."""

from __future__ import annotations

import logging
import os
import secrets
from pathlib import Path
from typing import Final

from stillwatch.errors import SettingsError
from stillwatch.settings import Settings
from stillwatch.snapshots import MIN_KEY_BYTES

log = logging.getLogger("stillwatch.launch")

_FILE: Final = "snapshot.key"
_REMEDY: Final = f"Write at least {MIN_KEY_BYTES} bytes in hexadecimal into it: openssl rand -hex {MIN_KEY_BYTES}"


def read_snapshot_key(settings: Settings) -> bytes:
    """Where neither a file is configured nor one can be made, a key for this start: later ones replay the stream."""
    if settings.snapshots.key_file is not None:
        return _read(Path(settings.snapshots.key_file))
    path = Path(settings.data_dir) / _FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read(path)
    except OSError as error:
        log.warning("no snapshot of this start can be used by the next: %s. Set snapshots.key_file", error)
        return secrets.token_bytes(MIN_KEY_BYTES)
    key = secrets.token_bytes(MIN_KEY_BYTES)
    with os.fdopen(descriptor, "w") as out:
        out.write(key.hex() + "\n")
    return key


def _read(path: Path) -> bytes:
    """Errors never quote what stands in it."""
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except OSError as error:
        raise SettingsError("snapshots.key_file", str(error), _REMEDY) from error
    except ValueError:  # a UnicodeDecodeError is one, and quotes bytes
        raise SettingsError("snapshots.key_file", f"{path} is not hexadecimal", _REMEDY) from None
    if len(key) < MIN_KEY_BYTES:
        raise SettingsError("snapshots.key_file", f"{path} holds {len(key)} bytes", _REMEDY)
    return key
