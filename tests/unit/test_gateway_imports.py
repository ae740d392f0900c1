"""A gateway installs the wheel and nothing of the cluster: what it imports, and the command that says so."""

from __future__ import annotations

import subprocess
import sys

from stillwatch import gateway

FOREIGN = (
    "ray", "river", "pydantic", "fastapi", "starlette", "opentelemetry.sdk", "uvicorn", "httpx", "yaml", "typer", "rich",
    "scipy", "actors", "serve", "streams", "launch",
)  # fmt: skip


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


def test_importing_the_gateway_imports_nothing_of_the_cluster() -> None:
    done = python(
        f"import sys, stillwatch.gateway, stillwatch.gateway.command; print([m for m in {FOREIGN!r} if m in sys.modules])"
    )
    assert done.stderr == ""
    assert done.stdout.strip() == "[]"


def test_everything_that_is_named_is_there() -> None:
    assert sorted(gateway.__all__) == list(gateway.__all__)
    assert all(getattr(gateway, name) is not None for name in gateway.__all__)


def test_the_command_without_the_cluster_says_what_to_do() -> None:
    done = python(
        "import sys\n"
        "class Gone:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'launch':\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Gone())\n"
        "from stillwatch.gateway.command import main\n"
        "sys.exit(main())\n"
    )
    assert done.returncode == 2
    assert "gateway package only" in done.stderr
    assert "make demo" in done.stderr
    assert "Traceback" not in done.stderr
