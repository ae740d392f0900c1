"""The shape of a domain's vocabulary. Words are given as comma-separated lists, so that the tables read as tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Sector = Literal["engineering", "business", "science", "living"]


@dataclass(frozen=True, slots=True)
class Domain:
    """What people talk about in one field.

    ``things`` follow "the", ``roles`` follow "an experienced", ``activities`` are gerunds, ``problems`` are what a thing
    does ("keeps timing out"), ``metrics`` are measured. ``labels`` are the field's name in German, French, Spanish
    and Chinese, in this order.
    """

    name: str
    labels: tuple[str, str, str, str]
    things: tuple[str, ...]
    roles: tuple[str, ...]
    activities: tuple[str, ...]
    problems: tuple[str, ...]
    metrics: tuple[str, ...]


def domain(name: str, labels: str, *, things: str, roles: str, activities: str, problems: str, metrics: str) -> Domain:
    german, french, spanish, chinese = _words(labels)
    return Domain(
        name,
        (german, french, spanish, chinese),
        _words(things),
        _words(roles),
        _words(activities),
        _words(problems),
        _words(metrics),
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(","))
