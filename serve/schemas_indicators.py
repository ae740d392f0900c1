"""Indicators in and out. The document's rules stand in ``stillwatch.indicators``; here they are named for the OpenAPI page."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from serve.schemas_out import moment
from stillwatch.indicators import Imported


class IndicatorDocument(BaseModel):
    """Version 1; docs/indicators.md says what each field reveals. Closed: other fields are refused."""

    format: str = Field(description="`stillwatch-indicator`")
    version: int = Field(description="1")
    fingerprint: str = Field(description="Version of the fingerprint whose topic cells these are")
    issuer: str
    campaign: str = Field(description="A name for talking about it; not the issuer's own id")
    first_seen_unix_s: int
    last_seen_unix_s: int
    accounts: int = Field(description="Rounded to two digits, at least 20")
    conversations: int = Field(description="Rounded to two digits")
    mixture: str = Field(description="base64 of one byte a topic cell, in 255ths of the commonest one")
    rest_per_mille: int = Field(description="Part of the pool in cells that stand there as 0")
    conduct: dict[str, int] = Field(description="Hundredths of standard deviations from the issuer's honest accounts")
    values: dict[str, list[str]] = Field(description="Hashes under the exchange key, by what they are of")
    key: str | None = Field(default=None, description="Name of the exchange key")
    signature: str | None = Field(default=None, description="HMAC-SHA-256 over the rest of the document, canonical")


class IndicatorOut(BaseModel):
    id: str
    issuer: str
    campaign: str
    accounts: int
    last_seen: datetime
    signed_with: str | None = Field(description="Name of the exchange key; null: nobody vouches for it")
    hashed_values: int
    received: datetime
    expires: datetime
    by: str = Field(description="Who took it in")

    @classmethod
    def of(cls, imported: Imported) -> IndicatorOut:
        one = imported.indicator
        return cls(
            id=one.id, issuer=one.issuer, campaign=one.campaign, accounts=one.accounts,
            last_seen=moment(one.last_seen_unix_s), signed_with=one.key,
            hashed_values=sum(len(hashes) for hashes in one.values.values()),
            received=moment(imported.received_unix_s), expires=moment(imported.expires_unix_s), by=imported.by,
        )  # fmt: skip


class IndicatorsOut(BaseModel):
    indicators: list[IndicatorOut] = Field(description="Newest first")


class RemovedOut(BaseModel):
    removed: str
