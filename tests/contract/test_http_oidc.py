"""Tokens of an OpenID provider: which open, which do not, and how seldom the provider is asked."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from http_world import World
from manual_clock import ManualClock
from oidc_provider import AUDIENCE, OidcProvider

from serve.jwks import MAX_AGE_S, MAX_STALE_S, MIN_PAUSE_S
from stillwatch.errors import SettingsError
from stillwatch.settings import OidcSettings, ServeSettings


@pytest.fixture
def provider() -> Iterator[OidcProvider]:
    provider = OidcProvider()
    yield provider
    provider.close()


def a_world(provider: OidcProvider, **settings: Any) -> World:
    oidc = OidcSettings(issuer=provider.issuer, audience=AUDIENCE, **settings)
    return World(ServeSettings(oidc=oidc), clock=ManualClock(time.time()))


async def ask(world: World, token: str, path: str = "/v1/campaigns") -> httpx.Response:
    return await world.client(token).get(path)


async def test_a_good_token_opens_what_its_scopes_say_and_is_named_in_the_audit(provider: OidcProvider) -> None:
    world = a_world(provider)
    token = provider.token(scope="openid campaigns:read revocations:write")
    assert (await ask(world, token)).status_code == 200
    refused = await ask(world, token, "/v1/accounts/acct-1")
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:stillwatch:problem:missing-scope")
    body = {"account": "acct-1", "action": "revoke", "reason": "r", "ttl_s": 60}
    assert (await world.client(token).post("/v1/revocations", json=body)).status_code == 201
    [entry] = await world.hub.audit.newest(9)
    assert entry.actor == "oidc:ada@example.com"


async def test_api_keys_open_beside_tokens(provider: OidcProvider) -> None:
    assert (await a_world(provider).http.get("/v1/campaigns")).status_code == 200


async def test_words_of_another_claim_are_mapped_to_scopes(provider: OidcProvider) -> None:
    world = a_world(provider, scopes_claim="groups", scopes={"sec-oncall": ("campaigns:read", "scores:read")})
    assert (await ask(world, provider.token(groups=["staff", "sec-oncall"]))).status_code == 200
    for groups in (["staff"], ["campaigns:read"], [], "staff", 7, None, [["sec-oncall"], {"a": 1}, None]):
        assert (await ask(world, provider.token(groups=groups, scope="campaigns:read"))).status_code == 403


NOW = int(time.time())
REFUSED: dict[str, dict[str, Any]] = {
    "expired": {"exp": NOW - 120, "iat": NOW - 600},
    "without an end": {"exp": None},
    "of the future": {"nbf": NOW + 600},
    "issued in the future": {"iat": NOW + 600},
    "for another audience": {"aud": "payroll"},
    "for nobody": {"aud": None},
    "of another issuer": {"iss": "https://evil.example"},
    "of no issuer": {"iss": None},
    "about nobody": {"sub": None},
    "about a forged line": {"sub": "ada\nrevoked by bob"},
    "with a text for an end": {"exp": "soon"},
}


@pytest.mark.parametrize("claims", REFUSED.values(), ids=list(REFUSED))
async def test_a_token_with_a_wrong_claim_is_refused(provider: OidcProvider, claims: dict[str, Any]) -> None:
    token = encode(provider, claims)
    answer = await ask(a_world(provider), token)
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:stillwatch:problem:no-key")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert token not in answer.text


def encode(provider: OidcProvider, claims: dict[str, Any]) -> str:
    """By hand: PyJWT does not sign some of what a hostile provider's client would send."""
    good = provider.token(scope="campaigns:read")
    header, body, _ = good.split(".")
    said = json.loads(base64.urlsafe_b64decode(body + "=="))
    said = {name: value for name, value in {**said, **claims}.items() if value is not None}
    signing = f"{header}.{base64.urlsafe_b64encode(json.dumps(said).encode()).rstrip(b'=').decode()}"
    key = provider.keys["rsa-1"]
    signature = jwt.get_algorithm_by_name("RS256").sign(signing.encode(), key)
    return f"{signing}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


async def test_a_token_that_the_provider_did_not_sign_is_refused(provider: OidcProvider) -> None:
    world = a_world(provider)
    stranger = rsa.generate_private_key(65_537, 2_048)
    good = provider.token(scope="campaigns:read")
    header, body, signature = good.split(".")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none","kid":"rsa-1"}').rstrip(b"=").decode()
    public = provider.keys["rsa-1"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    symmetric = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"rsa-1"}').rstrip(b"=").decode() + "." + body
    forged = base64.urlsafe_b64encode(hmac.digest(public, symmetric.encode(), "sha256")).rstrip(b"=").decode()
    tokens = {
        "stranger": provider.token(key=stranger, scope="campaigns:read"),
        "unsigned": f"{unsigned}.{body}.",
        "body of another": f"{header}.{provider.token(scope='control:write').split('.')[1]}.{signature}",
        "public key as a secret": f"{symmetric}.{forged}",
        "algorithm that is not allowed": provider.token(algorithm="RS512", scope="campaigns:read"),
        "key of another kind": provider.token(key=ec.generate_private_key(ec.SECP256R1()), algorithm="ES256"),
        "garbage": "a.b.c",
        "endless": f"{header}.{'A' * 20_000}.{signature}",
    }
    for name, token in tokens.items():
        assert (await ask(world, token)).status_code == 401, name
    assert (await ask(world, good)).status_code == 200


