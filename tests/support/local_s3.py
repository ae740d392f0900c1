"""A local HTTP server that speaks S3. It is `moto`, a simulation of Amazon's API, and stands for S3 in our tests: what it
does not show is how the real one behaves under load or when it is partly down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import httpx
from moto.server import ThreadedMotoServer

BUCKET: Final = "snapshots"


@dataclass(frozen=True, slots=True)
class S3Server:
    url: str

    @property
    def credentials(self) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests"}


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Loopback only, on a free port, with one empty bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        url = f"http://{host}:{port}"
        signed = "AWS4-HMAC-SHA256 Credential=tests/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
        httpx.put(f"{url}/{BUCKET}", headers={"authorization": signed}).raise_for_status()
        yield S3Server(url)
    finally:
        server.stop()
