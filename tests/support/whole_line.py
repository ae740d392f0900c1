"""A small world for the whole line: people of different trades, and a campaign that asks about everything."""

from __future__ import annotations

from typing import Any


def scenario(seed: int, real_prompts: bool) -> dict[str, Any]:
    trades = (
        [["attack_evolcode"], ["attack_gsm8k_train", "honest_arena_hard"], ["honest_api_*"], ["honest_dolly3k"],
         ["honest_hh_harmless", "honest_awesome_prompts"], ["attack_gpteacher"]]
        if real_prompts
        else [["web development/*", "mobile apps/*"], ["statistics/*", "machine learning/*"], ["robotics/*", "physics/*"],
              ["marketing/*", "contract law/*"], ["home cooking/*", "gardening/*"], ["film/*", "football/*"]]
    )  # fmt: skip
    people = [
        {"kind": "people", "name": f"trade-{n}", "count": 25, "focused_share": 1.0, "topics": topics,
         "languages": {"": 1.0} if real_prompts else {"en": 1.0}, "requests_per_day_median": 14}
        for n, topics in enumerate(trades)
    ]  # fmt: skip
    campaign = {
        "kind": "campaign", "name": "hydra", "accounts": 60, "cohorts": 1, "payment_families": 2, "turns_mean": 1.0,
        "signup_days_before": 20, "signup_span_days": 10,
        "languages": {"": 1.0} if real_prompts else {"en": 1.0},
    }  # fmt: skip
    return {"name": "whole-line", "seed": seed, "days": 3, "groups": [*people, campaign]}
