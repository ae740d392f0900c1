"""Who asks, and whether the key allows it. Every route under ``/v1`` depends on ``authenticated`` with its scope.

Scopes stand in the OpenAPI document beside each operation, which is also where a test finds them.
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Depends, Header, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from serve.context import Context, Ctx
from serve.keys import Caller, Refusal
from serve.oidc import TokenRefusal, is_token
from serve.problems import ProblemError

BEARER = HTTPBearer(
    auto_error=False, description="`Authorization: Bearer swk_<id>_<secret>`, or a token of the OpenID provider"
)
KEY_HEADER = APIKeyHeader(name="x-api-key", auto_error=False, description="`x-api-key: swk_<id>_<secret>`")
_CHALLENGE: Final = {"www-authenticate": 'Bearer realm="stillwatch"'}
_REFUSALS: Final[dict[Refusal | TokenRefusal, str]] = {
    "malformed": "An API key looks like swk_<id>_<secret>",
    "unknown": "This API key is not known here. Check that it is complete, or have one added to the key file",
    "expired": "This API key has expired. Have a new one added to the key file",
    "token-malformed": "This token is not a JWT that can be read here",
    "token-key": "This token is not signed by a key of the configured provider, with an algorithm that is allowed",
    "token-expired": "This token has expired. Ask the provider for a new one",
    "token-foreign": "This token is of another issuer, or for another audience",
    "token-invalid": "This token lacks a claim that is needed (exp, iat, iss, aud, sub), or is not valid yet",
}


async def authenticated(
    scopes: SecurityScopes,
    ctx: Ctx,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)],
    header: Annotated[str | None, Depends(KEY_HEADER)],
) -> Caller:
    presented = bearer.credentials if bearer else header
    if not presented:
        raise ProblemError(
            "no-key", "Send Authorization: Bearer <key>, or x-api-key: <key>; docs/api.md says how keys are made",
            headers=_CHALLENGE,
        )  # fmt: skip
    caller = await _caller(ctx, presented)
    require(caller, *scopes.scopes)
    return caller


async def _caller(ctx: Context, presented: str) -> Caller:
    if ctx.tokens is not None and is_token(presented):
        found = await ctx.tokens.find(presented)
        if isinstance(found, Caller):
            return found
        invalid = {"www-authenticate": f'{_CHALLENGE["www-authenticate"]}, error="invalid_token"'}
        raise ProblemError("no-key", _REFUSALS[found], headers=invalid)
    known = await ctx.keys.find(presented)
    if isinstance(known, str):
        raise ProblemError("no-key", _REFUSALS[known], headers=_CHALLENGE)
    return known.key.caller


def require(key: Caller, *scopes: str) -> None:
    """For what depends on the request's content; routes name their scope in ``Security``."""
    missing = [scope for scope in scopes if scope not in key.scopes]
    if missing:
        raise ProblemError("missing-scope", f"{key.actor} needs the scope {', '.join(missing)}")


ReadsScores = Annotated[Caller, Security(authenticated, scopes=["scores:read"])]
ReadsCampaigns = Annotated[Caller, Security(authenticated, scopes=["campaigns:read"])]
WritesEvents = Annotated[Caller, Security(authenticated, scopes=["events:write"])]
WritesRevocations = Annotated[Caller, Security(authenticated, scopes=["revocations:write"])]
WritesApprovals = Annotated[Caller, Security(authenticated, scopes=["approvals:write"])]
WritesNeverAct = Annotated[Caller, Security(authenticated, scopes=["never-act:write"])]
WritesLabels = Annotated[Caller, Security(authenticated, scopes=["labels:write"])]
WritesIndicators = Annotated[Caller, Security(authenticated, scopes=["indicators:write"])]
ReadsDeadLetters = Annotated[Caller, Security(authenticated, scopes=["deadletters:read"])]
WritesDeadLetters = Annotated[Caller, Security(authenticated, scopes=["deadletters:write"])]
WritesControl = Annotated[Caller, Security(authenticated, scopes=["control:write"])]


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
