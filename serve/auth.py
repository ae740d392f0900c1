"""Who asks, and whether the key allows it. Every route under ``/v1`` depends on ``authenticated`` with its scope.

Scopes stand in the OpenAPI document beside each operation, which is also where a test finds them.
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Depends, Header, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from serve.context import Ctx
from serve.keys import ApiKey, Refusal
from serve.problems import ProblemError

BEARER = HTTPBearer(auto_error=False, description="`Authorization: Bearer swk_<id>_<secret>`")
KEY_HEADER = APIKeyHeader(name="x-api-key", auto_error=False, description="`x-api-key: swk_<id>_<secret>`")
_CHALLENGE: Final = {"www-authenticate": 'Bearer realm="stillwatch"'}
_REFUSALS: Final[dict[Refusal, str]] = {
    "malformed": "An API key looks like swk_<id>_<secret>",
    "unknown": "This API key is not known here. Check that it is complete, or have one added to the key file",
    "expired": "This API key has expired. Have a new one added to the key file",
}


async def authenticated(
    scopes: SecurityScopes,
    ctx: Ctx,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)],
    header: Annotated[str | None, Depends(KEY_HEADER)],
) -> ApiKey:
    presented = bearer.credentials if bearer else header
    if not presented:
        raise ProblemError(
            "no-key", "Send Authorization: Bearer <key>, or x-api-key: <key>; docs/api.md says how keys are made",
            headers=_CHALLENGE,
        )  # fmt: skip
    found = ctx.keys.find(presented, ctx.now_unix_s())
    if isinstance(found, str):
        raise ProblemError("no-key", _REFUSALS[found], headers=_CHALLENGE)
    require(found, *scopes.scopes)
    return found


def require(key: ApiKey, *scopes: str) -> None:
    """For what depends on the request's content; routes name their scope in ``Security``."""
    missing = [scope for scope in scopes if scope not in key.scopes]
    if missing:
        raise ProblemError("missing-scope", f"The key {key.id} needs the scope {', '.join(missing)}")


ReadsScores = Annotated[ApiKey, Security(authenticated, scopes=["scores:read"])]
ReadsCampaigns = Annotated[ApiKey, Security(authenticated, scopes=["campaigns:read"])]
WritesEvents = Annotated[ApiKey, Security(authenticated, scopes=["events:write"])]
WritesRevocations = Annotated[ApiKey, Security(authenticated, scopes=["revocations:write"])]
WritesLabels = Annotated[ApiKey, Security(authenticated, scopes=["labels:write"])]
WritesIndicators = Annotated[ApiKey, Security(authenticated, scopes=["indicators:write"])]
ReadsDeadLetters = Annotated[ApiKey, Security(authenticated, scopes=["deadletters:read"])]
WritesDeadLetters = Annotated[ApiKey, Security(authenticated, scopes=["deadletters:write"])]
WritesControl = Annotated[ApiKey, Security(authenticated, scopes=["control:write"])]


async def metrics_reader(
    request: Request,
    ctx: Ctx,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)],
    header: Annotated[str | None, Depends(KEY_HEADER)],
) -> None:
    if not ctx.settings.open_metrics:
        await authenticated(SecurityScopes(["metrics:read"]), ctx, bearer, header)


async def authz_caller(
    ctx: Ctx,
    x_stillwatch_key: Annotated[str | None, Header(description="Where `authz_needs_key` is set: `authz:check`")] = None,
) -> None:
    """A header of its own: `Authorization` and `x-api-key` of the checked request are the customer's, not ours."""
    if ctx.settings.authz_needs_key:
        await authenticated(SecurityScopes(["authz:check"]), ctx, None, x_stillwatch_key)
