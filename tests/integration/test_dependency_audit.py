"""`make audit` with the real pip-audit against a source of vulnerabilities on loopback."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pip_audit")
AUDIT = Path(__file__).parents[2] / ".ci" / "audit.py"
HASH = "--hash=sha256:" + "1" * 64


class Osv:
    """The API of osv.dev. ``vulnerable``: names of packages."""

    def __init__(self) -> None:
        self.vulnerable: set[str] = set()
        osv = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["package"]["name"]
                body = json.dumps({"vulns": [osv._entry(asked)]} if asked in osv.vulnerable else {}).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1/query"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _entry(self, name: str) -> dict[str, Any]:
        events = [{"introduced": "0"}, {"fixed": "9.9"}]
        package = {"name": name, "ecosystem": "PyPI"}
        return {
            "schema_version": "1.0.0", "id": f"PYSEC-{name}", "aliases": [f"CVE-{name}"], "summary": "bad",
            "published": "2020-01-01T00:00:00Z", "modified": "2020-01-01T00:00:00Z",
            "affected": [{"package": package, "ranges": [{"type": "ECOSYSTEM", "events": events}]}],
        }  # fmt: skip


@pytest.fixture
def osv() -> Iterator[Osv]:
    osv = Osv()
    yield osv
    osv.close()


def audit(tmp_path: Path, url: str, *options: str) -> subprocess.CompletedProcess[str]:
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"idna==3.7 {HASH}\nmsgpack==1.1.0 ; python_version >= '3' {HASH}\n")
    return subprocess.run(
        [sys.executable, str(AUDIT), str(lock), "--osv-url", url, *options], capture_output=True, text=True, check=False
    )


def test_a_vulnerable_package_fails_with_its_name_and_where_it_is_fixed(osv: Osv, tmp_path: Path) -> None:
    osv.vulnerable = {"pyyaml", "idna"}
    done = audit(tmp_path, osv.url)
    assert done.returncode == 1
    assert "idna 3.7: PYSEC-idna, CVE-idna; fixed in 9.9" in done.stdout
    assert "2 packages checked, vulnerabilities: 1" in done.stdout


def test_what_was_accepted_passes_and_so_do_clean_packages(osv: Osv, tmp_path: Path) -> None:
    osv.vulnerable = {"pyyaml", "idna"}
    done = audit(tmp_path, osv.url, "--ignore-vuln", "PYSEC-idna")
    assert (done.returncode, "2 packages checked, vulnerabilities: 0" in done.stdout) == (0, True)


def test_a_source_that_knows_nothing_is_not_taken_for_a_clean_one(osv: Osv, tmp_path: Path) -> None:
    done = audit(tmp_path, osv.url)
    assert (done.returncode, "SKIPPED, nothing was checked" in done.stdout) == (0, True)
    assert "packages checked" not in done.stdout


def test_without_a_network_it_is_skipped_and_says_so(osv: Osv, tmp_path: Path) -> None:
    done = audit(tmp_path, "http://127.0.0.1:1/v1/query")
    assert (done.returncode, "SKIPPED, nothing was checked" in done.stdout) == (0, True)
