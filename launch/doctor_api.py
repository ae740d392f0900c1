"""The API as a checkup finds it: keys, scopes, readiness, policy, lag. Nothing that it sends can change anything."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any, Final

import httpx

from launch.running import Address
from serve.keys import KeyRing
from stillwatch import checkup
from stillwatch.checkup import Check
from stillwatch.settings import Settings

_NOBODY: Final = "stillwatch-doctor"
# A request for each scope. Whoever may, hears that there is no such thing, or that the path or the body is no good.
ASKED: Final = (
    ("scores:read", "GET", f"/v1/accounts/{_NOBODY}"),
    ("campaigns:read", "GET", "/v1/campaigns?limit=1"),
    ("events:write", "POST", "/v1/events"),
    ("revocations:write", "DELETE", f"/v1/revocations/{_NOBODY}"),
    ("labels:write", "POST", "/v1/labels"),
    ("control:write", "PUT", "/v1/control/enforcement"),
    ("indicators:write", "DELETE", f"/v1/indicators/{_NOBODY}"),
    ("approvals:write", "DELETE", f"/v1/approvals/{_NOBODY}"),
    ("never-act:write", "DELETE", f"/v1/never-act/{_NOBODY}"),
    ("deadletters:read", "GET", f"/v1/deadletters/{_NOBODY}"),
    ("deadletters:write", "POST", "/v1/deadletters/replay"),
)
# Settings open these two to everybody, so the first question is without a key. /authz takes the key in a header of its own,
# and counts decisions on an account that there is not.
ASKED_TWICE: Final = (
    ("metrics:read", "/metrics", "authorization", "Bearer "),
    ("authz:check", f"/authz/{_NOBODY}", "x-stillwatch-key", ""),
)
_SECOND_LOOK_S: Final = 2.0  # the API asks its parts at most once a second


def checks(address: Address, settings: Settings, keys: KeyRing) -> list[Check]:
    """``keys``: those of the key file, if it can be read here: then it is known what the key should be allowed."""
    with httpx.Client(base_url=address.url, timeout=10) as client:
        try:
            client.get("/healthz").raise_for_status()
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            return [
                Check(
                    "API", "failed", f"{address.url} does not answer: {why}", "Is it running? STILLWATCH_URL names it"
                )
            ]
        out = [Check("API", "ok", f"{address.url} answers"), _without_key(client)]
        authorised = {"authorization": f"Bearer {address.api_key}"} if address.api_key else {}
        out.append(_scopes(client, address.api_key, authorised, keys))
        before = time.time()
        answer = client.get("/v1/status", headers=authorised)
        after = time.time()
        if answer.status_code != 200:
            return [*out, Check("status", "unknown", "the key may not read it", "Use a key with campaigns:read")]
        status = answer.json()
        as_of = datetime.fromisoformat(status["as_of"]).timestamp()
        # What is shown is up to a second old, and asking may have taken as long.
        half = (after - before) / 2
        out.append(checkup.clock("the API", as_of - before - half, half + 1.0, settings.ingest.lease_ttl_s / 2))
        out += _of_status(client, authorised, status, after, settings)
    return out


def _without_key(client: httpx.Client) -> Check:
    strangers: tuple[dict[str, str], ...] = (
        {},
        {"authorization": "Bearer swk_nobody_nothing"},
        {"authorization": "Bearer e30.e30."},
    )
    let_in = [headers for headers in strangers if client.get("/v1/campaigns", headers=headers).status_code != 401]
    if let_in:
        remedy = (
            "Something in front of the API lets everybody in: it must pass the caller's Authorization on, unchanged"
        )
        return Check("API without a key", "failed", "a request without a valid key is answered", remedy)
    return Check("API without a key", "ok", "refused, and so is a made-up one")


def _scopes(client: httpx.Client, key: str, headers: dict[str, str], keys: KeyRing) -> Check:
    name = "API with a key"
    if not key:
        return Check(name, "unknown", "there is no key", "Set STILLWATCH_API_KEY")
    allowed: list[str] = []
    refused: list[str] = []
    for scope, method, path in ASKED:
        body: Any = {} if method in ("POST", "PUT") else None
        status = client.request(method, path, json=body, headers=headers).status_code
        if status == 401:
            return Check(name, "failed", "the key is not accepted", "Set STILLWATCH_API_KEY to one of the key file")
        (refused if status == 403 else allowed).append(scope)
    untold: list[str] = []
    for scope, path, header, before in ASKED_TWICE:
        account = {"x-stillwatch-account": _NOBODY}
        open_to_all = client.get(path, headers=account).status_code == 200
        status = client.get(path, headers={**account, header: before + key}).status_code
        if open_to_all or status not in (200, 401, 403):
            untold.append(f"{scope} ({path} is open to everybody)" if open_to_all else f"{scope} ({path}: {status})")
        else:
            (allowed if status == 200 else refused).append(scope)
    found = f"may {', '.join(allowed) or 'nothing'}; is refused {', '.join(refused) or 'nothing'}"
    found += f"; does not tell of {', '.join(untold)}" if untold else ""
    known = keys.find(key, time.time())
    if isinstance(known, str):
        return Check(name, "ok", f"{found}. The key file is not at hand, so this can not be compared with it")
    told = {*allowed, *refused}
    wrong = sorted((known.key.scopes & told) ^ set(allowed))
    if wrong:
        return Check(
            name,
            "failed",
            f"{found}; the key file says otherwise of {', '.join(wrong)}",
            "The API reads the file again within seconds; if not, stillwatch_api_keys_stale says that it can not",
        )
    return Check(name, "ok", f"{found}, as the key file says")


def _of_status(
    client: httpx.Client, headers: dict[str, str], status: dict[str, Any], now_unix_s: float, settings: Settings
) -> list[Check]:
    moved = None
    if status["waiting"]:
        time.sleep(_SECOND_LOOK_S)
        again = client.get("/v1/status", headers=headers)
        moved = again.status_code == 200 and again.json()["events"] > status["events"]
        moved = moved or (again.status_code == 200 and again.json()["waiting"] < status["waiting"])
    shards, aggregator = status["shards"] or [], status["aggregator"]
    told = {shard["shard"]: shard["snapshots"] for shard in shards if "snapshots" in shard}
    if aggregator is not None and "snapshots" in aggregator:
        told["aggregator"] = aggregator["snapshots"]
    period_s = None if settings.snapshots.store == "none" else settings.snapshots.period_s
    return [
        checkup.readiness(status), *checkup.policy(status), checkup.lag(status["waiting"], moved=moved),
        *checkup.aggregation(aggregator), checkup.snapshots(told, now_unix_s, period_s),
    ]  # fmt: skip
