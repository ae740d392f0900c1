"""Bodies and answers about what keeps honest customers safe: the never-act list, and undoing whole decisions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from serve.schemas_in import AccountToken, CampaignId, OrganisationId, Strict, exactly_one
from serve.schemas_out import RevocationOut, moment
from stillwatch.never_act import MAX_PROTECTION_S, ProtectedKind, Protection
from stillwatch.revocation import MAX_REASON_CHARS

VerdictId = Annotated[str, Field(pattern=r"^v-[0-9a-f]{1,64}$")]


class NeverActIn(Strict):
    """Exactly one of `account` and `organisation`."""

    model_config = ConfigDict(json_schema_extra=exactly_one("account", "organisation"))
    account: AccountToken | None = None
    organisation: OrganisationId | None = None
    reason: Annotated[str, Field(min_length=1, max_length=MAX_REASON_CHARS)]
    owner: Annotated[str, Field(max_length=128, description="Who answers for it; else the key's owner")] = ""
    ttl_s: Annotated[int, Field(ge=60, le=MAX_PROTECTION_S, description="It ends after this, and that is said")]

    @model_validator(mode="after")
    def _one_target(self) -> NeverActIn:
        if (self.account is None) == (self.organisation is None):
            raise ValueError("send exactly one of account and organisation")
        return self

    def target(self) -> tuple[ProtectedKind, str]:
        if self.account is not None:
            return "account", self.account
        assert self.organisation is not None
        return "organisation", self.organisation


class ProtectionOut(BaseModel):
    id: str
    state: Literal["holds", "ends_soon", "ended"] = Field(description="`ends_soon`: within three days")
    kind: ProtectedKind
    target: str
    owner: str
    reason: str
    by: str = Field(description="The key that wrote it")
    created: datetime
    expires: datetime
    still_enforced: str | None = Field(
        default=None, description="A revocation that was in force before: undo it if you mean it"
    )

    @classmethod
    def of(cls, found: Protection, now_unix_s: float, still_enforced: str | None = None) -> ProtectionOut:
        holds: Literal["holds", "ends_soon"] = "ends_soon" if found.ends_soon(now_unix_s) else "holds"
        return cls(
            id=found.id, state=holds if found.holds(now_unix_s) else "ended", kind=found.kind, target=found.target,
            owner=found.owner, reason=found.reason, by=found.by, created=moment(found.created_unix_s),
            expires=moment(found.expires_unix_s), still_enforced=still_enforced,
        )  # fmt: skip


class ProtectionsOut(BaseModel):
    entries: list[ProtectionOut]
    policy: list[str] = Field(description="Accounts that the policy file names")


class ApprovalIn(Strict):
    note: Annotated[str, Field(max_length=MAX_REASON_CHARS, description="Stands in the audit log")] = ""


class UndoIn(Strict):
    """Exactly one of `verdict` and `campaign`."""

    model_config = ConfigDict(json_schema_extra=exactly_one("verdict", "campaign"))
    verdict: VerdictId | None = None
    campaign: CampaignId | None = None
    reason: Annotated[str, Field(max_length=MAX_REASON_CHARS, description="Stands in the audit log")] = ""

    @model_validator(mode="after")
    def _one_target(self) -> UndoIn:
        if (self.verdict is None) == (self.campaign is None):
            raise ValueError("send exactly one of verdict and campaign")
        return self


class UndoOut(BaseModel):
    undone: list[RevocationOut] = Field(description="Each with its first accounts")
    account_count: int = Field(description="Different accounts that these revocations covered")
    incomplete: list[str] = Field(
        description="Of a campaign: why it is not known which campaigns were merged into it; what was done under their names holds"
    )
