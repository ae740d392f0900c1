"""What is secret in the text of an API key."""

from __future__ import annotations

_LOOKED_FOR_CHARS = 16  # 96 random bits: in no text by chance


def end_of_secret(key: str) -> str:
    """Of ``swk_<id>_<secret>``: who shows all of it, or the end of it, shows this.

    Not what is behind the last "_": the secret is base64 for URLs and may have that itself, and then it may be a single
    letter, which is in any text.

    >>> end_of_secret("swk_ops_0123456789abcdefgh_X")
    '456789abcdefgh_X'
    """
    secret = key.split("_", 2)[2]
    return secret[-_LOOKED_FOR_CHARS:]
