"""Request bodies. A body with a key that nobody knows is refused: a misspelt `dry_run` must not become a revocation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stillwatch.event import ACCOUNT_TOKEN, MAX_INT64, MIN_TIME_UNIX_NANO
from stillwatch.revocation import MAX_REASON_CHARS, MAX_TTL_S, TargetKind
from stillwatch.verdict import AccountKind, Action

AccountToken = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
assert ACCOUNT_TOKEN.pattern == r"[A-Za-z0-9_-]{1,64}\Z"  # the same token, in the dialect of JSON Schema
# An id, not a text: what a KV key, a header and a log line can carry.
OrganisationId = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[!-~]+$")]
CampaignId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
Confidence = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
# As sure as the default policy asks a member to be before it acts on it.
DEFAULT_MIN_CONFIDENCE = 0.9


def exactly_one(*names: str) -> dict[str, Any]:
    """For the schema what a validator checks: one of these keys, as text."""
    return {"oneOf": [{"required": [name], "properties": {name: {"type": "string"}}} for name in names]}


class Strict(BaseModel):
    """Strict and closed: a misspelt `dry_run` must not become a real revocation."""

    model_config = ConfigDict(strict=True, extra="forbid")


class EventIn(BaseModel):
    """A request event, version 1: one finished model call. Unknown keys and attributes are left out, never an error;
    a missing optional one is "not known". In msgpack `trace_id` and `span_id` are bytes."""

    v: Literal[1]
    id: str = Field(min_length=1, max_length=128, description="Printable, unique per request: the deduplication key")
    time_unix_nano: int = Field(
        ge=MIN_TIME_UNIX_NANO, le=MAX_INT64, description="When the call ended, by the gateway's clock"
    )
    account: AccountToken
    trace_id: str | None = Field(default=None, description="32 hexadecimal digits")
    span_id: str | None = Field(default=None, description="16 hexadecimal digits")
    attributes: Mapping[str, Any] | None = Field(
        default=None, description="Named as in the OpenTelemetry GenAI conventions; see docs/api.md"
    )


class RevocationIn(Strict):
    """Exactly one of `account`, `organisation` and `campaign`."""

    model_config = ConfigDict(json_schema_extra=exactly_one("account", "organisation", "campaign"))
    account: AccountToken | None = None
    organisation: OrganisationId | None = None
    campaign: CampaignId | None = None
    action: Action
    reason: Annotated[str, Field(min_length=1, max_length=MAX_REASON_CHARS, description="Why, for whoever looks later")]
    ttl_s: Annotated[int, Field(ge=1, le=MAX_TTL_S, description="It ends by itself after this")]
    dry_run: bool = Field(default=False, description="Record what would be done, and do nothing")
    min_confidence: Confidence = Field(
        default=DEFAULT_MIN_CONFIDENCE, description="Of a campaign: members at least this sure are covered"
    )

    @model_validator(mode="after")
    def _one_target(self) -> RevocationIn:
        if sum(target is not None for target in (self.account, self.organisation, self.campaign)) != 1:
            raise ValueError("send exactly one of account, organisation and campaign")
        if self.campaign is None and "min_confidence" in self.model_fields_set:
            raise ValueError("min_confidence goes with campaign")
        return self

    def target(self) -> tuple[TargetKind, str]:
        if self.account is not None:
            return "account", self.account
        if self.organisation is not None:
            return "organisation", self.organisation
        assert self.campaign is not None
        return "campaign", self.campaign


class LabelIn(Strict):
    """Exactly one of `account` and `campaign`; a campaign's label goes to its members."""

    model_config = ConfigDict(json_schema_extra=exactly_one("account", "campaign"))
    account: AccountToken | None = None
    campaign: CampaignId | None = None
    kind: AccountKind = Field(description="`attack`, or the benign kind that it is")
    note: Annotated[str, Field(max_length=MAX_REASON_CHARS)] = ""
    min_confidence: Confidence = DEFAULT_MIN_CONFIDENCE

    @model_validator(mode="after")
    def _one_target(self) -> LabelIn:
        if (self.account is None) == (self.campaign is None):
            raise ValueError("send exactly one of account and campaign")
        return self


class EnforcementIn(Strict):
    enforcement: Literal["on", "off"]
    reason: Annotated[str, Field(max_length=MAX_REASON_CHARS, description="Stands in the audit log")] = ""
