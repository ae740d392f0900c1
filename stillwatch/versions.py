"""Versions of all that decides, as they stand in verdicts."""

from __future__ import annotations

import hashlib
import json
from functools import cache

import numpy
import scipy
from river.__version__ import __version__ as river_version

import stillwatch
from stillwatch.fingerprint import VERSION
from stillwatch.prompts.codebook import builtin


@cache
def versions() -> tuple[tuple[str, str], ...]:
    """(part, version). The codebook has no number of its own: its fingerprint version and a hash of how it was made.

    >>> [part for part, _ in versions()]
    ['stillwatch', 'fingerprint', 'codebook', 'river', 'numpy', 'scipy']
    """
    made = json.dumps(builtin().provenance, sort_keys=True).encode()
    return (
        ("stillwatch", stillwatch.__version__), ("fingerprint", VERSION),
        ("codebook", hashlib.sha256(made).hexdigest()[:16]), ("river", river_version),
        ("numpy", numpy.__version__), ("scipy", scipy.__version__),
    )  # fmt: skip
