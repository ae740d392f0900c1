"""Keys: what a file may say, and who gets in."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from api_key_text import end_of_secret

from serve.key_file import rotated
from serve.keys import SCOPES, Found, KeyRing, mint, parse_key_ring
from stillwatch.errors import Conflict, NotFound, SettingsError

NOON = 1_790_000_000.0
SHA = "a" * 64


def entry(**changes: object) -> str:
    fields = {"id": "ops", "sha256": SHA, "scopes": ["campaigns:read"]} | changes
    return f"keys: [{fields}]"


def test_a_minted_key_opens_with_its_scopes_and_the_file_does_not_hold_the_secret() -> None:
    key, text = mint("ops", ["campaigns:read", "control:write"], note="on call")
    found = parse_key_ring("keys:\n" + text).find(key, NOON)
    assert isinstance(found, Found)
    assert found.key.caller.scopes == {"campaigns:read", "control:write"}
    assert found.key.caller.actor == "api-key:ops"
    assert end_of_secret(key) not in text
    assert "on call" in text


def test_two_minted_keys_differ() -> None:
    assert mint("ops", ["events:write"])[0] != mint("ops", ["events:write"])[0]


@pytest.mark.parametrize(
    ("presented", "why"),
    [
        ("", "malformed"),
        ("swk_ops_", "malformed"),
        ("swk__secret", "malformed"),
        ("sk_ops_secret", "malformed"),
        ("swk_ops_" + "x" * 300, "malformed"),
        ("swk_ops_wrong", "unknown"),
        ("swk_nobody_secret", "unknown"),
        ("swk_ops_\u00e9\U0001f511", "unknown"),
    ],
)
def test_a_wrong_key_is_refused(presented: str, why: str) -> None:
    assert parse_key_ring(entry()).find(presented, NOON) == why


@pytest.mark.parametrize("secret", ["with_underscores_in_it", "_", "a-b_c"])
def test_a_secret_may_hold_underscores(secret: str) -> None:
    ring = parse_key_ring(entry(sha256=hashlib.sha256(secret.encode()).hexdigest()))
    assert isinstance(ring.find(f"swk_ops_{secret}", NOON), Found)


@pytest.mark.parametrize("expires", ["2026-09-21T14:13:20Z", "2026-09-21T14:13:20", "2026-09-21 16:13:20+02:00"])
def test_a_key_ends_at_its_moment_and_without_a_zone_that_is_utc(expires: str) -> None:
    key, text = mint("ops", ["events:write"])
    ring = parse_key_ring(f"keys:\n{text}  expires: {expires}")
    assert isinstance(ring.find(key, NOON - 1), Found)
    assert ring.find(key, NOON) == "expired"


def test_a_bare_date_ends_the_key_as_that_day_begins() -> None:
    key, text = mint("ops", ["events:write"])
    ring = parse_key_ring(f"keys:\n{text}  expires: 2026-09-21")
    assert isinstance(ring.find(key, 1_789_948_799.0), Found)
    assert ring.find(key, 1_789_948_800.0) == "expired"


def test_an_empty_ring_lets_nobody_in() -> None:
    assert KeyRing().find(mint("ops", ["events:write"])[0], NOON) == "unknown"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("keys: [", "not YAML"),
        ("", "the file"),
        ("[]", "the file"),
        ("keys: 7", "keys"),
        (entry(scopes=[]), "scopes"),
        (entry(scopes=["everything"]), "scopes"),
        (entry(sha256="abc"), "sha256"),
        (entry(sha256=SHA.upper()), "sha256"),
        (entry(id="has_underscore"), "id"),
        (entry(id=7), "id"),
        (entry(secret="oops"), "secret"),
        (entry(secrets=[{"sha256": SHA}]), "keys.0"),
        (f"keys: [{{id: a, scopes: [events:write], secrets: {[{'sha256': SHA}] * 3}}}]", "secrets"),
        (f"keys: [{{id: a, scopes: [events:write], secrets: {[{'sha256': 'abc'}]}}}]", "secrets.0.sha256"),
        (entry(expires="next week"), "expires"),
        (
            f"keys: [{{id: a, sha256: {SHA}, scopes: [events:write]}}, {{id: a, sha256: {SHA}, scopes: [events:write]}}]",
            "id a",
        ),
    ],
)
def test_a_file_with_a_mistake_is_refused_by_name(text: str, names: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_key_ring(text)
    assert names in str(caught.value)
    assert SHA not in str(caught.value)


def test_the_example_file_parses_and_opens_for_nobody_by_accident() -> None:
    text = Path("configs/api-keys.example.yaml").read_text()
    ring = parse_key_ring(text)
    assert len(ring) > 0
    assert ring.find("swk_ops_secret", NOON) == "unknown"
    assert all(scope in text for scope in SCOPES)


def test_after_a_rotation_both_keys_open_until_the_old_one_ends() -> None:
    old, text = mint("ops", ["events:write"], note="für den Dienst")
    _, other = mint("other", ["metrics:read"])
    file = "# who has what\n# kept\nkeys:\n" + text + other
    new, changed = rotated(file, "ops", NOON, overlap_s=3_600)
    ring = parse_key_ring(changed)
    assert changed.startswith("# who has what\n# kept\nkeys:")
    assert "für den Dienst" in changed
    assert end_of_secret(new) not in changed
    for key, at, expected in ((old, NOON + 3_599, "ops"), (new, NOON + 3_599, "ops"), (new, NOON + 9e6, "ops")):
        found = ring.find(key, at)
        assert isinstance(found, Found)
        assert found.key.id == expected
    assert ring.find(old, NOON + 3_600) == "expired"
    assert isinstance(ring.find(new, NOON), Found)
    assert len(ring) == 2


def test_a_second_rotation_waits_for_the_end_of_the_first_and_then_drops_what_has_ended() -> None:
    _, text = mint("ops", ["events:write"])
    _, once = rotated("keys:\n" + text, "ops", NOON, overlap_s=60)
    with pytest.raises(Conflict, match="two secrets are valid"):
        rotated(once, "ops", NOON + 59, overlap_s=60)
    newest, twice = rotated(once, "ops", NOON + 60, overlap_s=60)
    assert len(parse_key_ring(twice).keys["ops"].secrets) == 2
    assert isinstance(parse_key_ring(twice).find(newest, NOON + 60), Found)


def test_a_rotation_never_lengthens_the_life_of_a_secret() -> None:
    _, text = mint("ops", ["events:write"])
    _, once = rotated("keys:\n" + text, "ops", NOON, overlap_s=9e6)
    assert [secret.expires_unix_s for secret in parse_key_ring(once).keys["ops"].secrets] == [int(NOON + 9e6), None]
    file = f"keys: [{{id: ops, scopes: [events:write], secrets: [{{sha256: {SHA}, expires: 2026-09-22}}]}}]"
    _, changed = rotated(file, "ops", NOON, overlap_s=9e6)
    assert "2026-09-22" in changed


def test_nobody_to_rotate_is_not_found() -> None:
    with pytest.raises(NotFound, match="nobody"):
        rotated(entry(), "nobody", NOON, 60)
