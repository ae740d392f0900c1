"""Certificates for tests: an authority, a server for 127.0.0.1, a client. Made in memory, written as PEM files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True, slots=True)
class Papers:
    """Paths, as nats-server's configuration names them."""

    authority: str
    server: dict[str, str]
    client: dict[str, str]


def issue_papers(directory: Path) -> Papers:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(directory / "ca.crt"))
    files = {}
    for name, issued in (("tls", authority.issue_cert("127.0.0.1")), ("client", authority.issue_cert("shard@x.org"))):
        issued.cert_chain_pems[0].write_to_path(str(directory / f"{name}.crt"))
        issued.private_key_pem.write_to_path(str(directory / f"{name}.key"))
        files[name] = {"cert_file": str(directory / f"{name}.crt"), "key_file": str(directory / f"{name}.key")}
    return Papers(str(directory / "ca.crt"), files["tls"], files["client"])
