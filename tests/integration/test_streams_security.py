"""Connections to a server that asks for TLS or a login."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import ValidationError
from stream_worlds import settled
from tls_papers import Papers, issue_papers

from launch.embedded import EmbeddedNats
from stillwatch.errors import SettingsError, Unavailable
from stillwatch.settings import NatsSettings
from streams import connection
from streams.connection import close, connect


class GuardedNats(EmbeddedNats):
    """With what an operator's own server would have in its configuration."""

    def __init__(self, store_dir: Path, **extra: object) -> None:
        super().__init__(store_dir)
        self._extra = extra

    def _config(self) -> dict[str, object]:
        return {**super()._config(), **self._extra}


@pytest.fixture
def papers(tmp_path: Path) -> Papers:
    return issue_papers(tmp_path)


async def test_tls_with_the_authority_that_the_settings_name(tmp_path: Path, papers: Papers) -> None:
    async with GuardedNats(tmp_path / "nats", tls=papers.server) as server:
        client = await connect(NatsSettings(urls=(server.url,), tls_ca_file=papers.authority), "tests")
        await settled(client)
        await close(client)
        with pytest.raises(Unavailable, match=r"(?i)certificate"):
            await connect(NatsSettings(urls=(server.url,)), "tests", within_s=1.0)


async def test_a_server_of_another_authority_is_not_talked_to(tmp_path: Path, papers: Papers) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    async with GuardedNats(tmp_path / "nats", tls=papers.server) as server:
        with pytest.raises(Unavailable, match=r"(?i)certificate"):
            await connect(NatsSettings(urls=(server.url,), tls_ca_file=str(other)), "tests", within_s=1.0)


async def test_a_server_with_another_name_is_not_talked_to(tmp_path: Path, papers: Papers) -> None:
    async with GuardedNats(tmp_path / "nats", tls=papers.server) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        with pytest.raises(Unavailable, match=r"(?i)certificate"):
            await connect(NatsSettings(urls=(url,), tls_ca_file=papers.authority), "tests", within_s=1.0)


async def test_a_server_that_asks_for_a_certificate_lets_in_whoever_shows_one(tmp_path: Path, papers: Papers) -> None:
    demanding = {**papers.server, "ca_file": papers.authority, "verify": True}
    async with GuardedNats(tmp_path / "nats", tls=demanding) as server:
        shown = NatsSettings(
            urls=(server.url,), tls_ca_file=papers.authority,
            tls_cert_file=papers.client["cert_file"], tls_key_file=papers.client["key_file"],
        )  # fmt: skip
        client = await connect(shown, "tests")
        await settled(client)
        await close(client)
        with pytest.raises(Unavailable):
            await connect(NatsSettings(urls=(server.url,), tls_ca_file=papers.authority), "tests", within_s=1.0)


async def test_a_certificate_that_can_not_be_read_names_its_setting(papers: Papers) -> None:
    settings = NatsSettings(
        urls=("nats://127.0.0.1:1",), tls_cert_file="/nowhere/client.crt", tls_key_file=papers.client["key_file"]
    )
    with pytest.raises(SettingsError, match=r"nats\.tls_cert_file"):
        await connect(settings, "tests")


def test_a_certificate_without_its_key_is_refused_when_settings_are_read() -> None:
    with pytest.raises(ValidationError, match="belong together"):
        NatsSettings(tls_cert_file="client.crt")


async def test_a_missing_authority_file_names_its_setting() -> None:
    with pytest.raises(SettingsError, match=r"nats\.tls_ca_file"):
        await connect(NatsSettings(urls=("nats://127.0.0.1:1",), tls_ca_file="/nowhere/ca.pem"), "tests")


async def test_credentials_without_the_package_that_signs_them_name_their_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"nats\.credentials_file.*nkeys"):
        await connect(NatsSettings(urls=("nats://127.0.0.1:1",), credentials_file="/run/nats.creds"), "tests")


class Party:
    """An operator, account or user of NATS's decentralised logins: a key pair that signs claims about others."""

    def __init__(self, kind: str) -> None:
        nkeys = pytest.importorskip("nkeys")
        prefix = {"operator": nkeys.PREFIX_BYTE_OPERATOR, "account": nkeys.PREFIX_BYTE_ACCOUNT}
        self.kind = kind
        self.seed: bytes = nkeys.encode_seed(os.urandom(32), prefix.get(kind, nkeys.PREFIX_BYTE_USER))
        self._pair = nkeys.from_seed(bytearray(self.seed))
        self.public: str = self._pair.public_key.decode()

    def says_of(self, other: Party, **claims: Any) -> str:
        body = {
            "iat": int(time.time()), "iss": self.public, "sub": other.public, "name": other.kind,
            "nats": {"type": other.kind, "version": 2, **claims},
        }  # fmt: skip
        body["jti"] = base64.b32encode(hashlib.sha256(json.dumps(body).encode()).digest()).decode().rstrip("=")
        parts = [_part({"typ": "JWT", "alg": "ed25519-nkey"}), _part(body)]
        signature = self._pair.sign(".".join(parts).encode())
        return ".".join([*parts, base64.urlsafe_b64encode(signature).decode().rstrip("=")])


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


async def test_a_credentials_file_opens_a_server_that_trusts_its_operator(tmp_path: Path) -> None:
    operator, system, account, user = Party("operator"), Party("account"), Party("account"), Party("user")
    limits = {"subs": -1, "data": -1, "payload": -1, "conn": -1, "imports": -1, "exports": -1, "wildcards": True}
    storage = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}
    trusted = {
        "operator": operator.says_of(operator),
        "system_account": system.public,
        "resolver": "MEMORY",
        "resolver_preload": {
            system.public: operator.says_of(system, limits=limits),
            account.public: operator.says_of(account, limits={**limits, **storage}),
        },
    }
    credentials = tmp_path / "scorer.creds"
    credentials.write_text(
        f"-----BEGIN NATS USER JWT-----\n{account.says_of(user, subs=-1, data=-1, payload=-1)}\n"
        f"------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n"
        "------END USER NKEY SEED------\n"
    )
    async with GuardedNats(tmp_path / "nats", **trusted) as server:
        client = await connect(NatsSettings(urls=(server.url,), credentials_file=str(credentials)), "tests")
        await settled(client)
        await close(client)
        with pytest.raises(Unavailable, match=r"(?i)authorization"):
            await connect(NatsSettings(urls=(server.url,)), "tests", within_s=1.0)


async def test_a_wrong_password_is_told_from_a_server_that_is_away(tmp_path: Path) -> None:
    async with GuardedNats(tmp_path, authorization={"user": "scorer", "password": "right"}) as server:
        with pytest.raises(Unavailable, match=r"(?i)authorization") as caught:
            await connect(NatsSettings(urls=(server.url.replace("//", "//scorer:wrong@"),)), "tests", within_s=1.0)
        assert "wrong" not in str(caught.value)
        client = await connect(NatsSettings(urls=(server.url.replace("//", "//scorer:right@"),)), "tests")
        await settled(client)
        await close(client)


async def test_no_url_at_all_is_a_matter_of_settings() -> None:
    with pytest.raises(SettingsError, match=r"nats\.urls"):
        await connect(NatsSettings(), "tests")
