"""Are there known vulnerabilities in what requirements.lock installs? `make audit`; pip-audit does the work.

Exit code 1 only when there are some. A network that is not there, or a registry without such data, must not fail a build:
then it says that nothing was checked, and why. Whether a source really has data is tried first, with a version that is known
to be vulnerable: an answer of "none" from a source that knows nothing would be the worst of all.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
# CVE-2020-1747: loading YAML runs code. In every database of Python packages for years.
KNOWN_VULNERABLE: Final = "pyyaml==5.3 --hash=sha256:" + "0" * 64
_SOURCES: Final[tuple[tuple[str, ...], ...]] = (("--vulnerability-service", "pypi"), ("--vulnerability-service", "osv"))
# A hundred packages at a request each.
_WITHIN_S: Final = 300.0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lock", nargs="?", default=str(ROOT / "requirements.lock"))
    parser.add_argument("--osv-url", help="an OSV API of your own, instead of PyPI's and osv.dev's")
    parser.add_argument(
        "--ignore-vuln", action="append", default=[], metavar="ID", help="accepted: say why where you set it"
    )
    given = parser.parse_args(arguments)
    sources = _SOURCES if given.osv_url is None else (("--vulnerability-service", "osv", "--osv-url", given.osv_url),)
    source = next((source for source in sources if _has_data(source)), None)
    if source is None:
        print("audit SKIPPED, nothing was checked: no source of vulnerabilities could be asked (offline, or a mirror "
              "without such data). Run `make audit` where PyPI or osv.dev can be reached.")  # fmt: skip
        return 0
    ignored = [word for id in given.ignore_vuln for word in ("--ignore-vuln", id)]
    report = _audit(given.lock, (*source, *ignored))
    if report is None:
        print("audit SKIPPED, nothing is known: the source of vulnerabilities stopped answering. Run it again.")
        return 0
    return told(report)


def told(report: dict[str, Any]) -> int:
    packages = report["dependencies"]
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    found = [(package, vulnerability) for package in packages for vulnerability in package.get("vulns", [])]
    for package, vulnerability in found:
        names = ", ".join([vulnerability["id"], *vulnerability["aliases"]])
        fixed = ", ".join(vulnerability["fix_versions"]) or "no version yet"
        print(f"{package['name']} {package['version']}: {names}; fixed in {fixed}")
    if unknown:
        print(f"not checked, because the source does not know them: {', '.join(unknown)}")
    print(f"audit: {len(packages) - len(unknown)} packages checked, vulnerabilities: {len(found)}")
    return 1 if found else 0


def _has_data(source: Sequence[str]) -> bool:
    with tempfile.TemporaryDirectory() as directory:
        lock = Path(directory) / "requirements.txt"
        lock.write_text(KNOWN_VULNERABLE + "\n", encoding="utf-8")
        report = _audit(str(lock), source)
    return report is not None and any(package.get("vulns") for package in report["dependencies"])


def _audit(lock: str, options: Sequence[str]) -> dict[str, Any] | None:
    """pip-audit's report; ``None`` when it could not make one."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", lock, "--require-hashes", "--disable-pip",
               "--format", "json", "--progress-spinner", "off", "--timeout", "10", *options]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_WITHIN_S, check=False)
        report: dict[str, Any] = json.loads(done.stdout)
    except (ValueError, subprocess.TimeoutExpired):
        return None
    return report


if __name__ == "__main__":
    sys.exit(main())
