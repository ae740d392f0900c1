"""What questions about campaigns are answered from: the state after the last evaluation.

While an evaluation runs in a thread of its own, nobody may look into the core.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from stillwatch.errors import NotFound
from stillwatch.verdict import Campaign


@dataclass(frozen=True, slots=True)
class Shown:
    """``campaigns``: newest first. ``campaign_of``: by account, where a membership is more likely than not."""

    campaigns: tuple[Campaign, ...] = ()
    campaign_of: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, campaigns: Sequence[Campaign]) -> Shown:
        surest: dict[str, tuple[float, str]] = {}
        for campaign in campaigns:  # one that was merged into another has no members
            for member in campaign.members:
                if member.confidence >= max(0.5, surest.get(member.account, (0.0, ""))[0]):
                    surest[member.account] = member.confidence, campaign.id
        return cls(tuple(campaigns), {account: campaign for account, (_, campaign) in surest.items()})

    def campaign(self, campaign_id: str) -> Campaign:
        found = next((campaign for campaign in self.campaigns if campaign.id == campaign_id), None)
        if found is None:
            raise NotFound("campaign", campaign_id)
        return found
