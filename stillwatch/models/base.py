"""One interface for every online model, and its laws (tests/contract/test_models.py runs them over ``MODELS``):

- bounded: memory does not grow with the number of requests;
- finite: whatever the features, the score is in 0..1 or ``None`` ("no opinion yet", which is not zero);
- deterministic: same seed and same requests, same scores; the order of dict keys is irrelevant;
- scoring changes nothing; a snapshot restores to a model that goes on exactly as the original.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgpack
from river.__version__ import __version__ as river_version

from stillwatch.errors import SnapshotIncompatible

Features = Mapping[str, float]

_FORMAT: Final = 1


class OnlineModel(Protocol):
    name: str

    def score(self, features: Features) -> float | None:
        """0 (ordinary) to 1 (suspicious), ``None`` while there is no opinion or the features can not be used."""
        ...

    def learn(self, features: Features, attack: bool | None = None) -> None:
        """One request. ``attack`` is what an operator said of its account, ``None`` when nobody said anything."""
        ...

    def snapshot(self) -> bytes: ...

    def restore(self, snapshot: bytes) -> None: ...


class CheckedFeatures(dict[str, float]):
    """Sorted by name, finite, in 0..1. Checked once per request and not once per model."""


def checked(features: Features) -> CheckedFeatures | None:
    """The features in a fixed order, or ``None``: one NaN would poison a River pipeline for ever.

    What lies outside 0..1 is clipped: finite is not enough, 1e308 squared inside a model is infinite.
    """
    if isinstance(features, CheckedFeatures):
        return features
    if not features or not all(map(math.isfinite, features.values())):
        return None
    return CheckedFeatures((name, min(max(value, 0.0), 1.0)) for name, value in sorted(features.items()))


def pack(name: str, state: dict[str, Any]) -> bytes:
    """River's objects as an opaque blob, with the version that can read it beside it."""
    blob = pickle.dumps(state, protocol=5)
    return bytes(msgpack.packb({"format": _FORMAT, "model": name, "river": river_version, "state": blob}))


def unpack(name: str, snapshot: bytes) -> dict[str, Any]:
    header = msgpack.unpackb(snapshot, raw=False)
    found = f"{header.get('model')} format {header.get('format')} river {header.get('river')}"
    wanted = f"{name} format {_FORMAT} river {river_version}"
    if found != wanted:
        raise SnapshotIncompatible(f"model {name}", found, wanted)
    state: dict[str, Any] = pickle.loads(header["state"])
    return state
