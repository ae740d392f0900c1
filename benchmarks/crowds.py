"""Which accounts of a scenario are not independent of each other: the unit of tests on honest accounts."""

from __future__ import annotations

from typing import Final

from stillwatch.simulator import Scenario

# Strangers: each has interests and hours of its own. All others share them with their team, class, product or job.
_ON_THEIR_OWN: Final = frozenset({"user", "agent"})


def crowds_of(scenario: Scenario) -> dict[str, str]:
    """Account -> the name of its team, class, product, gateway or job. Strangers are left out."""
    world = scenario.world()
    return {
        identity.account: group.name
        for group in scenario.parties
        for identity in group.roster(world)
        if identity.kind not in _ON_THEIR_OWN
    }