async def test_a_new_key_of_the_provider_is_fetched_once_and_strangers_can_not_make_it_be_asked(
    provider: OidcProvider,
) -> None:
    world = a_world(provider)
    assert (await ask(world, provider.token(scope="campaigns:read"))).status_code == 200
    provider.keys["ec-2"] = ec.generate_private_key(ec.SECP256R1())
    rotated = provider.token(kid="ec-2", algorithm="ES256", scope="campaigns:read")
    assert (await ask(world, rotated)).status_code == 401, "it was asked a moment ago"
    world.clock.advance(MIN_PAUSE_S)
    answers = await asyncio.gather(*(ask(world, rotated) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert provider.asked["/realm/jwks"] == 2
    stranger = rsa.generate_private_key(65_537, 2_048)
    for number in range(50):
        await ask(world, provider.token(kid=f"unknown-{number}", key=stranger))
    assert provider.asked["/realm/jwks"] == 2
    del provider.keys["rsa-1"]
    world.clock.advance(MAX_AGE_S + 1)
    assert (await ask(world, rotated)).status_code == 200
    assert provider.asked == {"/realm/jwks": 3, "/realm/.well-known/openid-configuration": 1}


@pytest.mark.parametrize(
    "broken", [b"", b"nonsense", b"[]", b'{"keys": 7}', b"x" * 300_000, b"[" * 200_000], ids=lambda body: body[:9]
)
async def test_while_the_provider_is_broken_the_last_keys_serve_on_but_not_for_ever(
    provider: OidcProvider, broken: bytes
) -> None:
    world = a_world(provider)
    token = provider.token(scope="campaigns:read")
    assert (await ask(world, token)).status_code == 200
    provider.broken = broken
    world.clock.advance(MAX_AGE_S + 1)
    assert (await ask(world, token)).status_code == 200
    world.clock.advance(MAX_STALE_S)
    answer = await ask(world, token)
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:stillwatch:problem:unavailable")
    assert (await world.http.get("/v1/campaigns")).status_code == 200, "API keys need no provider"


async def test_a_provider_that_hangs_refuses_no_token_that_the_last_keys_can_check(provider: OidcProvider) -> None:
    world = a_world(provider)
    token = provider.token(scope="campaigns:read")
    assert (await ask(world, token)).status_code == 200
    provider.drips = True
    world.clock.advance(MAX_AGE_S + 1)
    assert (await ask(world, token)).status_code == 200
    assert provider.asked["/realm/jwks"] == 2


async def test_an_address_of_keys_that_is_none_is_a_broken_provider_and_is_not_kept(provider: OidcProvider) -> None:
    provider.broken = json.dumps({"issuer": provider.issuer, "jwks_uri": "http://keys.example:port/"}).encode()
    world = a_world(provider)
    token = provider.token(scope="campaigns:read")
    answer = await ask(world, token)
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:stillwatch:problem:unavailable")
    provider.broken = None
    world.clock.advance(MIN_PAUSE_S)
    assert (await ask(world, token)).status_code == 200


async def test_a_document_of_another_issuer_is_not_believed(provider: OidcProvider) -> None:
    provider.broken = json.dumps({"issuer": "https://evil.example", "jwks_uri": f"{provider.issuer}/jwks"}).encode()
    assert (await ask(a_world(provider), provider.token())).status_code == 503


async def test_secrets_and_encryption_keys_among_the_providers_keys_check_nothing(provider: OidcProvider) -> None:
    secret = b"0123456789abcdef0123456789abcdef"
    encoded = base64.urlsafe_b64encode(secret).rstrip(b"=").decode()
    provider.more = [{"kty": "oct", "k": encoded, "kid": "s"}, {"kty": "RSA", "kid": "half"}, {"kty": "?", "kid": "q"}]
    world = a_world(provider)
    for kid in ("s", "half", "q"):
        assert (await ask(world, provider.token(kid=kid, key=provider.keys["rsa-1"]))).status_code == 401


@pytest.mark.parametrize("url", [None, "jwks"])
async def test_a_token_without_a_key_name_is_checked_with_the_only_key(provider: OidcProvider, url: str | None) -> None:
    world = a_world(provider, jwks_url=None if url is None else f"{provider.issuer}/{url}")
    token = provider.token(kid=None, scope="campaigns:read")
    assert (await ask(world, token)).status_code == 200
    provider.keys["rsa-2"] = rsa.generate_private_key(65_537, 2_048)
    world.clock.advance(MAX_AGE_S + 1)
    assert (await ask(world, token)).status_code == 401


async def test_a_token_in_x_api_key_opens_too_and_one_without_a_provider_does_not(provider: OidcProvider) -> None:
    token = provider.token(scope="campaigns:read")
    assert (await a_world(provider).client(**{"x-api-key": token}).get("/v1/campaigns")).status_code == 200
    assert (await ask(World(), token)).status_code == 401


def test_a_scope_that_there_is_not_is_a_matter_of_settings(provider: OidcProvider) -> None:
    with pytest.raises(SettingsError, match=r"serve\.oidc\.scopes, admins.*unknown scope"):
        a_world(provider, scopes={"admins": ("everything",)})
