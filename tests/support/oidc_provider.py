"""An OpenID provider on loopback: real documents over a real socket, tokens signed with keys of its own."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

AUDIENCE = "stillwatch"
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class OidcProvider:
    """``keys``: kid → private key, as ``/jwks`` lists them now. ``broken``: every answer is that body instead.
    ``drips``: the bytes of an answer come so slowly that it never ends, and no single read takes long."""

    def __init__(self) -> None:
        self.keys: dict[str, PrivateKey] = {"rsa-1": rsa.generate_private_key(65_537, 2_048)}
        self.broken: bytes | None = None
        self.drips = False
        self._closed = threading.Event()
        self.more: list[dict[str, Any]] = []  # rows of /jwks as they are
        self.asked: Counter[str] = Counter()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked[self.path] += 1
                body = provider.broken if provider.broken is not None else provider._answer(self.path)
                self.send_response(200 if body else 503)
                self.send_header("content-length", str(len(body) + (10_000 if provider.drips else 0)))
                self.end_headers()
                with contextlib.suppress(OSError):  # who has waited long enough goes
                    while provider.drips and not provider._closed.wait(0.1):
                        self.wfile.write(b" ")  # JSON may begin with any number of them
                    self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/realm"

    def token(
        self, kid: str | None = "rsa-1", key: PrivateKey | None = None, algorithm: str = "RS256", **claims: Any
    ) -> str:
        """A good one, but for what is given. A claim that is ``None`` is left out."""
        now = int(time.time())
        good = {"iss": self.issuer, "aud": AUDIENCE, "sub": "ada@example.com", "iat": now, "exp": now + 300}
        said = {name: value for name, value in {**good, **claims}.items() if value is not None}
        headers = {} if kid is None else {"kid": kid}
        return jwt.encode(said, key or self.keys[kid or "rsa-1"], algorithm, headers=headers)

    def close(self) -> None:
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    def _answer(self, path: str) -> bytes:
        if path == "/realm/.well-known/openid-configuration":
            return json.dumps({"issuer": self.issuer, "jwks_uri": f"{self.issuer}/jwks"}).encode()
        rows = [{**_public(key), "kid": kid, "use": "sig"} for kid, key in self.keys.items()]
        return json.dumps({"keys": [*rows, *self.more]}).encode()


def _public(key: PrivateKey) -> dict[str, Any]:
    if isinstance(key, rsa.RSAPrivateKey):
        return RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
