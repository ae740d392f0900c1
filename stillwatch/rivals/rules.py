"""Rules with fixed weights, in the manner of the one open-source product for this problem (Glasswally).

Its published weights: fingerprint 14 %, velocity 10, chain-of-thought 9, embed 8, hydra 8, timing 7, asn 7, h2 6, role
preamble 6, pivot 5, biometric 5. Rules whose input no event carries (h2) are left out and the weights are scaled to 1.
What each rule measures is written anew from its name and description; no code of the product is used. Its own
thresholds (0.35 limit, 0.55 review, 0.72 suspend) are not used either: here every rival has the same error rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from stillwatch.event import RequestEvent
from stillwatch.fingerprint import Fingerprint, event_fingerprint
from stillwatch.rivals.base import Rival

WEIGHTS: Final = {
    "fingerprint": 14.0, "velocity": 10.0, "cot": 9.0, "embed": 8.0, "hydra": 8.0, "timing": 7.0, "asn": 7.0,
    "role_preamble": 6.0, "pivot": 5.0, "biometric": 5.0,
}  # fmt: skip
_TOTAL: Final = sum(WEIGHTS.values())
_HOUR_NANO: Final = 3_600_000_000_000
_MIN_REQUESTS: Final = 12
# Where a rule is fully on. Judged, as the product's are: nothing here is fitted.
_FULL_REQUESTS_AN_HOUR: Final = 60.0
_FULL_SHARE_OF_PROMPTS: Final = 0.5
_FULL_SIBLINGS: Final = 10
_FULL_NEIGHBOURS: Final = 20
_POPULAR_SHARE: Final = 0.05  # a client that more accounts have is a product, not a pool


@dataclass(slots=True)
class _Account:
    """Running sums: no list grows with requests."""

    requests: int = 0
    conversations: int = 0
    cells: int = 0  # bitmap of the 256 topic cells
    reasoning: int = 0
    persona: int = 0
    hour: int = 0
    in_hour: int = 0
    busiest_hour: int = 0
    last_unix_nano: int = 0
    gaps: tuple[int, float, float] = (0, 0.0, 0.0)  # number, mean, sum of squared deviations (Welford)
    chars: tuple[int, float, float] = (0, 0.0, 0.0)
    models: tuple[str, ...] = ()
    values: dict[str, str] = field(default_factory=dict)  # last value a view


class FixedWeights(Rival):
    name = "rules"

    def __init__(self, threshold: float | None = None) -> None:
        super().__init__(threshold)
        self._accounts: dict[str, _Account] = {}
        self._sharing: dict[tuple[str, str], int] = {}  # (view, value) -> accounts that have it
        self._changed: set[str] = set()

    def observe(self, event: RequestEvent) -> None:
        known = self._accounts.setdefault(event.account, _Account())
        known.requests += 1
        hour = event.time_unix_nano // _HOUR_NANO
        known.in_hour = known.in_hour + 1 if hour == known.hour else 1
        known.hour, known.busiest_hour = hour, max(known.busiest_hour, known.in_hour)
        if known.last_unix_nano:
            known.gaps = _welford(known.gaps, (event.time_unix_nano - known.last_unix_nano) / 1e9)
        known.last_unix_nano = event.time_unix_nano
        model = event.text("gen_ai.request.model")
        if model is not None and model not in known.models and len(known.models) < 8:
            known.models = (*known.models, model)
        self._share(known, "client", _client(event))
        self._share(known, "payment", event.text("stillwatch.account.payment"))
        self._share(known, "signup", event.text("stillwatch.account.signup"))
        asn = event.attributes.get("stillwatch.client.asn")
        self._share(known, "asn", None if asn is None else str(asn))
        found = event_fingerprint(event)
        if found is not None:
            _content(known, found)
        self._changed.add(event.account)

    def _share(self, known: _Account, view: str, value: str | None) -> None:
        if value is None or known.values.get(view) == value:
            return
        before = known.values.get(view)
        if before is not None:
            self._sharing[view, before] -= 1
        known.values[view] = value
        self._sharing[view, value] = self._sharing.get((view, value), 0) + 1

    def _evaluate(self, now_unix_nano: int) -> set[str]:
        changed, self._changed = self._changed, set()
        for account in changed:
            known = self._accounts[account]
            if known.requests >= _MIN_REQUESTS:
                self._score[account] = weighted(self._rules(known))
        return changed

    def _rules(self, known: _Account) -> dict[str, float]:
        siblings = max(self._others(known, "payment"), self._others(known, "signup"))
        clients = self._others(known, "client")
        popular = clients > _POPULAR_SHARE * len(self._accounts)
        return {
            "fingerprint": 0.0 if popular else _full(clients, _FULL_SIBLINGS),
            "velocity": _full(known.busiest_hour, _FULL_REQUESTS_AN_HOUR),
            "cot": _full(known.reasoning / known.requests, _FULL_SHARE_OF_PROMPTS),
            "embed": known.cells.bit_count() / max(known.conversations, 1),
            "hydra": _full(siblings, _FULL_SIBLINGS),
            "timing": _regularity(known.gaps),
            "asn": _full(self._others(known, "asn"), _FULL_NEIGHBOURS),
            "role_preamble": _full(known.persona / known.requests, _FULL_SHARE_OF_PROMPTS),
            "pivot": float(len(known.models) > 1),
            "biometric": _regularity(known.chars),
        }

    def _others(self, known: _Account, view: str) -> int:
        value = known.values.get(view)
        return 0 if value is None else self._sharing[view, value] - 1


def weighted(rules: dict[str, float]) -> float:
    """The fused score, 0..1.

    >>> weighted(dict.fromkeys(WEIGHTS, 1.0)), round(weighted({"fingerprint": 1.0}), 3)
    (1.0, 0.177)
    """
    return sum(WEIGHTS[name] * min(max(value, 0.0), 1.0) for name, value in rules.items()) / _TOTAL


def _content(known: _Account, found: Fingerprint) -> None:
    known.conversations += 1
    known.cells |= 1 << found.cell
    known.reasoning += "asks_reasoning" in found.markers
    known.persona += "asks_persona" in found.markers
    known.chars = _welford(known.chars, float(found.chars))


def _client(event: RequestEvent) -> str | None:
    ja4, agent = event.text("stillwatch.client.ja4"), event.text("user_agent.original")
    return None if ja4 is None and agent is None else f"{ja4} {agent}"


def _full(value: float, full: float) -> float:
    return min(value / full, 1.0)


def _welford(sums: tuple[int, float, float], value: float) -> tuple[int, float, float]:
    count, mean, squares = sums[0] + 1, sums[1], sums[2]
    change = value - mean
    mean += change / count
    return count, mean, squares + change * (value - mean)


def _regularity(sums: tuple[int, float, float]) -> float:
    """1 minus the coefficient of variation, at least 0: 1 is a metronome."""
    count, mean, squares = sums
    if count < 2 or mean <= 0:
        return 0.0
    return max(1.0 - math.sqrt(squares / (count - 1)) / mean, 0.0)
