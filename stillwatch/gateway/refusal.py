"""What a refused caller gets to see, and how a throttled one gets through now and then."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from stillwatch.revocation import Enforcement
from stillwatch.verdict import Action, strength

# A throttled account keeps one request in this time: enough for a person who is not guilty to notice and to write to
# support, nothing for somebody who harvests.
THROTTLE_S: Final = 10.0
_MAX_THROTTLED: Final = 100_000
# Public relays try a call on three accounts at most, and drop an account after some refusals.
_REPORTED: Final = 8
_REPORTED_PER_S: Final = 3_600.0
_TITLES: Final[dict[Action, tuple[int, str, str]]] = {
    "throttle": (429, "Too many requests", "This key is limited for the time being. Slow down, or contact support"),
    "challenge": (403, "Verification needed", "This key must be verified before it can be used. Contact support"),
    "suspend": (403, "Key suspended", "This key is suspended. Contact support"),
    "revoke": (403, "Key revoked", "This key is revoked. Contact support"),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


def refuses(enforcement: Enforcement | None) -> bool:
    """``observe`` lets pass; everything stronger does not."""
    return enforcement is not None and strength(enforcement.action) > 0


def refusal(enforcement: Enforcement, retry_after_s: int) -> Refusal:
    """RFC 9457. Names the revocation, so that support can look it up, and never its reason: that would teach an attacker
    what to change."""
    status, title, detail = _TITLES[enforcement.action]
    problem = {
        "type": f"urn:stillwatch:refused:{enforcement.action}",
        "title": title,
        "status": status,
        "detail": f"{detail} and give the reference {enforcement.revocation}.",
        "reference": enforcement.revocation,
    }
    body = json.dumps(problem).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if status == 429:
        headers.append((b"retry-after", str(retry_after_s).encode()))
    return Refusal(status, tuple(headers), body)


class FirstRefused:
    """Of each refused account the first ``_REPORTED`` calls in an hour are worth a report: a relay tries them again on the next of
    its accounts, and drops this one. Whoever goes on sending reports nothing more.

    >>> first = FirstRefused()
    >>> [first.reports("acct-7", 10.0) for _ in range(9)].count(True), first.reports("acct-7", 3_700.0)
    (8, True)
    """

    def __init__(self) -> None:
        self._of: OrderedDict[str, tuple[float, int]] = OrderedDict()  # -> (since when, how many)

    def reports(self, account: str, now_s: float) -> bool:
        since_s, count = self._of.get(account, (now_s, 0))
        if now_s - since_s >= _REPORTED_PER_S:
            since_s, count = now_s, 0
        self._of[account] = since_s, count + 1
        self._of.move_to_end(account)
        if len(self._of) > _MAX_THROTTLED:
            self._of.popitem(last=False)
        return count < _REPORTED


class Throttle:
    """One request per ``interval_s`` for each throttled account; the first one is refused, so that it is noticed.

    Holds ``_MAX_THROTTLED`` accounts; the one that has been quiet for longest is forgotten first.
    """

    def __init__(self, interval_s: float = THROTTLE_S) -> None:
        self._interval_s = interval_s
        self._free_at_s: OrderedDict[str, float] = OrderedDict()

    def wait_s(self, account: str, now_s: float) -> float:
        """0 lets this request pass; else how long until one would."""
        free_at_s = self._free_at_s.get(account)
        if free_at_s is not None and now_s < free_at_s:
            return free_at_s - now_s
        self._free_at_s[account] = now_s + self._interval_s
        self._free_at_s.move_to_end(account)
        if len(self._free_at_s) > _MAX_THROTTLED:
            self._free_at_s.popitem(last=False)
        return self._interval_s if free_at_s is None else 0.0
