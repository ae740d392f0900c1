"""External authorisation for Envoy, nginx, APISIX, Traefik and Caddy: exactly 200 allows.

Answered from RAM; no call to Ray or NATS stands between a customer and an answer. It fails open: while the enforcer
is not loaded, when no account is named, or on a bug of ours, the request is allowed and counted under an `open_`
decision of ``stillwatch_authz_decisions_total``. Refusing everybody by mistake is worse than a minute of theft.

The gateway must *overwrite* ``x-stillwatch-account`` and ``x-stillwatch-org`` with what it has authenticated.
"""

from __future__ import annotations

import logging
import math
from typing import Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request, Response

from serve.auth import authz_caller
from serve.context import Context, Ctx
from serve.openapi import problems
from stillwatch.event import ACCOUNT_TOKEN
from stillwatch.gateway.refusal import refusal
from stillwatch.revocation import Enforcement

log = logging.getLogger("stillwatch.serve")
router = APIRouter(tags=["gateways"])

ACCOUNT_HEADER: Final = "x-stillwatch-account"
ORGANISATION_HEADER: Final = "x-stillwatch-org"
MAX_ORGANISATION_CHARS: Final = 128
METHODS: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


async def check(request: Request, ctx: Ctx, path: str) -> Response:
    """Any method and path. Send `x-stillwatch-account` and, where it is known, `x-stillwatch-org`. 200 allows. What
    refuses: 403 for `challenge`, `suspend` and `revoke`, 429 with `Retry-After` for `throttle`, which lets one request
    pass now and then. `x-stillwatch-action`, `x-stillwatch-reason` (percent-encoded) and `x-stillwatch-revocation` are
    for the gateway's log: do not forward them to the client."""
    try:
        decision, found, wait_s = _decide(request, ctx)
    # A 500 is a refusal to every one of these gateways.
    except Exception as error:
        log.error("authz failed: %s", type(error).__name__)
        decision, found, wait_s = "open_error", None, 0.0
    ctx.metrics.decision(decision)
    headers = {"x-stillwatch-decision": decision}
    if found is not None:
        headers |= {
            "x-stillwatch-action": found.action,
            "x-stillwatch-revocation": quote(found.revocation),
            # Percent-encoded: an operator's reason may hold any character, a header may not.
            "x-stillwatch-reason": quote(found.reason, safe=" ,.:;/()")[:1_024],
        }
    if found is None or decision in ("observe", "throttle_pass"):
        return Response(headers=headers)
    refused = refusal(found, math.ceil(wait_s))
    answer = Response(refused.body, refused.status, headers)
    answer.raw_headers = [*(item for item in answer.raw_headers if item[0] != b"content-length"), *refused.headers]
    return answer


def _decide(request: Request, ctx: Context) -> tuple[str, Enforcement | None, float]:
    """The decision's name, what it rests on, and how long a throttled caller has to wait."""
    account: str | None = request.headers.get(ACCOUNT_HEADER, "")
    organisation = request.headers.get(ORGANISATION_HEADER) or None
    if not ACCOUNT_TOKEN.match(account or ""):
        account = None
    if organisation is not None and len(organisation) > MAX_ORGANISATION_CHARS:
        organisation = None
    if account is None and organisation is None:
        return "open_no_account", None, 0.0
    if not ctx.ports.enforcer.loaded:
        return "open_not_loaded", None, 0.0
    found = ctx.ports.enforcer.check(account, organisation, ctx.now_unix_s())
    if found is None:
        return "allow", None, 0.0
    if found.action == "throttle":
        wait_s = ctx.throttle.wait_s(account or f"org {organisation}", ctx.ports.clock.monotonic_s())
        return "throttle" if wait_s > 0 else "throttle_pass", found, wait_s
    return found.action, found, 0.0


_NEEDS = [Depends(authz_caller)]
_RESPONSES: dict[int | str, dict[str, Any]] = {
    **problems(401),
    403: {"description": "Refused: `challenge`, `suspend` or `revoke`; the body names the revocation to quote"},
    429: {"description": "Refused: `throttle`; `Retry-After` says when one request will pass"},
}
# One of the methods stands in the OpenAPI document; seven copies of the same text would not say more.
router.add_api_route(
    "/authz/{path:path}", check, methods=["GET"], summary="May this account go on? (any method)",
    response_class=Response, dependencies=_NEEDS, responses=_RESPONSES,
)  # fmt: skip
router.add_api_route(
    "/authz/{path:path}", check, methods=METHODS[1:], include_in_schema=False, response_class=Response,
    dependencies=_NEEDS,
)  # fmt: skip
