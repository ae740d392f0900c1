"""A small world for the whole line: people of different trades, and a campaign that asks about everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def scenario(seed: int, trades: list[list[str]], language: str, people: int = 150) -> dict[str, Any]:
    """``trades``: the topics that each group of people asks about, as patterns."""
    groups = [
        {"kind": "people", "name": f"trade-{n}", "count": people // len(trades), "focused_share": 1.0, "topics": topics,
         "languages": {language: 1.0}, "requests_per_day_median": 14}
        for n, topics in enumerate(trades)
    ]  # fmt: skip
    campaign = {
        "kind": "campaign", "name": "hydra", "accounts": 80, "cohorts": 2, "payment_families": 2, "turns_mean": 1.0,
        "signup_days_before": 20, "signup_span_days": 10, "languages": {language: 1.0},
    }  # fmt: skip
    return {"name": "whole-line", "seed": seed, "days": 3, "groups": [*groups, campaign]}


BUILTIN_TRADES = [
    ["web development/*", "mobile apps/*"], ["statistics/*", "machine learning/*"], ["robotics/*", "physics/*"],
    ["marketing/*", "contract law/*"], ["home cooking/*", "gardening/*"], ["film/*", "football/*"],
]  # fmt: skip


def trades_of(topics: Sequence[str], count: int = 20) -> list[list[str]]:
    """Real topics dealt out to so many trades, each with its own."""
    return [list(topics[n::count]) for n in range(count)]
