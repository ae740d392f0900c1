"""The explanation of a verdict as text, from the API's answer: for a terminal, a ticket or a letter."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any, Final

_WIDTH: Final = 110
_LISTED: Final = 20


def explanation(found: Mapping[str, Any]) -> str:
    """Plain text without colours, so that it can be pasted. All accounts and figures are in the API's answer."""
    lines = [f"Verdict {found['verdict']}, decided {_utc(found['decided'])} (time of the traffic)", ""]
    lines += _section("In short", found["summary"])
    lines += ["What was found", ""]
    for number, one in enumerate(found["evidence"], start=1):
        lines += _evidence(number, one)
    lines += _section("Could it be chance?", found["chance"])
    lines += _section("Whom it covers", found["who"], _accounts(found))
    lines += _section("By which rule", found["rule"])
    lines += _section("Who decided, and what became of it", found["decided_by"], [*_revocations(found), *_trail(found)])
    parts = ", ".join(f"{part} {version}" for part, version in found["versions"].items())
    lines += _section(
        "What it was made with", [f"{parts}; policy {found['policy_version']}; configuration {found['config_sha256']}"]
    )
    lines += _section("What this can not say", found["limits"])
    if found["incomplete"]:
        lines += _section("Not the whole picture", [f"did not answer: {part}" for part in found["incomplete"]])
    return "\n".join(lines).rstrip() + "\n"


def _section(title: str, paragraphs: Iterable[str], rows: Iterable[str] = ()) -> list[str]:
    out = [title, ""]
    for paragraph in paragraphs:
        out += [*textwrap.wrap(paragraph, _WIDTH, initial_indent="  ", subsequent_indent="  "), ""]
    for row in rows:
        out += textwrap.wrap(row, _WIDTH, initial_indent="    ", subsequent_indent="      ")
    return out if out[-1] == "" else [*out, ""]


def _evidence(number: int, one: Mapping[str, Any]) -> list[str]:
    out = [f"  {number}. {one['title']} ({one['name']})"]
    spoken = one["found"][:1].upper() + one["found"][1:]
    for text in (
        f"{spoken}.",
        one["compared"],
        one["measures"],
        one["innocent"] and f"What can be said against it: {one['innocent']}",
    ):
        if text:
            out += textwrap.wrap(text, _WIDTH, initial_indent="     ", subsequent_indent="     ")
    return [*out, ""]


def _accounts(found: Mapping[str, Any]) -> list[str]:
    shown = found["accounts"][:_LISTED]
    lines = [
        f"{one['account']}: "
        + (
            "confidence not stored"
            if one["confidence"] is None
            else f"{one['confidence']:.1%}, {one['requests']:,} requests"
        )
        for one in shown
    ]
    left = found["account_count"] - len(shown)
    return [*lines, *([f"and {left:,} more; --json lists them"] if left else [])]


def _revocations(found: Mapping[str, Any]) -> list[str]:
    return [
        f"{one['id']}: {one['action']} of {one['account_count']:,} accounts, {one['state'].replace('_', ' ')}, "
        f"{_utc(one['created'])} to {_utc(one['expires'])}, by {one['actor']}"
        + (f"; undone {_utc(one['undone'])} by {one['undone_by']}" if one["undone"] else "")
        for one in found["revocations"]
    ]


def _trail(found: Mapping[str, Any]) -> list[str]:
    return [f"{_utc(one['at'])} {one['actor']}: {one['action']} of {one['target']}" for one in found["trail"]]


def _utc(moment: str) -> str:
    """
    >>> _utc("2026-09-21T14:13:20.5Z"), _utc("2026-09-21T14:13:20+00:00")
    ('2026-09-21 14:13:20 UTC', '2026-09-21 14:13:20 UTC')
    """
    return f"{moment[:10]} {moment[11:19]} UTC"
