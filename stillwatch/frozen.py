"""Python values as MessagePack and back, exactly: what the aggregator's snapshot is written in.

Unlike a pickle it runs nothing, and it can not be misread: each dataclass is written with the names of its fields, and one that
has other fields by now is refused. Known are numbers, text, bytes, lists, tuples, sets, dicts, arrays and Stillwatch's own
dataclasses. Sets are written in a fixed order, so that equal values give equal bytes.
"""

from __future__ import annotations

import importlib
from array import array
from dataclasses import fields, is_dataclass
from typing import Any, Final

import msgpack
import numpy as np

from stillwatch.errors import SnapshotIncompatible

_PLAIN: Final = frozenset({type(None), bool, int, float, str, bytes})
_OURS: Final = "stillwatch."


def freeze(value: object) -> bytes:
    """
    >>> thaw(freeze({("a", 1): {2.5, None}, "b": (1, [b"x"])})) == {("a", 1): {2.5, None}, "b": (1, [b"x"])}
    True
    """
    classes: dict[str, list[str]] = {}
    frozen = _freeze(value, classes)
    return bytes(msgpack.packb([classes, frozen]))


def thaw(raw: bytes) -> Any:
    """Raises :class:`SnapshotIncompatible` for a dataclass that has changed or is gone."""
    classes, frozen = msgpack.unpackb(raw, raw=False, strict_map_key=False)
    return _thaw(frozen, {name: _class(name, names) for name, names in classes.items()})


def _freeze(value: Any, classes: dict[str, list[str]]) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind in (list, tuple):
        if _PLAIN.issuperset(map(type, value)):  # a million accounts' bytes are not looked at one by one
            return [kind.__name__, list(value)]
        return [f"{kind.__name__} of", [_freeze(item, classes) for item in value]]
    if kind in (set, frozenset):
        return [kind.__name__, sorted((_freeze(item, classes) for item in value), key=msgpack.packb)]
    if kind is dict:
        return ["dict", _freeze(list(value.keys()), classes), _freeze(list(value.values()), classes)]
    if kind is np.ndarray and value.dtype != object:
        return ["ndarray", value.dtype.str, list(value.shape), np.ascontiguousarray(value).tobytes()]
    if isinstance(value, np.generic):
        return value.item()
    if kind is array:
        return ["array", value.typecode, value.tobytes()]
    if is_dataclass(kind) and kind.__module__.startswith(_OURS):
        name = f"{kind.__module__}:{kind.__qualname__}"
        names = classes.setdefault(name, [field.name for field in fields(kind)])
        return ["class", name, [_freeze(getattr(value, field), classes) for field in names]]
    raise TypeError(f"{kind.__module__}.{kind.__qualname__} can not be in a snapshot; say in stillwatch.frozen how")


def _thaw(frozen: Any, classes: dict[str, type]) -> Any:
    if type(frozen) is not list:
        return frozen
    tag, *rest = frozen
    match tag:
        case "list":
            return rest[0]
        case "tuple":
            return tuple(rest[0])
        case "list of":
            return [_thaw(item, classes) for item in rest[0]]
        case "tuple of":
            return tuple(_thaw(item, classes) for item in rest[0])
        case "set":
            return {_thaw(item, classes) for item in rest[0]}
        case "frozenset":
            return frozenset(_thaw(item, classes) for item in rest[0])
        case "dict":
            return dict(zip(_thaw(rest[0], classes), _thaw(rest[1], classes), strict=True))
        case "ndarray":
            return np.frombuffer(rest[2], dtype=rest[0]).reshape(rest[1]).copy()
        case "array":
            return array(rest[0], rest[1])
        case "class":
            kind = classes[rest[0]]
            made: Any = object.__new__(kind)
            for field, item in zip(fields(made), rest[1], strict=True):
                object.__setattr__(made, field.name, _thaw(item, classes))
            return made
    raise SnapshotIncompatible("a value", f"of the kind {tag!r}", "none of that kind")


def _class(name: str, names: list[str]) -> type:
    module, _, qualified = name.partition(":")
    found: Any = None
    if module.startswith(_OURS):
        try:
            found = importlib.import_module(module)
            for part in qualified.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError):
            found = None
    if not isinstance(found, type) or not is_dataclass(found):
        raise SnapshotIncompatible(name, "of a version that had it", "none")
    now = [field.name for field in fields(found)]
    if now != names:
        raise SnapshotIncompatible(name, f"with the fields {', '.join(names)}", ", ".join(now))
    return found
