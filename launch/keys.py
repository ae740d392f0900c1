"""API keys from their file."""

from __future__ import annotations

from pathlib import Path

from serve.keys import SCOPES, KeyRing, mint, parse_key_ring
from stillwatch.errors import SettingsError
from stillwatch.settings import Settings


def read_keys(settings: Settings) -> KeyRing:
    """An empty ring when no file is configured: then nothing that needs a key is allowed."""
    if settings.serve.api_keys_file is None:
        return KeyRing()
    path = Path(settings.serve.api_keys_file)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            "serve.api_keys_file", str(error), "Name a readable file; see configs/api-keys.example.yaml"
        ) from error
    return parse_key_ring(text)


def local_key(data_dir: str) -> tuple[str, str]:
    """A key for the person on this machine, with every scope: the key, and the file that holds its hash.

    Made anew at each start: nothing on disk can be used once the cluster is down.
    """
    key, entry = mint("local", list(SCOPES), note="made by `stillwatch up`; for this machine", owner="local")
    path = Path(data_dir) / "api-keys.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("keys:\n" + entry, encoding="utf-8")
    return key, str(path)


def with_local_key(settings: Settings) -> tuple[Settings, str]:
    """The settings with a keys file: the configured one, or one made for this run."""
    if settings.serve.api_keys_file is not None:
        return settings, ""
    key, path = local_key(settings.data_dir)
    return settings.model_copy(update={"serve": settings.serve.model_copy(update={"api_keys_file": path})}), key
