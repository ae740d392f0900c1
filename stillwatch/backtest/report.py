"""The report of the contract, byte-stable: the same events, settings and policy give the same bytes.

Keys are sorted, nothing in it comes from a clock. ``events_per_second`` is the traffic's own mean rate, in event time: how
fast the run was is a fact about a machine, and the command prints it beside the report.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from stillwatch.backtest.detector import ActedOn, Detector
from stillwatch.backtest.driver import Backtest
from stillwatch.backtest.evaluation import Labels, evaluate
from stillwatch.correlation.evidence import e_from_p
from stillwatch.event import Rejected
from stillwatch.verdict import Campaign, Signal

_LISTED_REJECTIONS: Final = 10


@dataclass(slots=True)
class Input:
    """What was read beside good events. Rejections are counted all and listed first come: (file, line, why)."""

    rejected: int = 0
    late: int = 0
    first_rejected: list[tuple[str, int, Rejected]] | None = None

    def reject(self, file: str, line: int, why: Rejected) -> None:
        self.rejected += 1
        listed = self.first_rejected if self.first_rejected is not None else []
        if len(listed) < _LISTED_REJECTIONS:
            listed.append((file, line, why))
        self.first_rejected = listed


def report(backtest: Backtest, labels: Labels | None, source: Input) -> dict[str, Any]:
    ledger, detector = backtest.ledger, backtest.detector
    out: dict[str, Any] = {
        "events": ledger.events,
        "accounts": len(ledger.accounts),
        "span_hours": round(ledger.span_hours, 3),
        "events_per_second": round(ledger.events / max(ledger.span_hours * 3_600, 1.0), 6),
        "detector": {**_detector(detector), "enforce": backtest.enforce, "tick_s": backtest.tick_s},
        "input": {
            "duplicates": ledger.duplicates,
            "late": source.late,
            "rejected": source.rejected,
            "first_rejected": [
                {"file": file, "line": line, "reason": why.reason, "field": why.field, "detail": why.detail}
                for file, line, why in source.first_rejected or ()
            ],
        },
        "accounts_acted_on": [
            {**_acted(action), "first_at_unix_nano": ledger.first_action[account].at_unix_nano}
            for account, action in sorted(ledger.strongest.items())
        ],
        "campaigns": [_campaign(campaign) for campaign in detector.campaigns()],
    }
    if labels is not None:
        out["evaluation"] = evaluate(ledger, labels)
    return out


def _detector(detector: Detector) -> dict[str, Any]:
    return {
        "name": detector.id.name,
        "version": detector.id.version,
        "config_sha256": detector.id.config_sha256,
        # Accounts that a blast-radius limit spared: not acted on, and a person should know.
        "held_back": getattr(detector, "held_back", 0),
    }


def _acted(action: ActedOn) -> dict[str, Any]:
    """The strongest action that was taken on the account."""
    return {
        "account": action.account, "action": action.action, "at_unix_nano": action.at_unix_nano,
        "score": action.score, "campaign": action.campaign, "signals": list(action.signals),
        "sentence": action.sentence,
    }  # fmt: skip


def _campaign(campaign: Campaign) -> dict[str, Any]:
    return {
        "id": campaign.id, "detected_at_unix_nano": campaign.detected_at_unix_nano,
        "members": [member.account for member in campaign.members],
        "e_value": campaign.e_value, "requests": campaign.requests, "linkage": list(campaign.linkage),
        "signals": [_signal(signal) for signal in campaign.signals],
    }  # fmt: skip


def _signal(signal: Signal) -> dict[str, Any]:
    """A signal that was tested carries the e-value of its p-value (the mixture calibrator); a plain fact none."""
    e_value = None if signal.surprise is None else float(f"{e_from_p(10.0**-signal.surprise):.6g}")
    return {
        "name": signal.name, "value": signal.value, "normal": None if signal.normal is None else list(signal.normal),
        "e_value": e_value, "sentence": signal.sentence,
    }  # fmt: skip


def encode(content: dict[str, Any]) -> bytes:
    """Sorted keys, one value a line: two reports can be compared with ``diff``."""
    return (json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def rejections(source: Input) -> Sequence[str]:
    """For people: where, and what is wrong."""
    listed = [f"{f} line {n}: {w.field or 'event'}: {w.detail}" for f, n, w in source.first_rejected or ()]
    more = source.rejected - len(listed)
    return [*listed, f"… and {more} more"] if more else listed
