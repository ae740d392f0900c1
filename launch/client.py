"""The API from the command line: one call, the answer, or a problem in plain words."""

from __future__ import annotations

from typing import Any

import httpx

from launch.running import Address
from stillwatch.errors import Conflict, NotFound, SettingsError, StillwatchError, Unavailable


class Api:
    def __init__(self, address: Address) -> None:
        self._address = address
        self._headers = {"authorization": f"Bearer {address.api_key}"} if address.api_key else {}

    def call(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> Any:
        """The decoded answer. Errors of the API come as errors of Stillwatch, with what the API said to do."""
        try:
            answer = httpx.request(
                method,
                f"{self._address.url}{path}",
                json=body,
                headers={**self._headers, **(headers or {})},
                timeout=15,
            )
        except httpx.HTTPError as error:
            raise Unavailable(self._address.url, str(error) or type(error).__name__) from error
        if answer.status_code < 400:
            return answer.json() if answer.content else None
        raise _error(answer, path)


def _error(answer: httpx.Response, path: str) -> StillwatchError:
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    detail = problem.get("detail") or problem.get("title") or answer.text[:200]
    if answer.status_code in (401, 403):
        return SettingsError("STILLWATCH_API_KEY", str(detail), "Use a key with the scope that the message names")
    if answer.status_code == 404:
        return NotFound("such thing", path)
    if answer.status_code == 409:
        return Conflict(path, str(detail))
    if answer.status_code >= 500:
        return Unavailable(path, str(detail))
    fields = "; ".join(f"{e.get('field')}: {e.get('detail')}" for e in problem.get("errors", []))
    return SettingsError(path, f"{detail}{': ' + fields if fields else ''}", "Correct the request")
