"""The app as a Ray Serve deployment, behind Ray's Python proxy with TLS (the cluster's tests are behind HAProxy)."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tls_papers import issue_papers

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tests" / "support" / "ray_serve_process.py"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[httpx.Client]:
    path = os.pathsep.join([str(ROOT), str(PROGRAM.parent)])
    papers = issue_papers(tmp_path)
    trusted = ssl.create_default_context(cafile=papers.authority)
    # A cluster that an earlier test has started in this process has left its choice of a proxy here.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RAY_SERVE_")}
    with (
        (tmp_path / "errors").open("w+") as errors,
        subprocess.Popen(
            [sys.executable, str(PROGRAM), "python-proxy", papers.server["cert_file"], papers.server["key_file"]],
            env={**inherited, "PYTHONPATH": path}, cwd=tmp_path, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
        ) as process,
    ):  # fmt: skip
        assert process.stdout
        assert process.stdin
        url, _, key = next((line for line in process.stdout if line.startswith("http")), "").strip().partition(" ")
        if not url:
            errors.seek(0)
            pytest.fail(f"Ray Serve did not start: {errors.read()[-2_000:]}")
        headers = {"authorization": f"Bearer {key}"}
        with httpx.Client(base_url=url, headers=headers, timeout=30, verify=trusted) as client:
            yield client
        process.stdin.close()
        assert "stopped" in process.stdout.read()
        assert process.wait(60) == 0


@pytest.mark.ray
@pytest.mark.timeout(300)
def test_the_contract_holds_behind_ray_serve(served: httpx.Client) -> None:
    assert served.get("/readyz").json()["ready"] is True
    event = {"v": 1, "id": "r-1", "time_unix_nano": 1_789_999_999_000_000_000, "account": "acct-1"}
    assert served.post("/v1/events", json=[event, {"v": 2}]).json()["accepted"] == 1
    assert served.get("/v1/accounts/acct-1").json()["state"]["events"] == 1
    body = {"account": "acct-1", "action": "suspend", "reason": "test", "ttl_s": 600}
    made = served.post("/v1/revocations", json=body, headers={"idempotency-key": "k"})
    assert made.status_code == 201
    assert served.post("/v1/revocations", json=body, headers={"idempotency-key": "k"}).status_code == 200
    refused = served.patch("/authz/v1/chat", headers={"x-stillwatch-account": "acct-1"})
    assert refused.status_code == 403
    assert refused.headers["x-stillwatch-revocation"] == made.json()["id"]
    assert served.delete(f"/v1/revocations/{made.json()['id']}").json()["state"] == "undone"
    assert served.patch("/authz/v1/chat", headers={"x-stillwatch-account": "acct-1"}).status_code == 200
    assert served.get("/nope").headers["content-type"] == "application/problem+json"
    assert served.post("/v1/events", content=b"x" * 5_000_000).status_code == 413
    assert served.get("/v1/campaigns", headers={"authorization": ""}).status_code == 401
    with pytest.raises(httpx.ConnectError, match=r"(?i)certificate"):
        httpx.get(served.base_url.join("/healthz"))
    with pytest.raises(httpx.HTTPError):
        httpx.get(str(served.base_url.join("/healthz")).replace("https", "http"))
    assert "default-src 'none'" in served.get("/").headers["content-security-policy"]
    assert served.get("/openapi.json").json()["paths"]
