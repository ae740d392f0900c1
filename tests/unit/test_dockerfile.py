"""The Dockerfile, as far as it can be tried without Docker: parsed by Docker's own parser, its files copied by hand."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import dockerfile
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Stage:
    base: str
    name: str
    commands: list[dockerfile.Command] = field(default_factory=list)

    def all(self, kind: str) -> list[tuple[str, ...]]:
        return [command.value for command in self.commands if command.cmd == kind]

    def copies(self) -> list[tuple[str, str]]:
        """What comes from the build context."""
        return [
            (source, command.value[-1])
            for command in self.commands
            if command.cmd == "COPY" and not command.flags
            for source in command.value[:-1]
        ]


@pytest.fixture(scope="module")
def stages() -> dict[str, Stage]:
    found: list[Stage] = []
    for command in dockerfile.parse_file(str(ROOT / "Dockerfile")):
        if command.cmd == "FROM":
            base, _, name = command.value
            found.append(Stage(base, name))
        else:
            found[-1].commands.append(command)
    return {stage.name: stage for stage in found}


def test_the_packages_are_made_in_one_stage_and_run_in_another(stages: dict[str, Stage]) -> None:
    assert list(stages) == ["dependencies", "runtime"]
    # The environment is copied as it is, so both need the same interpreter at the same place.
    assert {stage.base for stage in stages.values()} == {"python:3.11-slim"}
    copied = [command for command in stages["runtime"].commands if command.flags]
    assert [(command.cmd, command.flags, command.value) for command in copied] == [
        ("COPY", ("--from=dependencies",), ("/opt/stillwatch", "/opt/stillwatch"))
    ]


def test_every_package_is_checked_against_its_hash(stages: dict[str, Stage]) -> None:
    [install] = [run for (run,) in stages["dependencies"].all("RUN") if "requirements.lock" in run]
    assert "--require-hashes" in install
    assert "--only-binary :all:" in install
    assert "-r pyproject.toml --extra cluster --constraint requirements.lock" in install


def test_the_lock_names_every_package_with_a_hash_and_the_charts_ray() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    pinned = dict(re.findall(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)", lock, re.MULTILINE))
    blocks = re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)
    bare = [block.split()[0] for block in blocks if "==" in block and "--hash=sha256:" not in block]
    assert not bare
    values = yaml.safe_load((ROOT / "helm" / "stillwatch" / "values.yaml").read_text())
    assert pinned["ray"] == values["ray"]["version"]
    # The chart mounts credentials files; nats-py reads them with this.
    assert "nkeys" in pinned


def test_it_runs_as_somebody_without_rights(stages: dict[str, Stage]) -> None:
    values = yaml.safe_load((ROOT / "helm" / "stillwatch" / "values.yaml").read_text())
    context = values["podSecurityContext"]
    [user] = stages["runtime"].all("USER")
    # A number: kubelets refuse runAsNonRoot for a name.
    assert user == (f"{context['runAsUser']}:{context['runAsGroup']}",)
    assert stages["runtime"].all("ENTRYPOINT") == [("python", "-m", "launch")]


def test_what_is_copied_exists_and_nothing_else_goes_to_the_builder(stages: dict[str, Stage]) -> None:
    sources = {source for stage in stages.values() for source, _ in stage.copies()}
    assert [source for source in sorted(sources) if not (ROOT / source).exists()] == []
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert ignored[0] == "*"
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == sources


def test_the_copied_files_are_enough_to_start(stages: dict[str, Stage], tmp_path: Path) -> None:
    for source, target in stages["runtime"].copies():
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, tmp_path / target, ignore=shutil.ignore_patterns("__pycache__"))
    script = (
        "import sys, launch.entry, launch.__main__\n"
        "outside = sorted(name for name, module in sys.modules.items()"
        f" if str(getattr(module, '__file__', '')).startswith({str(ROOT)!r})"
        f" and not str(module.__file__).startswith({sys.prefix!r}))\n"  # the environment may lie in the checkout
        "print(launch.entry.http.__name__, outside)"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("http []\n", 0), done.stderr
