from __future__ import annotations

import json

import pytest

from stillwatch.errors import SettingsError
from stillwatch.event import ACCOUNT_TOKEN
from stillwatch.gateway import Identity, bearer_identity, hmac_account, refuses
from stillwatch.gateway.refusal import Throttle, refusal
from stillwatch.revocation import Enforcement
from stillwatch.verdict import ACTIONS, Action

SECRET = b"0123456789abcdef"


def an_enforcement(action: Action) -> Enforcement:
    return Enforcement("r-77", action, "harvests our model", 4_000_000_000)


def test_only_observing_lets_pass() -> None:
    assert [action for action in ACTIONS if not refuses(an_enforcement(action))] == ["observe"]
    assert not refuses(None)


@pytest.mark.parametrize("action", ["throttle", "challenge", "suspend", "revoke"])
def test_a_refusal_says_what_to_do_and_not_why(action: Action) -> None:
    answer = refusal(an_enforcement(action), 7)
    problem = json.loads(answer.body)
    headers = dict(answer.headers)
    assert headers[b"content-type"] == b"application/problem+json"
    assert int(headers[b"content-length"]) == len(answer.body)
    assert problem["status"] == answer.status == (429 if action == "throttle" else 403)
    assert "support" in problem["detail"]
    assert "r-77" in problem["detail"]
    assert b"harvests" not in answer.body
    assert headers.get(b"retry-after") == (b"7" if action == "throttle" else None)


def test_a_throttled_account_gets_one_request_through_after_each_wait() -> None:
    throttle = Throttle(interval_s=10)
    assert throttle.wait_s("a", 0.0) == 10
    assert throttle.wait_s("a", 4.0) == 6
    assert throttle.wait_s("b", 4.0) == 10  # another account waits for itself
    assert throttle.wait_s("a", 10.0) == 0
    assert throttle.wait_s("a", 10.1) == pytest.approx(9.9)
    assert throttle.wait_s("a", 20.0) == 0


def test_the_throttle_forgets_who_has_been_quiet_for_longest() -> None:
    throttle = Throttle(interval_s=1_000_000)
    for number in range(100_001):
        throttle.wait_s(f"a{number}", float(number))
    assert len(throttle._free_at_s) == 100_000
    assert throttle.wait_s("a100000", 100_001.0) == pytest.approx(999_999)


def test_an_account_is_a_token_of_the_contract_and_depends_on_the_secret() -> None:
    account = hmac_account(SECRET, "sk-live-7")
    assert ACCOUNT_TOKEN.match(account)
    assert account == hmac_account(SECRET, "sk-live-7")
    assert account != hmac_account(SECRET, "sk-live-8")
    assert account != hmac_account(b"fedcba9876543210", "sk-live-7")


@pytest.mark.parametrize(
    "headers",
    [
        [(b"authorization", b"Bearer sk-1")],
        [(b"authorization", b"bearer  sk-1 ")],
        [(b"x-api-key", b"sk-1")],
        [(b"x-api-key", b"other"), (b"authorization", b"Bearer sk-1")],
    ],
)
def test_the_key_is_found_where_clients_put_it(headers: list[tuple[bytes, bytes]]) -> None:
    assert bearer_identity(SECRET)({"headers": headers}) == Identity(hmac_account(SECRET, "sk-1"))


@pytest.mark.parametrize("headers", [[], [(b"authorization", b"Basic dTpw")], [(b"authorization", b"Bearer ")]])
def test_without_a_key_nobody_is_identified(headers: list[tuple[bytes, bytes]]) -> None:
    assert bearer_identity(SECRET)({"headers": headers}) is None


def test_a_secret_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(SettingsError, match="16 or more random bytes"):
        bearer_identity(b"secret")
