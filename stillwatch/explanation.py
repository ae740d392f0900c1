"""Why a verdict was given, for a reviewer who has never seen the code: from what is stored, and from nothing else.

Pure. Sentences name no times; whoever shows them has the times beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stillwatch import reasons
from stillwatch.grounds import Grounds, GroupTested
from stillwatch.ports import AuditEntry
from stillwatch.reasons import Evidence
from stillwatch.revocation import Revocation
from stillwatch.verdict import Verdict

# Of revocations by others on the same accounts; who wants all of them asks for the revocations.
_MOST_OTHERS: Final = 20


@dataclass(frozen=True, slots=True)
class Covered:
    """An account of the verdict. ``None``: the version that gave it did not store this."""

    account: str
    confidence: float | None
    requests: int | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """``revocations``: first the verdict's own, then others on the same accounts. ``trail``: audit entries about any of them, oldest
    first."""

    verdict: Verdict
    summary: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    chance: tuple[str, ...]
    tests: tuple[GroupTested, ...]
    covered: tuple[Covered, ...]
    who: tuple[str, ...]
    rule: tuple[str, ...]
    decided_by: tuple[str, ...]
    revocations: tuple[Revocation, ...]
    trail: tuple[AuditEntry, ...]
    versions: tuple[tuple[str, str], ...]
    limits: tuple[str, ...]


def explain(
    verdict: Verdict, revocations: Sequence[Revocation], audit: Iterable[AuditEntry], now_unix_s: float
) -> Explanation:
    """``revocations`` and ``audit``: all that might be about it; what is not is left out. ``now``: for the state of revocations."""
    grounds = verdict.grounds or Grounds()
    own = [one for one in revocations if one.verdict == verdict.id]
    members = frozenset(verdict.members)
    others = [one for one in revocations if one not in own and members & frozenset(one.accounts)][:_MOST_OTHERS]
    trail = about(verdict, [*own, *others], audit)
    return Explanation(
        verdict=verdict,
        summary=reasons.summary(verdict, grounds, own, now_unix_s),
        evidence=tuple(reasons.in_words(signal, verdict.kind) for signal in reasons.strongest_first(verdict.signals)),
        chance=reasons.against_chance(verdict, grounds),
        tests=grounds.tests,
        covered=_covered(verdict, grounds),
        who=reasons.whom(verdict, grounds),
        rule=reasons.by_which_rule(verdict, grounds),
        decided_by=reasons.by_whom(verdict, own, trail, now_unix_s),
        revocations=(*own, *others),
        trail=trail,
        versions=grounds.versions or (("stillwatch", verdict.detector_version),),
        limits=reasons.limits(verdict),
    )  # fmt: skip


def _covered(verdict: Verdict, grounds: Grounds) -> tuple[Covered, ...]:
    """Surest first."""
    count = len(verdict.members)
    confidences = grounds.confidences if len(grounds.confidences) == count else (None,) * count
    requests = grounds.requests if len(grounds.requests) == count else (None,) * count
    found = [Covered(*row) for row in zip(verdict.members, confidences, requests, strict=True)]
    return tuple(sorted(found, key=lambda one: (-(one.confidence or 0.0), one.account)))


def about(verdict: Verdict, revocations: Sequence[Revocation], audit: Iterable[AuditEntry]) -> tuple[AuditEntry, ...]:
    """Entries that name the verdict or one of the revocations, and what people did to its campaign or to the account itself."""
    named = {verdict.id, *(one.id for one in revocations)}
    found = []
    for entry in audit:
        names = _names(entry)
        if named & names or (verdict.subject in names and not entry.actor.startswith("policy:")):
            found.append(entry)
    return tuple(sorted(found, key=lambda entry: entry.at_unix_nano))


def _names(entry: AuditEntry) -> set[str]:
    """Everything that an entry could be about: words of its target, texts of its details."""
    out = set(entry.target.replace(":", " ").split())
    _texts(entry.details, out)
    return out


def _texts(value: Any, into: set[str]) -> None:
    if isinstance(value, str):
        into.add(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            _texts(item, into)
    elif isinstance(value, list | tuple):
        for item in value:
            _texts(item, into)
